"""Learning rates and the curriculum."""

import pytest

from blipvino.errors import InputError
from training.plan import RetrievalPlan, TrainingPlan


@pytest.mark.parametrize(
    "wrong",
    [
        *({"steps": 0}, {"batch": 0}, {"learning_rate": 0.0}, {"learning_rate": float("nan")}, {"weight_decay": -1.0}),
        *({"warmup": 0}, {"decay": 1.5}, {"seed": -1}, {"curriculum": -0.1}, {"patch": 0}, {"patch": 7}),
    ],
)
def test_a_plan_that_cannot_be_followed_is_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(InputError, match=rf"^{name} is {value!r}, expected"):
        TrainingPlan(**wrong)


def test_a_retrieval_batch_needs_a_wrong_caption():
    assert RetrievalPlan(batch=2).batch == 2 and TrainingPlan(batch=1).batch == 1
    with pytest.raises(InputError, match="batch is 1, expected at least 2"):
        RetrievalPlan(batch=1)


def test_the_rate_rises_stays_and_falls_to_zero():
    plan = TrainingPlan(steps=1000, warmup=100, decay=0.3, learning_rate=2e-3)
    rates = [plan.rate(step) for step in range(plan.steps + 1)]
    assert rates[0] == pytest.approx(2e-5)
    assert rates[99:701] == [2e-3] * 602
    assert rates[850] == pytest.approx(1e-3)
    assert rates[-1] == 0
    assert sorted(rates[:100]) == rates[:100] and sorted(rates[700:], reverse=True) == rates[700:]


def test_a_plan_without_decay_ends_at_full_rate():
    assert RetrievalPlan(steps=10, warmup=1, decay=0.0).rate(9) == RetrievalPlan().learning_rate


def test_objects_rise_from_one_to_four():
    plan = TrainingPlan(steps=300, curriculum=0.1)
    stages = [plan.max_objects(step) for step in range(300)]
    assert stages[:10] == [1] * 10 and stages[10:20] == [2] * 10 and stages[20:30] == [3] * 10
    assert stages[30:] == [4] * 270
    assert TrainingPlan(steps=300, curriculum=0.0).max_objects(0) == 4
