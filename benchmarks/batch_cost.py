"""What a batch job costs beside the bare engine, and beside the number of its images.

python -m benchmarks.batch_cost BUNDLE
python -m benchmarks.batch_cost BUNDLE --images 1000 --rounds 3 --growth 100 1000 10000 --checkpoint CHECKPOINT

Images are scenes of the demo's world, no two alike, as PNG files. Each run is a process of its own, that has its
model loaded and warm before time counts: "engine" is `Blip.caption_stream` over the files; "job" is all that
`blipvino batch --task caption` does, from the listing to the summary. They take turns; the medians of the rounds are
compared. Then jobs of growing sizes: milliseconds an image, and the most memory that the process had. With
--checkpoint a plain loop of `transformers` captions some of the images, one by one.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from blipvino import Blip, EngineOptions
from blipvino.batch.batch_rows import InputRow
from blipvino.batch.job import BatchJob, run_job
from blipvino.batch.output.local_folder import LocalFolder
from blipvino.batch.row_selection import RowSelection
from blipvino.batch.row_worker import RowWorker
from blipvino.batch.sources.photo_files import PhotoFiles
from blipvino.batch.work_plan import plan_work
from blipvino.checkpoint.text_length import DEFAULT_NEW_TOKENS
from blipvino.demo.scenes import render, sample_scene
from blipvino.machine.host import this_host
from blipvino.photos.listing import list_photos

WARM_UP = 32
LOOPED = 50
"""Images that `transformers` captions."""


@dataclass(frozen=True)
class Cost:
    """What a run took.

    Attributes:
        milliseconds: an image.
        megabytes: that its process had at the most.
    """

    milliseconds: float
    megabytes: float


def write_images(folder: Path, numbers: range) -> None:
    """Write scenes, no two alike, a thousand a folder."""
    for number in numbers:
        pixels = render(sample_scene("train", number)).copy()
        pixels[0, 0] = number % 251, number // 251 % 251, 7
        path = folder / f"{number // 1000}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


def files_of(folder: Path, count: int) -> list[Path]:
    """The first so many images."""
    return [listed.path for listed in islice(list_photos([str(folder)]), count)]


def engine_seconds(bundle: Path, images: Path, count: int, engine: EngineOptions) -> float:
    """Of `Blip.caption_stream`."""
    blip = Blip.load(bundle, options=engine)
    list(blip.caption_stream(iter(files_of(images / "warm-up", WARM_UP))))
    paths = files_of(images / "measured", count)
    began = time.perf_counter()
    captions = sum(1 for _ in blip.caption_stream(iter(paths)))
    seconds = time.perf_counter() - began
    assert captions == count
    return seconds


def job_seconds(bundle: Path, images: Path, count: int, engine: EngineOptions) -> float:
    """Of a whole job."""
    plan = plan_work(["caption"], bundle, engine=engine)
    worker = RowWorker(plan)
    list(worker.run(InputRow(str(path), str(path)) for path in files_of(images / "warm-up", WARM_UP)))
    with TemporaryDirectory(dir=images) as output:
        source, place = PhotoFiles(str(images / "measured")), LocalFolder(Path(output) / "out")
        job = BatchJob(source, plan, place, selection=RowSelection(limit=count))
        began = time.perf_counter()
        summary = run_job(job, open_worker=lambda plan: worker)
        seconds = time.perf_counter() - began
    assert summary.rows == summary.new_rows == count
    return seconds


def loop_seconds(checkpoint: Path, images: Path) -> float:
    """Of `transformers`, image by image, as its documentation has it."""
    import torch  # noqa: PLC0415  # of an extra
    import transformers  # noqa: PLC0415

    answers = json.loads((checkpoint / "config.json").read_text())["architectures"] == ["BlipForQuestionAnswering"]
    # Its class for answers does not caption; the decoder of a checkpoint for answers is the same.
    kind = transformers.BlipForQuestionAnswering if answers else transformers.BlipForConditionalGeneration
    model = kind.from_pretrained(checkpoint, dtype=torch.float32).eval()
    processor = transformers.BlipImageProcessor.from_pretrained(checkpoint)
    decoder = model.text_decoder
    config = model.config.text_config

    def caption(path: Path) -> None:
        pixels = processor(Image.open(path).convert("RGB"), return_tensors="pt")["pixel_values"]
        embeds = model.vision_model(pixel_values=pixels)[0]
        decoder.generate(
            input_ids=torch.tensor([[config.bos_token_id]]),
            encoder_hidden_states=embeds,
            encoder_attention_mask=torch.ones(embeds.shape[:-1], dtype=torch.long),
            eos_token_id=config.sep_token_id,
            pad_token_id=config.pad_token_id,
            max_new_tokens=DEFAULT_NEW_TOKENS,
        )

    with torch.inference_mode():
        caption(files_of(images / "warm-up", 1)[0])
        paths = files_of(images / "measured", LOOPED)
        began = time.perf_counter()
        for path in paths:
            caption(path)
        return time.perf_counter() - began


def child(way: str, bundle: Path, images: Path, count: int, cache: Path) -> Cost:
    """What a process does that is measured."""
    engine = EngineOptions(cache=cache)
    seconds = {"engine": engine_seconds, "job": job_seconds}[way](bundle, images, count, engine)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts in kilobytes
    return Cost(1000 * seconds / count, peak)


def measure(way: str, bundle: Path, images: Path, count: int, cache: Path) -> Cost:
    """One run, in a process of its own."""
    command = [sys.executable, "-m", __spec__.name, str(bundle), "--child", way, str(images), str(count)]
    process = subprocess.run([*command, "--cache", str(cache)], stdout=subprocess.PIPE, text=True, check=True)
    return Cost(**json.loads(process.stdout.splitlines()[-1]))


def compare(bundle: Path, images: Path, count: int, rounds: int, cache: Path) -> None:
    """The engine and the job, in turn."""
    costs: dict[str, list[float]] = {"engine": [], "job": []}
    for _ in range(rounds):
        for way, found in costs.items():
            found.append(measure(way, bundle, images, count, cache).milliseconds)
    engine, job = (statistics.median(found) for found in costs.values())
    told = {way: ", ".join(f"{each:.1f}" for each in found) for way, found in costs.items()}
    print(f"{count:,} images, the engine alone: {engine:.1f} ms an image ({told['engine']})")
    print(f"{count:,} images, the job: {job:.1f} ms an image ({told['job']}), {job / engine - 1:+.1%}")


def grow(bundle: Path, images: Path, counts: Sequence[int], cache: Path) -> None:
    """Jobs of several sizes."""
    costs = {count: measure("job", bundle, images, count, cache) for count in counts}
    for count, cost in costs.items():
        print(f"{count:7,} images: {cost.milliseconds:.1f} ms an image, {cost.megabytes:,.0f} MB at the most")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--images", type=int, default=1000, help="of the comparison with the engine")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--growth", type=int, nargs="*", default=[100, 1000, 10000], help="images of further jobs")
    parser.add_argument("--checkpoint", type=Path, help="that transformers captions by; the bundle's own, best")
    parser.add_argument("--cache", type=Path, default=Path("out/cache"), help="folder for compiled graphs")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child is not None:
        way, images, count = asked.child
        print(json.dumps(asdict(child(way, asked.bundle, Path(images), int(count), asked.cache))))
        return
    print(this_host().label)
    with TemporaryDirectory() as name:
        images = Path(name)
        write_images(images / "measured", range(max([asked.images, LOOPED, *asked.growth])))
        write_images(images / "warm-up", range(10**6, 10**6 + WARM_UP))
        if asked.rounds:
            compare(asked.bundle, images, asked.images, asked.rounds, asked.cache)
        if asked.checkpoint is not None:
            milliseconds = 1000 * loop_seconds(asked.checkpoint, images) / LOOPED
            print(f"{LOOPED:,} images, a loop of transformers: {milliseconds:.1f} ms an image")
        grow(asked.bundle, images, asked.growth, asked.cache)


if __name__ == "__main__":
    main()
