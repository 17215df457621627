"""The search for a recipe: what it tries and keeps by given measurements, and that real ones are made and recorded."""

import json
from collections import Counter
from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest
from subjects import scene_image

from blipvino import Blip, CompressionError, DataError, InputError, optimize
from blipvino.bundle.search_record import Race, Score, SearchRecord
from blipvino.checkpoint.tensors import load_checkpoint
from blipvino.compress.weights import compress_weights
from blipvino.data import open_source, take
from blipvino.files.json_records import decode
from blipvino.graphs import specs
from blipvino.graphs.building import build_graph
from blipvino.machine.record import this_machine
from blipvino.optimization.optimize import CalibrationOptions
from blipvino.optimization.search import candidates, strategy, trial_runner
from blipvino.optimization.search.candidates import GENTLER_RANGES
from blipvino.optimization.search.options import Search
from blipvino.optimization.search.search import take_validation_samples
from blipvino.optimization.search.store import KEPT, GraphStore
from blipvino.optimization.search.strategy import RecipeSearch
from blipvino.optimization.search.summary import search_summary, search_table
from blipvino.optimization.search.validation import Validation, agreement
from blipvino.progress import Reporter
from blipvino.recipe import FP16, PTQ_INT8, PTQ_MINMAX, WEIGHTS_INT4, WEIGHTS_INT8, Treatment

SILENT = Reporter(show=False)
DEFAULTS = {spec.name: spec.default for spec in specs.specs_of("BlipForQuestionAnswering")}
GRAPHS = tuple(DEFAULTS)
BITS = {"fp16": 16, "ptq_int8": 8, "weights_int8": 8, "weights_int4": 4}
LAYERS = tuple(f"layer {number}" for number in range(12))


class Lab:
    """A laboratory whose measurements are given.

    Args:
        damage: points that a treatment costs, of the graph and the treatment.
        seconds: what a graph takes, likewise; by default all are equally fast.
        interrupt: the number of the measurement at which somebody presses Ctrl-C.
    """

    graphs = GRAPHS

    def __init__(self, damage, seconds=lambda graph, treatment: 1.0, interrupt=None, refused=()):
        self.damage, self.seconds, self.interrupt, self.refused = damage, seconds, interrupt, refused
        self.scored, self.raced, self.ranked = [], [], []

    def score(self, treatments):
        self._measured(treatments)
        self.scored.append(dict(treatments))
        drop = sum(self.damage(graph, treatment) for graph, treatment in treatments.items())
        return Score(90 - drop, drop, drop - 0.3, drop + 0.3)

    def race(self, challenger, holder):
        self._measured(challenger)
        self.raced.append(dict(challenger))
        times = [sum(self.seconds(*item) for item in treatments.items()) for treatments in (challenger, holder)]
        return Race.of([times[0]] * 9, [times[1]] * 9)

    def size(self, treatments):
        for treatment in treatments.values():
            if treatment in self.refused:
                raise CompressionError("NNCF cannot")
        return sum(int(1000 * BITS[each.method] * (2 - each.ratio)) for each in treatments.values())

    def rank_layers(self, graph, treatment):
        self.ranked.append(graph)
        return LAYERS

    def _measured(self, treatments):
        self.size(treatments)
        if self.interrupt is not None and len(self.scored) + len(self.raced) == self.interrupt:
            raise KeyboardInterrupt


def harmless(graph, treatment):
    return 0.0


def search(lab, **options):
    return RecipeSearch(lab, Search(**options), SILENT).run()


def tried(found, phase, graph=None):
    """The treatments of one graph (or whole recipes) that were tried in a phase."""
    trials = [trial for trial in found.trials if trial.phase == phase and trial.graph == graph]
    return [trial.treatments if graph is None else trial.treatments[graph] for trial in trials]


def test_harmless_defaults_need_no_repair_and_what_is_smaller_and_as_fast_is_kept():
    found = search(Lab(harmless))
    assert Counter(trial.phase for trial in found.trials)["alone"] == 0
    assert found.outcome == "finished"
    assert {treatment.method for treatment in found.treatments.values()} == {"weights_int4"}
    assert found.trials[-1].phase == "result"


def test_what_gains_nothing_is_not_scored():
    def seconds(graph, treatment):
        return 2.0 if treatment.method == "weights_int4" else 1.0

    lab = Lab(harmless, seconds)
    found = search(lab)
    assert {**found.treatments} == DEFAULTS
    assert not any(treatment.method == "weights_int4" for scored in lab.scored for treatment in scored.values())
    assert tried(found, "better", "answer") == [WEIGHTS_INT4, FP16]  # no other 4 bits, once they are slow
    assert all(trial.score is None for trial in found.trials if trial.phase == "better")


def test_what_is_larger_must_be_much_faster():
    def seconds(graph, treatment):
        return {"fp16": 1.0, "weights_int4": 9.0}.get(treatment.method, 1.1 if graph == "vision" else 4.0)

    found = search(Lab(harmless, seconds))
    assert found.treatments["vision"] == PTQ_INT8  # 1% of all
    assert found.treatments["answer"] == FP16  # a quarter of all


def test_the_same_measurements_give_the_same_search():
    def damage(graph, treatment):
        seed = [ord(letter) for letter in f"{graph} {treatment}"]
        return np.random.default_rng(seed).uniform(0, 0.4) if treatment != FP16 else 0.0

    first, second = (search(Lab(damage)) for _ in range(2))
    assert first == second
    assert len(first.trials) > 20


def vision_costs(costs):
    """Damage by `vision` alone, of the first of these tests that its treatment passes; weights of 4 bits are bad."""

    def damage(graph, treatment):
        if treatment.method == "weights_int4":
            return 9.0
        if graph != "vision" or treatment == FP16:
            return 0.0
        return next(cost for test, cost in costs if test(treatment))

    return damage


def test_a_damaging_graph_is_found_and_smoothed_more():
    damage = vision_costs(
        [(lambda t: t.smooth_quant_alpha == 0.5, 0.2), (lambda t: t.smooth_quant_alpha == 0.75, 3.0), (any_, 5.0)]
    )
    found = search(Lab(damage))
    assert tried(found, "alone", "vision") == [
        PTQ_INT8,
        replace(PTQ_INT8, smooth_quant_alpha=0.75),
        replace(PTQ_INT8, smooth_quant_alpha=0.5),
    ]
    assert tried(found, "alone", "question") == [PTQ_INT8]
    assert found.treatments["vision"].smooth_quant_alpha == 0.5
    assert found.treatments["question"].method == "ptq_int8"


def any_(treatment):
    return True


def test_smoothing_that_makes_it_worse_is_not_taken_further_and_the_worst_layers_become_float():
    damage = vision_costs([(lambda t: len(t.ignored) >= 4, 0.4), (lambda t: t.smooth_quant_alpha, 6.0), (any_, 5.0)])
    lab = Lab(damage)
    found = search(lab)
    alone = tried(found, "alone", "vision")
    assert alone[:2] == [PTQ_INT8, replace(PTQ_INT8, smooth_quant_alpha=0.75)]
    assert alone[2:5] == [replace(PTQ_INT8, **change) for change in GENTLER_RANGES]
    assert [treatment.ignored for treatment in alone[5:]] == [LAYERS[:1], LAYERS[:2], LAYERS[:4]]
    assert lab.ranked == ["vision"]
    assert found.treatments["vision"].ignored == LAYERS[:4]


def test_an_option_that_helps_is_kept_while_the_next_is_tried():
    damage = vision_costs(
        [(lambda t: t.activation_range == "quantile" and t.smooth_quant_alpha == 0.75, 0.1),
         (lambda t: t.smooth_quant_alpha == 0.75, 1.0), (lambda t: t.smooth_quant_alpha == 0.5, 2.0), (any_, 5.0)]
    )  # fmt: skip
    found = search(Lab(damage))
    best = replace(PTQ_INT8, smooth_quant_alpha=0.75, activation_range="quantile")
    assert tried(found, "alone", "vision")[-1] == best == replace(found.treatments["vision"], preset="mixed")


def test_what_is_harmless_alone_may_not_be_together():
    def damage(graph, treatment):
        return {"fp16": 0.0, "ptq_int8": 0.3, "weights_int8": 0.05, "weights_int4": 5.0}[treatment.method]

    found = search(Lab(damage))
    assert not any(trial.score.drop > 0.5 for trial in found.trials if trial.phase == "alone")
    assert tried(found, "together")
    drop = sum(damage(*item) for item in found.treatments.items())
    assert drop <= 0.5
    assert FP16 not in found.treatments.values()  # 8-bit weights do


def test_nothing_that_compresses_keeps_an_unreachable_limit_so_all_stay_in_fp16():
    found = search(Lab(lambda graph, treatment: 0.0 if treatment == FP16 else 10.0))
    assert set(found.treatments.values()) == {FP16}
    assert found.outcome == "finished"
    record = recorded(found)
    assert "every graph stays in FP16" in "\n".join(search_summary(record))


def test_a_limit_that_fp16_itself_misses_ends_the_search_all_the_same():
    found = search(Lab(lambda graph, treatment: 0.2 if treatment == FP16 else 10.0))
    assert set(found.treatments.values()) == {FP16}


def test_the_bound_is_stricter_than_the_estimate():
    def damage(graph, treatment):
        return 0.3 if (graph, treatment) == ("vision", PTQ_INT8) else 9.0 * (treatment.method == "weights_int4")

    assert search(Lab(damage)).treatments["vision"] == PTQ_INT8
    assert search(Lab(damage), decide_by="bound").treatments["vision"] != PTQ_INT8  # up to 0.6 points


@pytest.mark.parametrize("interrupt", range(1, 30))
def test_ctrl_c_keeps_the_best_so_far(interrupt):
    damage = vision_costs([(lambda t: t.smooth_quant_alpha == 0.5, 0.2), (any_, 5.0)])
    found = search(Lab(damage, interrupt=interrupt))
    assert found.outcome in ("interrupted", "finished")
    assert sum(damage(*item) for item in found.treatments.items()) <= 0.5
    kept = [trial.treatments for trial in found.trials if trial.decision == "kept"]
    assert found.treatments == (kept[-1] if kept else dict.fromkeys(GRAPHS, FP16))


def test_ctrl_c_before_anything_is_measured_ends_the_work():
    with pytest.raises(KeyboardInterrupt):
        search(Lab(harmless, interrupt=0))


def test_layers_of_what_cannot_be_built_are_not_ranked():
    changes = [*GENTLER_RANGES, *({"smooth_quant_alpha": alpha} for alpha in candidates.ALPHAS)]
    lab = Lab(harmless, refused=(PTQ_INT8, *(replace(PTQ_INT8, **change) for change in changes)))
    assert PTQ_INT8 not in search(lab).treatments.values()
    assert not lab.ranked


def test_no_trial_begins_after_the_limit_of_time():
    ticks = iter(range(1000))
    options = Search(minutes=5 / 60)
    found = RecipeSearch(Lab(harmless), options, SILENT, clock=lambda: next(ticks)).run()
    assert found.outcome == "out of time"
    assert len(found.trials) == 4
    assert found.treatments == [trial for trial in found.trials if trial.decision == "kept"][-1].treatments


def test_four_bits_are_chosen_on_data_where_that_is_needed_and_for_a_part_where_not_all_can():
    def damage(graph, treatment):
        if treatment.method != "weights_int4":
            return 0.0
        if graph != "answer":
            return 20.0
        return (0.2 if treatment.ratio <= 0.5 else 2.0) if treatment.gptq else 6.0

    found = search(Lab(damage))
    gptq = replace(WEIGHTS_INT4, gptq=True)
    methods = [replace(WEIGHTS_INT4, scale_estimation=True), gptq, replace(gptq, awq=True)]
    halves = [replace(gptq, ratio=0.8), replace(gptq, ratio=0.5)]
    assert tried(found, "better", "answer")[:6] == [WEIGHTS_INT4, *methods, *halves]
    assert found.treatments["answer"] == halves[-1]


def test_what_nncf_refuses_is_recorded_and_the_next_is_tried():
    wide = replace(WEIGHTS_INT4, group_size=128)
    found = search(Lab(harmless, refused=(wide, PTQ_INT8)))
    refused = [trial for trial in found.trials if trial.decision == "refused"]
    assert {trial.reason for trial in refused} == {"NNCF cannot"}
    assert wide not in found.treatments.values() and PTQ_INT8 not in found.treatments.values()
    assert found.outcome == "finished"


def recorded(found):
    """A search as a manifest has it."""
    record = SearchRecord(
        *("VQA accuracy", found.outcome, 0.5, "estimate", "demo:validation", 1000, 1000, 42, 30, 1.5),
        machine=this_machine(),
        trials=found.trials,
    )
    return decode(SearchRecord, json.loads(json.dumps(record.to_json())))


def test_the_table_has_all_that_was_tried_and_the_summary_what_it_would_have_cost_to_go_further():
    def damage(graph, treatment):
        return 1.25 if (graph, treatment.method) == ("answer", "weights_int4") else 0.0

    found = search(Lab(damage))
    table = search_table(recorded(found))
    assert len(table.rows) == len(found.trials)
    assert all(len(row) == len(table.columns) for row in table.rows)
    summary = "\n".join(search_summary(recorded(found)))
    assert "answer has weights_int8; weights_int4 (group 64) loses 1.25 points" in summary


def test_a_race_is_decided_only_when_the_difference_is_certain():
    steady = Race.of([0.9] * 30, [1.0] * 30)
    assert steady.gain == pytest.approx(0.1)
    noise = np.random.default_rng(0).uniform(0.5, 2.0, (2, 30))
    assert Race.of(*noise.tolist()).gain == 0.0
    assert Race.of([0.995] * 30, [1.0] * 30).gain == 0.0
    interrupted = Race.of([0.9] * 28 + [60.0] * 2, [1.0] * 30)
    assert interrupted.gain == pytest.approx(0.1)
    assert Race.of([2.0], [1.0]).ratio == 2.0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"max_drop": -1.0}, "max_drop is -1"),
        ({"validation_samples": 0}, "validation_samples is 0"),
        ({"minutes": 0.0}, "minutes is 0"),
        ({"decide_by": "feeling"}, "decide_by is 'feeling'"),
        ({"validation": "demo:test"}, "comparison at the end"),
    ],
)
def test_search_options_are_checked(options, says):
    with pytest.raises(InputError, match=says):
        Search(**options)


def test_a_recipe_is_named_given_or_searched_for(tmp_path):
    with pytest.raises(InputError, match="recipe is 8, expected a name, a Recipe or a Search"):
        optimize("demo", tmp_path / "bundle", recipe=8, show_progress=False)


def test_judges_are_not_among_the_calibration_samples():
    source = open_source("demo")
    seen = take(source, 50, 42, spread=True)
    validation = take_validation_samples(Search(validation_samples=100), source, seen)
    assert not {sample.image_id for sample in validation.samples} & {sample.image_id for sample in seen}
    assert sum(len(sample.questions) for sample in validation.samples) == 100
    other = take_validation_samples(Search(validation="demo:train", validation_samples=8), source, seen)
    assert other.source == "demo:train"


def test_a_source_that_calibration_uses_up_leaves_no_judges(tmp_path):
    from PIL import Image

    for number in range(3):
        Image.fromarray(scene_image(number)).save(tmp_path / f"{number}.png")
    source = open_source(str(tmp_path))
    with pytest.raises(DataError, match="--validation"):
        take_validation_samples(Search(), source, take(source, 3))


def test_agreement_is_the_share_of_common_words():
    assert agreement("a red dog", "a red dog") == 1.0
    assert agreement("a red dog", "a blue dog") == pytest.approx(2 / 3)
    assert agreement("cat", "dog") == 0.0
    assert agreement("", "dog") == 0.0


def test_a_model_scores_beside_the_original_and_sees_images_once(demo, monkeypatch):
    samples = take(open_source("demo:validation"), 24)
    original = demo.blip
    validation = Validation(samples, original, 0, SILENT)
    assert validation.measure == "VQA accuracy" and validation.texts == 24
    looks = []
    look = original.engine.image_embeds
    monkeypatch.setattr(original.engine, "image_embeds", lambda pixels: looks.append(1) or look(pixels))
    first, second = (validation.score(original, FP16) for _ in range(2))
    assert first == second and first.drop == first.low == first.high == 0.0
    assert first.accuracy > 50
    assert len(looks) == validation.images


def test_texts_without_a_truth_are_judged_by_the_originals(tiny_captioner, demo):
    scenes = take(open_source("demo"), 8)
    captions = Validation(scenes, tiny_captioner.blip, 0, SILENT)
    assert captions.measure == "agreement of captions" and captions.texts == captions.images
    unknown = [
        replace(sample, questions=tuple(replace(question, answers=()) for question in sample.questions))
        for sample in scenes
    ]
    answers = Validation(unknown, demo.blip, 0, SILENT)
    assert answers.measure == "agreement of answers"
    assert captions.score(tiny_captioner.blip, FP16).accuracy == answers.score(demo.blip, FP16).accuracy == 100.0


@pytest.fixture
def store(tmp_path, tiny_vqa):
    """A store of the tiny checkpoint's graphs, and the list of what it has compressed."""
    made = []

    def compress(name, treatment):
        made.append((name, treatment))
        if treatment.method == "weights_int4":
            raise CompressionError("no")
        with load_checkpoint(tiny_vqa.folder) as checkpoint:
            model = build_graph(checkpoint, name)
        return model if treatment == FP16 else compress_weights(model, treatment)

    return GraphStore(tmp_path, compress), made, tmp_path


def test_a_graph_is_compressed_once_and_a_refusal_remembered(store):
    graphs, made, _ = store
    assert graphs.size("vision", WEIGHTS_INT8) < graphs.size("vision", FP16)
    assert graphs.size("vision", WEIGHTS_INT8) == graphs.size("vision", WEIGHTS_INT8)
    for _ in range(2):
        with pytest.raises(CompressionError):
            graphs.size("vision", WEIGHTS_INT4)
    assert made == [("vision", WEIGHTS_INT8), ("vision", FP16), ("vision", WEIGHTS_INT4)]


def test_the_store_forgets_what_was_not_used_for_longest(store):
    graphs, made, folder = store
    nodes = [
        f"text_decoder.bert.encoder.layer.{layer}.crossattention.self.{kind}/matmul"
        for layer in range(2)
        for kind in ("key", "value")
    ]
    sets = [*((node,) for node in nodes), *combinations(nodes, 2)][:KEPT]
    treatments = [Treatment("weights_int8", ignored=ignored) for ignored in sets]
    graphs.size("answer_kv", WEIGHTS_INT8)
    for treatment in treatments:
        graphs.size("answer_kv", treatment)
    assert len(list(folder.glob("answer_kv-*.bin"))) == len(list(folder.glob("answer_kv-*.xml"))) == KEPT
    graphs.size("answer_kv", WEIGHTS_INT8)
    assert made.count(("answer_kv", WEIGHTS_INT8)) == 2


@pytest.mark.slow
def test_ctrl_c_in_a_real_search_writes_the_best_so_far(tiny_vqa, tmp_path, monkeypatch):
    calls = []
    score = trial_runner.TrialRunner.score

    def interrupted(self, treatments):
        calls.append(treatments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return score(self, treatments)

    monkeypatch.setattr(trial_runner.TrialRunner, "score", interrupted)
    monkeypatch.setattr(trial_runner, "LEAST_RACE_SECONDS", 0.0)
    bundle = optimize(
        *(tiny_vqa.folder, tmp_path / "bundle"),
        recipe=Search(max_drop=99.0, validation_samples=8, latency_samples=2),
        calibration=CalibrationOptions("demo", 4),
        show_progress=False,
    )
    record = bundle.manifest.measurements.search.to_json()
    assert record["outcome"] == "interrupted"
    assert [trial["phase"] for trial in record["trials"][:2]] == ["start", "start"]
    assert bundle.manifest.recipe.to_json()["name"] == "auto"
    assert bundle.manifest.recipe.to_json()["treatments"] == record["trials"][1]["treatments"]
    assert list(tmp_path.iterdir()) == [bundle.folder]
    assert isinstance(Blip.load(bundle).answer(scene_image(0), "what is it?"), str)


def test_a_real_search_leaves_the_worst_layers_in_float(tiny_captioner, tmp_path, monkeypatch):
    def hopeless(self, treatments):
        self.size(treatments)  # builds it
        drop = 0.0 if set(treatments.values()) == {FP16} else 9.0
        return Score(90 - drop, drop, drop, drop)

    monkeypatch.setattr(trial_runner.TrialRunner, "score", hopeless)
    for name, spec in specs.GRAPHS.items():
        monkeypatch.setitem(specs.GRAPHS, name, replace(spec, default=PTQ_MINMAX if name == "vision" else FP16))
    for name in ("ALPHAS", "GENTLER_RANGES"):  # straight to the layers
        monkeypatch.setattr(candidates, name, ())
    monkeypatch.setattr(strategy.RecipeSearch, "_improve", lambda search: None)
    monkeypatch.setattr(trial_runner, "LEAST_RACE_SECONDS", 0.0)
    bundle = optimize(
        *(tiny_captioner.folder, tmp_path / "bundle"),
        recipe=Search(validation_samples=4, latency_samples=2),
        calibration=CalibrationOptions("demo", 4),
        show_progress=False,
    )
    trials = bundle.manifest.measurements.search.to_json()["trials"]
    alone = [trial["treatments"]["vision"] for trial in trials if trial["phase"] == "alone"]
    ignored = [set(treatment["ignored"]) for treatment in alone if treatment.get("ignored")]
    assert [len(names) for names in ignored] == [1, 2, 4]
    assert all(fewer < more for fewer, more in pairwise(ignored))
    with load_checkpoint(tiny_captioner.folder) as checkpoint:
        assert ignored[-1] <= {node.get_friendly_name() for node in build_graph(checkpoint, "vision").get_ops()}


@pytest.mark.slow
def test_a_captioner_is_searched_by_its_captions(tiny_captioner, tmp_path, monkeypatch):
    monkeypatch.setattr(trial_runner, "LEAST_RACE_SECONDS", 0.0)
    bundle = optimize(
        *(tiny_captioner.folder, tmp_path / "bundle"),
        recipe=Search(validation_samples=4, latency_samples=2, max_drop=30.0, minutes=1.0),
        calibration=CalibrationOptions("demo", 4),
        show_progress=False,
    )
    record = bundle.manifest.measurements.search.to_json()
    assert record["measure"] == "agreement of captions"
    assert set(bundle.manifest.recipe.to_json()["treatments"]) == {"vision", "answer_kv", "answer"}
    kept = [trial for trial in record["trials"] if trial["decision"] == "kept"]
    assert kept[-1]["treatments"] == bundle.manifest.recipe.to_json()["treatments"]
    assert kept[-1]["size"] == sum(bundle.graph_size(graph) for graph in ("vision", "answer_kv", "answer"))
