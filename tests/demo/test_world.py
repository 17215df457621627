"""The shapes world: determinism, splits, balance, answers re-derived from the questions' words; its export."""

import json
import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from blipvino.data import CocoSource, DemoSource, Vqav2Source, take
from blipvino.data.demo import demo_sample
from blipvino.data.export import export_world
from blipvino.demo import CHECKPOINT, resolve
from blipvino.demo.captions import caption, references
from blipvino.demo.questions import QUESTION_TYPES, sample_questions
from blipvino.demo.scenes import (
    COLORS,
    HELD_OUT,
    IMAGE_SIZE,
    MAX_OBJECTS,
    TEXTURES,
    render,
    sample_scene,
    scene_rng,
)
from blipvino.errors import DataError, OutputError

SPLITS = ("train", "validation", "test")
SCENES = 400


@pytest.fixture(scope="module")
def scenes():
    return {split: [sample_scene(split, index) for index in range(SCENES)] for split in SPLITS}


@pytest.fixture(scope="module")
def asked(scenes):
    """(scene, question) pairs of all splits."""
    return [
        (scene, question)
        for split in SPLITS
        for scene in scenes[split]
        for question in sample_questions(scene, scene_rng(split, scene.index, 1), 8)
    ]


# Scenes


def test_scenes_and_images_are_functions_of_split_and_index():
    for split in SPLITS:
        for index in (0, 1, 99):
            first, again = sample_scene(split, index), sample_scene(split, index)
            assert first == again
            assert np.array_equal(render(first), render(again))


def test_no_scene_is_shared_between_splits(scenes):
    seeds = [{scene.backdrop_seed for scene in scenes[split]} for split in SPLITS]
    assert all(len(numbers) == SCENES for numbers in seeds)
    assert not seeds[0] & seeds[1] and not seeds[0] & seeds[2] and not seeds[1] & seeds[2]


def test_held_out_combinations_keep_the_splits_apart(scenes):
    shown = {split: [{item.combination for item in scene.objects} for scene in scenes[split]] for split in SPLITS}
    for split in ("validation", "test"):
        other = "test" if split == "validation" else "validation"
        assert all(combinations & HELD_OUT[split] for combinations in shown[split])
        assert not any(combinations & HELD_OUT[split] for combinations in shown["train"] + shown[other])
    assert not HELD_OUT["validation"] & HELD_OUT["test"]


def test_every_attribute_of_a_held_out_combination_is_seen_in_training(scenes):
    seen = {value for scene in scenes["train"] for item in scene.objects for value in item.combination}
    assert seen >= {value for held_out in HELD_OUT.values() for combination in held_out for value in combination}


def test_training_never_says_that_a_held_out_combination_is_absent(scenes):
    """Else "no" would be learnt as the answer about it, and generalisation to it could not be measured."""
    hidden = [set(combination) for combinations in HELD_OUT.values() for combination in combinations]
    for scene in scenes["train"]:
        for question in sample_questions(scene, scene_rng("train", scene.index, 1), 8):
            if question.kind == "existence" and question.answer == "no":
                words = set(question.text.removesuffix("?").split())
                assert not any(combination <= words for combination in hidden)
                assert not any(
                    set(combination) - words == {combination[0]} and not words & set(TEXTURES)
                    for combinations in HELD_OUT.values()
                    for combination in combinations
                )


def test_scenes_have_one_to_four_objects_within_the_image_and_apart(scenes):
    counts = Counter(len(scene.objects) for split in SPLITS for scene in scenes[split])
    assert set(counts) == set(range(1, MAX_OBJECTS + 1))
    for scene in scenes["train"]:
        for number, item in enumerate(scene.objects):
            assert item.radius <= item.x <= IMAGE_SIZE - item.radius
            assert item.radius <= item.y <= IMAGE_SIZE - item.radius
            for other in scene.objects[:number]:
                assert np.hypot(item.x - other.x, item.y - other.y) > 0.85 * (item.radius + other.radius)


def test_a_curriculum_limits_the_objects():
    assert {len(sample_scene("train", index, max_objects=1).objects) for index in range(50)} == {1}


def test_large_objects_are_larger_than_small_ones(scenes):
    radii = {"small": [], "large": []}
    for scene in scenes["train"]:
        for item in scene.objects:
            radii[item.size].append(item.radius)
    assert max(radii["small"]) < min(radii["large"])


def test_images_show_the_colours_of_their_objects(scenes):
    plain = [s for s in scenes["train"] if len(s.objects) == 1 and s.objects[0].texture == "plain"]
    assert len(plain) > 5
    for scene in plain:
        item = scene.objects[0]
        if item.shape == "ring":  # has no paint at its centre
            continue
        image = render(scene)
        assert image.shape == (IMAGE_SIZE, IMAGE_SIZE, 3) and image.dtype == np.uint8
        x, y = round(item.x), round(item.y)
        centre = image[y - 1 : y + 2, x - 1 : x + 2].reshape(-1, 3).mean(axis=0)
        nearest = min(COLORS, key=lambda name: np.linalg.norm(centre - np.array(COLORS[name])))
        assert nearest == item.color


# Questions: each answer once more, from the scene and the words alone

PLURALS = {"circles", "squares", "triangles", "stars", "crosses", "rings", "objects"}
WORDS = {
    "size": {"small", "large"},
    "texture": {"plain", "striped", "dotted"},
    "color": {"red", "green", "blue", "yellow", "purple", "cyan", "white", "black"},
    "shape": {"circle", "square", "triangle", "star", "cross", "ring"},
}


def named(scene, words):
    """The objects that a noun phrase describes, singular or plural."""
    *adjectives, noun = words.split()
    if noun in PLURALS:
        noun = {"crosses": "cross"}.get(noun, noun.removesuffix("s"))
    wanted = [*adjectives, *([] if noun == "object" else [noun])]
    found = list(scene.objects)
    for word in wanted:
        (attribute,) = [name for name, values in WORDS.items() if word in values]
        found = [item for item in found if getattr(item, attribute) == word]
    return found


def the(scene, words):
    """The one object that a phrase describes."""
    found = named(scene, words)
    assert len(found) == 1, f"'the {words}' describes {len(found)} objects"
    return found[0]


def yes_no(truth):
    return "yes" if truth else "no"


def attribute(scene, name, words):
    return getattr(the(scene, words), name)


def side(axis, before, after):
    def answer(scene, first, second):
        offset = getattr(the(scene, first), axis) - getattr(the(scene, second), axis)
        assert abs(offset) >= 8
        return before if offset < 0 else after

    return answer


def half(axis, before, after):
    def answer(scene, words):
        offset = getattr(the(scene, words), axis) - IMAGE_SIZE / 2
        assert abs(offset) >= 8
        return before if offset < 0 else after

    return answer


RULES = [
    (r"what (color|shape|size|texture) is the (.+)", attribute),
    (r"what is the (.+)", lambda s, a: f"{the(s, a).color} {the(s, a).shape}"),
    (r"how many (.+) are there", lambda s, a: str(len(named(s, a)))),
    (r"is there a (.+)", lambda s, a: yes_no(named(s, a))),
    (r"are there more (.+) than (.+)", lambda s, a, b: yes_no(len(named(s, a)) > len(named(s, b)))),
    (r"is the (.+) larger than the (.+)", lambda s, a, b: yes_no(the(s, a).radius > the(s, b).radius)),
    (r"is the (.+) on the left or right", half("x", "left", "right")),
    (r"is the (.+) at the top or bottom", half("y", "top", "bottom")),
    (r"is the (.+) to the left or right of the (.+)", side("x", "left", "right")),
    (r"is the (.+) above or below the (.+)", side("y", "above", "below")),
    (r"is the (.+) left of the (.+)", lambda s, a, b: yes_no(the(s, a).x < the(s, b).x)),
    (r"is the (.+) right of the (.+)", lambda s, a, b: yes_no(the(s, a).x > the(s, b).x)),
    (r"is the (.+) above the (.+)", lambda s, a, b: yes_no(the(s, a).y < the(s, b).y)),
    (r"is the (.+) below the (.+)", lambda s, a, b: yes_no(the(s, a).y > the(s, b).y)),
]


def rederive(scene, text):
    for pattern, answer in RULES:
        match = re.fullmatch(pattern + r"\?", text)
        if match:
            return pattern, answer(scene, *match.groups())
    raise AssertionError(f"no rule reads {text!r}")


def test_every_answer_follows_from_the_scene(asked):
    used = set()
    for scene, question in asked:
        pattern, answer = rederive(scene, question.text)
        assert answer == question.answer, question.text
        used.add(pattern)
    assert used == {pattern for pattern, _ in RULES}
    assert len(asked) > 6000


def test_questions_are_deterministic_and_distinct_in_a_scene(scenes):
    for scene in scenes["validation"][:50]:
        questions = sample_questions(scene, scene_rng("validation", scene.index, 1), 8)
        assert questions == sample_questions(scene, scene_rng("validation", scene.index, 1), 8)
        assert len({q.text for q in questions}) == len(questions)
        assert 1 <= len(questions) <= 8


def test_every_kind_answer_type_and_answer_is_asked_for(asked):
    assert {question.kind for _, question in asked} == set(QUESTION_TYPES)
    answers = {kind: {q.answer for _, q in asked if q.answer_type == kind} for kind in ("yes/no", "number", "other")}
    assert answers["yes/no"] == {"yes", "no"}
    assert answers["number"] == {"0", "1", "2", "3", "4"}
    single = set().union(*WORDS.values(), {"left", "right", "above", "below", "top", "bottom"})
    assert {answer for answer in answers["other"] if " " not in answer} == single
    assert sum(" " in answer for answer in answers["other"]) > 20


def test_yes_and_no_are_balanced_in_every_kind(asked):
    kinds = Counter((q.kind, q.answer) for _, q in asked if q.answer_type == "yes/no")
    assert {kind for kind, _ in kinds} == {"existence", "comparison", "left/right", "above/below"}
    for kind in {kind for kind, _ in kinds}:
        yes, no = kinds[kind, "yes"], kinds[kind, "no"]
        assert yes + no > 200
        assert 0.42 < yes / (yes + no) < 0.58, kind


# Captions


def listed(text):
    return [part.removeprefix("a ") for part in re.split(r", | and ", text)]


def test_the_caption_names_every_object_from_left_to_right(scenes):
    for scene in scenes["train"] + scenes["test"]:
        phrases = listed(caption(scene))
        assert len(phrases) == len(scene.objects)
        ordered = sorted(scene.objects, key=lambda item: item.x)
        assert all(item in named(scene, words) for item, words in zip(ordered, phrases, strict=True))
        assert "plain" not in caption(scene)


def test_references_are_five_orders_of_the_same_phrases(scenes):
    for scene in scenes["test"][:100]:
        texts = references(scene)
        assert len(texts) == 5 and texts[0] == caption(scene)
        assert {tuple(sorted(listed(text))) for text in texts} == {tuple(sorted(listed(texts[0])))}
        assert listed(texts[1]) == listed(texts[0])[::-1]
        downwards = [named(scene, words) for words in listed(texts[2])]
        for upper, lower in pairwise(downwards):
            assert min(item.y for item in upper) <= max(item.y for item in lower)


# The world as a sample source


def test_demo_source_gives_scenes_with_ten_equal_answers():
    for sample in take(DemoSource("test"), 40, seed=3):
        scene = sample_scene("test", sample.image_id)
        image = sample.image()
        assert (image.mode, image.size) == ("RGB", (96, 96))
        assert np.array_equal(np.asarray(image), render(scene))
        assert sample.captions == tuple(references(scene))
        for number, question in enumerate(sample.questions):
            assert question.question_id == 1000 * sample.image_id + number
            assert question.answers == (rederive(scene, question.text)[1],) * 10
            assert question.question_type in QUESTION_TYPES
            expected = {"yes": "yes/no", "no": "yes/no"}.get(question.answers[0], "other")
            assert question.answer_type == ("number" if question.answers[0] in "01234" else expected)


def test_demo_source_shuffles_by_seed():
    ids = [[s.image_id for s in take(DemoSource(), 80, seed)] for seed in (1, 1, 2)]
    assert ids[0] == ids[1] != ids[2]
    assert len(set(ids[0])) == len(ids[0])


# Its export


def test_export_reads_back_as_vqav2_and_coco(tmp_path):
    folder = export_world(tmp_path / "new" / "world", "validation", scenes=12, questions_per_scene=5)
    names = {"v2_OpenEnded_mscoco_validation_questions.json", "v2_mscoco_validation_annotations.json"}
    assert {p.name for p in folder.iterdir()} == names | {"captions_validation.json", "images"}
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["world"]
    expected = {index: demo_sample("validation", index, 5) for index in range(12)}
    questions, annotations = (folder / name for name in sorted(names))
    vqa = list(Vqav2Source(questions, folder / "images", annotations).samples(seed=0, limit=100))
    coco = list(CocoSource(folder / "captions_validation.json", folder / "images").samples(seed=0, limit=100))
    for found in (vqa, coco):
        assert {sample.image_id for sample in found} == set(expected)
        for sample in found:
            assert np.array_equal(np.asarray(sample.image()), np.asarray(expected[sample.image_id].image()))
    assert all(sample.questions == expected[sample.image_id].questions for sample in vqa)
    assert all(sample.captions == expected[sample.image_id].captions for sample in coco)
    assert max(len(sample.questions) for sample in vqa) == 5
    sizes = {(r["width"], r["height"]) for r in json.loads((folder / "captions_validation.json").read_text())["images"]}
    assert sizes == {(96, 96)}


def test_export_fills_an_empty_folder_and_leaves_a_full_one_alone(tmp_path):
    folder = tmp_path / "world"
    folder.mkdir()
    export_world(folder, "test", scenes=1)
    before = sorted(p.name for p in folder.iterdir())
    with pytest.raises(OutputError, match="already exists and is not an empty folder"):
        export_world(folder, "train", scenes=1)
    assert sorted(p.name for p in folder.iterdir()) == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="already exists"):
        export_world(tmp_path / "file", "test", scenes=1)


def test_a_failed_export_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("blipvino.data.export.write_coco", fail)
    with pytest.raises(OutputError, match=r"world: cannot be written \(No space left on device\)"):
        export_world(tmp_path / "world", "test", scenes=2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("val", 1), "no split 'val' in the demo world; choose one of train, validation, test"),
        (("test", 0), "cannot export 0 scenes"),
        (("test", 1, 0), "with 0 questions"),
    ],
)
def test_export_refuses_bad_arguments(tmp_path, arguments, message):
    with pytest.raises(DataError, match=message):
        export_world(tmp_path / "world", *arguments)
    assert list(tmp_path.iterdir()) == []


# The embedded checkpoint


def test_demo_is_the_embedded_checkpoint_unless_a_checkpoint_of_that_name_is_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resolve("demo") == CHECKPOINT
    (tmp_path / "demo").mkdir()  # as `blipvino demo -o demo` makes it
    assert resolve("demo") == CHECKPOINT
    (tmp_path / "demo" / "config.json").touch()
    assert resolve("demo") == "demo"
    assert resolve("elsewhere") == "elsewhere"
