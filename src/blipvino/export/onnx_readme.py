"""What the ``README.md`` of an ONNX export says."""

from __future__ import annotations

from collections.abc import Sequence

from blipvino.export.export_folder import ExportRecord
from blipvino.export.export_readme import PIXEL_VALUES, ReadmeParts
from blipvino.export.export_source import Settings
from blipvino.export.onnx_parts import DECODER, DECODER_WITH_PAST, TEXT_ENCODER, VISION

_LINES = {
    VISION: "pixels → image embeddings",
    TEXT_ENCODER: "a question, image embeddings → question states",
    DECODER: "the first tokens of a text, image embeddings or question states → logits, keys and values",
    DECODER_WITH_PAST: "a further token, keys and values → logits, more keys and values",
}
_PRECISIONS = {
    "fp32": "weights in float32, nothing rounded.",
    "fp16": "weights in float16, which are widened when a model is loaded: half the size, computed in float32.",
    "int8": """weights in 8 bits (or 4, where the bundle has them) with their scales; the bundle's 8-bit activations.
On a CPU without VNNI, ONNX Runtime's 8-bit products are cut off: export fp32 or fp16 for it, or set
`session.disable_quant_qdq` to 1 in the session's options.""",
}


def onnx_readme(record: ExportRecord, settings: Settings, models: Sequence[str]) -> ReadmeParts:
    """What is said of ONNX.

    Args:
        record: what the export is.
        settings: of its bundle.
        models: names of its models, in the order in which they run.
    """
    variables = {VISION: "vision", TEXT_ENCODER: "encoder", DECODER: "first", DECODER_WITH_PAST: "later"}
    text = settings.config.text
    return ReadmeParts(
        title="in ONNX",
        precision=_PRECISIONS[record.precision],
        models={f"{name}.onnx": _LINES[name] for name in models},
        notes=f"""Opset {record.details["opset"]}. Names of inputs and outputs are `optimum`'s. Numbers of rows, tokens
and source positions are open. Both decoders read their weights from `{DECODER}.onnx_data`, which must be in
their folder.""",
        package="onnxruntime",
        load=f"""names = "{" ".join(models)}".split()
{", ".join(variables[name] for name in models)} = (onnxruntime.InferenceSession(f"{{name}}.onnx") for name in names)""",
        see=f'states = vision.run(None, {{"pixel_values": {PIXEL_VALUES}}})[0]',
        ask='inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "encoder_hidden_states": states}\n'
        "    states = encoder.run(None, inputs)[0]",
        write=f"""mask, text, decoder = np.ones(states.shape[:2], np.int64), [{text.bos_token_id}], first
known = {{"encoder_hidden_states": states, "encoder_attention_mask": mask}}
while text[-1] != {text.sep_token_id} and len(text) <= {settings.new_tokens}:
    known["input_ids"] = np.array([text[-1:]])
    made = decoder.run(None, {{port.name: known[port.name] for port in decoder.get_inputs()}})
    for port, value in zip(decoder.get_outputs(), made):
        known[port.name.replace("present", "past_key_values")] = value
    text, decoder = [*text, int(known["logits"][0, -1].argmax())], later""",
    )
