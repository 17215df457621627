"""Words of tables, and what they are."""

from dataclasses import fields
from typing import get_args

import pytest

from blipvino.graphs.specs import GRAPHS
from blipvino.graphs.terms import terms_of, terms_table
from blipvino.recipe import FP16, OPTIONS, PTQ_INT8, Method, Treatment

CHANGED = {
    "group_size": Treatment("weights_int4", group_size=32),
    "smooth_quant_alpha": Treatment("ptq_int8", smooth_quant_alpha=-1),
    "bias_correction": Treatment("ptq_int8", bias_correction="full"),
    "preset": Treatment("ptq_int8", preset="performance"),
    "activation_range": Treatment("ptq_int8", activation_range="quantile"),
    "per_channel": Treatment("ptq_int8", per_channel=False),
    "overflow_fix": Treatment("ptq_int8", overflow_fix=True),
    "ignored": Treatment("ptq_int8", ignored=("a", "b")),
    "mode": Treatment("weights_int8", mode="sym"),
    "ratio": Treatment("weights_int4", group_size=-1, ratio=0.5),
    "awq": Treatment("weights_int4", group_size=-1, awq=True),
    "scale_estimation": Treatment("weights_int4", group_size=-1, scale_estimation=True),
    "gptq": Treatment("weights_int4", group_size=-1, gptq=True),
    "backup": Treatment("weights_int4", group_size=-1, backup="none"),
}


def test_every_graph_and_every_method_is_explained():
    words = dict(terms_table(GRAPHS, get_args(Method)).rows)
    assert set(words) == {*GRAPHS, *get_args(Method)} and all(words.values())


def test_every_option_that_a_treatment_prints_is_explained():
    assert set(CHANGED) == {field.name for field in fields(Treatment)} - {"method"}
    found = set()
    for name, treatment in CHANGED.items():
        (method, _), *options = terms_table((), [str(treatment)]).rows
        assert method == treatment.method
        assert len(options) == str(treatment).count(",") + 1, name
        found |= {word for word, _ in options}
    assert found == set(OPTIONS)


def test_a_word_is_explained_once_and_unknown_ones_are_passed_over():
    rows = terms_of({"vision": PTQ_INT8, "question": PTQ_INT8, "later": FP16}).rows
    assert [word for word, _ in rows] == ["vision", "question", "fp16", "ptq_int8"]


@pytest.mark.parametrize("word", ["in float", "mode"])
def test_a_word_within_another_is_none(word):
    assert word not in dict(terms_table((), ["ptq_int8 (bias_correction full)"]).rows)
