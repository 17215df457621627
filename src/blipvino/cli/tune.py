"""``blipvino tune``."""

from __future__ import annotations

from dataclasses import replace

import typer

from blipvino.bundle.bundle import open_bundle
from blipvino.cli.given_bundle import bundle_folder
from blipvino.cli.options import (
    DEFAULT_CACHE,
    Arithmetic,
    BundleArgument,
    CacheOption,
    JsonFlag,
    Precision,
    PrecisionOption,
    engine_options,
)
from blipvino.cli.output import print_json, print_sentence
from blipvino.files.atomic import make_folder
from blipvino.runtime.compiling.bundled import tune_bundle

app = typer.Typer()


@app.command(epilog="Example: blipvino tune blip-vqa")
def tune(
    bundle: BundleArgument,
    precision: PrecisionOption = Precision.auto,
    cache: CacheOption = DEFAULT_CACHE,
    as_json: JsonFlag = False,
) -> None:
    """Measure anew which way to compute each graph is the fastest on this machine, and keep it so compiled.

    It is done by itself when a graph is compiled for the first time; do it again when the machine was busy then. The
    ways are 8-bit layers as matrix products and as convolutions, which add the same numbers; one that is less than 3%
    faster than the usual one is not taken. What this machine had compiled of the bundle goes when all is measured.
    """
    make_folder(cache)
    bundle = bundle_folder(bundle, quiet=as_json, cache=cache)
    measured = tune_bundle(open_bundle(bundle), replace(engine_options(precision, Arithmetic.auto), cache=cache))
    if as_json:
        print_json({"bundle": str(bundle), "measured": [each.to_json() for each in measured]})
        return
    for each in measured:
        typer.echo(str(each))
    if not measured:
        print_sentence("There is nothing to choose: no graph has quantized activations, or an arithmetic is asked for.")
