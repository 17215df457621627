"""What went wrong with a request: its status, and one message that tells what to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from blipvino.errors import DeadlineError, ImageError, InputError, OverloadError, RetrievalError

INVALID = "invalid_request_error"
SERVER = "server_error"
_KINDS = {400: INVALID, 401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "overloaded"}

_MEANINGS: tuple[tuple[type[Exception], int, str, str | None], ...] = (
    (OverloadError, 429, "overloaded", None),
    (DeadlineError, 504, "deadline_exceeded", None),
    (TimeoutError, 504, "deadline_exceeded", None),
    (ImageError, 422, "invalid_image", "images"),
    (InputError, 422, "invalid_input", None),
)
_LOG_TELLS = "its log tells why, by the request's id"


class RequestError(Exception):
    """A request that is refused, or failed.

    Attributes:
        status: of HTTP.
        code: a word for programs.
        message: a line for people.
        param: the field that it is about.
        headers: of the response.
    """

    def __init__(
        self, status: int, code: str, message: str, *, param: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.problem = Problem(status, code, message, param, headers or {})


@dataclass(frozen=True)
class Problem:
    """What `RequestError` says.

    Attributes:
        status: of HTTP.
        code: a word for programs.
        message: a line for people.
        param: the field that it is about.
        headers: of the response.
    """

    status: int
    code: str
    message: str
    param: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As OpenAI's clients read it, too."""
        kind = SERVER if self.status >= 500 else _KINDS.get(self.status, INVALID)
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


def problem_of(error: Exception, retry_after: int = 1) -> Problem:
    """What an error means to a client.

    Args:
        error: any; of what is wrong with the server the client is told nothing, which names files and folders.
        retry_after: seconds, of one that will be gone later.
    """
    if isinstance(error, RequestError):
        return error.problem
    later = {"Retry-After": str(retry_after)}
    for kind, status, code, param in _MEANINGS:
        if isinstance(error, kind):
            message = str(error) or "the time that was given for this request is over"
            return Problem(status, code, message, param, later if status == 429 else {})
    if isinstance(error, RetrievalError):
        return Problem(503, "index_unavailable", f"the index cannot be searched now; {_LOG_TELLS}", headers=later)
    return Problem(500, "failed", f"this request failed inside the server; {_LOG_TELLS}")
