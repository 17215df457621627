"""Images in buckets, and behind any other URL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from blipvino.batch.batch_rows import InputRow
from blipvino.batch.remote_files import RemoteError, joined
from blipvino.batch.row_source import Partition
from blipvino.batch.sources.listed_rows import cut_rows
from blipvino.batch.sources.remote_listing import RemoteListing, is_url_pattern
from blipvino.errors import DataError
from blipvino.files.image_files import IMAGE_SUFFIXES
from blipvino.photos.listing import has_image_suffix


@dataclass(frozen=True)
class RemoteImages:
    """The image files that a URL names: one, those of a folder and its subfolders, or those that match a pattern.

    An image's id is its name below the folder, or below what comes before the first wildcard; that of a single file
    is its URL.

    Attributes:
        url: of the file or the folder, or the pattern.
    """

    url: str

    @property
    def name(self) -> str:
        """The URL."""
        return self.url

    @property
    def lists_quickly(self) -> bool:
        """It does."""
        return True

    def partitions(self) -> Iterator[Partition]:
        """See `Source.partitions`."""
        yield from cut_rows(self._rows())

    def _rows(self) -> Iterator[InputRow]:
        listing, found = RemoteListing(self.url), False
        try:
            for name in listing.names():
                if not name:
                    yield InputRow(self.url, self.url)
                elif has_image_suffix(name):
                    yield InputRow(name, joined(listing.root, name))
                else:
                    continue
                found = True
        except RemoteError as error:
            raise DataError(str(error)) from error
        if not found:
            what = "no image matches this pattern" if is_url_pattern(self.url) else "no images in it"
            raise DataError(
                f"{self.url}: {what}; expected files ending in {', '.join(sorted(IMAGE_SUFFIXES))}, or a list or "
                "tar shards by their names, such as …/*.tar"
            )
