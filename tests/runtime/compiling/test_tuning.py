"""The way that is used is the fastest by the clock, and what was measured is kept with the compiled graph."""

import json
import logging
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from blipvino import BundleError, EngineOptions, InputError, open_bundle
from blipvino.graphs.specs import graph_names
from blipvino.machine.host import Choice
from blipvino.runtime.compiling import compiler as compiler_module
from blipvino.runtime.compiling import tuning as tuning_module
from blipvino.runtime.compiling.bundled import graph_files_of, selftest_of, tune_bundle
from blipvino.runtime.compiling.cache import CompiledCache
from blipvino.runtime.compiling.compiler import Compiler
from blipvino.runtime.compiling.selftest import SelfTest
from blipvino.runtime.compiling.sizes import Sizes
from blipvino.runtime.compiling.tuning import BUDGET_SECONDS, LEAST_ROUNDS, MOST_ROUNDS, Tuning, choose, measure
from blipvino.runtime.reading import read_config

MATMULS, CONVOLUTIONS = "8-bit matmuls", "8-bit convolutions"
LABELS = (CONVOLUTIONS, MATMULS)
"""Of a quantized graph in 7 bits, where nothing else was asked for."""
ONE_IMAGE = Sizes(sources=1)


@pytest.mark.parametrize(
    ("milliseconds", "chosen"),
    [
        ({"a": 10.0}, "a"),
        ({"a": 10.0, "b": 10.0}, "a"),
        ({"a": 10.0, "b": 9.8}, "a"),  # a tie
        ({"a": 10.0, "b": 9.0}, "b"),
        ({"a": 10.0, "b": 9.0, "c": 8.9}, "c"),
        ({"a": 9.0, "b": 10.0, "c": 8.9}, "a"),
    ],
)
def test_the_first_is_kept_unless_another_is_clearly_faster(milliseconds, chosen):
    assert choose(milliseconds) == Tuning(chosen, milliseconds)


def test_what_was_measured_comes_back_from_json():
    tuning = Tuning(MATMULS, {CONVOLUTIONS: 12.3456, MATMULS: 10.0, "float": 130.5})
    content = json.loads(json.dumps(tuning.to_json()))
    assert Tuning.from_json(content) == Tuning(MATMULS, {CONVOLUTIONS: 12.346, MATMULS: 10.0, "float": 130.5})
    assert Tuning.from_json(content).to_json() == content


def test_what_was_measured_as_text():
    tuning = Tuning(MATMULS, {CONVOLUTIONS: 12.3456, MATMULS: 10.0, "float": 130.5})
    assert str(tuning) == "8-bit matmuls, 10.0 ms; 8-bit convolutions 12.3; float 130"
    assert str(Tuning("float", {"float": 0.25})) == "float, 0.2 ms"


class FakeRequest:
    """A request that takes the seconds that it is told, by a clock of its own."""

    def __init__(self, name, clock, seconds):
        self.name, self.clock, self.seconds = name, clock, list(seconds)

    def infer(self, **_):
        self.clock.order.append(self.name)
        self.clock.now += self.seconds[min(self.clock.order.count(self.name), len(self.seconds)) - 1]


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still but for `FakeRequest`."""
    fake = SimpleNamespace(now=0.0, order=[])
    monkeypatch.setattr(tuning_module, "time", SimpleNamespace(perf_counter=lambda: fake.now))
    return fake


def test_requests_run_by_turns_and_medians_decide(clock):
    requests = [FakeRequest("a", clock, [0.1]), FakeRequest("b", clock, [0.3, 0.05, 0.05])]  # the first time is slow
    tuning = measure(["a", "b"], requests)
    assert clock.order[:6] == ["a", "b"] * 3
    assert tuning.chosen == "b"
    assert tuning.milliseconds == pytest.approx({"a": 100, "b": 50})


@pytest.mark.parametrize(
    ("seconds", "rounds"),
    [(1e-6, MOST_ROUNDS), (BUDGET_SECONDS / 16, 8), (BUDGET_SECONDS * 2, LEAST_ROUNDS)],
)
def test_as_many_rounds_as_there_is_time_for(clock, seconds, rounds):
    measure(["a", "b"], [FakeRequest(name, clock, [seconds]) for name in "ab"])
    assert Counter(clock.order) == {"a": rounds, "b": rounds}


def way_of(request):
    """The label of the way that a compiled graph is computed in, by what runs."""
    nodes = [node.get_rt_info() for node in request.get_compiled_model().get_runtime_model().get_ops()]
    in_8_bits = {node["layerType"].astype(str) for node in nodes if node["runtimePrecision"].astype(str) == "u8"}
    if "Convolution" in in_8_bits:
        return CONVOLUTIONS
    return MATMULS if "FullyConnected" in in_8_bits else "float"


class Tuned:
    """Compilers of one bundle, of which it is noted what they do.

    Attributes:
        fastest: the label of what is measured to be the fastest, where it is among the candidates.
        failing: labels of the ways that fall short of their self-test.
        measured: the labels of what was timed, each time.
        compiled: how many graphs were.
    """

    def __init__(self, folder, cache):
        self.folder, self.fastest, self.failing = folder, "", ()
        self.measured, self.compiled = [], 0
        self.options = EngineOptions(precision="f32", threads=1, cache=cache)

    def compiler(self, **options):
        bundle = open_bundle(self.folder, verify=False)
        config = read_config(bundle)
        graphs = graph_files_of(bundle, graph_names(config.architecture), check=False)
        return Compiler(graphs, config, replace(self.options, **options), selftest_of(bundle, config))

    def kept(self, graph="vision"):
        """What the cache says of a graph's files."""
        found = [entry.to_json() for entry in CompiledCache(self.options.cache).entries()]
        return [each for each in found if each["graph"] == graph]


@pytest.fixture
def tuned(tiny_int8, tmp_path, monkeypatch):
    """A host that computes in 7 bits unasked, on any CPU, and a clock that says what it is told."""
    made = Tuned(tiny_int8, tmp_path / "cache")
    compile_, judge = Compiler._compiled, SelfTest.judge

    def fake_measure(labels, requests):
        assert [way_of(request) for request in requests] == list(labels)
        for request in requests:
            judged = np.array(request.get_output_tensor(0).data)
            request.infer()  # on the inputs that it holds
            np.testing.assert_array_equal(request.get_output_tensor(0).data, judged)
        made.measured.append(tuple(labels))
        return Tuning(made.fastest if made.fastest in labels else labels[0], dict.fromkeys(labels, 1.0))

    def counted(self, *arguments):
        made.compiled += 1
        return compile_(self, *arguments)

    def fake_judge(self, name, sizes, request, *rest):
        verdict = judge(self, name, sizes, request, *rest)
        assert verdict.passed
        return replace(verdict, sqnr=-1.0) if way_of(request) in made.failing else verdict

    monkeypatch.setattr(compiler_module, "choose_arithmetic", lambda *_: Choice("int7", "pretended"))
    monkeypatch.setattr(compiler_module, "measure", fake_measure)
    monkeypatch.setattr(Compiler, "_compiled", counted)
    monkeypatch.setattr(SelfTest, "judge", fake_judge)
    return made


@pytest.fixture
def asked(monkeypatch, tuned):
    """The same, where somebody asked for 7 bits."""
    monkeypatch.setattr(compiler_module, "choose_arithmetic", lambda *_: Choice("int7", "pretended", asked=True))


@pytest.mark.parametrize("fastest", LABELS)
def test_the_fastest_is_used_kept_and_found_again(tuned, fastest):
    tuned.fastest = fastest
    first = tuned.compiler()
    assert way_of(first.request("vision", ONE_IMAGE)) == fastest
    assert (tuned.measured, tuned.compiled) == ([LABELS], 2)
    (kept,) = tuned.kept()
    assert kept["notes"]["tuning"] == {"chosen": fastest, "milliseconds": dict.fromkeys(LABELS, 1.0)}
    second = tuned.compiler()
    assert way_of(second.request("vision", ONE_IMAGE)) == fastest
    assert (len(tuned.measured), tuned.compiled) == (1, 2)
    assert second.tunings == first.tunings != {}


@pytest.mark.parametrize(("failing", "used"), [(CONVOLUTIONS, MATMULS), (MATMULS, CONVOLUTIONS)])
def test_what_falls_short_is_neither_timed_nor_used(tuned, caplog, failing, used):
    tuned.failing, tuned.fastest = (failing,), failing
    with caplog.at_level(logging.WARNING):
        assert way_of(tuned.compiler(selftest="strict").request("vision", ONE_IMAGE)) == used
    assert tuned.measured == []
    assert not caplog.records  # it is computed in 7 bits, as it is to be


def test_that_no_8_bit_kernels_are_right_is_told_and_remembered(tuned, caplog):
    tuned.failing = (CONVOLUTIONS, MATMULS)
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert way_of(tuned.compiler().request("vision", ONE_IMAGE)) == "float"
        (told,) = [record.message for record in caplog.records]
        assert "vision in int7 arithmetic falls short" in told
        assert "computed in float instead" in told
    assert (tuned.measured, tuned.compiled) == ([], 3)
    with pytest.raises(BundleError, match="vision in int7 arithmetic falls short"):
        tuned.compiler(selftest="strict").request("vision", ONE_IMAGE)


def test_where_nothing_is_right_the_bundle_is_refused(tuned):
    tuned.failing = (*LABELS, "float")
    with pytest.raises(BundleError, match="the bundle is damaged"):
        tuned.compiler().request("vision", ONE_IMAGE)


def test_tuning_forgets_what_is_compiled_and_measures_again(tuned):
    tuned.fastest = MATMULS
    tuned.compiler().request("vision", ONE_IMAGE)
    for fastest in (CONVOLUTIONS, CONVOLUTIONS, MATMULS):
        tuned.fastest = fastest
        told = tune_bundle(open_bundle(tuned.folder), tuned.options)
        assert [each.tuning.chosen for each in told if each.graph == "vision"] == [fastest]
        (kept,) = tuned.kept()
        assert kept["notes"]["tuning"]["chosen"] == fastest
        assert way_of(tuned.compiler().request("vision", ONE_IMAGE)) == fastest


def test_there_must_be_somewhere_to_keep_it(tuned, monkeypatch):
    tuned.compiler().request("vision", ONE_IMAGE)
    monkeypatch.setenv("BLIPVINO_CACHE_BYTES", "0")
    with pytest.raises(InputError, match="nowhere to keep"):
        tune_bundle(open_bundle(tuned.folder), tuned.options)
    assert tuned.kept()  # nothing is lost
    tuned.measured.clear()
    tuned.compiler().request("vision", ONE_IMAGE)
    assert tuned.measured == []  # every start would do so


def test_what_loses_too_much_to_7_bits_is_computed_in_float(tuned, monkeypatch):
    monkeypatch.setattr(SelfTest, "bears_7_bits", lambda self, name: name != "vision")
    compiler = tuned.compiler()
    assert way_of(compiler.request("vision", ONE_IMAGE)) == "float"
    assert way_of(compiler.request("question_kv", Sizes())) == CONVOLUTIONS


def test_seven_bits_are_borne_up_to_four_times_the_noise(tuned, monkeypatch):
    selftest = tuned.compiler()._selftest
    golden = selftest.golden
    assert all(selftest.bears_7_bits(name) for name in ("vision", "question_kv", "question", "answer_kv"))
    worse = replace(
        golden.expected["vision"],
        noise_to_signal=tuple(5 * ratio for ratio in golden.expected["vision"].noise_to_signal),
    )
    monkeypatch.setattr(selftest, "golden", replace(golden, expected_in_7_bits={**golden.expected, "vision": worse}))
    assert not selftest.bears_7_bits("vision")
    assert selftest.bears_7_bits("question")


@pytest.mark.parametrize("options", [{"cache": None}, {"selftest": "off"}], ids=str)
def test_nothing_is_measured_without_a_cache_or_inputs(tuned, options):
    tuned.fastest = MATMULS
    compiler = tuned.compiler(**options)
    assert way_of(compiler.request("vision", ONE_IMAGE)) == CONVOLUTIONS
    assert (tuned.measured, tuned.compiled, compiler.tunings) == ([], 1, {})


def test_without_a_cache_the_next_of_the_same_arithmetic_comes_before_float(tuned, caplog):
    tuned.failing = (CONVOLUTIONS,)
    with caplog.at_level(logging.WARNING):
        assert way_of(tuned.compiler(cache=None).request("vision", ONE_IMAGE)) == MATMULS
    assert (tuned.measured, tuned.compiled) == ([], 2)
    assert not caplog.records


@pytest.mark.parametrize(("layers", "label"), [("convolution", CONVOLUTIONS), ("matmul", MATMULS)])
def test_layers_that_are_asked_for_are_not_measured_against_the_others(tuned, layers, label):
    assert way_of(tuned.compiler(layers=layers).request("vision", ONE_IMAGE)) == label
    assert (tuned.measured, tuned.compiled) == ([], 1)


def test_a_choice_does_not_hold_for_who_asks_for_another(tuned, asked, monkeypatch):
    """The compiled graphs of one choice are not taken for those of another."""
    tuned.fastest = MATMULS
    tuned.compiler().request("vision", ONE_IMAGE)
    monkeypatch.setattr(compiler_module, "choose_arithmetic", lambda *_: Choice("int7", "pretended"))
    tuned.fastest = CONVOLUTIONS
    assert way_of(tuned.compiler().request("vision", ONE_IMAGE)) == CONVOLUTIONS
    assert tuned.measured == [LABELS, LABELS]


def test_other_sizes_take_over_what_was_measured_where_the_same_are_open(tuned):
    tuned.fastest = MATMULS
    compiler = tuned.compiler()
    positions = compiler._selftest.golden.inputs.image_embeds.shape[1]
    sizes = [Sizes(1, positions, 1, tokens) for tokens in (8, 16)]
    assert way_of(compiler.request("question", sizes[0])) == MATMULS
    tuned.measured.clear()
    tuned.fastest, before = CONVOLUTIONS, tuned.compiled
    assert way_of(compiler.request("question", sizes[1])) == MATMULS
    assert (tuned.measured, tuned.compiled) == ([], before + 1)
    assert way_of(compiler.request("question", Sizes())) == CONVOLUTIONS
    assert LABELS in tuned.measured
    assert compiler.tunings.keys() >= {("question", sizes[0]), ("question", Sizes())}
    assert ("question", sizes[1]) not in compiler.tunings


def test_what_is_taken_over_must_pass_too(tuned):
    tuned.fastest = MATMULS
    compiler = tuned.compiler()
    positions = compiler._selftest.golden.inputs.image_embeds.shape[1]
    compiler.request("question", Sizes(1, positions, 1, 8))
    tuned.failing = (MATMULS,)
    assert way_of(compiler.request("question", Sizes(1, positions, 1, 16))) == CONVOLUTIONS


def test_a_graph_without_quantized_activations_is_not_measured(tuned):
    compiler = tuned.compiler()
    positions = compiler._selftest.golden.inputs.image_embeds.shape[1]
    compiler.request("answer", Sizes(1, positions, 1, 1))
    (kept,) = tuned.kept("answer")
    assert kept["key"]["details"]["arithmetic"] == "float"
    assert "tuning" not in kept["notes"]
    assert ("answer", Sizes(1, positions, 1, 1)) not in compiler.tunings
