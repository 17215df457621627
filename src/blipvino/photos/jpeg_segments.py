"""A JPEG file's segments: its head, which has the metadata, and the coded picture after it."""

from __future__ import annotations

from collections.abc import Iterator

_EXIF = b"Exif\0\0"
_APP1, _START_OF_SCAN, _END = 0xE1, 0xDA, 0xD9


def coded_part(jpeg: bytes) -> bytes:
    """The coded pixels and all that comes after them: further pictures, films that phones append."""
    end = 2
    for _, _, end in _segments(jpeg):  # noqa: B007  # of the last one
        pass
    return jpeg[end:]


def with_exif_of(original: bytes, changed: bytes) -> bytes:
    """A JPEG with the EXIF segments of another, byte for byte; as it is where the numbers of these differ."""
    old, new = _exif(original), _exif(changed)
    if len(old) != len(new):
        return changed
    parts, at = [], 0
    for (first, last), (start, end) in zip(old, new, strict=True):
        parts += [changed[at:start], original[first:last]]
        at = end
    return b"".join([*parts, changed[at:]])


def _exif(jpeg: bytes) -> list[tuple[int, int]]:
    return [
        (start, end)
        for marker, start, end in _segments(jpeg)
        if marker == _APP1 and jpeg[start + 4 : start + 10] == _EXIF
    ]


def _segments(jpeg: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment of the head. Previews in the metadata have segments of their own, so that
    markers are not searched for.
    """
    at = 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF and jpeg[at + 1] not in (_START_OF_SCAN, _END):
        if jpeg[at + 1] == 0xFF:  # filling
            at += 1
            continue
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        yield jpeg[at + 1], at, end
        at = end
