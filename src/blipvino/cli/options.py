"""Options and arguments of several verbs, each a named type, and the rules about them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer

from blipvino.cli.completion import complete_device, complete_recipe, complete_source
from blipvino.cli.given_bundle import bundle_folder
from blipvino.cli.output import print_error
from blipvino.cli.unused_options import refuse_unused
from blipvino.cli.writing_options import WritingOptions, check_writing
from blipvino.data.sources import FORMS, GENERATED
from blipvino.errors import InputError, OutputError
from blipvino.files.atomic import check_png, make_folder
from blipvino.graphs.recipes import AUTO, DEFAULT_RECIPE, RECIPE_NAMES
from blipvino.machine.devices import CPU
from blipvino.runtime.blip import Blip
from blipvino.runtime.compiling.cache import default_cache
from blipvino.runtime.compiling.engine_options import EngineOptions
from blipvino.runtime.compiling.selftest import SelfTestMode
from blipvino.runtime.decoding.generation_options import GenerationOptions
from blipvino.runtime.results import checked_confidence
from blipvino.runtime.retriever import BlipRetriever

if TYPE_CHECKING:
    from blipvino.pretrained.optimized_once import Wanted

Group = TypeVar("Group")
DEFAULT_CACHE = default_cache()
_FILE_SOURCES = ", ".join(f"{kind}:…" for kind in FORMS if kind not in GENERATED)
SOURCES_HELP = f"demo:test, {_FILE_SOURCES}"
CALIBRATION_HELP = f"auto (demo for the demo, natural for all others), natural, demo, {_FILE_SOURCES}"


class Precision(StrEnum):
    """Of the arithmetic that is not quantized."""

    auto = "auto"
    f32 = "f32"
    bf16 = "bf16"


class Arithmetic(StrEnum):
    """Of quantized graphs."""

    auto = "auto"
    int8 = "int8"
    int7 = "int7"
    float = "float"
    simulated = "simulated"
    simulated_int7 = "simulated-int7"


# What is worked on

BundleArgument = Annotated[
    Path,
    typer.Argument(
        help="A bundle, as `blipvino optimize` writes it; or a checkpoint, which is optimized once and kept: a "
        "folder, a hub id, or `demo`."
    ),
]
CheckpointArgument = Annotated[str, typer.Argument(help="A BLIP checkpoint: a folder, a hub id, or `demo`.")]
OfCheckpointRecipeOption = Annotated[
    str,
    typer.Option(
        help="Of a checkpoint in place of a bundle: by which recipe it is optimized.", autocompletion=complete_recipe
    ),
]
RevisionOption = Annotated[str | None, typer.Option(help="Branch, tag or commit on the hub.")]
RecipeOption = Annotated[
    str,
    typer.Option(
        help=f"One of {', '.join(RECIPE_NAMES)}, {AUTO}; `blipvino info` lists what each does.",
        autocompletion=complete_recipe,
    ),
]
OriginalOption = Annotated[
    str | None, typer.Option(help="The original: a bundle or a checkpoint; by default what the bundle came from.")
]

# Samples

DataOption = Annotated[
    str,
    typer.Option(help=f"Samples: {SOURCES_HELP}.", autocompletion=complete_source),
]
SeedOption = Annotated[int, typer.Option(help="Of the samples' shuffle.")]
AnswersOption = Annotated[
    Path | None,
    typer.Option(help="Answer by the likeliest of these: a file with one answer a line, or a JSON list."),
]
MaxNewTokensOption = Annotated[
    int | None, typer.Option(help="Tokens of a text at the most.", show_default="the checkpoint's own")
]

# How the graphs are compiled

PrecisionOption = Annotated[Precision, typer.Option(help="Arithmetic of what is not quantized.")]
ArithmeticOption = Annotated[
    Arithmetic,
    typer.Option(
        help="Arithmetic of quantized graphs: 8-bit kernels, the same with activations in 7 bits, float with 8-bit "
        "weights, or 8 or 7 bits simulated in float; auto is the fastest that this CPU computes exactly."
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        help="What computes, by OpenVINO's name: CPU, GPU, GPU.1, NPU, AUTO, HETERO:GPU,CPU; `blipvino info` lists "
        "what is there.",
        autocompletion=complete_device,
    ),
]
StrictFlag = Annotated[
    bool, typer.Option("--strict", help="Refuse a bundle whose self-test falls short here, instead of a warning.")
]
StrictTextsFlag = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Stop at the first image that cannot be read, and refuse a bundle whose self-test falls short here, "
        "instead of a line on each.",
    ),
]
CacheOption = Annotated[
    Path,
    typer.Option(
        "--cache", envvar="BLIPVINO_CACHE", help="Folder for compiled graphs, so that a later start is faster."
    ),
]
NoCacheFlag = Annotated[bool, typer.Option("--no-cache", help="Keep no compiled graphs.")]

# What is shown

PictureOption = Annotated[
    Path | None, typer.Option(help="Write the (first) image with its caption or first answer to this PNG.")
]
OpenFlag = Annotated[
    bool, typer.Option("--open/--no-open", help="Show the report in a browser, where there is a display.")
]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
JsonLinesFlag = Annotated[
    bool, typer.Option("--jsonl", help="Print a JSON object a line, each as it is ready: for any number of images.")
]
ScoresFlag = Annotated[
    bool, typer.Option("--scores", help="Tell how sure each text is; in JSON the logarithms of probabilities, too.")
]
MinConfidenceOption = Annotated[
    float | None, typer.Option(help="Leave a text blank that is less sure to be right than this, from 0 to 1.")
]
QuietFlag = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]


GENERATION_HELP = {
    "min_new_tokens": "Tokens to generate at least.",
    "num_beams": "Beams of beam search; 1 is greedy.",
    "length_penalty": "Of beams: above 0 favours longer texts.",
    "do_sample": "Draw tokens instead of taking the likeliest.",
    "temperature": "Of drawing: above 1 is bolder, below 1 safer.",
    "top_k": "Of drawing: among so many likeliest tokens; 0 is all.",
    "top_p": "Of drawing: among the tokens that have this probability together.",
    "seed": "Of drawing: the same seed draws the same text.",
    "repetition_penalty": "Above 1 discourages repetition.",
    "no_repeat_ngram_size": "No so many tokens in a row come twice; 0 allows all.",
}
"""Of each field of `GenerationOptions` but ``max_new_tokens``, whose default is the checkpoint's."""


@dataclass(frozen=True)
class ImageTextOptions:
    """What `caption` and `ask` have in common: options of the model, of what is printed and of generation.

    Attributes:
        writing: where texts are kept; an option on the command line for each of its fields.
        generation: of `GenerationOptions`, by name, unchecked; an option on the command line for each of its fields.

    Every other field is the option of its type.
    """

    picture: PictureOption = None
    precision: PrecisionOption = Precision.auto
    arithmetic: ArithmeticOption = Arithmetic.auto
    device: DeviceOption = CPU
    strict: StrictTextsFlag = False
    recipe: OfCheckpointRecipeOption = DEFAULT_RECIPE
    revision: RevisionOption = None
    cache: CacheOption = DEFAULT_CACHE
    no_cache: NoCacheFlag = False
    as_json: JsonFlag = False
    as_json_lines: JsonLinesFlag = False
    scores: ScoresFlag = False
    min_confidence: MinConfidenceOption = None
    writing: WritingOptions = field(default_factory=WritingOptions)
    generation: Mapping[str, Any] = field(default_factory=dict)

    @property
    def least(self) -> float:
        """The confidence that a text must have to be shown.

        Raises:
            InputError: it is no probability.
        """
        return checked_confidence(self.min_confidence)

    def load_model(
        self,
        bundle: Path,
        photos: Callable[[], Sequence[Path]],
        check: Callable[[str, Path], None] = Blip._check_kind,
    ) -> Blip:
        """The model of a bundle, or of a checkpoint, which is optimized the first time, on the photos that are given.

        A checkpoint that is of no use is refused before it is optimized, by ``check``. Where the cache of compiled
        graphs cannot be made, it runs without, which is said on standard error.

        Raises:
            BlipvinoError: as of `bundle_of` and `Blip.load`.
        """
        bundle = bundle_folder(bundle, cache=self.cache, wanted=self._wanted(photos), check=check)
        return Blip.load(bundle, options=self._engine)

    def load_retriever(self, bundle: Path) -> BlipRetriever:
        """The model of a bundle or checkpoint for retrieval, likewise.

        Raises:
            BlipvinoError: as of `bundle_of` and `BlipRetriever.load`.
        """
        bundle = bundle_folder(bundle, cache=self.cache, check=BlipRetriever._check_kind)
        return BlipRetriever.load(bundle, options=self._engine)

    @cached_property
    def _engine(self) -> EngineOptions:
        engine = engine_options(self.precision, self.arithmetic, device=self.device, strict=self.strict)
        return replace(engine, cache=usable_cache(self.cache, self.no_cache))

    def _wanted(self, photos: Callable[[], Sequence[Path]]) -> Wanted:
        """How a checkpoint is optimized."""
        from blipvino.pretrained.optimized_once import Wanted

        return Wanted(self.recipe, self.revision, photos=photos)


def usable_cache(cache: Path, no_cache: bool) -> Path | None:
    """The cache for compiled graphs; None where there shall be none or, as standard error says then, can be none."""
    if no_cache:
        return None
    try:
        make_folder(cache)
    except OutputError as error:  # a read-only home is no reason to say nothing of a picture
        print_error(f"{error}; compiled graphs are not kept (--no-cache does without)")
        return None
    return cache


def engine_options(
    precision: Precision, arithmetic: Arithmetic, *, device: str = CPU, strict: bool = False
) -> EngineOptions:
    """How graphs are compiled, without a cache."""
    selftest: SelfTestMode = "strict" if strict else "warn"
    return EngineOptions(precision.value, arithmetic=arithmetic.value, selftest=selftest, device=device)


def with_image_text_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes ``context`` and ``options``, an `ImageTextOptions`, all of these on the command line.

    They follow the command's own. Those that have no effect beside the others are refused, as is a picture that is no
    PNG, before the command is called.
    """
    return with_option_group(command, ImageTextOptions, _check)


def with_option_group(
    command: Callable[..., None], group: type[Group], check: Callable[[typer.Context, Group], None]
) -> Callable[..., None]:
    """Give a command that takes ``context`` and ``options`` a group of options on the command line.

    Args:
        command: whose own options come first.
        group: a dataclass whose fields are options by their types, with the fields ``writing`` and ``generation``.
        check: refuses options before the command is called.
    """
    own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "options"]
    shared, writing = _field_parameters(group), _field_parameters(WritingOptions)
    generation = _generation_parameters()
    parameters = [*own, *shared, *writing, *generation]

    @functools.wraps(command)
    def wrapper(context: typer.Context, **arguments: Any) -> None:
        chosen = {parameter.name: arguments.pop(parameter.name) for parameter in shared}
        kept = WritingOptions(**{parameter.name: arguments.pop(parameter.name) for parameter in writing})
        generating = {parameter.name: arguments.pop(parameter.name) for parameter in generation}
        if generating["max_new_tokens"] is None:
            del generating["max_new_tokens"]
        made: Callable[..., Group] = group
        options = made(**chosen, writing=kept, generation=generating)
        check(context, options)
        check_writing(context, kept)
        command(context=context, options=options, **arguments)

    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return wrapper


def _field_parameters(group: type[Any]) -> list[inspect.Parameter]:
    """A parameter a field, but for those that are groups of options themselves."""
    types = get_type_hints(group, include_extras=True)
    options = [option for option in fields(group) if option.name not in ("writing", "generation")]
    return [_parameter(option.name, option.default, types[option.name]) for option in options]


def _generation_parameters() -> list[inspect.Parameter]:
    """A parameter a field of `GenerationOptions`."""
    types = get_type_hints(GenerationOptions)
    others = [
        _parameter(option.name, option.default, Annotated[types[option.name], typer.Option(help=help_text)])
        for option in fields(GenerationOptions)
        if option.name in GENERATION_HELP
        for help_text in [GENERATION_HELP[option.name]]
    ]
    return [_parameter("max_new_tokens", None, MaxNewTokensOption), *others]


def _parameter(name: str, default: object, annotation: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=annotation)


def _check(context: typer.Context, options: ImageTextOptions) -> None:
    """Refuse what has no effect, a confidence that is no probability, and a picture that would be no PNG."""
    _ = options.least
    check_generation(context, options.generation)
    if options.no_cache:
        refuse_unused(context, ("cache",), "with --no-cache")
    if options.as_json and options.as_json_lines:
        raise InputError("--json and --jsonl are two forms of one result; give one of them")
    if options.picture is not None:
        check_png(options.picture)


def check_generation(context: typer.Context, generation: Mapping[str, Any]) -> None:
    """Refuse options of generation that have no effect beside the others."""
    if not generation["do_sample"]:
        refuse_unused(context, ("temperature", "top_k", "top_p", "seed"), "without --do-sample")
    if generation["num_beams"] == 1:
        refuse_unused(context, ("length_penalty",), "without --num-beams above 1")
