"""``README.md`` of an export: what each file is, and a program that runs the models without blipvino."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from blipvino.export.export_folder import ExportRecord
from blipvino.export.export_source import Settings

PIXEL_VALUES = "np.float32(pixels.transpose(2, 0, 1)[None])"
"""What the program gives the vision model."""


@dataclass(frozen=True)
class ReadmeParts:
    """What differs from format to format. The last five are of the program.

    Attributes:
        title: the format.
        precision: what the weights are, in a sentence.
        models: one line on each model, by its file.
        notes: on inputs, outputs and files.
        package: that runs the models.
        load: lines that load them.
        see: a line that makes ``states`` of `PIXEL_VALUES`.
        ask: a line that makes them the states of a question, of ``ids`` ``[1, T]``.
        write: lines that make ``text`` of ``states``: tokens, the start token first.
    """

    title: str
    precision: str
    models: Mapping[str, str]
    notes: str
    package: str
    load: str
    see: str
    ask: str
    write: str


def readme(parts: ReadmeParts, record: ExportRecord, settings: Settings) -> str:
    """The whole file.

    Args:
        parts: of the format.
        record: what the export is.
        settings: of its bundle.
    """
    question = ' "what is this?"' if settings.config.answers_questions else ""
    files = "\n".join(f"| `{name}` | {line} |" for name, line in parts.models.items())
    return f"""# {record.architecture}, {parts.title}

Exported by blipvino from `{record.source}`, recipe `{record.recipe}`, precision `{record.precision}`:
{parts.precision}

| file | from → to |
|---|---|
{files}

{parts.notes}

With `pip install {parts.package} numpy tokenizers pillow`, in this folder:

```python
{_program(parts, settings)}```

```sh
python program.py photo.jpg{question}
```
"""


def _program(parts: ReadmeParts, settings: Settings) -> str:
    """A Python program that captions an image or answers a question about it, with the models of its folder."""
    size, mean, std = settings.preprocessor.size, settings.preprocessor.image_mean, settings.preprocessor.image_std
    ask = ""
    if settings.config.answers_questions:
        ask = f"""if len(sys.argv) > 2:  # a question about the image
    ids = np.array([tokenizer.encode(sys.argv[2]).ids])
    {parts.ask}
"""
    return f"""import sys
import numpy as np, {parts.package}
from PIL import Image
from tokenizers import Tokenizer

{parts.load}
tokenizer = Tokenizer.from_file("tokenizer.json")
image = Image.open(sys.argv[1]).convert("RGB").resize(({size}, {size}), {settings.preprocessor.resample})
pixels = (np.array(image) / 255 - {list(mean)}) / {list(std)}
{parts.see}
{ask}{parts.write}
print(tokenizer.decode(text[1:]))
"""
