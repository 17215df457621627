"""The model card of a bundle: ``README.md``, as the Hugging Face hub shows it.

The front matter is that of https://huggingface.co/docs/hub/model-cards. The same inputs give the same card: it names
no date, no folder of this machine and no duration.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData

from blipvino.bundle.writing import BundleDetails
from blipvino.files.atomic import write_text
from blipvino.graphs.terms import terms_of
from blipvino.machine.versions import installed_version
from blipvino.optimization.card_tasks import task_of
from blipvino.optimization.commands import optimize_command, remarks
from blipvino.optimization.search.summary import search_summary, search_table
from blipvino.text.tables import TextTable, markdown_table
from blipvino.text.units import MEGABYTE

CARD_FILE = "README.md"
FOLDER = "bundle"
"""What the card calls the folder that it is in."""
PRECISIONS = {"ptq_int8": "int8", "weights_int8": "int8", "weights_int4": "int4", "fp16": "fp16"}
"""Tags by the method of a graph."""
_SHOWN = {
    "demo": " These are drawings of coloured shapes, not photographs.",
    "natural": " These are generated pictures with the statistics of photographs, which show nothing.",
}
"""What samples of a kind of source are, where that is not plain."""
_FRONT_MATTER = re.compile(r"\s*---\r?\n(.*?)\n---", re.DOTALL)
_LICENSE = re.compile(r"^(license|license_name|license_link): *[\"']?(\w[^\"'\s#]*)[\"']?[ \r]*$", re.MULTILINE)
"""Lines of YAML, whose values are plain words there: identifiers and an address."""


def write_card(details: BundleDetails, folder: Path, checkpoint: Path) -> None:
    """Write ``README.md`` into a bundle's folder, in which its graphs are already.

    Args:
        details: all of them, as the manifest will have them.
        folder: the bundle's.
        checkpoint: the folder that the bundle was made from; a card in it tells the license.

    Raises:
        OutputError: it cannot be written.
    """
    sizes = {path.stem: path.stat().st_size for path in sorted(folder.glob("*.bin"))}
    write_text(folder / CARD_FILE, card(details, sizes, inherited(checkpoint)))


def card(details: BundleDetails, sizes: Mapping[str, int], taken_over: Mapping[str, str]) -> str:
    """The card's text.

    Args:
        details: all of them.
        sizes: bytes of each graph's weights.
        taken_over: front matter of the checkpoint's card, see `inherited`.
    """
    front: dict[str, Any] = {
        "library_name": "openvino",
        "pipeline_tag": task_of(details.architecture).pipeline_tag,
        "tags": ["openvino", *(["nncf"] if _compressed(details) else []), "blip", "blipvino", *_precisions(details)],
        **_base_model(details),
        **taken_over,
    }
    parts = (
        f"# {_title(details)}",
        _what(details),
        "## What was done to each graph",
        markdown_table(_treatments(details, sizes)),
        _terms(details, sizes),
        _calibration(details),
        "## How to use it",
        *_use(details),
        "## How it was made",
        *_making(details),
        "## What was measured",
        *_measured(details),
        "## What it is for, and its limits",
        _limits(details),
    )
    return f"---\n{ModelCardData(**front).to_yaml()}\n---\n\n" + "\n\n".join(part.strip() for part in parts) + "\n"


def inherited(checkpoint: Path) -> dict[str, str]:
    """What the front matter of a checkpoint's card says of its license; nothing where there is none."""
    path = checkpoint / CARD_FILE
    if not path.is_file():
        return {}
    front = _FRONT_MATTER.match(path.read_text(encoding="utf-8", errors="replace"))
    return dict(_LICENSE.findall(front[1])) if front else {}


def _base_model(details: BundleDetails) -> dict[str, str]:
    """The hub id that the bundle was made from; a checkpoint of a folder has none."""
    if details.source.revision is None:
        return {}
    relation = {"base_model_relation": "quantized"} if _compressed(details) else {}
    return {"base_model": details.source.name, **relation}


def _name(details: BundleDetails) -> str:
    """What to call the checkpoint: a folder by its last name, which says nothing of the machine."""
    return details.source.name if details.source.revision else Path(details.source.name).name


def _title(details: BundleDetails) -> str:
    return f"{_name(details)}, {details.recipe.name}, for OpenVINO"


def _precisions(details: BundleDetails) -> list[str]:
    return sorted({PRECISIONS[treatment.method] for treatment in details.recipe.treatments.values()})


def _compressed(details: BundleDetails) -> bool:
    return any(treatment.method != "fp16" for treatment in details.recipe.treatments.values())


def _what(details: BundleDetails) -> str:
    does = task_of(details.architecture).does
    made = f"`{_name(details)}`" + (f" at revision `{details.source.revision}`" if details.source.revision else "")
    how = "stored its weights in FP16 and compressed nothing"
    if _compressed(details):
        how = f"compressed it with NNCF by the recipe `{details.recipe.name}`"
    return (
        f"A BLIP model (`{details.architecture}`) that {does} on a CPU. It was made from {made} by blipvino, which "
        f"{how}. The folder is a blipvino bundle: OpenVINO "
        "graphs, tokenizer, preprocessing, and a manifest with the SHA-256 of every file."
    )


def _treatments(details: BundleDetails, sizes: Mapping[str, int]) -> TextTable:
    originals = details.measurements.fp16_bytes
    rows = [
        (graph, str(treatment), *_size_cells(sizes[graph], originals.get(graph)))
        for graph, treatment in details.recipe.treatments.items()
        if graph in sizes
    ]
    whole = sum(originals[graph] for graph in sizes) if all(graph in originals for graph in sizes) else None
    rows.append(("all", "", *_size_cells(sum(sizes.values()), whole)))
    return TextTable(
        "", ("graph", "treatment", "weights, MB", "in FP16, MB", "times smaller"), tuple(rows), numbers=False
    )


def _terms(details: BundleDetails, sizes: Mapping[str, int]) -> str:
    treated = {graph: each for graph, each in details.recipe.treatments.items() if graph in sizes}
    return "\n".join(f"- `{word}`: {told}" for word, told in terms_of(treated).rows)


def _size_cells(size: int, original: int | None) -> tuple[str, str, str]:
    if original is None:
        return f"{size / MEGABYTE:,.2f}", "", ""
    return f"{size / MEGABYTE:,.2f}", f"{original / MEGABYTE:,.2f}", f"{original / size:.2f}"


def _calibration(details: BundleDetails) -> str:
    record = details.calibration
    if record is None:
        return "No calibration data was used."
    drawn = f"{record.samples} samples ({record.images} images) of `{record.source}`, seed {record.seed}"
    return f"Calibrated on {drawn}.{_SHOWN.get(record.source.partition(':')[0], '')}"


def _use(details: BundleDetails) -> Iterator[str]:
    task = task_of(details.architecture)
    yield "With blipvino installed, in Python:"
    yield f"```python\n{task.python.format(folder=FOLDER)}```"
    yield f"From the shell:\n\n```sh\n{task.shell.format(folder=FOLDER)}\nblipvino info {FOLDER}\n```"


def _making(details: BundleDetails) -> Iterator[str]:
    versions = ", ".join(f"{name} {version}" for name, version in details.libraries.items())
    line = optimize_command(details, FOLDER, source=_name(details))
    yield f"```sh\n{line}\n```"
    yield from remarks(details)
    yield f"blipvino {installed_version('blipvino')}, {versions}. SHA-256 of the checkpoint: `{details.source.sha256}`."


def _measured(details: BundleDetails) -> Iterator[str]:
    record = details.measurements.search
    if record is None:
        yield (
            "Neither accuracy nor speed was measured when this bundle was made. Measure both on your data and your "
            "machine, beside the original:"
        )
    else:
        yield (
            f"The recipe was chosen by {record.measure} on {record.samples} samples of `{record.source}` and by speed "
            f"on {record.machine.cpu} ({record.machine.cores} cores). A choice on samples flatters them a little."
        )
        ending, *graphs = search_summary(record)
        yield "\n".join([ending, "", *(f"- {line.strip()}" for line in graphs)])
        yield markdown_table(search_table(record))
        yield "Measure it on other samples, beside the original:"
    yield f"```sh\nblipvino report {FOLDER} --data folder:photos -o report.html\n```"


def _limits(details: BundleDetails) -> str:
    task = task_of(details.architecture)
    return (
        f"{task.habits}, in the language of the checkpoint, and is as often wrong and as biased as the checkpoint it "
        f"was made from, whose card and license hold for it too. Do not rely on it where {task.harm} does harm. "
        "Compression may change some of what it says, most where images are unlike those of the calibration. It runs "
        "with blipvino; the graphs are not those of `optimum-intel`."
    )
