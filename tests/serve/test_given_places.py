"""What the command line is given to serve, and by which names."""

from __future__ import annotations

import pytest

from blipvino.errors import BlipvinoError, InputError
from blipvino.serve.given_places import name_of, served_places
from blipvino.serve.serve_settings import Place, RequestLimits, ServeSettings


def places(*given, bundle):
    return served_places([str(each) for each in given], lambda _: bundle)


def test_names(served_bundle):
    models, indexes = places(served_bundle, f"mine={served_bundle}", "org/blip-vqa", bundle=served_bundle)
    assert [model.name for model in models] == [served_bundle.name, "mine", "blip-vqa"]
    assert indexes == ()


def test_an_index_brings_its_bundle(photos_index, retrieval_bundle):
    models, indexes = places(photos_index, bundle=retrieval_bundle)
    assert models == (Place(retrieval_bundle.name, retrieval_bundle),)
    assert indexes == (Place("photos", photos_index),)
    given = served_places([f"mine={retrieval_bundle}", str(photos_index)], lambda _: retrieval_bundle)
    assert given[0] == (Place("mine", retrieval_bundle),)


def test_another_bundle_than_that_of_the_index(photos_index, served_bundle):
    with pytest.raises(BlipvinoError, match="made by another bundle"):
        places(photos_index, bundle=served_bundle)


@pytest.mark.parametrize(
    ("source", "name"),
    [("a/b c", "b-c"), ("/x/ä", None), ("org/name", "name"), ("x/..hidden", "hidden"), ("dir/", "dir")],
)
def test_a_name_is_made(source, name):
    if name is None:
        with pytest.raises(InputError, match="NAME="):
            name_of(source)
    else:
        assert name_of(source) == name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": ()}, "no model"),
        ({"queue": 10}, "at least the 64 texts"),
        ({"port": 70000}, "port"),
        ({"workers": 0}, "workers"),
        ({"drain_seconds": -1}, "drain_seconds"),
    ],
)
def test_settings_that_make_no_sense(served_bundle, changes, message):
    place = Place("a", served_bundle)
    with pytest.raises(InputError, match=message):
        ServeSettings(**{"models": (place,), **changes})
    with pytest.raises(InputError, match="two models are called 'a'"):
        ServeSettings((place, place))
    with pytest.raises(InputError, match="images"):
        RequestLimits(images=0)
