"""``README.md`` of an ONNX export: what each file is, and a program that runs it without blipvino."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from blipvino.checkpoint.config import BlipConfig, PreprocessorConfig
from blipvino.export.export_folder import ExportRecord

_ASK = """if len(sys.argv) > 2:  # a question about the image
    ids = np.array([tokenizer.encode(sys.argv[2]).ids])
    asked = {"input_ids": ids, "attention_mask": np.ones_like(ids), "encoder_hidden_states": source}
    source = run("text_encoder_model", asked)["last_hidden_state"]
"""

_PROGRAM = """import sys
import numpy as np, onnxruntime
from PIL import Image
from tokenizers import Tokenizer

def run(name, values):
    model = models[name]
    made = model.run(None, {{port.name: values[port.name] for port in model.get_inputs()}})
    return dict(zip([port.name for port in model.get_outputs()], made))

names = "{models}".split()
models = {{name: onnxruntime.InferenceSession(f"{{name}}.onnx") for name in names}}
tokenizer = Tokenizer.from_file("tokenizer.json")
pixels = np.asarray(Image.open(sys.argv[1]).convert("RGB").resize(({size}, {size}), {resample}), np.float32) / 255
normal = (pixels - np.float32({mean})) / np.float32({std})
source = run("vision_model", {{"pixel_values": normal.transpose(2, 0, 1)[None]}})["last_hidden_state"]
{ask}known = {{"encoder_hidden_states": source, "encoder_attention_mask": np.ones(source.shape[:2], np.int64)}}
text, step = [{bos}], "decoder_model"
while text[-1] != {sep} and len(text) <= 20:
    made = run(step, {{**known, "input_ids": np.array([text[-1:]])}})
    known |= {{name.replace("present", "past_key_values"): value for name, value in made.items()}}
    text, step = [*text, int(made["logits"][0, -1].argmax())], "decoder_with_past_model"
print(tokenizer.decode([token for token in text[1:] if token != {sep}]))
"""

_PRECISIONS = {
    "fp32": "weights in float32, nothing rounded",
    "fp16": "weights in float16, which are widened when a model is loaded: half the size, computed in float32",
    "int8": "weights in 8 bits (or 4, where the bundle has them) with their scales, and the bundle's 8-bit activations",
}


def program(config: BlipConfig, preprocessor: PreprocessorConfig, models: Iterable[str]) -> str:
    """A Python program that captions an image or answers a question about it, with the folder's models."""
    return _PROGRAM.format(
        models=" ".join(models),
        size=preprocessor.size,
        resample=preprocessor.resample,
        mean=list(preprocessor.image_mean),
        std=list(preprocessor.image_std),
        bos=config.text.bos_token_id,
        sep=config.text.sep_token_id,
        ask=_ASK if config.answers_questions else "",
    )


def readme(
    record: ExportRecord, config: BlipConfig, preprocessor: PreprocessorConfig, models: Mapping[str, str]
) -> str:
    """The whole file.

    Args:
        record: what the export is.
        config: of the model.
        preprocessor: how pixels are prepared.
        models: one line on each model, by its name.
    """
    question = ' "what is this?"' if config.answers_questions else ""
    files = "\n".join(f"| `{name}.onnx` | {line} |" for name, line in models.items())
    return f"""# {record.architecture} in ONNX

Exported by blipvino from `{record.source}`, recipe `{record.recipe}`, precision `{record.precision}`:
{_PRECISIONS[record.precision]}. Opset {record.details["opset"]}.

| file | from → to |
|---|---|
{files}

Names of inputs and outputs are `optimum`'s. Numbers of rows, tokens and source positions are open. Both decoders read
their weights from `decoder_model.onnx_data`, which must lie beside them.

With `pip install onnxruntime numpy tokenizers pillow`, in this folder:

```python
{program(config, preprocessor, models)}```

```sh
python program.py photo.jpg{question}
```
"""
