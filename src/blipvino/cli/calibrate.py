"""``blipvino calibrate``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from blipvino.cli.completion import complete_source
from blipvino.cli.given_bundle import bundle_folder
from blipvino.cli.options import (
    SOURCES_HELP,
    Arithmetic,
    ArithmeticOption,
    BundleArgument,
    DeviceOption,
    JsonFlag,
    Precision,
    PrecisionOption,
    QuietFlag,
    SeedOption,
    engine_options,
)
from blipvino.cli.output import print_json, print_sentence, print_tables
from blipvino.cli.unused_options import refuse_unused
from blipvino.data.samples import DEFAULT_SEED
from blipvino.errors import InputError
from blipvino.machine.devices import CPU
from blipvino.text.tables import TextTable

if TYPE_CHECKING:
    from blipvino.optimization.calibrate_confidence import ConfidenceFit

LabelledOption = Annotated[
    str | None,
    typer.Option(
        help=f"Labelled samples, other than those that are evaluated on: {SOURCES_HELP}.",
        autocompletion=complete_source,
    ),
]
SamplesOption = Annotated[int, typer.Option(help="Questions, of as many images, which are captioned, too.")]
CaptionRuleOption = Annotated[
    str,
    typer.Option(
        help="When a caption is right: `exact` is a reference word for word; a number is the least CIDEr-D, from 0 to "
        "10; auto is exact for the demo's world and 1 elsewhere.",
    ),
]
ForgetFlag = Annotated[bool, typer.Option("--forget", help="Take out what was fitted, and fit nothing.")]

app = typer.Typer()


@app.command(epilog="Example: blipvino calibrate blip-vqa --data vqav2:questions.json,annotations.json,train2014")
def calibrate(
    context: typer.Context,
    bundle: BundleArgument,
    data: LabelledOption = None,
    samples: SamplesOption = 1000,
    seed: SeedOption = DEFAULT_SEED,
    caption_rule: CaptionRuleOption = "auto",
    precision: PrecisionOption = Precision.auto,
    arithmetic: ArithmeticOption = Arithmetic.auto,
    device: DeviceOption = CPU,
    forget: ForgetFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Fit how sure a bundle may say it is, on labelled samples, and keep it in the bundle.

    Confidence is then the probability that a text is right, and not that of its being said. No graph is changed.
    """
    from blipvino.optimization.calibrate_confidence import calibrate_confidence, forget_confidence
    from blipvino.runtime.blip import Blip

    if forget:
        unused = ("data", "samples", "seed", "caption_rule", "precision", "arithmetic", "device")
        refuse_unused(context, unused, "with --forget")
        forget_confidence(bundle)
        if as_json:
            print_json({"bundle": str(bundle), "fitted": []})
        return
    if data is None:
        raise InputError("calibrate needs labelled samples: give --data, such as coco:captions.json,images")
    bundle = bundle_folder(bundle, quiet=quiet, check=Blip._check_kind)
    fits = calibrate_confidence(
        bundle,
        data,
        samples=samples,
        seed=seed,
        least_cider=_least_cider(caption_rule),
        options=engine_options(precision, arithmetic, device=device),
        show_progress=not quiet,
    )
    if as_json:
        print_json({"bundle": str(bundle), "fitted": [asdict(fit) for fit in fits]})
        return
    print_tables([_table(fits)])
    print_sentence("Errors are those on the samples that were fitted; `blipvino evaluate` tells them on others.")


def _least_cider(rule: str) -> float | Literal["auto"] | None:
    if rule == "auto":
        return "auto"
    if rule == "exact":
        return None
    try:
        return float(rule)
    except ValueError:
        raise InputError(f"--caption-rule is {rule!r}, expected auto, exact or a number from 0 to 10") from None


def _table(fits: Sequence[ConfidenceFit]) -> TextTable:
    columns = ("texts", "samples", "right, %", "temperature", "offset", "calibration error before, %", "after, %")
    rows = tuple(
        (
            fit.kind,
            f"{fit.fitted.samples:,}",
            f"{100 * fit.fitted.accuracy:.2f}",
            f"{fit.fitted.temperature:.3f}",
            f"{fit.fitted.offset:.3f}",
            f"{100 * fit.raw_error:.2f}",
            f"{100 * fit.error:.2f}",
        )
        for fit in fits
    )
    return TextTable(f"Confidence, fitted on {fits[0].fitted.source}", columns, rows)
