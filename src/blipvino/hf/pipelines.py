"""`pipeline`: the tasks of images and texts that `transformers` 5 no longer has, with what its version 4 returned."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoProcessor
from transformers.image_utils import load_image
from transformers.pipelines.base import Pipeline

from blipvino.checks import integer, kind_of, shown
from blipvino.errors import InputError
from blipvino.hf.answerer import OVBlipForQuestionAnswering
from blipvino.hf.base_model import OVBlipModel
from blipvino.hf.captioner import OVBlipForConditionalGeneration
from blipvino.hf.matcher import OVBlipForImageTextRetrieval
from blipvino.machine.devices import CPU

_TASK_NAMES = {"vqa": "visual-question-answering"}


class _BlipPipeline(Pipeline):
    """Batches, generators, datasets and lists are `transformers`' own work."""

    _load_processor = False
    _load_image_processor = True
    _load_feature_extractor = False
    _load_tokenizer = True
    _pipeline_calls_generate = False  # what a call says is all that is said

    def _of_each(self, inputs: Any, **options: Any) -> Any:
        """What the task makes of an input, or of each of several; of none, nothing."""
        return [] if isinstance(inputs, list | tuple) and not inputs else Pipeline.__call__(self, inputs, **options)

    def _with_defaults(self, generating: Mapping[str, Any]) -> dict[str, Any]:
        """Options of a call, and below them the checkpoint's own, as in version 4."""
        if "generation_config" in generating:
            return dict(generating)
        own = self.model.checkpoint_options()
        if {"max_length", "max_new_tokens"} & generating.keys():
            own = {name: value for name, value in own.items() if name not in ("max_length", "max_new_tokens")}
        return {**own, **generating}

    def _of_processor(self, image: Any, timeout: float | None) -> dict[str, Any]:
        """An image by its address, path, base64 or as it is, as the model reads it."""
        return dict(self.image_processor(images=load_image(image, timeout=timeout), return_tensors="pt"))


class ImageToTextPipeline(_BlipPipeline):
    """Captions: ``[{"generated_text": …}]`` of an image, a list of such of a list of images."""

    def _sanitize_parameters(
        self,
        max_new_tokens: int | None = None,
        generate_kwargs: Mapping[str, Any] | None = None,
        prompt: str | None = None,
        timeout: float | None = None,
        **options: Any,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        generating = {**(generate_kwargs or {}), **options}
        if max_new_tokens is not None:
            if "max_new_tokens" in generating:
                raise InputError("max_new_tokens is given twice; give it once, beside generate_kwargs or in them")
            generating["max_new_tokens"] = max_new_tokens
        if prompt is not None and not isinstance(prompt, str):
            raise InputError(f"prompt is {kind_of(prompt)}, expected one text")
        reading = {name: value for name, value in (("prompt", prompt), ("timeout", timeout)) if value is not None}
        return reading, generating, {}

    def __call__(self, inputs: Any = None, **options: Any) -> Any:
        """Caption an image, or each of a list, a generator or a dataset.

        Args:
            inputs: an address, a path, base64 or a PIL image, or several.
            **options: ``max_new_tokens``, ``prompt``, ``generate_kwargs``, ``timeout`` (of addresses, in seconds),
                ``batch_size`` and ``num_workers``.
        """
        inputs = options.pop("images", inputs)
        if inputs is None:
            raise InputError("image-to-text needs an image")
        return self._of_each(inputs, **options)

    def preprocess(self, image: Any, prompt: str | None = None, timeout: float | None = None) -> dict[str, Any]:
        """One image, and the prompt's tokens."""
        inputs = self._of_processor(image, timeout)
        return inputs if prompt is None else {**inputs, **self.tokenizer(prompt, return_tensors="pt")}

    def _forward(self, model_inputs: dict[str, Any], **generating: Any) -> Any:
        inputs = {name: value for name, value in model_inputs.items() if name != "token_type_ids"}
        made = self.model.generate(**inputs, **self._with_defaults(generating))
        return made.reshape(len(inputs["pixel_values"]), -1, made.shape[-1])

    def postprocess(self, model_outputs: Any) -> list[dict[str, str]]:
        """A dictionary a text."""
        return [{"generated_text": self.tokenizer.decode(ids, skip_special_tokens=True)} for ids in model_outputs[0]]


class VisualQuestionAnsweringPipeline(_BlipPipeline):
    """Answers: ``[{"score": …, "answer": …}]``; a score is the probability of the text."""

    def _sanitize_parameters(
        self,
        top_k: int | None = None,
        padding: Any = None,
        truncation: Any = None,
        timeout: float | None = None,
        generate_kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        reading = {"padding": padding, "truncation": truncation, "timeout": timeout}
        generating = {**(generate_kwargs or {}), **options}
        if top_k is not None:
            generating["top_k"] = integer("top_k", top_k, 1)
        return {name: value for name, value in reading.items() if value is not None}, generating, {}

    def __call__(self, image: Any = None, question: Any = None, **options: Any) -> Any:
        """Answer a question about an image, or several.

        Args:
            image: an address, a path, base64 or a PIL image; or a dictionary ``{"image": …, "question": …}``; or a
                list, a generator or a dataset of either.
            question: one question, asked of every image, or a list: all about the one image, or one an image.
            **options: ``top_k`` (answers of each question, likeliest first, by beam search; by default the one),
                ``padding``, ``truncation``, ``generate_kwargs``, ``timeout``, ``batch_size`` and ``num_workers``.
        """
        image = options.pop("images", image)
        question = options.pop("questions", question)
        return self._of_each(_pairs(image, question), **options)

    def preprocess(
        self, inputs: Mapping[str, Any], padding: Any = False, truncation: Any = False, timeout: float | None = None
    ) -> dict[str, Any]:
        """One question and its image."""
        if not isinstance(inputs, Mapping) or not {"image", "question"} <= set(inputs):
            raise InputError(f'found {shown(inputs)}, expected {{"image": …, "question": …}}')
        question = inputs["question"]
        if not isinstance(question, str):
            raise InputError(f"a question is {kind_of(question)}, expected text")
        tokens = dict(self.tokenizer(question, return_tensors="pt", padding=padding, truncation=truncation))
        tokens.pop("token_type_ids", None)
        return {**tokens, **self._of_processor(inputs["image"], timeout)}

    def _forward(self, model_inputs: dict[str, Any], top_k: int = 1, **generating: Any) -> Any:
        several = {"num_beams": top_k, "num_return_sequences": top_k} if top_k > 1 else {}
        options = {**several, **self._with_defaults(generating), "return_dict_in_generate": True, "output_logits": True}
        made = self.model.generate(**model_inputs, **options)
        rows, length = len(model_inputs["pixel_values"]), made.sequences.shape[-1]
        return {
            "sequences": made.sequences.reshape(rows, -1, length),
            "probabilities": self.model.probabilities(made).reshape(rows, -1),
        }

    def postprocess(self, model_outputs: Mapping[str, torch.Tensor]) -> list[dict[str, Any]]:
        """A dictionary an answer, likeliest first; the same text comes once."""
        found: dict[str, float] = {}
        for ids, score in zip(model_outputs["sequences"][0], model_outputs["probabilities"][0], strict=True):
            found.setdefault(self.tokenizer.decode(ids, skip_special_tokens=True).strip(), float(score))
        ranked = sorted(found.items(), key=lambda each: -each[1])
        return [{"score": score, "answer": answer} for answer, score in ranked]


class ZeroShotImageClassificationPipeline(_BlipPipeline):
    """Labels: ``[{"score": …, "label": …}]``, the likeliest first; scores are of all labels together 1."""

    def _sanitize_parameters(
        self,
        candidate_labels: Any = None,
        hypothesis_template: str = "This is a photo of {}.",
        timeout: float | None = None,
        tokenizer_kwargs: Mapping[str, Any] | None = None,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        reading = {} if timeout is None else {"timeout": timeout}
        if candidate_labels is None:
            return reading, {}, {}
        given = candidate_labels.split(",") if isinstance(candidate_labels, str) else list(candidate_labels)
        labels = [label.strip() if isinstance(label, str) else label for label in given]
        if not labels or not all(isinstance(label, str) and label for label in labels):
            raise InputError(f"candidate_labels are {shown(candidate_labels)}, expected a list of texts")
        if "{}" not in hypothesis_template:
            raise InputError(
                f"hypothesis_template is {shown(hypothesis_template)}, expected a text with {{}} for the label"
            )
        texts = [hypothesis_template.replace("{}", label) for label in labels]
        tokenizing = {"padding": True, **(tokenizer_kwargs or {})}
        return reading, {"texts": texts, "tokenizing": tokenizing}, {"labels": labels}

    def __call__(self, image: Any = None, candidate_labels: Any = None, **options: Any) -> Any:
        """Say which of given labels goes with an image, or with each of a list, a generator or a dataset.

        Args:
            image: an address, a path, base64 or a PIL image, or several.
            candidate_labels: a list of texts, or one with commas.
            **options: ``hypothesis_template`` ("This is a photo of {}."), ``tokenizer_kwargs``, ``timeout``,
                ``batch_size`` and ``num_workers``.
        """
        image = options.pop("images", image)
        if image is None or candidate_labels is None:
            raise InputError("zero-shot-image-classification needs an image and candidate_labels")
        return super().__call__(image, candidate_labels=candidate_labels, **options)

    def preprocess(self, image: Any, timeout: float | None = None) -> dict[str, Any]:
        """One image."""
        return self._of_processor(image, timeout)

    def _forward(self, model_inputs: dict[str, Any], texts: list[str], tokenizing: Mapping[str, Any]) -> Any:
        tokens = self.tokenizer(texts, return_tensors="pt", **tokenizing)
        of_texts = self.model.get_text_features(tokens["input_ids"], tokens["attention_mask"])
        cosines = self.model.get_image_features(model_inputs["pixel_values"]) @ of_texts.T
        return {"logits": cosines * math.exp(self.model.config.logit_scale_init_value)}

    def postprocess(self, model_outputs: Mapping[str, torch.Tensor], labels: list[str]) -> list[dict[str, Any]]:
        """A dictionary a label."""
        scores = model_outputs["logits"][0].softmax(dim=-1).tolist()
        ranked = sorted(zip(scores, labels, strict=True), key=lambda each: -each[0])
        return [{"score": score, "label": label} for score, label in ranked]


@dataclass(frozen=True)
class _Task:
    """A task: what does it, by what, and by which model where none is named."""

    pipeline: Callable[..., Pipeline]
    model: type[OVBlipModel]
    default: str


_TASKS: dict[str, _Task] = {
    "image-to-text": _Task(
        ImageToTextPipeline, OVBlipForConditionalGeneration, "Salesforce/blip-image-captioning-base"
    ),
    "visual-question-answering": _Task(
        VisualQuestionAnsweringPipeline, OVBlipForQuestionAnswering, "Salesforce/blip-vqa-base"
    ),
    "zero-shot-image-classification": _Task(
        ZeroShotImageClassificationPipeline, OVBlipForImageTextRetrieval, "Salesforce/blip-itm-base-coco"
    ),
}
"""By name. A new task is a further entry."""


def pipeline(  # noqa: PLR0913  # transformers' parameters
    task: str | None = None,
    model: str | Path | OVBlipModel | None = None,
    config: Any = None,
    tokenizer: Any = None,
    feature_extractor: Any = None,
    image_processor: Any = None,
    processor: Any = None,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    device: Any = None,
    model_kwargs: Mapping[str, Any] | None = None,
    **options: Any,
) -> Pipeline:
    """What does a task, as `transformers`' ``pipeline``.

    Args:
        task: "image-to-text", "visual-question-answering" ("vqa") or "zero-shot-image-classification"; None is what
            the model is for.
        model: a model of `blipvino.hf`, or what its ``from_pretrained`` takes; by default the hub's checkpoint of this
            task that is downloaded most.
        config: `transformers`' configuration, where the model is named.
        tokenizer: in place of the model's own.
        feature_extractor: the same as ``image_processor``.
        image_processor: in place of the model's own.
        processor: brings both.
        revision: of the model on the hub.
        token: for the hub.
        device: OpenVINO's name of what computes, where the model is named; torch's devices and numbers say nothing of
            OpenVINO's, and are left alone.
        model_kwargs: further options of ``from_pretrained``, such as ``quantization_config``.
        **options: of the task; ``batch_size``; and those of `transformers` that have no meaning here.

    Raises:
        InputError: there is no such task, or the model is not for it.
        BlipvinoError: as ``from_pretrained``.
    """
    for name in ("framework", "use_fast", "device_map", "dtype", "torch_dtype", "trust_remote_code", "pipeline_class"):
        options.pop(name, None)
    known = _find_task(task, model)
    if not isinstance(model, OVBlipModel):
        chosen = {"revision": revision, "token": token, "config": config, **(model_kwargs or {})}
        computes = device if isinstance(device, str) else CPU
        model = known.model.from_pretrained(model or known.default, device=computes, **chosen)
    image_processor = image_processor or feature_extractor
    if processor is None and (tokenizer is None or image_processor is None):
        processor = AutoProcessor.from_pretrained(model.model_save_dir)
    return known.pipeline(
        model=model,
        tokenizer=tokenizer or processor.tokenizer,
        image_processor=image_processor or processor.image_processor,
        task=next(name for name, each in _TASKS.items() if each is known),
        device=-1,
        **options,
    )


def _find_task(name: str | None, model: object) -> _Task:
    """The task of a name; without one, the first that the model is for.

    Raises:
        InputError: there is none.
    """
    if name is None:
        for task in _TASKS.values():
            if isinstance(model, task.model):
                return task
        raise InputError(f"no task is named; expected one of {', '.join(_TASKS)}")
    found = _TASKS.get(_TASK_NAMES.get(name, name))
    if found is None:
        raise InputError(f"task is {shown(name)}, expected one of {', '.join(_TASKS)}; others are transformers' own")
    if isinstance(model, OVBlipModel) and not isinstance(model, found.model):
        raise InputError(f"{name} needs a {found.model.__name__}, found a {type(model).__name__}")
    return found


def _pairs(image: Any, question: Any) -> Any:
    """What is asked about what: one dictionary, several, or what gives such.

    Raises:
        InputError: nothing is asked, or there are not as many images as questions.
    """
    if question is None:
        if image is None:
            raise InputError("visual-question-answering needs an image and a question")
        return image
    images = list(image) if isinstance(image, list | tuple) else None
    questions = [question] if isinstance(question, str) else list(question)
    if images is None:
        pairs = [{"image": image, "question": each} for each in questions]
        return pairs[0] if isinstance(question, str) else pairs
    if len(questions) == 1:
        questions = questions * len(images)
    if len(images) == 1:
        images = images * len(questions)
    if len(images) != len(questions):
        raise InputError(f"{len(images)} images but {len(questions)} questions; give one question each, or just one")
    return [{"image": each, "question": text} for each, text in zip(images, questions, strict=True)]


__all__ = ["ImageToTextPipeline", "VisualQuestionAnsweringPipeline", "ZeroShotImageClassificationPipeline", "pipeline"]
