"""The rows of a job: what is known of an image before, and what was made of it."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from blipvino.batch.remote_files import RemoteError, StoreError, is_url, read_url
from blipvino.errors import DataError, ImageError

Task = Literal["caption", "answer", "rank", "embed"]
"""What is made of an image."""
TASKS: tuple[Task, ...] = get_args(Task)


@dataclass(frozen=True)
class InputRow:
    """An image of a job's input. It can be pickled.

    Attributes:
        id: the same from run to run, and no other row's. Bytes of a file name that are no UTF-8 are escaped in it.
        image: a local path, a URL that fsspec reads, or the bytes of the file; None where there is none, with the
            ``error`` that says why.
        question: about this image alone; None takes the job's.
        error: why the image cannot be read, where the source can tell already.
    """

    id: str
    image: str | bytes | None
    question: str | None = None
    error: str | None = None

    def __post_init__(self) -> None:
        """Have an id that can be written everywhere."""
        object.__setattr__(self, "id", plain(self.id))

    @property
    def location(self) -> str | None:
        """Path or URL of the image's file; None of bytes."""
        return self.image if isinstance(self.image, str) else None

    @property
    def path(self) -> Path | None:
        """The image's file, where it is on this machine."""
        return Path(self.image) if isinstance(self.image, str) and not is_url(self.image) else None

    def read(self) -> bytes:
        """The bytes of the image's file, not decoded.

        Raises:
            ImageError: there are none, or they cannot be read.
            DataError: as `source`.
        """
        source = self.source()
        return _read_file(source) if isinstance(source, Path) else source

    def source(self) -> Path | bytes:
        """What decodes: the path of a file on this machine, or else the bytes.

        Raises:
            ImageError: there are none, or they cannot be fetched.
            DataError: the store that they are in gives no image at all, such as without credentials.
        """
        if self.error is not None or self.image is None:
            raise ImageError(self.error or f"{self.id}: has no image")
        if isinstance(self.image, bytes):
            return self.image
        if not is_url(self.image):
            return Path(self.image)
        try:
            return read_url(self.image)
        except StoreError as error:
            raise DataError(str(error)) from error
        except RemoteError as error:
            raise ImageError(str(error)) from error


@dataclass(frozen=True)
class OutputRow:
    """What was made of an image, or why nothing was. It can be pickled.

    Attributes:
        id: of its `InputRow`.
        image: path or URL of the image's file; None of bytes.
        question: that was asked; a tuple where the job asks several of each image; None of a job without.
        made: what the tasks made, by the names of their columns, see `RowColumns`; no entry, or None, where they made
            nothing.
        read_ms: milliseconds that reading and decoding took.
        compute_ms: milliseconds from the moment when the model began with it to its last result; it has others in hand
            meanwhile.
        error: why something is missing.
        model: fingerprint of all that decides what is made, see `WorkPlan.fingerprint`.
    """

    id: str
    image: str | None
    question: str | tuple[str, ...] | None
    made: Mapping[str, Any] = field(default_factory=dict)
    read_ms: float = 0.0
    compute_ms: float = 0.0
    error: str | None = None
    model: str = ""


def plain(text: str) -> str:
    """A text as UTF-8 can have it: what it cannot, such as odd bytes of a file name, is escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _read_file(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
            raise ImageError(f"{path}: is no regular file, expected an image file")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # the latter of a character that no path has
        reason = error.strerror if isinstance(error, OSError) else error
        raise ImageError(f"{path}: cannot be read ({reason})") from error
