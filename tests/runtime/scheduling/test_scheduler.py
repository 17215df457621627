"""Texts of many callers at once: each is what it is alone, whatever joins, leaves or is given up."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from subjects import scene_image, scene_questions

from blipvino import GenerationOptions
from blipvino.errors import DeadlineError, InputError, OverloadError
from blipvino.runtime.scheduling.decoding import JobDecoder
from blipvino.runtime.scheduling.encoding import JobEncoder
from blipvino.runtime.scheduling.jobs import Caller, SharedImage, TextJob
from blipvino.runtime.scheduling.scheduler import Scheduler
from blipvino.runtime.scheduling.turns import Turns, Work

KINDS = (
    {"max_new_tokens": 12},
    {"max_new_tokens": 3},
    {"max_new_tokens": 9, "num_beams": 3},
    {"max_new_tokens": 10, "do_sample": True, "temperature": 1.5},
    {"max_new_tokens": 8, "repetition_penalty": 1.3, "no_repeat_ngram_size": 2},
)


def scheduler_of(blip, **options):
    decoder = JobDecoder(blip.engine, blip.config.text.sep_token_id)
    return Scheduler(JobEncoder(blip.extractor, blip.texts), decoder, **options)


def job_of(blip, number, caller=None, **fields):
    """One of many jobs: images, questions, prompts and options in all combinations."""
    options = KINDS[number % len(KINDS)]
    questions = [None, *scene_questions(1)] if blip.config.answers_questions else [None]
    question = questions[number // 3 % len(questions)]
    prompt = blip.texts.prompt("a small red" if number % 4 == 3 and question is None else None)
    image = SharedImage(blip.images.pixels([scene_image(number % 5)])[0])
    tokens = None if question is None else blip.texts.question(question)
    rng = np.random.default_rng(number)
    return TextJob(caller or Caller(4), image, tokens, prompt, rng, GenerationOptions(**options), **fields)


def lone_text(blip, number):
    scheduler = scheduler_of(blip)
    try:
        job = job_of(blip, number)
        scheduler.submit([job])
        return job.result.result()
    finally:
        scheduler.close()


def assert_same(found, expected):
    """The same text; other sizes of batches round otherwise."""
    assert (found.token_ids, found.finish_reason) == (expected.token_ids, expected.finish_reason)
    np.testing.assert_allclose(found.log_probs, expected.log_probs, atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_every_text_is_what_it_is_alone(answerer, seed):
    """Arrivals, callers, cancellations and lengths by chance."""
    blip, chance = answerer.exact, random.Random(seed)
    numbers = [chance.randrange(60) for _ in range(24)]
    expected = {number: lone_text(blip, number) for number in set(numbers)}
    scheduler = scheduler_of(blip, rows=chance.choice([3, 5, 16]))
    callers = [Caller(chance.choice([1, 2, 16])) for _ in range(3)]
    jobs = []
    try:
        for number in numbers:
            jobs.append((number, job_of(blip, number, chance.choice(callers), priority=chance.choice([0, 0, 0, 1]))))
            scheduler.submit([jobs[-1][1]])
            time.sleep(chance.choice([0, 0, 0.002, 0.02]))
            if chance.random() < 0.2:
                chance.choice(jobs)[1].result.cancel()
        for number, job in jobs:
            if not job.result.cancelled():
                assert_same(job.result.result(60), expected[number])
        assert sum(job.result.cancelled() for _, job in jobs) < len(jobs)
        assert all(caller.decoded == 0 for caller in callers)
    finally:
        scheduler.close()


def test_what_nobody_sees_any_more_is_forgotten(tiny_vqa, monkeypatch):
    """A batch that never empties: its memory is cut again and again, and no text changes."""
    monkeypatch.setattr("blipvino.runtime.decoding.running_batch.LONGEST_DEAD_PAST", 4)
    blip = tiny_vqa.exact
    numbers = [number for number in range(60) if number // 3 % 9 == 0]
    expected = [lone_text(blip, number) for number in numbers]
    scheduler = scheduler_of(blip, rows=4)
    jobs = [job_of(blip, number, Caller(2)) for number in numbers]
    scheduler.submit(jobs)
    for job, text in zip(jobs, expected, strict=True):
        assert_same(job.result.result(60), text)
    scheduler.close()


def test_tokens_are_heard_as_they_come(demo):
    blip, heard = demo.exact, []
    job = job_of(blip, 0, heard=lambda tokens: heard.append(list(tokens)))
    scheduler = scheduler_of(blip)
    scheduler.submit([job])
    text = job.result.result(60)
    scheduler.close()
    assert len(heard) > 3
    for sooner, later in pairwise(heard):
        assert later[: len(sooner)] == sooner and len(later) == len(sooner) + 1
    assert list(text.token_ids)[: len(heard[-1])] == heard[-1]


def test_too_many_are_refused_all_or_none(tiny_vqa):
    blip = tiny_vqa.exact
    scheduler = scheduler_of(blip, longest=3)
    release = hold(blip)
    try:
        scheduler.submit([job_of(blip, number) for number in range(3)])
        with pytest.raises(OverloadError, match="3 texts are waiting already"):
            scheduler.submit([job_of(blip, number) for number in range(4)])
    finally:
        release()
        scheduler.close()
    with pytest.raises(OverloadError, match="being closed"):
        scheduler.submit([job_of(blip, 1)])


def hold(blip):
    """Keep `vision` from being run until the function that is returned is called."""
    lock = blip.extractor._vision_lock
    lock.acquire()
    return lock.release


def test_who_comes_late_is_told(tiny_vqa):
    blip = tiny_vqa.exact
    scheduler = scheduler_of(blip)
    job = job_of(blip, 0, deadline=time.monotonic() - 1)
    scheduler.submit([job])
    with pytest.raises(DeadlineError, match="time that was given"):
        job.result.result(60)
    scheduler.close()


def test_a_deadline_ends_a_text_that_is_being_decoded(demo, monkeypatch):
    blip, stopped = demo.exact, threading.Event()

    def late(tokens):
        if len(tokens) > 3:
            job.deadline = time.monotonic() - 1
            stopped.set()

    job = job_of(blip, 0, heard=late)
    scheduler = scheduler_of(blip)
    scheduler.submit([job])
    with pytest.raises(DeadlineError):
        job.result.result(60)
    assert stopped.is_set() and scheduler.load.rows == 0
    scheduler.close()


def test_no_more_than_a_batch_is_read_ahead(tiny_vqa, monkeypatch):
    """What waits longer may be given up until then."""
    blip, go_on, begin = tiny_vqa.exact, threading.Event(), JobDecoder.begin

    def halted(self, *given, **options):
        assert go_on.wait(60)
        return begin(self, *given, **options)

    monkeypatch.setattr(JobDecoder, "begin", halted)
    scheduler = scheduler_of(blip, rows=4, turns=Turns(2))
    asked = [number for number in range(200) if number // 3 % len([None, *scene_questions(1)]) and number % 5 == 1]
    jobs = [job_of(blip, number, Caller(1)) for number in asked[:20]]
    seen = blip.features(scene_image(0))
    for job in jobs:
        job.image.seen = seen
    try:
        scheduler.submit(jobs)
        deadline = time.monotonic() + 60
        while scheduler.load.waiting > 12 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)  # in which more would be read
        assert (scheduler.load.waiting, scheduler.load.ready) == (12, 4)
        go_on.set()
        assert all(job.result.result(60).token_ids for job in jobs)
    finally:
        go_on.set()
        scheduler.close()


def test_closing_cancels_what_is_left(tiny_vqa):
    blip = tiny_vqa.exact
    scheduler = scheduler_of(blip)
    release = hold(blip)
    jobs = [job_of(blip, number) for number in range(3)]
    scheduler.submit(jobs)
    closing = ThreadPoolExecutor(1).submit(scheduler.close)
    release()
    closing.result(60)
    for job in jobs[1:]:
        with pytest.raises(CancelledError):
            job.result.result(0)


class Broken:
    """Draws nothing."""

    def choice(self, *given, **options):
        raise InputError("no token may come next")


def test_an_error_of_one_leaves_the_others(tiny_vqa):
    blip = tiny_vqa.exact
    bad, good = job_of(blip, 3), job_of(blip, 1)
    bad.rng = Broken()
    scheduler = scheduler_of(blip)
    scheduler.submit([bad, good])
    with pytest.raises(InputError, match="no token"):
        bad.result.result(60)
    assert_same(good.result.result(60), lone_text(blip, 1))
    scheduler.close()


@pytest.mark.parametrize(
    ("stage", "method"), [(JobEncoder, "look"), (JobEncoder, "read"), (JobDecoder, "_join"), (JobDecoder, "step")]
)
def test_whatever_goes_wrong_nobody_waits_for_ever(tiny_vqa, monkeypatch, stage, method):
    blip, original, left = tiny_vqa.exact, getattr(stage, method), [1]

    def fails_once(self, *given):
        if left:
            left.pop()
            raise TypeError("what nobody thought of")
        return original(self, *given)

    monkeypatch.setattr(stage, method, fails_once)
    scheduler = scheduler_of(blip)
    job = job_of(blip, 1)
    scheduler.submit([job])
    with pytest.raises(TypeError, match="nobody thought of"):
        job.result.result(60)
    again = job_of(blip, 1)
    scheduler.submit([again])
    assert_same(again.result.result(60), lone_text(blip, 1))
    scheduler.close()


@pytest.mark.parametrize("method", ["_next_to_look_at", "_next_to_read", "_next_to_decode", "_joining", "_has_room"])
def test_whatever_goes_wrong_outside_of_its_work_a_thread_goes_on(tiny_vqa, monkeypatch, method):
    """All that wait for it get the error at once, and what comes later is done by the same thread."""
    blip, original, left = tiny_vqa.exact, getattr(Scheduler, method), [1]
    scheduler = scheduler_of(blip)

    def fails_once(self, *given):
        if self is scheduler and left:
            left.pop()
            raise TypeError("what nobody thought of")
        return original(self, *given)

    monkeypatch.setattr(Scheduler, method, fails_once)
    jobs = [job_of(blip, number) for number in (0, 1)]
    scheduler.submit(jobs)
    threads = set(scheduler._threads)
    errors = [job.result.exception(60) for job in jobs]
    assert "nobody thought of" in " ".join(map(str, errors))
    again = job_of(blip, 1)
    scheduler.submit([again])
    assert_same(again.result.result(60), lone_text(blip, 1))
    assert scheduler._threads == threads
    scheduler.close()


@pytest.mark.parametrize("method", ["encoded", "stepped"])
def test_an_error_of_who_watches_leaves_nobody_waiting(tiny_vqa, method):
    class Failing:
        def encoded(self, texts, seconds):
            self.told("encoded")

        def stepped(self, rows, seconds):
            self.told("stepped")

        def told(self, what):
            if what == method:
                raise TypeError("a full disk")

    blip = tiny_vqa.exact
    scheduler = scheduler_of(blip, watch=Failing())
    for _ in range(2):
        job = job_of(blip, 0)
        scheduler.submit([job])
        with pytest.raises(TypeError, match="a full disk"):
            job.result.result(60)
    scheduler.close()


def test_an_error_of_who_hears_is_of_that_text_alone(tiny_vqa):
    def closed(tokens):
        raise RuntimeError("Event loop is closed")

    blip = tiny_vqa.exact
    scheduler = scheduler_of(blip)
    bad, good = job_of(blip, 0, heard=closed), job_of(blip, 1)
    scheduler.submit([bad, good])
    with pytest.raises(RuntimeError, match="loop is closed"):
        bad.result.result(60)
    assert_same(good.result.result(60), lone_text(blip, 1))
    scheduler.close()


def test_waiting_for_a_turn_is_no_work(tiny_vqa):
    blip, turns = tiny_vqa.exact, Turns()
    lone_text(blip, 4)  # its graphs are compiled
    scheduler = scheduler_of(blip, turns=turns)
    job = job_of(blip, 4)
    with turns.turn(Work.RANKINGS):
        scheduler.submit([job])
        while not turns._waiting[Work.IMAGES]:
            time.sleep(0.001)
        waited = time.monotonic() + 0.5
        while time.monotonic() < waited:
            time.sleep(0.01)
        assert job.times.encoding is None
    job.result.result(60)
    scheduler.close()
    times = job.times
    assert times.encoding - times.submitted >= 0.5
    assert 0 < times.worked <= times.ready - times.encoding


def test_threads_end_when_there_is_nothing_to_do(tiny_vqa, monkeypatch):
    monkeypatch.setattr("blipvino.runtime.scheduling.scheduler.IDLE_SECONDS", 0.05)
    blip = tiny_vqa.exact
    scheduler = scheduler_of(blip)
    for _ in range(2):
        job = job_of(blip, 0)
        scheduler.submit([job])
        job.result.result(60)
        until = time.monotonic() + 10
        while scheduler._threads and time.monotonic() < until:
            time.sleep(0.02)
        assert not scheduler._threads


def test_a_short_question_does_not_wait_for_a_long_batch(demo):
    """Of two callers, the one of whom less is being done is served first."""
    blip = demo.exact
    scheduler, many_texts = scheduler_of(blip, rows=4), Caller(4)
    many = [job_of(blip, 0, many_texts) for _ in range(60)]
    lone_text(blip, 5)  # its graphs are compiled
    scheduler.submit(many)
    while not any(job.result.done() for job in many):
        time.sleep(0.001)
    before = sum(job.result.done() for job in many)
    question = job_of(blip, 5, Caller(1))
    scheduler.submit([question])
    question.result.result(60)
    assert sum(job.result.done() for job in many) - before <= 16
    scheduler.close()


def test_what_is_done_is_told(tiny_vqa):
    class Watched:
        def __init__(self):
            self.texts, self.rows = 0, []

        def encoded(self, texts, seconds):
            assert seconds >= 0
            self.texts += texts

        def stepped(self, rows, seconds):
            assert seconds >= 0
            self.rows.append(rows)

    blip, watched = tiny_vqa.exact, Watched()
    scheduler = scheduler_of(blip, watch=watched)
    try:
        jobs = [job_of(blip, 0), job_of(blip, 2)]  # greedy, and three beams
        scheduler.submit(jobs)
        for job in jobs:
            job.result.result(60)
            times = job.times
            assert times.submitted <= times.encoding <= times.ready <= times.decoding <= times.done
    finally:
        scheduler.close()
    assert watched.texts == 2
    assert set(watched.rows) <= {1, 3, 4}
    assert sum(watched.rows) > 3
