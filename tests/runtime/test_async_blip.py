"""`AsyncBlip` says what `Blip` says, gives up what nobody awaits, and tells texts piece by piece."""

from __future__ import annotations

import asyncio

import pytest
from subjects import scene_image, scene_questions

from blipvino import AsyncBlip, Blip, DeadlineError, ImageError, InputError
from blipvino.runtime.scheduling.streaming import TextPieces

SHORT = {"max_new_tokens": 8}
OPTIONS = ({}, {"num_beams": 3}, {"do_sample": True, "seed": 5}, {"prompt": "a large red"})


def run(work):
    return asyncio.run(asyncio.wait_for(work, 120))


@pytest.mark.parametrize("options", OPTIONS)
def test_captions_are_those_of_blip(tiny_captioner, options):
    blip, images = tiny_captioner.exact, [scene_image(number) for number in range(5)]

    async def captioned():
        model = AsyncBlip(blip)
        return await model.caption(images, batch_size=2, **SHORT, **options), await model.caption(
            images[0], **SHORT, **options
        )

    several, one = run(captioned())
    assert several == blip.caption(images, **SHORT, **options)
    assert one == blip.caption(images[0], **SHORT, **options)


def test_many_tasks_at_once(tiny_vqa):
    blip, questions = tiny_vqa.exact, scene_questions(1)

    async def asked():
        model = AsyncBlip(blip)
        answers = [model.answer(scene_image(number % 3), questions, **SHORT) for number in range(6)]
        details = model.answer(scene_image(0), questions[0], return_scores=True, **SHORT)
        ranked = model.rank(scene_image(0), questions[0], ["yes", "no"])
        return await asyncio.gather(*answers), await details, await ranked, await model.features(scene_image(0))

    answers, details, ranking, features = run(asked())
    assert answers == [blip.answer(scene_image(number % 3), questions, **SHORT) for number in range(6)]
    assert details == blip.answer(scene_image(0), questions[0], return_scores=True, **SHORT)
    assert ranking == blip.rank(scene_image(0), questions[0], ["yes", "no"])
    assert blip.caption(features, **SHORT) == blip.caption(scene_image(0), **SHORT)


def test_what_was_made_is_told(tiny_vqa):
    told = []

    async def asked():
        model = AsyncBlip(tiny_vqa.exact, told.append)
        await model.answer(scene_image(0), ["red?", "blue?"], **SHORT)
        assert [piece async for piece in model.caption_pieces(scene_image(0), **SHORT)]

    run(asked())
    assert len(told) == 3
    assert all(job.times.submitted <= job.times.ready <= job.times.done for job in told)


def test_it_is_loaded_like_blip(tiny_captioner):
    model = run(AsyncBlip.load(str(tiny_captioner.bundle)))
    assert isinstance(model.blip, Blip)


@pytest.mark.parametrize("options", [{}, {"do_sample": True, "seed": 3}, {"num_beams": 3}])
def test_pieces_are_the_text(demo, options):
    blip, image, question = demo.exact, scene_image(2), scene_questions(2)[0]
    caption, answer = blip.caption(image, **options), blip.answer(image, question, **options)

    async def told():
        model = AsyncBlip(blip)
        return (
            [piece async for piece in model.caption_pieces(image, **options)],
            [piece async for piece in model.answer_pieces(image, question, **options)],
        )

    captioned, answered = run(told())
    assert "".join(captioned) == "".join(blip.caption(image, stream=True, **options)) == caption
    assert "".join(answered) == "".join(blip.answer(image, question, stream=True, **options)) == answer
    assert (len(captioned) > 4) == ("num_beams" not in options)


def test_a_piece_never_takes_back_what_was_told(demo):
    """Whatever tokens come: what is told is a beginning of the text at every moment."""
    texts = demo.exact.texts
    tokenizer = texts._tokenizer
    words = [tokenizer.token_to_id(word) for word in ("a", "red", "n", "'", "t", "s", ".", ",", "?", "b", "##c")]
    known = [word for word in words if word is not None]
    assert len(known) > 5
    for number in range(3000):
        ids, rest = [], number
        while rest:
            ids.append(known[rest % len(known)])
            rest //= len(known)
        pieces = TextPieces(texts)
        told = "".join(pieces.grown(ids[: end + 1]) for end in range(len(ids)))
        whole = texts.decode(ids)
        assert whole.startswith(told)
        assert told + pieces.rest(whole) == whole


def test_a_task_that_is_cancelled_gives_up_its_texts(tiny_captioner):
    blip = tiny_captioner.exact

    async def cancelled():
        task = asyncio.ensure_future(AsyncBlip(blip).caption([scene_image(number) for number in range(40)]))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async for _ in AsyncBlip(blip).caption_pieces(scene_image(0)):
            break
        for _ in range(1000):
            load = blip.components.scheduler.load
            if load.waiting + load.ready + load.decoded == 0:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(load)

    run(cancelled())


def test_what_is_not_in_time_is_told(demo):
    async def late():
        await AsyncBlip(demo.exact).caption([scene_image(0)] * 8, timeout=1e-6)

    with pytest.raises(DeadlineError):
        run(late())


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda model: model.caption(b"no image"), ImageError, "7 bytes|8 bytes"),
        (lambda model: model.answer(scene_image(0), ""), InputError, "question is empty"),
        (lambda model: model.caption(scene_image(0), timeout=0), InputError, "timeout is 0"),
        (lambda model: model.caption(scene_image(0), priority="high"), InputError, "priority is 'high'"),
        (lambda model: model.caption(scene_image(0), colour=1), InputError, "colour"),
    ],
)
def test_mistakes(tiny_vqa, call, error, message):
    with pytest.raises(error, match=message):
        run(call(AsyncBlip(tiny_vqa.exact)))


def test_a_stream_is_of_one_text(tiny_vqa):
    blip = tiny_vqa.exact
    with pytest.raises(InputError, match="one text in pieces"):
        blip.caption([scene_image(0)], stream=True)
    with pytest.raises(InputError, match="before its end"):
        blip.answer(scene_image(0), "red?", stream=True, return_scores=True)
    with pytest.raises(InputError, match="stream is 1"):
        blip.caption(scene_image(0), stream=1)
