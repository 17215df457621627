"""OpenAI's own client speaks to the server."""

from __future__ import annotations

from types import SimpleNamespace

import openai
import pytest
from running_server import base64_of
from subjects import scene_image

from blipvino.serve import openai_messages

QUESTION = "how many objects are there?"


@pytest.fixture
def chat(server):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none-is-needed", max_retries=0) as client:
        yield client


def messages(content, *texts, more=()):
    parts = [{"type": "text", "text": text} for text in texts]
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64_of(content)}"}}
    return [{"role": "system", "content": "You are helpful."}, {"role": "user", "content": [*parts, image]}, *more]


def test_models(chat):
    assert [model.id for model in chat.models.list()] == ["demo", "finder"]
    assert chat.models.retrieve("demo").owned_by == "blipvino"
    with pytest.raises(openai.NotFoundError, match="other"):
        chat.models.retrieve("other")


@pytest.mark.parametrize(
    "texts", [(), ("Describe this image.",), ("What is in this image?",), ("Please write a short caption",)]
)
def test_captions(chat, lone, files, texts):
    made = chat.chat.completions.create(model="demo", messages=messages(files[0], *texts))
    assert made.choices[0].message.content == lone.caption(scene_image(0))
    assert made.choices[0].finish_reason == "stop"
    assert made.usage.completion_tokens > 3


def test_answers_are_to_the_last_question(chat, lone, files):
    asked = messages(files[0], "is it red?", more=[
        {"role": "assistant", "content": "no"}, {"role": "user", "content": QUESTION}
    ])  # fmt: skip
    made = chat.chat.completions.create(model="demo", messages=asked, logprobs=True, max_tokens=4)
    alone = lone.answer(scene_image(0), QUESTION, return_scores=True)
    assert made.choices[0].message.content == alone.text
    told = [each.logprob for each in made.choices[0].logprobs.content]
    assert told == pytest.approx(alone.token_logprobs[: len(told)], abs=1e-4)


def test_streams(chat, lone, files):
    stream = chat.chat.completions.create(
        model="demo", messages=messages(files[1]), stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    pieces = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    assert "".join(pieces) == lone.caption(scene_image(1))
    assert len([piece for piece in pieces if piece]) > 3
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] == "stop"
    assert chunks[-1].usage.completion_tokens > 3
    cut = list(chat.chat.completions.create(model="demo", messages=messages(files[1]), stream=True, max_tokens=3))
    assert cut[-1].choices[0].finish_reason == "length"


def test_several_are_drawn(chat, lone, files):
    made = chat.chat.completions.create(
        model="demo", messages=messages(files[0]), n=3, temperature=1.5, seed=7, max_completion_tokens=8
    )
    options = {"do_sample": True, "temperature": 1.5, "top_k": 0, "seed": 7, "max_new_tokens": 8}
    assert [choice.message.content for choice in made.choices] == lone.caption([scene_image(0)] * 3, **options)


@pytest.mark.parametrize("stream", [False, True])
def test_a_text_ends_before_what_stops_it(chat, lone, files, stream):
    whole = lone.caption(scene_image(0))
    stop = whole.split()[3]
    made = chat.chat.completions.create(model="demo", messages=messages(files[0]), stop=[stop], stream=stream)
    if stream:
        text = "".join(choice.delta.content or "" for chunk in made for choice in chunk.choices)
    else:
        text = made.choices[0].message.content
    assert text == whole[: whole.index(stop)]


@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_of_several_words_is_not_told_in_part(chat, lone, files, stream):
    whole = lone.caption(scene_image(0))
    words = whole.split()
    for stop in (" ".join(words[2:4]), f"{words[2]} nothing", whole[-3:]):
        made = chat.chat.completions.create(model="demo", messages=messages(files[0]), stop=stop, stream=stream)
        if stream:
            text = "".join(choice.delta.content or "" for chunk in made for choice in chunk.choices)
        else:
            text = made.choices[0].message.content
        assert text == whole.partition(stop)[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"messages": [{"role": "user", "content": "hello"}]}, "no message has an image"),
        ({"messages": []}, "messages"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"presence_penalty": 1.0}, "presence_penalty"),
        ({"temperature": 3.0}, "temperature"),
        ({"model": "finder"}, "does not caption"),
        ({"max_tokens": 1000}, "max_new_tokens"),
        ({"stop": ["a"] * 17}, "stop"),
    ],
)
def test_what_is_refused(chat, files, changes, message):
    with pytest.raises(openai.UnprocessableEntityError, match=message):
        chat.chat.completions.create(**{"model": "demo", "messages": messages(files[0]), **changes})


def test_of_a_long_text_the_beginning_is_looked_at(monkeypatch):
    """Looking for words in millions of blanks would take seconds, in which nobody else is answered."""
    looked_at = []
    monkeypatch.setattr(openai_messages, "_DESCRIBE", SimpleNamespace(match=looked_at.append))
    content = "please" + " " * 100_000 + "x"
    form = openai_messages.ChatForm(model="demo", messages=[{"role": "user", "content": content}])
    assert form.question == content
    assert [len(text) for text in looked_at] == [200]


def test_another_model_is_refused(chat, files):
    with pytest.raises(openai.NotFoundError, match="there are demo, finder"):
        chat.chat.completions.create(model="gpt", messages=messages(files[0]))
