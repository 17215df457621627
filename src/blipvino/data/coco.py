"""COCO captions: its captions JSON with its image folder, read and written.

The format is that of ``captions_val2017.json``, described at https://cocodataset.org/#format-data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from blipvino.data.samples import Sample, shuffled
from blipvino.errors import DataError
from blipvino.files.sample_files import load_image, member, read_json, require_file, require_folder, write_json


@dataclass(frozen=True)
class CocoSource:
    """COCO captions.

    Attributes:
        captions: The captions file, such as ``captions_val2017.json``. COCO's ``image_info_*.json`` of the test
            splits is accepted too: it lists images without captions.
        images: The folder that its ``file_name`` entries are relative to, such as ``val2017/``.

    Raises:
        DataError: The file or the folder does not exist.
    """

    captions: Path
    images: Path

    def __post_init__(self) -> None:
        require_file(self.captions, "captions file")
        require_folder(self.images, "image folder")

    @property
    def name(self) -> str:
        """``coco:`` and the name of the captions file."""
        return f"coco:{self.captions.name}"

    def samples(self, seed: int, limit: int) -> Iterator[Sample]:
        """Yield one sample an image, with its captions in the file's order. See `SampleSource.samples`.

        Raises:
            DataError: The file is not of COCO's format, or an image is missing from the folder.
        """
        file_names, captions = self._read()
        for image_id in shuffled(list(file_names), seed):
            path = self.images / file_names[image_id]
            if not path.is_file():
                raise DataError(
                    f"{self.captions.name}: image {image_id} is missing: expected {file_names[image_id]} "
                    f"in {self.images}; check the folder or extract all images"
                )
            yield Sample(image_id, partial(load_image, path), captions=tuple(captions[image_id]), file=path.name)

    def _read(self) -> tuple[dict[int, str], dict[int, list[str]]]:
        """File name and captions of each image id."""
        document = read_json(self.captions)
        file_names: dict[int, str] = {}
        for index, record in enumerate(member(document, "images", list, str(self.captions))):
            where = f"{self.captions}: images[{index}]"
            file_names[member(record, "id", int, where)] = member(record, "file_name", str, where)
        captions: dict[int, list[str]] = {image_id: [] for image_id in file_names}
        if "annotations" not in document:
            return file_names, captions
        for index, record in enumerate(member(document, "annotations", list, str(self.captions))):
            where = f"{self.captions}: annotations[{index}]"
            image_id = member(record, "image_id", int, where)
            if image_id not in captions:
                raise DataError(f"{where}: image_id {image_id} is not among the file's images")
            captions[image_id].append(member(record, "caption", str, where))
        return file_names, captions


def image_stem(data_subtype: str, image_id: int) -> str:
    """COCO's image name of 2014 and 2015, without suffix: ``COCO_val2014_000000000042``."""
    return f"COCO_{data_subtype}_{image_id:012d}"


def integer_id(sample: Sample) -> int:
    """The sample's image id, which COCO's and VQAv2's files need to be a non-negative integer.

    Raises:
        DataError: It is something else.
    """
    if not isinstance(sample.image_id, int) or sample.image_id < 0:
        raise DataError(f"image {sample.image_id!r}: COCO and VQAv2 files need an integer image id of 0 or more")
    return sample.image_id


def write_coco(folder: Path, samples: Iterable[Sample], data_subtype: str, suffix: str, description: str = "") -> Path:
    """Write the captions of samples as ``captions_{data_subtype}.json``; the images are the caller's to write.

    Args:
        folder: An existing folder, in which a file of that name is replaced.
        samples: Each is loaded once, as the file holds image sizes.
        data_subtype: The split, such as ``val2014``.
        suffix: Of the image files, with its dot; their stems are those of `image_stem`.
        description: For the file's ``info``.

    Returns:
        The file written.

    Raises:
        DataError: An image id is not an integer.
        ImageError: An image cannot be loaded.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for sample in samples:
        image_id = integer_id(sample)
        width, height = sample.image().size
        file_name = image_stem(data_subtype, image_id) + suffix
        images.append({"id": image_id, "file_name": file_name, "width": width, "height": height})
        for caption in sample.captions:
            annotations.append({"id": len(annotations) + 1, "image_id": image_id, "caption": caption})
    path = folder / f"captions_{data_subtype}.json"
    info = {"description": description, "version": "1.0"}
    write_json(path, {"info": info, "licenses": [], "images": images, "annotations": annotations})
    return path
