"""What goes wrong on a cluster, in a line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ray.exceptions import RayError

from blipvino.errors import BlipvinoError, InputError


@contextmanager
def named_failures() -> Iterator[None]:
    """Raise what blipvino refused on a node as it was raised there, and all else that Ray reports as `InputError`.

    Raises:
        BlipvinoError: the job failed.
    """
    try:
        yield
    except BlipvinoError:
        raise
    except Exception as error:
        refused = next((each for each in _causes(error) if isinstance(each, BlipvinoError)), None)
        if refused is not None:
            raise type(refused)(str(refused)) from error
        if not any(isinstance(each, RayError) for each in _causes(error)):
            raise
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise InputError(f"the job on Ray failed: {lines[-1] if lines else type(error).__name__}") from error


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it came from, as far as that is known; Ray keeps causes of other processes in ``cause``."""
    seen = set[int]()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        cause = getattr(one, "cause", None)
        waiting += [cause if isinstance(cause, BaseException) else None, one.__cause__, one.__context__]
