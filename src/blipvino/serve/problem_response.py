"""What went wrong with a request, in the form that its protocol has for that."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse
from starlette.types import Scope

from blipvino.serve.problems import Problem


def problem_response(problem: Problem, scope: Scope) -> JSONResponse:
    """The response that tells it."""
    return JSONResponse(_content(problem, scope), problem.status, headers=problem.headers)


def _content(problem: Problem, scope: Scope) -> dict[str, Any]:
    if scope["path"].startswith("/v2"):
        return {"error": problem.message}
    if scope["path"].startswith("/api/v1/vision"):
        return {"id": scope["state"]["request_id"], "code": problem.status, "error": problem.message, "result": {}}
    return problem.to_json()
