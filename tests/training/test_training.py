"""The demo model's trainer: its start, its packed forward pass, and a run that was stopped in between."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import BlipForQuestionAnswering

from blipvino.demo.vocabulary import build_tokenizer
from blipvino.errors import InputError
from training import train as training
from training import training_loop
from training.demo_model import DECODER_START, export, new_model, sincos_positions
from training.examples import collate, normalized
from training.interruption import Interruption
from training.muon import BatchedMuon, orthogonalize
from training.packed_accuracy import accuracy, examples_of
from training.packed_forward import losses, packed_logits
from training.packing import CAPTION_SEGMENT, IGNORED, packed_example
from training.plan import TrainingPlan
from training.run_state import RunFolder
from training.training_loop import Run
from training.training_step import TrainingStep, make_optimizers, set_rate

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


@pytest.fixture(scope="module")
def model(tokenizer):
    torch.manual_seed(1)
    return new_model(tokenizer.get_vocab_size(), TrainingPlan(patch=16))


@pytest.fixture(scope="module")
def batch(tokenizer):
    return collate([packed_example("train", index, tokenizer, 4) for index in range(4)])


# The start


def test_positions_are_told_apart_alike_along_both_axes():
    positions = sincos_positions(6, 32).reshape(6, 6, 32)
    columns, rows = positions[..., :16], positions[..., 16:]
    assert torch.equal(columns, rows.transpose(0, 1))
    assert torch.equal(columns[0], columns[5]) and torch.equal(rows[:, 0], rows[:, 5])
    steps = [float((columns[0, 0] - columns[0, k]).norm()) for k in range(1, 4)]
    assert steps == sorted(steps) and steps[0] > 0.5


def test_a_new_model_begins_with_them_unless_the_plan_says_otherwise(tokenizer):
    def start(plan):
        return new_model(tokenizer.get_vocab_size(), plan).vision_model.embeddings.position_embedding[0]

    assert torch.equal(start(TrainingPlan())[1:], sincos_positions(12, 192))
    at_random = start(TrainingPlan(patch=16, positions="random"))
    assert at_random.shape == (37, 192) and float(at_random.detach().std()) < 0.1


# Packed examples through the model


def test_packed_logits_are_those_of_transformers_one_text_at_a_time(model, batch, tokenizer):
    with torch.no_grad():
        packed = packed_logits(model, batch)
        embeds = model.vision_model(pixel_values=normalized(batch.images)).last_hidden_state
        for row, kinds in enumerate(batch.kinds):
            for segment in kinds:
                inside = batch.decoder_segments[row] == segment
                source = embeds[row : row + 1]
                if segment != CAPTION_SEGMENT:
                    ids = batch.question_ids[row][batch.question_segments[row] == segment][None]
                    mask = torch.ones_like(ids)
                    source = model.text_encoder(
                        input_ids=ids, attention_mask=mask, encoder_hidden_states=source
                    ).last_hidden_state
                alone = model.text_decoder(
                    input_ids=batch.decoder_ids[row][inside][None],
                    encoder_hidden_states=source,
                    encoder_attention_mask=torch.ones(source.shape[:2]),
                ).logits[0]
                torch.testing.assert_close(packed[row][inside], alone, atol=1e-4, rtol=1e-4)


def test_losses_are_means_over_answers_and_over_captions(model, batch):
    with torch.no_grad():
        logits = packed_logits(model, batch)
        answer, caption = losses(logits, batch)
        logs = logits.log_softmax(-1)
    found = {True: [], False: []}
    for row, column in np.argwhere(batch.labels.numpy() != IGNORED):
        in_caption = bool(batch.decoder_segments[row, column] == CAPTION_SEGMENT)
        found[in_caption].append(-float(logs[row, column, batch.labels[row, column]]))
    assert float(answer) == pytest.approx(np.mean(found[False]), rel=1e-4)
    assert float(caption) == pytest.approx(np.mean(found[True]), rel=1e-4)


def test_pixels_are_normalized_as_the_processor_does(tokenizer, model, tmp_path):
    from transformers import BlipImageProcessor

    export(model, tokenizer, tmp_path)
    image = packed_example("train", 3, tokenizer, 4).image
    expected = BlipImageProcessor.from_pretrained(tmp_path)(image, return_tensors="pt").pixel_values
    torch.testing.assert_close(normalized(torch.from_numpy(image)[None]), expected, atol=1e-5, rtol=1e-5)


# Optimizers


def test_an_orthogonalized_matrix_has_singular_values_near_one():
    torch.manual_seed(0)
    for shape in ((3, 20, 50), (2, 50, 20), (1, 32, 32)):
        values = torch.linalg.svdvals(orthogonalize(torch.randn(shape)))
        assert float(values.min()) > 0.5 and float(values.max()) < 1.3


def test_muon_moves_a_matrix_by_its_direction_and_decays_it():
    torch.manual_seed(0)
    start = torch.randn(8, 8)
    parameter = torch.nn.Parameter(start.clone())
    parameter.grad = torch.randn(8, 8)
    BatchedMuon([parameter], lr=0.1, weight_decay=0.5).step()
    direction = orthogonalize(parameter.grad.lerp(0.05 * parameter.grad, 0.95)[None])[0]
    torch.testing.assert_close(parameter.data, start * 0.95 - 0.1 * 0.2 * 8**0.5 * direction)


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_a_few_steps_on_one_batch_lower_its_losses(optimizer, batch, tokenizer):
    torch.manual_seed(0)
    plan = TrainingPlan(patch=32, optimizer=optimizer, warmup=1)
    learner = new_model(tokenizer.get_vocab_size(), plan)
    step = TrainingStep(
        lambda given: losses(packed_logits(learner, given), given),
        learner,
        make_optimizers(learner, plan, CPU),
        CPU,
        "float32",
    )
    first = [float(loss) for loss in step(batch, 2e-3)]
    for _ in range(12):
        last = [float(loss) for loss in step(batch, 2e-3)]
    assert last[0] < first[0] / 2 and last[1] < first[1] / 2


# A whole run


class StoppedError(Exception):
    """Stands for a killed process."""


def run(folder, monkeypatch, stop_after=None):
    monkeypatch.setattr(training_loop, "LOG_EVERY", 1)
    monkeypatch.setattr(training, "VALIDATE_EVERY", 2)
    monkeypatch.setattr(training, "VALIDATION_SCENES", 3)
    log = RunFolder.log

    def log_and_stop(self, entry):
        log(self, entry)
        if entry["step"] == stop_after:
            raise StoppedError

    with monkeypatch.context() as patched:
        patched.setattr(RunFolder, "log", log_and_stop)
        training.train(TrainingPlan(steps=4, batch=3, warmup=2, patch=16), Run(folder, "float32", workers=0))


def test_a_run_that_was_stopped_goes_on_to_the_same_checkpoint(tmp_path, monkeypatch, capsys):
    run(tmp_path / "whole", monkeypatch)
    with pytest.raises(StoppedError):
        run(tmp_path / "parts", monkeypatch, stop_after=3)
    run(tmp_path / "parts", monkeypatch)
    whole, parts = (load_file(tmp_path / name / "checkpoint" / "model.safetensors") for name in ("whole", "parts"))
    assert whole.keys() == parts.keys() and all(torch.equal(whole[name], parts[name]) for name in whole)
    assert "step 2 of 4" in capsys.readouterr().out  # the third was logged, and not saved yet
    entries = [json.loads(line) for line in (tmp_path / "parts" / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in entries] == [1, 2, 3, 3, 4]
    assert set(entries[1]) == {"step", "answer_loss", "caption_loss", "images_per_s", "validation"}


@pytest.fixture
def heard():
    """Ctrl-C interrupts, as it does but in a shell's background jobs.

    Raised in this thread: a signal to the process may be taken by another thread (pytest-xdist has some), and then
    interrupts when the test has ended.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow  # several processes of tests are no place for signals: one has ended now and then
@pytest.mark.usefixtures("heard")
def test_ctrl_c_loses_no_step(tmp_path, monkeypatch, capsys):
    """It comes in the middle of the third step, far from the next that is logged."""
    monkeypatch.setattr(training, "VALIDATION_SCENES", 3)
    plan, learn, steps = TrainingPlan(steps=4, batch=3, warmup=2, patch=16), TrainingStep.__call__, []

    def learn_interrupted(self, batch, rate):
        steps.append(rate)
        if len(steps) == 3:
            signal.raise_signal(signal.SIGINT)
        return learn(self, batch, rate)

    training.train(plan, Run(tmp_path / "whole", "float32", workers=0))
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt, match="stopped at step 3 of 4; the same"):
        patched.setattr(TrainingStep, "__call__", learn_interrupted)
        training.train(plan, Run(tmp_path / "parts", "float32", workers=1))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    training.train(plan, Run(tmp_path / "parts", "float32", workers=0))
    told = capsys.readouterr()
    assert "step 3 of 4" in told.out and "step 1 of 4, " in told.err
    weights = [(tmp_path / name / "checkpoint/model.safetensors").read_bytes() for name in ("whole", "parts")]
    assert weights[0] == weights[1]


@pytest.mark.slow  # several processes of tests are no place for signals: one has ended now and then
@pytest.mark.usefixtures("heard")
def test_a_second_ctrl_c_does_not_wait():
    with pytest.raises(KeyboardInterrupt), Interruption() as interruption:
        signal.raise_signal(signal.SIGINT)
        assert interruption.came
        signal.raise_signal(signal.SIGINT)
        time.sleep(1)


def test_a_run_goes_on_under_its_own_settings_alone(tmp_path):
    learner = torch.nn.Linear(2, 2)
    optimizers = make_optimizers(learner, TrainingPlan(), CPU)
    RunFolder(tmp_path, {"steps": 4, "precision": "float32"}).save(learner, optimizers, 3)
    assert RunFolder(tmp_path, {"steps": 4, "precision": "float32"}).resume(learner, optimizers, CPU) == 3
    with pytest.raises(InputError, match=r"state.pt: began with steps 4, not 5; train into another folder"):
        RunFolder(tmp_path, {"steps": 5, "precision": "float32"}).resume(learner, optimizers, CPU)


def test_a_run_that_began_on_a_gpu_goes_on_on_a_cpu(tmp_path):
    """There the learning rate is a tensor, for the recorded step, and AdamW is told to be capturable."""
    learner = torch.nn.Linear(2, 2)
    learner(torch.ones(1, 2)).sum().backward()
    optimizers = make_optimizers(learner, TrainingPlan(), CPU)
    for optimizer in optimizers:
        optimizer.step()
        for group in optimizer.param_groups:
            group.update({"lr": torch.tensor(0.5)}, **({"capturable": True} if "capturable" in group else {}))
    RunFolder(tmp_path, {}).save(learner, optimizers, 1)
    anew = make_optimizers(learner, TrainingPlan(), CPU)
    assert RunFolder(tmp_path, {}).resume(learner, anew, CPU) == 1
    set_rate(anew, 0.25)
    learner(torch.ones(1, 2)).sum().backward()
    for optimizer in anew:
        optimizer.step()
        assert [group["lr"] for group in optimizer.param_groups] == [0.25]


WORKERS = """
import torch
from blipvino.demo.vocabulary import build_tokenizer
from training.examples import PackedBatches, make_batches
from training.plan import TrainingPlan
make = PackedBatches(TrainingPlan(steps=5, batch=2), build_tokenizer())
ahead, alone = (list(make_batches(1, 5, make, workers)) for workers in (3, 0))
pairs = list(zip(ahead, alone, strict=True))
print(len(pairs), all(torch.equal(a.labels, b.labels) and torch.equal(a.images, b.images) for a, b in pairs))
"""


def test_worker_processes_make_the_same_batches_in_the_same_order():
    done = subprocess.run([sys.executable, "-c", WORKERS], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["4", "True"]


def test_a_checkpoint_is_what_transformers_and_blipvino_load(tmp_path, model, tokenizer):
    from blipvino.checkpoint.tensors import load_checkpoint

    export(model, tokenizer, tmp_path)
    again = BlipForQuestionAnswering.from_pretrained(tmp_path, dtype=torch.float32)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value.half().float())
    assert load_checkpoint(tmp_path).config.architecture == "BlipForQuestionAnswering"
    assert len({path.stat().st_mode for path in tmp_path.iterdir()}) == 1  # safetensors' files are the user's alone
    assert again.config.text_config.bos_token_id == DECODER_START


def test_accuracy_counts_a_text_as_right_when_all_of_it_is(tokenizer, monkeypatch):
    batches = examples_of("validation", 6, tokenizer, CPU)
    (batch,) = batches
    perfect = torch.nn.functional.one_hot(batch.labels.clamp(min=0), tokenizer.get_vocab_size()).float()
    monkeypatch.setattr("training.packed_accuracy.packed_logits", lambda model, given: perfect)
    assert set(accuracy(None, batches).values()) == {1.0}
    row, column = np.argwhere(batch.decoder_segments.numpy() == 0)[0]
    perfect[row, column] = 0
    wrong = accuracy(None, batches)
    total = sum(len(kinds) - 1 for kinds in batch.kinds)
    assert wrong["all"] == pytest.approx(1 - 1 / total)
    assert wrong[batch.kinds[row][0]] < 1 and wrong["caption"] == 1
