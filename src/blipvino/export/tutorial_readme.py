"""What the ``README.md`` of the tutorial's OpenVINO models says."""

from __future__ import annotations

from collections.abc import Sequence

from blipvino.export.export_folder import ExportRecord
from blipvino.export.export_readme import PIXEL_VALUES, ReadmeParts
from blipvino.export.export_source import Settings
from blipvino.export.tutorial_graphs import TEXT_DECODER, TEXT_ENCODER, VISION

_LINES = {
    VISION: "pixels → image embeddings",
    TEXT_ENCODER: "a question, image embeddings → question states",
    TEXT_DECODER: "tokens, image embeddings or question states, keys and values before → logits, keys and values",
}
_PRECISIONS = {
    "fp16": "weights in float16; OpenVINO computes in float32, or in bfloat16 where the CPU does.",
    "int8": "weights in 8 bits (or 4, where the bundle has them) with their scales; the bundle's 8-bit activations.",
}


def tutorial_readme(record: ExportRecord, settings: Settings, models: Sequence[str], ending: str) -> ReadmeParts:
    """What is said of the tutorial's models.

    Args:
        record: what the export is.
        settings: of its bundle.
        models: their names, in the order in which they run.
        ending: of their files' names, such as "_int8.xml".
    """
    variables = {VISION: "vision", TEXT_ENCODER: "encoder", TEXT_DECODER: "decoder"}
    text = settings.config.text
    return ReadmeParts(
        title="in OpenVINO",
        precision=_PRECISIONS[record.precision],
        models={f"{name}{ending}": _LINES[name] for name in models},
        notes="""Names, inputs and outputs are those of the notebooks 233-blip-convert and 233-blip-optimize. Each
model's weights are in the `.bin` beside it. Numbers of rows, tokens and source positions are open.""",
        package="openvino",
        load=f"""core, names = openvino.Core(), "{" ".join(models)}".split()
{", ".join(variables[name] for name in models)} = (core.compile_model(f"{{name}}{ending}", "CPU") for name in names)""",
        see=f"states = vision({PIXEL_VALUES})[0]",
        ask="states = encoder([ids, np.ones_like(ids), states, np.ones(states.shape[:2], np.int64)])[0]",
        write=f"""text, mask = [{text.bos_token_id}], np.ones(states.shape[:2], np.int64)
past = [np.zeros((1, {text.num_attention_heads}, 0, {text.head_size}), np.float32)] * {2 * text.num_hidden_layers}
while text[-1] != {text.sep_token_id} and len(text) <= {settings.new_tokens}:
    inputs = [np.array([text[-1:]]), np.ones((1, len(text)), np.int64), states, mask, *past]
    logits, *past = decoder(inputs).values()
    text.append(int(logits[0, -1].argmax()))""",
    )
