"""The original of a bundle, as a bundle: what a compressed model is compared with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from blipvino.bundle.bundle import Bundle, open_bundle
from blipvino.bundle.manifest import MANIFEST_FILE, SourceInfo
from blipvino.errors import BundleError
from blipvino.optimization.optimize import optimize
from blipvino.progress import Reporter


@contextmanager
def open_original(given: str | Path | Bundle | None, compressed: Bundle, reporter: Reporter) -> Iterator[Bundle]:
    """The given bundle, or the FP16 graphs of the given or else the recorded checkpoint, made for the time.

    Raises:
        BlipvinoError: it cannot be read or made, or its weights are not those that the compressed bundle came from.
    """
    with _bundle_of(given, compressed.manifest.source, reporter) as original:
        check_weights(compressed, original.manifest.source.name, original.manifest.source.sha256)
        yield original


def check_weights(compressed: Bundle, name: str, sha256: str) -> None:
    """Refuse a checkpoint that a bundle was not made from.

    Args:
        compressed: the bundle.
        name: of the checkpoint, for the message.
        sha256: its fingerprint.

    Raises:
        BundleError: the weights differ.
    """
    if sha256 != compressed.manifest.source.sha256:
        raise BundleError(
            f"{compressed.folder} was not made from {name}: their weights differ; "
            "name its own checkpoint with --original"
        )


@contextmanager
def _bundle_of(given: str | Path | Bundle | None, recorded: SourceInfo, reporter: Reporter) -> Iterator[Bundle]:
    if isinstance(given, Bundle):
        yield given
        return
    if given is not None and (Path(given) / MANIFEST_FILE).is_file():
        yield open_bundle(given)
        return
    source, revision = (recorded.name, recorded.revision) if given is None else (given, None)
    with TemporaryDirectory(prefix="blipvino-") as folder:
        target = Path(folder) / "original"
        yield optimize(
            source, target, recipe="none", revision=revision, fit_confidence=False, show_progress=reporter.show
        )
