"""No more is waited for than is allowed, and what is refused is told when to come again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from running_server import awaited, base64_of, unseen_file

from blipvino.errors import OverloadError
from blipvino.serve.admission import Admission


class EndError(Exception):
    """Of a block from whose time nothing is learned."""


def test_it_is_open_as_long_as_one_text_would_be_let_in():
    admission = Admission(2)
    with admission.of("a", 1):
        admission.check_open()
        with admission.of("b", 1), pytest.raises(OverloadError, match=r"2 texts .* and 1 more .* over the 2"):
            admission.check_open()
    admission.check_open()


def test_whole_requests_are_let_in_or_refused():
    admission = Admission(4)
    with admission.of("a", 3):
        with pytest.raises(OverloadError, match=r"3 texts .* and 2 more would be over the 4"):
            admission.check("a", 2)
        with admission.of("a", 1):
            assert admission.pending == 4
    assert admission.pending == 0


def test_what_failed_is_waited_for_no_more():
    admission = Admission(4)
    with pytest.raises(ValueError, match="mine"), admission.of("a", 4):
        raise ValueError("mine")
    assert admission.pending == 0


def test_the_time_to_come_again_grows_with_what_is_waited_for(monkeypatch):
    now = 100.0
    monkeypatch.setattr("blipvino.serve.admission.time.monotonic", lambda: now)
    admission = Admission(1000)
    assert admission.retry_after == 1
    with admission.of("a", 1):
        now += 3  # a text took 3 s
    with admission.of("a", 4):
        assert admission.retry_after == 6
    with admission.of("a", 900):
        assert admission.retry_after == 60


def test_no_more_is_let_in_than_can_be_done_in_time(monkeypatch):
    now = 100.0
    monkeypatch.setattr("blipvino.serve.admission.time.monotonic", lambda: now)
    admission = Admission(1000, 60)
    with admission.of("a", 900):
        now += 2700  # a text took 3 s, so 20 can be done in time
    with admission.of("a", 20), pytest.raises(OverloadError, match=r"20 texts .* over the 20"):
        admission.check("a", 1)
    with admission.of("a", 10):
        now += 3000  # whoever was slow before, a batch is let in
    with admission.of("a", 15), admission.of("a", 1), pytest.raises(OverloadError, match=r"over the 16"):
        admission.check("a", 1)
    with admission.of("a", 64):  # nobody else waits: it may take what it takes
        assert admission.pending == 64


def test_each_kind_takes_its_own_time(monkeypatch):
    now = 100.0
    monkeypatch.setattr("blipvino.serve.admission.time.monotonic", lambda: now)
    admission = Admission(1000, 60)
    with admission.of("rank", 1):
        now += 30
    with admission.of("answer", 1):
        now += 0.1
    with admission.of("rank", 16):
        with pytest.raises(OverloadError, match="over the 16"):
            admission.check("rank", 1)
        assert admission.retry_after == 60
        with admission.of("answer", 500):
            assert admission.pending == 516
        with pytest.raises(OverloadError, match=r"16 texts .* over the 1000"):
            admission.check("answer", 985)


def test_what_fills_the_queue_alone_is_let_in_where_it_is_empty():
    admission = Admission(8)
    with admission.of("rank", 4096):
        assert admission.pending == 8
        with pytest.raises(OverloadError):
            admission.check("answer", 1)
    admission.check("rank", 4096)


def test_a_ranking_weighs_as_much_as_its_answers(server, client, files, monkeypatch):
    weights, admission = [], server.service.admission
    original = admission.of
    monkeypatch.setattr(admission, "of", lambda kind, texts: weights.append((kind, texts)) or original(kind, texts))
    body = {"image": base64_of(files[0]), "questions": ["red?", "blue?"], "answers": [f"{n}" for n in range(50)]}
    for top_k in (None, 17, 3):
        assert client.post("/v1/rank", json={**body, "top_k": top_k}).status_code == 200
    assert weights == [(("demo", "rank"), 8), (("demo", "rank"), 4), (("demo", "rank"), 2)]


def test_what_is_computed_once_is_counted_once(server, files):
    service, body = server.service, {"image": base64_of(unseen_file()), "num_beams": 2}
    shared = service.texts.flights.shared
    with ThreadPoolExecutor(5) as pool, service.models.models["demo"].blip.extractor._vision_lock:
        asked = [pool.submit(httpx.post, f"{server.url}/v1/caption", json=body, timeout=60) for _ in range(5)]
        awaited(lambda: service.texts.flights.shared == shared + 4)
        assert service.admission.pending == 1
    assert len({each.result().text for each in asked}) == 1
    awaited(lambda: service.admission.pending == 0)


def test_too_many_are_told_to_come_again(server, client, files):
    with pytest.raises(EndError), server.service.admission.of("all", 256):
        for path, body in (
            ("/v1/caption", {"image": base64_of(files[0])}),
            ("/v1/caption", {"image": base64_of(files[0]), "stream": True}),
            ("/v1/match", {"image": base64_of(files[0]), "text": "red"}),
            ("/v1/rank", {"image": base64_of(files[0]), "question": "red?", "answers": ["a", "b"]}),
        ):
            response = client.post(path, json=body)
            assert (response.status_code, response.json()["error"]["code"]) == (429, "overloaded")
            assert 1 <= int(response.headers["retry-after"]) <= 60
        headers = {"content-type": "application/json"}
        for path in ("/v1/answer", "/v1/chat/completions", "/v2/models/demo/infer", "/api/v1/vision/caption"):
            response = client.post(path, content=b"not even JSON" * 10_000, headers=headers)
            assert response.status_code == 429, "it is read though it is refused anyhow"
        response = client.post("/v1/answer", content=b"x" * (32 * 2**20 + 1), headers=headers)
        assert response.status_code == 413, "to come again is of no use"
        assert client.get("/health/live").status_code == 200
        raise EndError
    assert client.post("/v1/caption", json={"image": base64_of(files[0])}).status_code == 200
