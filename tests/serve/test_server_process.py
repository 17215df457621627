"""The server as a process: how it starts, ends, and what it answers meanwhile."""

from __future__ import annotations

import shutil
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import pytest
from command_line import run
from running_server import PATIENCE, await_ready, base64_of, command
from subjects import scene_image

from blipvino.serve.server import bound_socket, hangups

PLAIN = ("--precision", "f32", "--threads", "1", "--no-cache")


class Load:
    """Clients that ask one request after the other, each on a connection of its own, until they are told to stop."""

    def __init__(self, url, body, clients=6):
        self._url, self._body = url, body
        self._stop = threading.Event()
        self.answers, self.lost, self.refused = [], [], 0
        self._pool = ThreadPoolExecutor(clients)
        self._asking = [self._pool.submit(self._ask) for _ in range(clients)]

    def _ask(self):
        while not self._stop.is_set():
            try:
                self.answers.append(httpx.post(f"{self._url}/v1/caption", json=self._body, timeout=60))
            except httpx.ConnectError:
                self.refused += 1
                return
            except httpx.TransportError as error:
                self.lost.append(error)

    def await_answers(self, count):
        deadline = time.monotonic() + PATIENCE
        while len(self.answers) < count and time.monotonic() < deadline:
            time.sleep(0.01)

    def stop(self):
        self._stop.set()
        for asking in self._asking:
            asking.result()


def texts_of(responses):
    return {result["text"] for response in responses for result in response.json()["results"]}


def test_it_answers_while_it_loads_and_what_it_accepted(served_bundle, lone, files):
    body = {"images": [base64_of(files[0]), base64_of(files[1])]}
    expected = set(lone.caption([scene_image(0), scene_image(1)]))
    with command(served_bundle, *PLAIN) as (process, url, lines):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            early = httpx.post(f"{url}/v1/caption", json=body)  # waits in the backlog until the process answers
            assert httpx.get(f"{url}/health/live").status_code == 200
            if early.status_code == 200:
                break
            assert (early.status_code, early.json()["error"]["code"]) == (503, "loading")
            assert early.headers["retry-after"]
        load = Load(url, body)
        load.await_answers(12)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        load.stop()
    assert load.lost == []
    assert load.refused == 6
    assert {response.status_code for response in load.answers} == {200}
    assert texts_of(load.answers) == expected
    assert any("POST /v1/caption 200" in line for line in lines)


@pytest.mark.slow
def test_a_bundle_that_is_replaced_underneath(tiny_captioner, served_bundle, tmp_path, files):
    """What was loaded goes on answering."""
    folder = tmp_path / "bundle"
    shutil.copytree(served_bundle, folder)
    with command(folder, *PLAIN, "--json-logs") as (process, url, lines):
        await_ready(url)
        body = {"image": base64_of(files[0]), "num_beams": 2}
        before = httpx.post(f"{url}/v1/caption", json=body, timeout=60).json()
        shutil.rmtree(folder)
        shutil.copytree(tiny_captioner.bundle, folder)
        for changes in ({}, {"num_beams": 3}, {"image": base64_of(files[1])}):
            response = httpx.post(f"{url}/v1/caption", json=body | changes, timeout=60)
            assert response.status_code == 200
        assert httpx.post(f"{url}/v1/caption", json=body, timeout=60).json() == before
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    assert any(line.startswith('{"time"') and '"status": 200' in line for line in lines)


def test_what_cannot_be_served(served_bundle, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = run("serve", served_bundle, "--port", port, *PLAIN, code=2)
        assert f"cannot listen at 127.0.0.1:{port}" in refused.stderr
    damaged = tmp_path / "damaged"
    shutil.copytree(served_bundle, damaged)
    (damaged / "vision.bin").write_bytes(b"\0" * (damaged / "vision.bin").stat().st_size)
    refused = run("serve", damaged, "--port", 0, *PLAIN, code=2)
    assert "vision.bin has changed" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_no_response_waits_for_the_one_before():
    with bound_socket("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_terminal_that_is_closed_loses_no_request(served_bundle, files, workers):
    with command(served_bundle, *PLAIN, "--workers", workers) as (process, url, _):
        await_ready(url)
        load = Load(url, {"image": base64_of(files[0])})
        load.await_answers(6)
        if not hangups():
            pytest.skip("the tests run under nohup, which has a terminal's end ignored")
        process.send_signal(signal.SIGHUP)
        assert process.wait(PATIENCE) == 0
        load.stop()
    assert load.lost == []
    assert {response.status_code for response in load.answers} == {200}


def test_hangups_that_are_ignored_end_nothing():
    """As `nohup` has them."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        assert hangups() == (signal.SIGHUP,)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        assert hangups() == ()
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced(served_bundle, files):
    body = {"image": base64_of(files[0])}
    with command(served_bundle, *PLAIN, "--workers", "2") as (process, url, lines):
        await_ready(url)
        expected = httpx.post(f"{url}/v1/caption", json=body, timeout=60).json()
        load = Load(url, body)
        load.await_answers(20)
        victims = workers_of(process.pid)
        assert len(victims) == 2
        victims[0].send_signal(signal.SIGKILL)
        replaced = await_workers(process.pid, victims[0])
        load.await_answers(len(load.answers) + 40)
        load.stop()
        answers = [response for response in load.answers if response.status_code == 200]
        assert [response.json() for response in answers] == [expected] * len(answers)
        assert {response.status_code for response in load.answers} <= {200, 503}
        assert len(load.lost) <= 6  # of the one that was killed: an error, and no silence
        assert any("ended (by SIGKILL)" in line for line in lines)
        counted = httpx.get(f"{url}/metrics").text
        assert 'blipvino_requests_total{route="/v1/caption",status="200"}' in counted
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        assert all(not worker.is_running() for worker in replaced)


@pytest.mark.slow
def test_a_worker_that_hangs_is_replaced(served_bundle, files):
    body = {"image": base64_of(files[0])}
    with command(served_bundle, *PLAIN, "--workers", "2") as (process, url, lines):
        await_ready(url)
        load = Load(url, body)
        load.await_answers(20)
        victims = workers_of(process.pid)
        victims[0].suspend()
        await_workers(process.pid, victims[0])
        load.await_answers(len(load.answers) + 20)
        load.stop()
        assert {response.status_code for response in load.answers} <= {200, 503}
        assert len(load.lost) <= 6  # of the one that hung: an error, and no silence
        assert any("hangs: no sign of life for 30 s" in line for line in lines)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0


def workers_of(pid):
    psutil = pytest.importorskip("psutil")
    found = []
    for child in psutil.Process(pid).children():
        with suppress(psutil.NoSuchProcess):  # it, or a zombie, that was killed
            if "resource_tracker" not in " ".join(child.cmdline()):
                found.append(child)
    return found


def await_workers(pid, gone):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        workers = workers_of(pid)
        if len(workers) == 2 and gone not in workers:
            return workers
        time.sleep(0.05)
    raise TimeoutError
