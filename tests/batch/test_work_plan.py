"""Which plans go together, and what tells them apart."""

import pickle
from dataclasses import replace

import pytest

from blipvino import EngineOptions
from blipvino.batch.work_plan import TextWork, plan_work
from blipvino.errors import BundleError, InputError


def test_a_plan_crosses_processes_and_says_what_decides(int8):
    plan = plan_work(["answer", "caption"], int8, text_work=TextWork(("what?",), generation={"num_beams": 3}))
    assert pickle.loads(pickle.dumps(plan)) == plan
    assert plan.identity["num-beams"] == 3
    assert plan.identity["tasks"] == ["caption", "answer"]
    assert "seed" not in plan.identity
    assert plan.identity["model"] == plan.texts.fingerprint


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"text_work": TextWork(("why?",))}, False),
        ({"text_work": TextWork(("what?",), min_confidence=0.5)}, False),
        ({"engine": EngineOptions(precision="f32")}, False),
        ({"engine": EngineOptions(threads=1)}, True),
        ({"batch_size": 3}, True),
    ],
)
def test_only_what_decides_changes_the_fingerprint(int8, change, same):
    plan = plan_work(["answer"], int8, text_work=TextWork(("what?",)))
    assert (replace(plan, **change).fingerprint == plan.fingerprint) is same


def test_what_is_drawn_is_drawn_by_a_seed_of_the_job(int8):
    drawing = plan_work(["caption"], int8, text_work=TextWork(generation={"do_sample": True}))
    assert drawing.seed is None
    assert drawing.seeded(3).seed == 3
    assert drawing.seeded().seed != drawing.seeded().seed
    assert drawing.seeded(3).seeded(4).seed == 3
    assert drawing.seeded(3).identity["seed"] == 3
    assert drawing.seeded(3).fingerprint != drawing.seeded(4).fingerprint
    greedy = plan_work(["caption"], int8)
    assert greedy.seeded(3) == greedy


def test_models_and_tasks_go_together(int8, retrieval_int8, tmp_path):
    assert plan_work(["embed"], retrieval_int8).texts is None
    assert plan_work(["embed"], retrieval_int8).columns.width == 64
    both = plan_work(["embed", "caption"], int8, retrieval_int8)
    assert (both.texts.folder, both.embeddings.folder) == (int8, retrieval_int8)
    for tasks, model, retrieval, message in (
        ((), int8, None, "no task"),
        (("dance",), int8, None, "'dance'"),
        (("embed",), int8, None, "embed needs one"),
        (("embed", "caption"), int8, None, "beside it"),
        (("embed", "caption"), int8, int8, "embed needs one"),
        (("caption",), int8, retrieval_int8, "without the task embed"),
        (("caption",), retrieval_int8, None, "generates no texts"),
        (("embed",), int8, retrieval_int8, "give that alone"),
        (("rank",), int8, None, "no answers to rank"),
    ):
        with pytest.raises(InputError, match=message):
            plan_work(tasks, model, retrieval)
    with pytest.raises(BundleError):
        plan_work(["caption"], tmp_path / "none")
    with pytest.raises(InputError):
        plan_work(["caption"], int8, text_work=TextWork(generation={"num_beams": 0}))
    with pytest.raises(InputError):
        TextWork(min_confidence=2.0)
