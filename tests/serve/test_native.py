"""What ``/v1`` answers is what the model says alone, whatever form the question has."""

from __future__ import annotations

import base64
import json
from dataclasses import fields

import numpy as np
import pytest
from running_server import base64_of
from subjects import scene_image

from blipvino import GenerationOptions
from blipvino.errors import RetrievalError
from blipvino.retrieval import PhotoIndex, SearchOptions, search_photos
from blipvino.serve.background import Background
from blipvino.serve.request_forms import GeneratingForm

OPTIONS = ({}, {"num_beams": 3}, {"do_sample": True, "seed": 5}, {"prompt": "a large red"}, {"max_new_tokens": 3})


def texts(response):
    assert response.status_code == 200, response.text
    return [result["text"] for result in response.json()["results"]]


def events(response):
    """Server-sent events: names and data."""
    found = []
    for block in response.text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines())
        found.append((lines.get("event"), json.loads(lines["data"])))
    return found


def test_every_generation_option_may_be_given():
    assert {option.name for option in fields(GenerationOptions)} <= set(GeneratingForm.model_fields)


@pytest.mark.parametrize("options", OPTIONS)
def test_captions(client, lone, files, options):
    expected = lone.caption([scene_image(0), scene_image(1)], **options)
    json_images = [base64_of(files[0]), f"data:image/png;base64,{base64_of(files[1])}"]
    assert texts(client.post("/v1/caption", json={"images": json_images, **options})) == expected
    uploads = [("image", ("a.png", content)) for content in files[:2]]
    fields_ = {name: str(value).lower() for name, value in options.items()}
    assert texts(client.post("/v1/caption", files=uploads, data=fields_)) == expected


def test_answers_and_their_pairs(client, lone, files):
    asked, image = ["is it red?", "how many objects are there?"], base64_of(files[0])
    expected = lone.answer(scene_image(0), asked)
    assert texts(client.post("/v1/answer", json={"image": image, "questions": asked})) == expected
    assert texts(client.post("/v1/answer", json={"image": image, "question": asked[0]})) == expected[:1]
    both = {"images": [image, base64_of(files[1])]}
    one_each = lone.answer([scene_image(0), scene_image(1)], asked)
    assert texts(client.post("/v1/answer", json={**both, "questions": asked})) == one_each
    of_each = lone.answer([scene_image(0), scene_image(1)], asked[0])
    assert texts(client.post("/v1/answer", json={**both, "question": asked[0]})) == of_each
    form = client.post("/v1/answer", files={"file": files[0]}, data={"questions": asked})
    assert texts(form) == expected
    assert client.post("/v1/answer", json={**both, "questions": [*asked, "red?"]}).status_code == 422


def test_scores_and_confidence(client, lone, files):
    made = lone.caption(scene_image(0), return_scores=True)
    body = {"image": base64_of(files[0]), "scores": True}
    (result,) = client.post("/v1/caption", json=body).json()["results"]
    assert result["token_ids"] == list(made.token_ids)
    assert result["finish_reason"] == made.finish_reason
    assert result["token_logprobs"] == pytest.approx(made.token_logprobs, abs=1e-4)
    assert result["logprob"] == pytest.approx(made.logprob, abs=1e-3)
    sure = {"image": body["image"], "question": "is it red?", "min_confidence": 1.0}
    (withheld,) = client.post("/v1/answer", json=sure).json()["results"]
    assert withheld["withheld"] is True
    assert withheld["text"] == ""


def test_rankings(client, lone, files):
    answers = ["yes", "no", "red", "3"]
    ranking = lone.rank(scene_image(0), "is it red?", answers)
    body = {"image": base64_of(files[0]), "question": "is it red?", "answers": answers}
    (result,) = client.post("/v1/rank", json=body).json()["results"]
    assert result["answer"] == ranking.answer
    assert result["answers"] == list(ranking.answers)
    assert result["log_likelihoods"] == pytest.approx(ranking.log_likelihoods, abs=1e-4)
    assert len(client.post("/v1/rank", json={**body, "top_k": 1}).json()["results"][0]["answers"]) == 1


@pytest.mark.parametrize("options", [{}, {"num_beams": 2}])
def test_streams_are_the_texts(client, lone, files, options):
    expected = lone.caption([scene_image(0), scene_image(1)], **options)
    body = {"images": [base64_of(files[0]), base64_of(files[1])], "stream": True, **options}
    response = client.post("/v1/caption", json=body)
    assert response.headers["content-type"].startswith("text/event-stream")
    told = events(response)
    for place, text in enumerate(expected):
        pieces = [data["text"] for name, data in told if name is None and data["index"] == place]
        assert "".join(pieces) == text
        assert (len(pieces) > 3) == (not options)
        assert [data["text"] for name, data in told if name == "result" and data["index"] == place] == [text]
    assert told[-1] == ("done", {"model": "demo"})


def test_a_stream_has_no_scores(client, files):
    body = {"image": base64_of(files[0]), "stream": True, "scores": True}
    assert client.post("/v1/caption", json=body).status_code == 422


def test_embeddings_and_matches(client, lone_retriever, files):
    words = ["a red circle", "a blue star"]
    made = client.post("/v1/embed", json={"image": base64_of(files[0]), "texts": words}).json()
    assert np.allclose(made["images"], lone_retriever.embed_images([scene_image(0)]), atol=1e-5)
    assert np.allclose(made["texts"], lone_retriever.embed_texts(words), atol=1e-5)
    matched = client.post("/v1/match", json={"images": [base64_of(files[0])] * 2, "texts": words}).json()
    expected = lone_retriever.match([scene_image(0)] * 2, words)
    assert np.allclose(matched["probabilities"], expected, atol=1e-5)
    assert client.post("/v1/embed", json={}).status_code == 422


def test_searches(client, lone_retriever, photos_index, files):
    with PhotoIndex(photos_index) as index:
        by_text = search_photos(index, lone_retriever, "a red circle", options=SearchOptions(3))
        by_image = search_photos(index, lone_retriever, image=scene_image(2), options=SearchOptions(2))
    found = client.post("/v1/search", json={"text": "a red circle", "top": 3, "thumbnails": True}).json()
    assert [hit["path"] for hit in found["hits"]] == [hit.path.name for hit in by_text.hits]
    pictures = [base64.b64decode(hit["thumbnail"].partition(",")[2]) for hit in found["hits"]]
    assert all(picture.startswith(b"\xff\xd8") for picture in pictures)
    like = client.post("/v1/search", files={"image": files[2]}, data={"top": "2"}).json()
    assert [hit["path"] for hit in like["hits"]] == [hit.path.name for hit in by_image.hits]
    assert client.post("/v1/search", json={}).status_code == 422
    assert client.post("/v1/search", json={"text": "red", "index": "other"}).status_code == 404


@pytest.mark.parametrize("path", ["rank", "embed", "match", "search"])
def test_priorities_are_obeyed(client, files, monkeypatch, path):
    priorities, do = [], Background.do

    def noted(self, work, priority=0):
        priorities.append(priority)
        return do(self, work, priority)

    monkeypatch.setattr(Background, "do", noted)
    fields = {"question": "red?", "answers": ["a"]} if path == "rank" else {"text": "red"}
    response = client.post(f"/v1/{path}", json={"image": base64_of(files[0]), "priority": -3, **fields})
    assert response.status_code == 200, response.text
    assert priorities == [-3]


def test_what_is_wrong_with_an_index_is_not_told(client, monkeypatch, caplog):
    def broken(*_):
        raise RetrievalError("/home/me/photos.index: cannot be read")

    monkeypatch.setattr("blipvino.serve.retrieval_service.search_photos", broken)
    response = client.post("/v1/search", json={"text": "red"})
    assert (response.status_code, response.json()["error"]["code"]) == (503, "index_unavailable")
    assert "/home" not in response.text and "/home/me/photos.index: cannot be read" in caplog.text


def test_the_model_is_chosen_by_name(client, files):
    body = {"image": base64_of(files[0])}
    assert client.post("/v1/caption", json={**body, "model": "demo"}).json()["model"] == "demo"
    wrong = client.post("/v1/caption", json={**body, "model": "finder"})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (422, "wrong_model")
    assert client.post("/v1/caption", json={**body, "model": "other"}).status_code == 404


def test_times_and_ids_are_in_the_headers(client, files):
    response = client.post(
        "/v1/answer",
        json={"image": base64_of(files[3]), "question": "is it red?"},
        headers={"X-Request-Id": "mine-1"},
    )
    assert response.headers["x-request-id"] == "mine-1"
    stages = {part.partition(";")[0] for part in response.headers["server-timing"].split(", ")}
    assert stages == {"read", "image", "queue", "encode", "decode"}
    forged = client.get("/health/live", headers={"X-Request-Id": "a b"})
    assert forged.headers["x-request-id"] != "a b"


def test_metrics_tell_what_was_done(client, files):
    body = {"image": base64_of(files[4])}
    for _ in range(2):
        client.post("/v1/caption", json=body)
    page = client.get("/metrics").text
    for name in ("requests_total", "stage_seconds_bucket", "batch_rows_bucket", "step_seconds_sum", "queue_depth"):
        assert f"blipvino_{name}" in page
    hits = next(line for line in page.splitlines() if line.startswith('blipvino_image_cache_hits_total{model="demo"}'))
    assert float(hits.split()[1]) >= 1
    used = next(line for line in page.splitlines() if line.startswith('blipvino_image_cache_bytes{model="demo"}'))
    assert float(used.split()[1]) > 0
