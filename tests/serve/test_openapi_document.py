"""The server does what its OpenAPI document says, whatever fits it or does not."""

from __future__ import annotations

import json
import re

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)


def check(server, mode, examples, **options):
    """Ask whatever the document allows, or whatever it does not, and hold the answers against it."""
    document = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    operations = [found.ok() for found in document.get_all_operations()]
    assert len(operations) > 20
    for operation in operations:

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None, **options
        )
        def ask(case):
            # What fits the document may be refused: no document can say which text is an image. And whoever gives a
            # request no time is told that it was not done in time.
            excluded = [positive_data_acceptance, not_a_server_error]
            if case.media_type == "multipart/form-data":  # where all is text: what is no string arrives as one
                excluded.append(negative_data_rejection)
            response = case.call_and_validate(excluded_checks=excluded)
            assert response.status_code < 500 or response.status_code == 504

        try:
            ask()
        except Unsatisfiable:  # there is nothing that a request without fields could say wrongly
            assert mode is schemathesis.GenerationMode.NEGATIVE
        except ValueError as error:  # schemathesis 4.32 itself, where it would break a file in a form
            if "Unsupported type: 'Binary'" not in str(error):
                raise


@pytest.mark.parametrize("mode", MODES)
def test_a_little(server, mode):
    check(server, mode, 3, derandomize=True)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_a_lot(server, mode):
    check(server, mode, 60)


def test_what_it_lists(server):
    content = httpx.get(f"{server.url}/openapi.json").json()
    assert {"/v1/caption", "/v1/chat/completions", "/v2/models/{name}/infer"} <= set(content["paths"])
    body = content["paths"]["/v1/answer"]["post"]["requestBody"]["content"]
    assert set(body) == {"application/json", "multipart/form-data"}
    assert "max_new_tokens" in body["application/json"]["schema"]["properties"]


def test_what_it_refers_to_is_there(server):
    content = httpx.get(f"{server.url}/openapi.json").json()
    for path in re.findall(r'"\$ref": "#/([^"]*)"', json.dumps(content)):
        found = content
        for part in path.split("/"):
            found = found[part]
        assert found
