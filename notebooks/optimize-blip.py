# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Post-training quantization and weight compression of BLIP
#
# This is OpenVINO's notebook *233-blip-optimize*, section by section, with blipvino: BLIP's vision model and text encoder are
# quantized to 8 bits, the weights of its text decoder are compressed, and the result is set beside the original.
# [Coming from the tutorial](../docs/coming-from-the-tutorial.md) has each of its cells beside what does the same here.
#
# The steps are
#
# 1. Prepare samples for quantization.
# 2. Quantize the vision model and the text encoder, and compress the weights of the text decoder.
# 3. Caption an image and answer a question with the result.
# 4. Compare the sizes of original and optimized model.
# 5. Compare their inference times.
# 6. Compare what they say, which the tutorial does not look at.
#
# ## Prerequisites
#
# `pip install '.[notebooks]' jupyterlab` in a clone of blipvino, then `jupyter lab` there; this is `notebooks/optimize-blip.ipynb`.
# `CHECKPOINT` is all that there is to choose: with `"demo"` the notebook
# runs offline, on the small model that comes with blipvino; with `"Salesforce/blip-vqa-base"` it is the tutorial's
# (`pip install '.[notebooks,datasets]'`; the checkpoint and some hundred samples of VQAv2 are fetched).

# %%
CHECKPOINT = "demo"

# %%
import textwrap
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from blipvino import Blip, CalibrationOptions, optimize
from blipvino.data import open_source, take
from blipvino.measure.evaluation.evaluate import RunOptions, evaluate_bundle
from blipvino.measure.evaluation.evaluation import EvaluateOptions

is_demo = CHECKPOINT == "demo"
DATA = "demo:validation" if is_demo else "hf:lmms-lab/VQAv2@validation"
WORK = Path("out")
WORK.mkdir(exist_ok=True)
ORIGINAL, OPTIMIZED = "#c26a00", "#0b63b8"

# %% [markdown]
# ## Quantize
#
# Quantization replaces floats of 16 bits by integers of 8 bits and a scale. Of weights the range is known; of activations, which are
# what is computed from weights and an input, it is found by looking at samples.
#
# ### Prepare dataset
#
# As in the tutorial: 300 pairs of an image and a question, from a shuffle with seed 42.

# %%
samples = take(open_source(DATA), 300, seed=42)
questions = [(sample, question) for sample in samples for question in sample.questions]
print(f"{len(questions)} questions about {len(samples)} images")

figure, axes = plt.subplots(1, 4, figsize=(10, 3))
for axis, sample in zip(axes, samples, strict=False):
    axis.imshow(sample.image())
    axis.set_title(textwrap.fill(sample.questions[0].text, 30), fontsize=7)
    axis.axis("off")

# %% [markdown]
# ### Quantize vision model and text encoder, compress weights of the text decoder
#
# These are three sections of the tutorial. Here it is one call: the recipe `int8` is the tutorial's. It writes a *bundle*, a folder with
# all that is needed to run. It takes a while; at full size, minutes, with progress shown.

# %%
optimized = optimize(
    CHECKPOINT,
    WORK / "int8",
    recipe="int8",
    calibration=CalibrationOptions(DATA, samples=300, seed=42),
    overwrite=True,
    show_progress=not is_demo,
)
original = optimize(CHECKPOINT, WORK / "fp16", recipe="none", overwrite=True, show_progress=not is_demo)

# %% [markdown]
# BLIP is cut into more graphs than the tutorial's three models, so that nothing is computed twice:
#
# | the tutorial's model | graphs | what was done |
# |---|---|---|
# | vision model | `vision` | `ptq_int8`: weights and activations in 8 bits, after SmoothQuant and with bias correction |
# | text encoder | `question_kv`, the image's keys and values; `question` | `ptq_int8` |
# | text decoder | `answer_kv`, the keys and values of what it writes about; `answer`, a step | `ptq_int8`; `weights_int8`, weights alone, since quantizing the decoder costs accuracy |

# %%
for graph, treatment in optimized.manifest.recipe.treatments.items():
    if optimized.has(f"{graph}.bin"):
        print(f"{graph:12} {treatment}")

# %% [markdown]
# ## Run optimized OpenVINO model

# %%
int8_model = Blip.load(optimized, image_cache_bytes=0)  # so that it looks at each image anew, as it is to be timed
fp16_model = Blip.load(original, image_cache_bytes=0)
image = samples[0].image().convert("RGB")
question = samples[0].questions[0].text

# %% [markdown]
# ### Image Captioning


# %%
def visualize_results(image, caption, question=None):
    _, axis = plt.subplots(figsize=(4, 4))
    axis.imshow(image)
    axis.axis("off")
    title = f"Question: {question}\nAnswer: {caption}" if question else caption
    axis.set_title("\n".join(textwrap.fill(line, 44) for line in title.splitlines()), fontsize=9)


caption = int8_model.caption(image)
visualize_results(image, caption)

# %% [markdown]
# ### Question Answering

# %%
answer = int8_model.answer(image, question)
visualize_results(image, answer, question)

# %% [markdown]
# The demo model takes the triangle for a square here: dotted white triangles are among what was
# [kept out of its training](../docs/demo-model.md#the-shapes-world). So does the original, which is what matters to compression:

# %%
print(fp16_model.caption(image))
print(fp16_model.answer(image, question))

# %% [markdown]
# ### Compare file sizes
#
# The graphs are added up to the tutorial's three models.

# %%
MODELS = {
    "blip_vision_model": ("vision",),
    "blip_text_encoder": ("question_kv", "question"),
    "blip_text_decoder_with_past": ("answer_kv", "answer"),
}
sizes = {
    name: [sum(bundle.graph_size(graph) for graph in graphs) / 1024 for bundle in (original, optimized)]
    for name, graphs in MODELS.items()
}
for name, (fp16_size, int8_size) in sizes.items():
    print(name)
    print(f"    * FP16 IR model size: {fp16_size:.2f} KB")
    print(f"    * INT8 model size: {int8_size:.2f} KB")
    print(f"    * Model compression rate: {fp16_size / int8_size:.3f}")

# %%
figure, axis = plt.subplots(figsize=(7, 2.6))
places = np.arange(len(sizes))
for offset, color, label, column in ((-0.2, ORIGINAL, "FP16", 0), (0.2, OPTIMIZED, "INT8", 1)):
    bars = axis.barh(places + offset, [size[column] / 1024 for size in sizes.values()], 0.38, color=color, label=label)
    axis.bar_label(bars, fmt="%.1f", padding=3, fontsize=8)
axis.set_yticks(places, list(sizes), fontsize=8)
axis.invert_yaxis()
axis.set_xlabel("weights, MB")
axis.legend()
axis.margins(x=0.12)
figure.tight_layout()

# %% [markdown]
# ### Compare inference time of the FP16 and optimized models
#
# The median of whole calls on 100 samples, as in the tutorial. The two take turns on every sample, so that whatever else the machine does
# meets both; a first call of each, which compiles, is not counted.


# %%
def calculate_inference_times(run, samples):
    """Seconds of each call: a column for FP16, one for INT8."""
    times = np.empty((len(samples), 2))
    for number, (sample, question) in enumerate(samples):
        image = sample.image()
        for which, model in sorted(enumerate((fp16_model, int8_model)), reverse=number % 2 == 1):
            start = time.perf_counter()
            run(model, image, question.text)
            times[number, which] = time.perf_counter() - start
    return times


def generate_caption(model, image, question):
    return model.caption(image)


def generate_answer(model, image, question):
    return model.answer(image, question)


validation_data, times = questions[:100], {}
for name, run in (("Image Captioning", generate_caption), ("Question Answering", generate_answer)):
    calculate_inference_times(run, validation_data[-1:])
    times[name] = calculate_inference_times(run, validation_data)
    fp16_time, int8_time = np.median(times[name], axis=0)
    print(f"{name} speed up: {fp16_time / int8_time:.3f}")

# %%
figure, axes = plt.subplots(1, 2, figsize=(8, 2.8), sharex=False)
for axis, (name, measured) in zip(axes, times.items(), strict=True):
    for which, (label, color) in enumerate((("FP16", ORIGINAL), ("INT8", OPTIMIZED))):
        ordered = np.sort(measured[:, which]) * 1000
        axis.plot(ordered, np.linspace(0, 100, len(ordered)), color=color, label=label)
    axis.set_title(name, fontsize=9)
    axis.set_xlim(0, 1200 * np.percentile(measured, 95))  # a call that had to wait would take all the room
    axis.set_xlabel("milliseconds of a call")
axes[0].set_ylabel("% of calls that are as fast")
axes[0].legend()
figure.tight_layout()

# %% [markdown]
# The demo model has 6 million parameters: most of its time goes into calls and not into arithmetic, so there is little that 8 bits could
# speed up. At full size they do; [Speed](../docs/performance.md) has measurements on several classes of CPU.
#
# ## Compare what they say
#
# A smaller and faster model is worth nothing if its answers are worse. `evaluate_bundle` asks both, on samples that calibration did not
# see, and gives every figure with its 95% interval. Where both give the same answer to every question the interval is a point
# ([Intervals](../docs/evaluation.md#intervals) says what that leaves open).

# %%
options = EvaluateOptions(samples=400, captions=60)
held_out = "demo:test" if is_demo else DATA
found = evaluate_bundle(optimized, held_out, options, RunOptions(show_progress=not is_demo), original=original)
whole = found.answers[0]


def described(name, estimate):
    return f"{name}: {100 * estimate.value:.1f}% [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


print(f"{whole.questions} questions, {found.data.captioned} captions of {found.data.name}")
print(described("accuracy, FP16", whole.original))
print(described("accuracy, INT8", whole.compressed))
print(described("accuracy lost", whole.drop))
print(described("same answers", whole.agreement))
print(described("same captions", found.caption_agreement))

# %%
rows = [row for row in found.answers if row.drop is not None]
widest = max(1, *(100 * abs(end) for row in rows for end in (row.drop.low, row.drop.high)))
figure, axis = plt.subplots(figsize=(7, 0.3 * len(rows) + 0.8))
for place, row in enumerate(rows):
    low, value, high = (100 * number for number in (row.drop.low, row.drop.value, row.drop.high))
    axis.plot([low, high], [place, place], color=OPTIMIZED)
    axis.plot(value, place, "o", color=OPTIMIZED)
axis.axvline(0, color="black", linewidth=1)
axis.set_xlim(-1.1 * widest, 1.1 * widest)
axis.set_yticks(range(len(rows)), [f"{row.name} ({row.questions})" for row in rows], fontsize=8)
axis.invert_yaxis()
axis.set_xlabel("points of accuracy lost, with 95% interval")
figure.tight_layout()

# %% [markdown]
# `blipvino report` writes all of this as one page, with pictures: [The report](../docs/report.md). 4-bit weights, and a search for the
# fastest recipe within a limit of accuracy, are in [Recipes](../docs/recipes.md).
