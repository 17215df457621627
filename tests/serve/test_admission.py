"""No more is waited for than is allowed, and what is refused is told when to come again."""

from __future__ import annotations

import pytest
from running_server import base64_of

from blipvino.errors import OverloadError
from blipvino.serve.admission import Admission


def test_whole_requests_are_let_in_or_refused():
    admission = Admission(4)
    with admission.of(3):
        with pytest.raises(OverloadError, match=r"3 texts .* and 2 more would be over the 4"), admission.of(2):
            raise AssertionError
        with admission.of(1):
            assert admission.pending == 4
    assert admission.pending == 0


def test_what_failed_is_waited_for_no_more():
    admission = Admission(4)
    with pytest.raises(ValueError, match="mine"), admission.of(4):
        raise ValueError("mine")
    assert admission.pending == 0


def test_the_time_to_come_again_grows_with_what_is_waited_for(monkeypatch):
    now = 100.0
    monkeypatch.setattr("blipvino.serve.admission.time.monotonic", lambda: now)
    admission = Admission(1000)
    assert admission.retry_after == 1
    with admission.of(1):
        now += 3  # a text took 3 s
    with admission.of(4):
        assert admission.retry_after == 6
    with admission.of(900):
        assert admission.retry_after == 60


def test_no_more_is_let_in_than_can_be_done_in_time(monkeypatch):
    now = 100.0
    monkeypatch.setattr("blipvino.serve.admission.time.monotonic", lambda: now)
    admission = Admission(1000, 60)
    with admission.of(900):
        now += 2700  # a text took 3 s, so 20 can be done in time
    with admission.of(20), pytest.raises(OverloadError, match=r"20 texts .* over the 20"), admission.of(1):
        raise AssertionError
    with admission.of(10):
        now += 3000  # whoever was slow before, a batch is let in
    with admission.of(15), admission.of(1), pytest.raises(OverloadError, match=r"over the 16"), admission.of(1):
        raise AssertionError
    with admission.of(64):  # nobody else waits: it may take what it takes
        assert admission.pending == 64


def test_too_many_are_told_to_come_again(server, client, files):
    server.service.admission.pending += 256
    try:
        for path, body in (
            ("/v1/caption", {"image": base64_of(files[0])}),
            ("/v1/caption", {"image": base64_of(files[0]), "stream": True}),
            ("/v1/match", {"image": base64_of(files[0]), "text": "red"}),
            ("/v1/rank", {"image": base64_of(files[0]), "question": "red?", "answers": ["a", "b"]}),
        ):
            response = client.post(path, json=body)
            assert (response.status_code, response.json()["error"]["code"]) == (429, "overloaded")
            assert 1 <= int(response.headers["retry-after"]) <= 60
        assert client.get("/health/live").status_code == 200
    finally:
        server.service.admission.pending -= 256
    assert client.post("/v1/caption", json={"image": base64_of(files[0])}).status_code == 200
