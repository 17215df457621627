"""What one model finds and how it judges, in numbers that scores are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from blipvino.arrays import BoolArray, FloatArray, IntArray
from blipvino.measure.recall.text_gallery import TextGallery
from blipvino.progress import Reporter
from blipvino.runtime.retriever import BlipRetriever


@dataclass(frozen=True)
class Judged:
    """What a model makes of a gallery of ``N`` images and ``T`` texts.

    Attributes:
        similarity: of every image and every text, float32 ``[N, T]``.
        images_reranked: of every text, its most similar images by similarity plus matching logit, as BLIP's authors
            rank them: float32 ``[T, N]``, minus infinity of the others.
        texts_reranked: likewise of every image its most similar texts, float32 ``[N, T]``.
        claims: of each image, the claims about it that are judged to hold, bool ``[C]``.
    """

    similarity: FloatArray
    images_reranked: FloatArray
    texts_reranked: FloatArray
    claims: tuple[BoolArray, ...]


def judge_gallery(
    model: BlipRetriever, gallery: TextGallery, candidates: int, batch_size: int, reporter: Reporter
) -> Judged:
    """Have a model find and judge.

    Images are looked at twice, so that the features of no more than a few batches are held.

    Args:
        model: whose image cache may be empty.
        gallery: what is looked through.
        candidates: images of each text, and texts of each image, that matching puts in order.
        batch_size: images that are worked on together.
        reporter: shows the progress.

    Raises:
        ImageError: an image cannot be read.
        InputError: a text cannot be read.
    """
    texts = gallery.texts
    similarity = _embed_images(model, gallery, batch_size, reporter) @ model.embed_texts(texts).T
    wanted = _candidates(similarity, candidates), _candidates(similarity.T, candidates).T
    texts_reranked, images_reranked = (np.full_like(similarity, -np.inf) for _ in range(2))
    claims = []
    batches = model.feature_stream((sample.image() for sample in gallery.samples), batch_size=batch_size)
    features = (one for batch in batches for one in batch)
    places = reporter.track(range(len(gallery.samples)), f"{model.bundle.label}: matching", len(gallery.samples))
    for place, seen in zip(places, features, strict=True):
        needed = np.flatnonzero(wanted[0][place] | wanted[1][place])
        claimed = [claim.text for claim in gallery.claims[place]]
        logits = model.match_logits(seen, [*(texts[number] for number in needed), *claimed])
        fits = similarity[place, needed] + logits[: len(needed), 1]
        texts_reranked[place, needed] = np.where(wanted[0][place, needed], fits, -np.inf)
        images_reranked[place, needed] = np.where(wanted[1][place, needed], fits, -np.inf)
        claims.append(logits[len(needed) :, 1] > logits[len(needed) :, 0])
    return Judged(similarity, images_reranked.T, texts_reranked, tuple(claims))


def _embed_images(model: BlipRetriever, gallery: TextGallery, batch_size: int, reporter: Reporter) -> FloatArray:
    images = (sample.image() for sample in gallery.samples)
    made = model.image_embed_stream(images, batch_size=batch_size)
    batches = -(-len(gallery.samples) // batch_size)
    return np.concatenate(list(reporter.track(made, f"{model.bundle.label}: embedding images", batches)))


def _candidates(similarity: FloatArray, count: int) -> BoolArray:
    """Which of each row are its most similar so many, bool of the same shape."""
    count = min(count, similarity.shape[1])
    chosen: IntArray = np.argpartition(-similarity, count - 1, axis=1)[:, :count]
    found = np.zeros(similarity.shape, bool)
    np.put_along_axis(found, chosen, True, axis=1)
    return found


def judged_right(judged: Sequence[BoolArray], gallery: TextGallery) -> list[BoolArray]:
    """Which claims about each image were judged rightly."""
    return [
        found == np.array([claim.holds for claim in claims], bool)
        for found, claims in zip(judged, gallery.claims, strict=True)
    ]
