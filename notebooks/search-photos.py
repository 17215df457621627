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
# # Find photos by what they show
#
# `BlipRetriever` makes a vector of each photo and of each text; near vectors belong together. This notebook indexes a folder of photos,
# searches it by words and by another photo, brings the index up to date, and looks at how well it finds.
#
# `pip install '.[notebooks]' jupyterlab` in a clone of blipvino, then `jupyter lab` there; this is `notebooks/search-photos.ipynb`.
# `CHECKPOINT` is all that there is to choose: with `"demo-retrieval"` the
# notebook runs offline, on the small model that comes with blipvino and pictures of its world; with
# `"Salesforce/blip-itm-base-coco"` it searches the photos of the folder `photos` beside it.

# %%
CHECKPOINT = "demo-retrieval"

# %%
import shutil
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageOps

from blipvino import BlipRetriever
from blipvino.data.demo import demo_sample
from blipvino.demo.scenes import sample_scene
from blipvino.demo.statements import dense, short
from blipvino.retrieval import PhotoIndex, SearchOptions, search_photos, update_index

is_demo = CHECKPOINT == "demo-retrieval"
WORK = Path("out/search-photos")
PHOTOS, INDEX = WORK / "photos" if is_demo else Path("photos"), WORK / "photos.index"
SCENES = 80

# %% [markdown]
# ## The photos
#
# The demo's world is one of coloured shapes. Of each picture a caption is known, which is used at the end, to see how well it is found.

# %%
if is_demo:
    shutil.rmtree(WORK, ignore_errors=True)
    PHOTOS.mkdir(parents=True)
    for number in range(SCENES):
        demo_sample("test", number).image().save(PHOTOS / f"scene-{number:02}.png")


def show(paths, titles):
    figure, axes = plt.subplots(2, 3, figsize=(4.8, 4))
    for axis in axes.flat:
        axis.axis("off")
    for axis, path, title in zip(axes.flat, paths, titles, strict=False):
        axis.imshow(ImageOps.exif_transpose(Image.open(path)))  # upright, as the camera was held
        axis.set_title(title, fontsize=8)
    figure.tight_layout()


photos = sorted(path for path in PHOTOS.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
assert photos, f"there is no photo in {PHOTOS.resolve()}; put some there"
show(photos, [path.name for path in photos])

# %% [markdown]
# ## Index them
#
# The model is optimized the first time that it is asked for, and found in the cache afterwards. Each photo is looked at once.

# %%
model = BlipRetriever.from_pretrained(CHECKPOINT, show_progress=not is_demo)
summary = update_index(INDEX, [PHOTOS], model)
print(f"{summary.new} new photos; {summary.photos} in the index")

# %% [markdown]
# ## Search by words
#
# The nearest photos are found by their vectors; the nearest 32 are then looked at together with the text, and those come first that fit it
# best, each with its probability. Describe what is to be seen, as a caption does; what is left unsaid may be anything.


# %%
def search(**query):
    with PhotoIndex(INDEX) as index:
        hits = search_photos(index, model, options=SearchOptions(hits=6), **query).hits
    show([hit.path for hit in hits], [f"{hit.path.stem}\n{described(hit)}" for hit in hits])


def described(hit):
    if hit.probability is None:
        return f"similarity {hit.similarity:.2f}"
    return f"fits: {hit.probability:.0%}"


search(text="a red ring and a yellow circle" if is_demo else "a dog on a beach")

# %% [markdown]
# With one word changed, none of the demo's photos is as the text says. The nearest are shown all the same; that they do not fit is told by
# their probabilities.

# %%
search(text="a blue ring and a yellow circle" if is_demo else "a cat on a beach")

# %% [markdown]
# ## Search by a photo
#
# Without a text, similarity alone decides. With one, those among the similar ones come first that it fits.

# %%
liked = photos[min(3, len(photos) - 1)]
search(image=liked)

# %%
search(image=liked, text="a yellow circle above a blue cross" if is_demo else "at night")

# %% [markdown]
# ## Bring the index up to date
#
# A photo is added, one is renamed, one is deleted. Only what is new is looked at: a renamed photo is known by its content.

# %%
if is_demo:
    demo_sample("test", SCENES).image().save(PHOTOS / "new.png")
    (PHOTOS / "scene-00.png").rename(PHOTOS / "renamed.png")
    (PHOTOS / "scene-01.png").unlink()
summary = update_index(INDEX, [PHOTOS], model)
print(f"new {summary.new}, moved {summary.moved}, deleted {summary.deleted}, unchanged {summary.unchanged}")

# %% [markdown]
# ## How well are they found?
#
# Each picture is searched for twice: by its whole caption, and by a text that names one of its objects by some of what there is to say of
# it. Is the photo that comes first as the text says? Once by vectors alone, once with the nearest 16 ranked by how well the text fits them.
# (What your own photos show nobody has written down, so with them this is left out.)

# %%
if is_demo:
    pictured = {f"scene-{number:02}.png": number for number in range(2, SCENES)} | {"renamed.png": 0, "new.png": SCENES}
    scenes = {name: sample_scene("test", number) for name, number in pictured.items()}
    texts = {
        "whole captions": [dense(scene) for scene in scenes.values()],
        "one object, in part": [short(scene, np.random.default_rng(scene.index)) for scene in scenes.values()],
    }

    def is_right(statement, rerank):
        with PhotoIndex(INDEX) as index:
            options = SearchOptions(hits=1, rerank=rerank)
            (first,) = search_photos(index, model, text=statement.text, options=options).hits
        return statement.holds(scenes[first.path.name])

    print("One object, in part:", ", ".join(f'"{statement.text}"' for statement in texts["one object, in part"][:5]))
    figure, axis = plt.subplots(figsize=(6, 2.4))
    for offset, way, rerank, color in ((-0.2, "vectors alone", 0, "#c26a00"), (0.2, "ranked", 16, "#0b63b8")):
        shares = [100 * np.mean([is_right(one, rerank) for one in statements]) for statements in texts.values()]
        bars = axis.barh(np.arange(len(texts)) + offset, shares, 0.38, color=color, label=way)
        axis.bar_label(bars, fmt="%.0f%%", padding=3, fontsize=8)
        print(f"{way}: " + ", ".join(f"{share:.0f}% by {kind}" for share, kind in zip(shares, texts, strict=True)))
    axis.set_yticks(np.arange(len(texts)), list(texts), fontsize=8)
    axis.invert_yaxis()
    axis.set_xlabel("first photo is as the text says, % of searches")
    axis.set_xlim(0, 112)
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False, fontsize=8)
    figure.tight_layout()

# %% [markdown]
# On the command line: `blipvino index photos -o photos.index --bundle CHECKPOINT`, `blipvino search photos.index "a dog on a beach"`; as a
# page with thumbnails by `--html`. [Search photos](../docs/searching.md) and [Retrieval](../docs/retrieval.md) have the rest.
