"""The part of the decoder's graph that picks the likeliest tokens."""

from dataclasses import replace

import numpy as np
import openvino as ov
import openvino.opset13 as ops
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from subjects import EXACT, log_sum_exp

from blipvino.graphs.answer import TOP_TOKENS, token_selection


@settings(max_examples=40, deadline=None)
@given(data=st.data(), vocab=st.sampled_from([1, 3, TOP_TOKENS, 40]), scale=st.sampled_from([1.0, 1e2, 1e4]))
def test_token_selection_of_any_logits(selections, data, vocab, scale):
    elements = st.floats(-1, 1, width=32)
    logits = data.draw(arrays.arrays(np.float32, st.tuples(st.integers(1, 4), st.just(vocab)), elements=elements))
    logits = logits * np.float32(scale)
    ids, top, normalizer = selections(logits)
    count = min(TOP_TOKENS, vocab)
    assert (ids.shape, normalizer.shape) == ((len(logits), count), (len(logits), 1))
    np.testing.assert_array_equal(top, -np.sort(-logits, axis=1)[:, :count])
    np.testing.assert_array_equal(top, np.take_along_axis(logits, ids, axis=1))
    assert all(len(set(row)) == count for row in ids.tolist())
    np.testing.assert_allclose(normalizer, log_sum_exp(logits), rtol=1e-5, atol=1e-4)


@pytest.fixture(scope="module")
def selections(tiny_vqa):
    """`token_selection` as a function of logits of any vocabulary."""
    compiled = {}

    def select(logits):
        vocab = logits.shape[1]
        if vocab not in compiled:
            given_ = ops.parameter([-1, vocab], np.float32, "logits")
            results = token_selection(given_, replace(tiny_vqa.blip.config.text, vocab_size=vocab))
            compiled[vocab] = ov.Core().compile_model(ov.Model(results, [given_]), "CPU", EXACT.properties())
        outputs = compiled[vocab](logits)
        return [outputs[name] for name in ("top_ids", "top_logits", "log_normalizer")]

    return select
