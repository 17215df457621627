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
# # Serve a model, and caption many images in a batch job
#
# Two ways to use one model for many images: a server that programs ask over HTTP, and a batch job that writes Parquet files and does each
# image once, however often it is stopped.
#
# `pip install '.[notebooks,serve,batch]' jupyterlab` in a clone of blipvino, then `jupyter lab` there; this is `notebooks/serve-and-batch.ipynb`.
# `CHECKPOINT` is all that there is to choose: with `"demo"` the notebook
# runs offline, on the small model that comes with blipvino; with `"Salesforce/blip-vqa-base"` it captions the photos of the folder
# `photos` beside it.

# %%
CHECKPOINT = "demo"

# %%
import base64
import json
import re
import shutil
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyarrow.dataset
from PIL import Image, ImageOps

from blipvino.data.demo import demo_sample

is_demo = CHECKPOINT == "demo"
WORK = Path("out/serve-and-batch")
PHOTOS, CAPTIONS = WORK / "photos" if is_demo else Path("photos"), WORK / "captions"
QUESTION = "how many objects are there?" if is_demo else "how many people are there?"

shutil.rmtree(WORK, ignore_errors=True)
if is_demo:
    PHOTOS.mkdir(parents=True)
    for number in range(60):
        demo_sample("test", number).image().save(PHOTOS / f"scene-{number:02}.png")
photos = sorted(path for path in PHOTOS.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
assert photos, f"there is no photo in {PHOTOS.resolve()}; put some there"
print(f"{len(photos)} photos")

# %% [markdown]
# ## Serve
#
# `blipvino serve` optimizes a checkpoint the first time, and then answers until it is told to end. Port 0 takes a free one; the server says
# which.

# %%
command = [sys.executable, "-m", "blipvino", "serve", CHECKPOINT, "--port", "0"]
command += ["--image-cache-mb", "0"]  # so that it looks at each image anew, as it is to be timed
server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
url = None
while url is None:
    line = server.stderr.readline()
    assert line, "the server ended; run the command in a terminal to see why"
    if not is_demo:  # optimizing it takes minutes
        print(line, end="", file=sys.stderr)
    found = re.search(r"at (http://\S+)/", line)
    url = found and found[1]
while True:  # it answers while it loads, but is not ready
    try:
        urllib.request.urlopen(f"{url}/health/ready")
        break
    except urllib.error.HTTPError:
        time.sleep(0.1)

# %% [markdown]
# ### Ask it
#
# Images go as Base64 in JSON, or as files of a form. The clients of OpenAI, KServe and Triton may be used, too
# ([Serving](../docs/serving.md#other-protocols)).


# %%
def ask(path, body):
    request = urllib.request.Request(f"{url}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def encoded(photo):
    return base64.b64encode(photo.read_bytes()).decode()


def upright(photo):
    return ImageOps.exif_transpose(Image.open(photo))  # as the camera was held


photo = photos[min(3, len(photos) - 1)]
caption = ask("/v1/caption", {"images": [encoded(photo)]})["results"][0]["text"]
answer = ask("/v1/answer", {"images": [encoded(photo)], "questions": [QUESTION]})["results"][0]["text"]

figure, axis = plt.subplots(figsize=(4, 4))
axis.imshow(upright(photo))
axis.axis("off")
axis.set_title(f"{textwrap.fill(caption, 48)}\n{QUESTION} {answer}", fontsize=8)
figure.tight_layout()

# %% [markdown]
# ### Many clients at once
#
# Texts of all requests are generated side by side: with more clients each waits longer, and there are more captions a second, until the
# cores are busy. [Serving](../docs/serving.md#what-it-can) has what is gained at full size.


# %%
def timed_caption(photo):
    start = time.perf_counter()
    ask("/v1/caption", {"images": [encoded(photo)]})
    return time.perf_counter() - start


clients, rates, medians = (1, 2, 4, 8), [], []
for count in clients:
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(timed_caption, photos[:count]))  # the first of so many at once compile, which is not counted
        start = time.perf_counter()
        waited = list(pool.map(timed_caption, photos))
        rates.append(len(photos) / (time.perf_counter() - start))
        medians.append(1000 * np.median(waited))

figure, axes = plt.subplots(1, 2, figsize=(7, 2.6))
for axis, values, label in zip(axes, (rates, medians), ("captions a second", "milliseconds of a request"), strict=True):
    axis.plot(clients, values, "o-", color="#0b63b8")
    axis.set_xlabel("clients")
    axis.set_ylabel(label)
    axis.set_ylim(0, 1.1 * max(values))
figure.tight_layout()

# %% [markdown]
# The server ends by Ctrl-C or SIGTERM, after what it has accepted.

# %%
server.terminate()
status = server.wait()
server.stderr.close()

# %% [markdown]
# ## A batch job
#
# The command of a terminal, as a notebook writes it. Here it is told to stop after 20 images, as if something had stopped it.

# %%
batch = [sys.executable, "-m", "blipvino", "batch", CHECKPOINT, "--input", str(PHOTOS), "--output", str(CAPTIONS)]
batch += ["--task", "caption", "--task", "answer", "--question", QUESTION, "--quiet"]


def done():
    return pyarrow.dataset.dataset(CAPTIONS).to_table().sort_by("id")


subprocess.run([*batch, "--limit", "20"], check=True, stdout=subprocess.DEVNULL)
print(f"{done().num_rows} rows")

# %% [markdown]
# The same command again does what is missing, and nothing twice.

# %%
subprocess.run(batch, check=True, stdout=subprocess.DEVNULL)
table = done()
print(f"{table.num_rows} rows, {len(set(table['id'].to_pylist()))} different ids")
for row in table.slice(0, 5).to_pylist():
    print(f"{row['id']}: {row['caption']} ({row['caption_confidence']:.0%} sure); {QUESTION} {row['answer']}")

# %% [markdown]
# ### How sure is it?
#
# Beside each text stands how sure the model is of it, which is what to sort by where somebody is to look at the doubtful ones.

# %%
confidences = np.sort(table["caption_confidence"].to_numpy())
figure, axis = plt.subplots(figsize=(6, 2.6))
axis.plot(100 * np.arange(1, len(confidences) + 1) / len(confidences), 100 * confidences, color="#0b63b8")
axis.set_xlabel("% of the captions")
axis.set_ylabel("at most as sure, %")
figure.tight_layout()

# %%
doubtful = table.sort_by("caption_confidence").slice(0, 4).to_pylist()
figure, axes = plt.subplots(1, 4, figsize=(10, 2.8))
for axis, row in zip(axes, doubtful, strict=False):
    axis.imshow(upright(PHOTOS / row["id"]))
    axis.axis("off")
    axis.set_title(f"{textwrap.fill(row['caption'], 36)}\n{row['caption_confidence']:.0%} sure", fontsize=7)
figure.tight_layout()

# %% [markdown]
# [Batch jobs](../docs/batch.md) has other inputs (lists, tar shards, datasets, buckets) and clusters;
# [Confidence](../docs/confidence.md) says what "sure" means.
