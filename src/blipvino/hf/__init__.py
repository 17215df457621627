"""Bundles as the classes that users of `transformers` and optimum-intel know. It needs the extra ``hf``.

```python
from blipvino.hf import OVBlipForQuestionAnswering, pipeline
```
"""

from __future__ import annotations

try:
    import torch  # noqa: F401  # looked for first, so that a lack of it is one line and not twenty
    import transformers  # noqa: F401
except ImportError as error:
    raise ImportError(f"blipvino.hf needs the `hf` extra ({error}); pip install 'blipvino[hf]'") from error

from blipvino.hf.answerer import OVBlipForQuestionAnswering
from blipvino.hf.captioner import OVBlipForConditionalGeneration
from blipvino.hf.matcher import OVBlipForImageTextRetrieval
from blipvino.hf.pipelines import pipeline

__all__ = [
    "OVBlipForConditionalGeneration",
    "OVBlipForImageTextRetrieval",
    "OVBlipForQuestionAnswering",
    "pipeline",
]
