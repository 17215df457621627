"""A fresh process that loads a contender and prints a text: ``python -m blipvino.measure.race.launch REQUEST`` (JSON).

It prints the text, then, on a line of its own, the largest resident memory that it had, in bytes.
"""

from __future__ import annotations

import json
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blipvino import Blip, EngineOptions


@dataclass(frozen=True)
class LaunchRequest:
    """What a fresh process does.

    Attributes:
        contender: its name.
        checkpoint: as `Workplace` has it.
        folder: as `Workplace` has it.
        threads: as `Workplace` has it.
        bundle: of blipvino; None for the other contenders.
        cache: OpenVINO's model cache, of blipvino alone.
        image: a file.
        question: None asks for a caption.
        new_tokens: of the text.
    """

    contender: str
    checkpoint: str
    folder: str
    threads: int | None
    bundle: str | None
    cache: str | None
    image: str
    question: str | None
    new_tokens: int


def main() -> None:
    """Carry out the request that is the one argument, as JSON."""
    request = LaunchRequest(**json.loads(sys.argv[1]))
    print(_ours(request) if request.bundle is not None else _theirs(request), flush=True)
    print(peak_rss(), flush=True)


def _ours(request: LaunchRequest) -> str:
    """As a user's script does it: the bundle is verified first."""
    cache = None if request.cache is None else Path(request.cache)
    blip = Blip.load(Path(str(request.bundle)), options=EngineOptions(cache=cache, threads=request.threads))
    length: dict[str, Any] = {"min_new_tokens": request.new_tokens, "max_new_tokens": request.new_tokens}
    if request.question is None:
        return blip.caption(request.image, **length)
    return blip.answer(request.image, request.question, **length)


def _theirs(request: LaunchRequest) -> str:
    from PIL import Image  # noqa: PLC0415  # blipvino's own launch does not pay for these

    from blipvino.measure.race.contenders import Workplace, contender_specs  # noqa: PLC0415

    place = Workplace(Path(request.checkpoint), Path(request.folder), request.threads)
    contender = contender_specs()[request.contender].load(place)
    image = Image.open(request.image).convert("RGB")
    if request.question is None:
        return str(contender.caption([image], request.new_tokens))
    return str(contender.answer([image], [request.question], request.new_tokens))


def peak_rss() -> int:
    """The largest resident memory of this process.

    ``ru_maxrss`` would do, but Linux hands it down: a child counts what its parent had before it.
    """
    told = peak_rss_of("self")
    if told is not None:
        return told
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def peak_rss_of(process: int | str) -> int | None:
    """The largest resident memory of a process, by its number; None where the system has no ``/proc`` that tells."""
    status = Path(f"/proc/{process}/status")
    if not status.exists():
        return None
    line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
