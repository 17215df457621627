"""``blipvino evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from blipvino.bundle.bundle import Bundle
from blipvino.checkpoint.architectures import retrieves
from blipvino.cli.given_bundle import bundle_folder
from blipvino.cli.options import (
    AnswersOption,
    Arithmetic,
    ArithmeticOption,
    DataOption,
    DeviceOption,
    JsonFlag,
    MaxNewTokensOption,
    OriginalOption,
    Precision,
    PrecisionOption,
    QuietFlag,
)
from blipvino.cli.output import print_json, print_measured
from blipvino.cli.unused_options import refuse_unused
from blipvino.data.samples import DEFAULT_SEED
from blipvino.errors import InputError
from blipvino.machine.devices import CPU
from blipvino.runtime.reading import find_bundle

OptionalBundle = Annotated[Path | None, typer.Argument(help="A bundle or a checkpoint; none with --predictions.")]
NoOriginalFlag = Annotated[bool, typer.Option("--no-original", help="Evaluate the bundle alone.")]
SamplesOption = Annotated[int, typer.Option(help="Questions to answer; 0 answers none.")]
CaptionsOption = Annotated[int, typer.Option(help="Images to caption; 0 captions none.")]
TopKOption = Annotated[int, typer.Option(help="Of --answers: rank those with the likeliest first token; 0 is all.")]
NumBeamsOption = Annotated[int, typer.Option(help="Beams of beam search; 1 is greedy.")]
BatchSizeOption = Annotated[int, typer.Option(help="Images that are worked on together.")]
SeedOption = Annotated[int, typer.Option(help="Of the samples' shuffle, and of the bootstrap.")]
PredictionsOption = Annotated[
    list[Path] | None, typer.Option(help="Score this result file (VQAv2 or COCO format), and run no model.")
]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="Folder for predictions and evaluation.json; resumes there.")
]
ImagesOption = Annotated[int, typer.Option(help="Of a bundle for retrieval: images to look through.")]
TextsOption = Annotated[int, typer.Option(help="Of a bundle for retrieval: captions of each image (COCO's way: 5).")]
CandidatesOption = Annotated[int, typer.Option(help="Of a bundle for retrieval: most similar ones to re-rank.")]
RestartFlag = Annotated[bool, typer.Option("--restart", help="Forget the predictions in the folder.")]

app = typer.Typer()


@app.command(epilog="Example: blipvino evaluate blip-vqa --data vqav2:questions.json,annotations.json,val2014 -o out")
def evaluate(
    context: typer.Context,
    bundle: OptionalBundle = None,
    data: DataOption = "demo:test",
    original: OriginalOption = None,
    no_original: NoOriginalFlag = False,
    samples: SamplesOption = 5000,
    captions: CaptionsOption = 1000,
    answers: AnswersOption = None,
    top_k: TopKOption = 128,
    max_new_tokens: MaxNewTokensOption = None,
    num_beams: NumBeamsOption = 1,
    images: ImagesOption = 1000,
    texts: TextsOption = 1,
    candidates: CandidatesOption = 32,
    batch_size: BatchSizeOption = 16,
    seed: SeedOption = DEFAULT_SEED,
    precision: PrecisionOption = Precision.auto,
    arithmetic: ArithmeticOption = Arithmetic.auto,
    device: DeviceOption = CPU,
    predictions: PredictionsOption = None,
    output: OutputOption = None,
    restart: RestartFlag = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Measure accuracy: answers and captions of a bundle and its original, or recall and matching, with intervals."""
    from blipvino.measure.evaluation.evaluate import RunOptions, evaluate_bundle, evaluate_results
    from blipvino.measure.evaluation.evaluation import EvaluateOptions
    from blipvino.measure.report.evaluation_tables import evaluation_tables

    if (bundle is None) == (not predictions):
        raise InputError("evaluate takes either a bundle or --predictions")
    _refuse_unused(context)
    folder = None if bundle is None else bundle_folder(bundle, quiet=quiet)
    retrieval = None if folder is None else _opened_for_retrieval(folder)
    _refuse_of_the_other_kind(context, retrieval is not None)
    if retrieval is not None:
        _evaluate_retrieval(context, retrieval)
        return
    if folder is None:
        evaluation = evaluate_results(predictions or [], data, folder=output, seed=seed)
    else:
        listed = None if answers is None else str(answers)
        options = EvaluateOptions(
            *(samples, captions, max_new_tokens, num_beams, listed, top_k or None),
            precision=precision.value,
            seed=seed,
            arithmetic=arithmetic.value,
            device=device,
        )
        running = RunOptions(output, restart, batch_size, not quiet)
        evaluation = evaluate_bundle(
            *(folder, data, options, running), original=original, beside_original=not no_original
        )
    if as_json:
        print_json(evaluation.to_json())
    else:
        print_measured(evaluation_tables(evaluation))


def _opened_for_retrieval(bundle: Path) -> Bundle | None:
    """The bundle, opened and verified, if it is one for retrieval."""
    opened = find_bundle(bundle)
    if not retrieves(opened.manifest.architecture):
        return None
    opened.verify()
    return opened


def _evaluate_retrieval(context: typer.Context, bundle: Bundle) -> None:
    from blipvino.measure.recall.evaluate_retrieval import RetrievalRun, evaluate_retrieval
    from blipvino.measure.recall.retrieval_evaluation import RetrievalOptions
    from blipvino.measure.report.recall_tables import recall_tables

    given = context.params
    evaluation = evaluate_retrieval(
        bundle,
        given["data"],
        RetrievalOptions(
            *(given["images"], given["texts"], given["candidates"], given["precision"].value),
            arithmetic=given["arithmetic"].value,
            seed=given["seed"],
            device=given["device"],
        ),
        RetrievalRun(given["output"], given["batch_size"], not given["quiet"]),
        original=given["original"],
        beside_original=not given["no_original"],
    )
    if given["as_json"]:
        print_json(evaluation.to_json())
    else:
        print_measured(recall_tables(evaluation))


def _refuse_of_the_other_kind(context: typer.Context, retrieval: bool) -> None:
    """Refuse options of bundles that are for retrieval, or that are not."""
    if retrieval:
        generating = ("samples", "captions", "answers", "top_k", "max_new_tokens", "num_beams", "restart")
        refuse_unused(context, generating, "with a bundle for retrieval: it generates no text")
    else:
        refuse_unused(context, ("images", "texts", "candidates"), "without a bundle for retrieval")


def _refuse_unused(context: typer.Context) -> None:
    """Refuse what has no effect beside the other options."""
    given = context.params
    if given["bundle"] is None:
        running = ("original", "no_original", "samples", "captions", "answers", "top_k", "max_new_tokens", "num_beams")
        refuse_unused(
            context, (*running, "batch_size", "precision", "device", "restart"), "with --predictions: no model is run"
        )
    if given["no_original"]:
        refuse_unused(context, ("original",), "with --no-original")
    if given["samples"] == 0:
        refuse_unused(context, ("answers",), "with --samples 0: no question is answered")
    if given["answers"] is None:
        refuse_unused(context, ("top_k",), "without --answers")
    if given["output"] is None:
        refuse_unused(context, ("restart",), "without --output")
