"""Clients learn what a photo is called, not where it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from blipvino.errors import BundleError, RetrievalError
from blipvino.retrieval.photo_search import Hit
from blipvino.serve.problems import problem_of
from blipvino.serve.shown_names import shown_checkpoint, shown_hit


@pytest.mark.parametrize(
    ("path", "folders", "shown"),
    [
        ("/home/me/photos/2024/a.jpg", ["/home/me/photos"], "2024/a.jpg"),
        ("/home/me/photos/a.jpg", ["/home/me/photos", "/mnt/more"], "photos/a.jpg"),
        ("/home/me/photos/b/a.jpg", ["/home/me/photos", "/home/me/photos/b"], "b/a.jpg"),
        ("/elsewhere/a.jpg", ["/home/me/photos"], "a.jpg"),
        ("/home/me/photos/a.jpg", ["/"], "home/me/photos/a.jpg"),
    ],
)
def test_paths_are_below_what_was_indexed(path, folders, shown):
    hit = shown_hit(Hit(Path(path), 0.5, copies=(Path(path),)), [Path(folder) for folder in folders])
    assert hit.to_json() == {"path": shown, "similarity": 0.5, "copies": [shown]}


def test_names_that_are_no_text_can_be_sent():
    hit = shown_hit(Hit(Path("/photos") / os.fsdecode(b"\xff\n.jpg"), 0.5), [Path("/photos")])
    assert hit.to_json()["path"] == "?\\n.jpg"


def test_checkpoints_are_named_without_their_folders():
    assert shown_checkpoint("/home/me/blip-vqa") == "blip-vqa"
    assert shown_checkpoint("Salesforce/blip-vqa-base") == "Salesforce/blip-vqa-base"


@pytest.mark.parametrize(("error", "status"), [(RetrievalError, 503), (BundleError, 500), (OSError, 500)])
def test_errors_of_the_server_name_nothing_of_it(error, status):
    problem = problem_of(error("/home/me/index: cannot be read"), 3)
    assert problem.status == status
    assert "/home" not in problem.message and "its log tells why" in problem.message
    assert problem.headers == ({"Retry-After": "3"} if status == 503 else {})
