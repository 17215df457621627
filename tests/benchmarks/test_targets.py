"""The project's goals beside what a run measured."""

from dataclasses import replace

from speed_subjects import results, with_fp16

from benchmarks.targets import AVX2_TARGETS, TARGETS, evaluate, targets_tables
from blipvino.measure.race.speed_results import Series
from blipvino.measure.race.speed_tables import speed_tables
from blipvino.text.tables import markdown


def test_targets():
    verdicts = evaluate(results())
    measured = {(one.target.work.split(",")[0], one.target.goal): (one.measured, one.met) for one in verdicts}
    assert measured["caption", "tutorial INT8 / ours"] == (5.0, True)
    assert measured["caption", "transformers fp32 / ours"] == (8.0, False)
    assert measured["captions", "ours / tutorial INT8"] == (5.0, False)
    assert measured["VQA", "transformers fp32 / ours"] == (8.0, True)
    assert measured["vision", "measured / INT8 floor"] == (2.0, False)
    assert measured["process launch → first caption", "seconds"] == (1.1, True)
    assert measured["peak RSS", "megabytes"] == (560.0, False)
    assert measured["growth with images in a batch", "largest / smallest, apiece"] == (1.0, True)
    assert measured["growth with questions on an image", "largest / smallest, apiece"] == (None, None)
    empty = replace(results(), series=(), launches=())
    assert [one.met for one in evaluate(empty)] == [None] * len(TARGETS)


def test_targets_without_vnni_are_fp16_and_transformers():
    *speed_ups, worst, faster, by_bytes, original = evaluate(with_fp16(2.0, step=0.45))
    told = {(one.target.work.split(",")[0], one.target.goal): (one.measured, one.met) for one in speed_ups}
    assert told["caption", "transformers fp32 / ours"] == told["VQA", "transformers fp32 / ours"] == (8.0, True)
    assert told["caption", "ONNX Runtime INT8 / ours"] == (None, None)
    assert (worst.measured, worst.met) == (0.5, True) and worst.where.startswith("blipvino-int8, ")
    assert (round(faster.measured, 9), faster.met) == (round(0.3 / 0.45, 9), True)
    assert round(by_bytes.measured, 9) == 1.0
    assert (original.measured, original.met) == (0.25, True) and original.where.startswith("blipvino FP16, ")
    slow, slower, _, not_first = evaluate(with_fp16(0.95, step=0.29, transformers=0.9))[-4:]
    assert (slow.met, slower.met, not_first.met) == (False, False, False)
    assert evaluate(with_fp16(0.98, step=0.4))[-4].met  # 2% slower
    faster, by_bytes = evaluate(with_fp16(2.0, step=0.4))[-3:-1]
    assert (faster.met, by_bytes.met) == (True, False)  # it saves more bytes than time
    assert [one.met for one in evaluate(replace(results("avx2"), series=()))] == [None] * len(AVX2_TARGETS)


def test_without_vnni_onnx_runtime_is_a_target_unless_ours_alone_is_limited():
    def compared(**fields):
        found = results("avx2", **fields)
        theirs = [
            Series(work, size, tokens, "onnxruntime-int8", (seconds * size,))
            for work, size, tokens, seconds in (
                ("caption", 1, 20, 1.1),
                ("caption", 16, 20, 1.0),
                ("first answer", 1, 3, 1.1),
                ("further answer", 1, 3, 1.3),
            )
        ]
        verdicts = evaluate(replace(found, series=(*found.series, *theirs)))
        return [(one.measured, one.met) for one in verdicts if one.target.goal.startswith("ONNX Runtime")]

    assert compared() == [(1.1, True), (None, None), (1.0, False), (1.1, True), (1.3, False)]
    assert compared(limit="ONEDNN_MAX_CPU_ISA=AVX2") == [(None, None)] * 5


def test_the_targets_of_a_class_are_shown_with_their_worst_case():
    text = markdown(targets_tables(with_fp16(0.9, step=0.4, transformers=4.0)))
    assert "| ≤ 1.03 × | 1.11 × (blipvino-int8, first answer, 1) | missed |" in text
    assert "tutorial INT8 / ours" not in text


def test_tables_tell_who_was_left_out_and_what_was_missed():
    text = markdown((*targets_tables(results()), *speed_tables(results())))
    assert "| transformers bf16 | left out | this CPU has no bf16 |" in text
    assert "| ≥ 9 × | 8.00 × | missed |" in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in lines)
