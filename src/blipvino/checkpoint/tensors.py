"""A Hugging Face BLIP checkpoint: a local folder or a hub id → its config and its memory-mapped tensors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from blipvino.checkpoint.config import BlipConfig, PreprocessorConfig, parse_config, parse_preprocessor
from blipvino.checkpoint.text_length import GENERATION_FILE, TextLength, parse_text_length
from blipvino.errors import CheckpointError

__all__ = ["CONFIG_FILE", "INDEX_FILE", "WEIGHTS_FILE", "Checkpoint", "load_checkpoint"]

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
_BUNDLE_MANIFEST = "manifest.json"
"""Which bundles have, and checkpoints have not."""

# safetensors' names of the types that numpy has. BF16 is read as uint16 and widened.
_DTYPES = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": np.uint16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}


@dataclass(frozen=True)
class _StoredTensor:
    """Where a tensor lies: its file in the checkpoint's folder, and the offset of its first byte in that file."""

    file: str
    dtype: str
    shape: tuple[int, ...]
    offset: int


@dataclass
class Checkpoint:
    """An open checkpoint. Close it, or use it in a ``with``, to let go of its memory maps.

    Attributes:
        source: the folder or hub id it was loaded from, as given.
        revision: the commit hash, for a checkpoint from a hub.
        folder: where its files are.
        config: the part of ``config.json`` that decides the graphs.
        raw_config: the whole of ``config.json``.
    """

    source: str
    revision: str | None
    folder: Path
    config: BlipConfig
    raw_config: Mapping[str, Any]
    _tensors: Mapping[str, _StoredTensor] = field(repr=False)
    _maps: dict[str, NDArray[np.uint8]] = field(default_factory=dict, repr=False)
    _closed: bool = field(default=False, repr=False)

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the memory maps. An array already handed out stays valid: it keeps its own map alive."""
        self._maps.clear()
        self._closed = True

    def names(self) -> list[str]:
        """The names of all stored tensors, sorted."""
        return sorted(self._tensors)

    def has(self, name: str) -> bool:
        """Whether a tensor of this name is stored. Tied weights may be absent; the graph builders know which."""
        return name in self._tensors

    def tensor(self, name: str, *, shape: tuple[int, ...] | None = None) -> NDArray[Any]:
        """A stored tensor, as a read-only view of the file: no copy, except that bfloat16 becomes float32.

        Args:
            name: its name in the checkpoint, such as ``vision_model.post_layernorm.weight``.
            shape: the shape it must have; None accepts any.

        Returns:
            The tensor in its stored shape and dtype (float32 for a stored bfloat16).

        Raises:
            CheckpointError: no such tensor, another shape, an unreadable dtype, or a closed checkpoint.
        """
        if self._closed:
            raise CheckpointError(f"{self.source}: tensor {name!r} asked of a closed checkpoint; load it again")
        stored = self._tensors.get(name)
        if stored is None:
            files = ", ".join(self.weight_files)
            raise CheckpointError(
                f"{self.source}: no tensor {name!r} in {files}; the weights do not fit {CONFIG_FILE} "
                f"({self.config.architecture}): download or save the checkpoint again"
            )
        if shape is not None and stored.shape != shape:
            raise CheckpointError(
                f"{self.source}: tensor {name!r} in {stored.file} has shape {list(stored.shape)}, "
                f"expected {list(shape)} from {CONFIG_FILE}; the two files are not of the same checkpoint"
            )
        if stored.dtype not in _DTYPES:
            raise CheckpointError(
                f"{self.source}: tensor {name!r} in {stored.file} is stored as {stored.dtype}, "
                "expected F32, F16 or BF16; save the checkpoint in one of these"
            )
        return self._view(stored)

    def _view(self, stored: _StoredTensor) -> NDArray[Any]:
        if stored.file not in self._maps:
            self._maps[stored.file] = np.asarray(np.memmap(self.folder / stored.file, np.uint8, mode="r"))
        dtype = np.dtype(_DTYPES[stored.dtype]).newbyteorder("<")
        view: NDArray[Any] = np.ndarray(stored.shape, dtype, self._maps[stored.file].data, stored.offset)
        if stored.dtype == "BF16":  # bfloat16 is the upper half of a float32
            return (view.astype(np.uint32) << 16).view(np.float32)
        # The format aligns tensors by convention only, and a graph constant may share this memory.
        return view if view.flags.aligned else view.copy()

    @property
    def weight_files(self) -> list[str]:
        """The names of the safetensors files that hold the tensors, sorted."""
        return sorted({stored.file for stored in self._tensors.values()})

    @property
    def tokenizer_file(self) -> Path | None:
        """``tokenizer.json``, where there is one."""
        return self._file("tokenizer.json")

    @property
    def vocab_file(self) -> Path | None:
        """``vocab.txt``, where there is one: the WordPiece vocabulary, one token a line."""
        return self._file("vocab.txt")

    def require_tokenizer(self) -> Path:
        """``tokenizer.json`` or, failing that, ``vocab.txt``.

        Raises:
            CheckpointError: neither is there.
        """
        found = self.tokenizer_file or self.vocab_file
        if found is None:
            raise CheckpointError(
                f"{self.source}: no tokenizer.json and no vocab.txt in {self.folder}; "
                "save the tokenizer beside the weights (processor.save_pretrained)"
            )
        return found

    @cached_property
    def preprocessor(self) -> Mapping[str, Any]:
        """How pixels are prepared: the parsed ``preprocessor_config.json``.

        A processor saved by transformers 5 has it as a section of ``processor_config.json`` instead; both are read.

        Raises:
            CheckpointError: neither file is there, or it cannot be read.
        """
        if path := self._file("preprocessor_config.json"):
            return _read_json(path, self.source)
        if path := self._file("processor_config.json"):
            section = _read_json(path, self.source).get("image_processor")
            if isinstance(section, dict):
                return section
        raise CheckpointError(
            f"{self.source}: no preprocessor_config.json in {self.folder}; "
            "save the image processor beside the weights (processor.save_pretrained)"
        )

    @property
    def preprocessor_config(self) -> PreprocessorConfig:
        """What `preprocessor` says, checked against the vision model.

        Raises:
            CheckpointError: as `preprocessor`, or its settings do not fit the vision model.
        """
        return parse_preprocessor(self.preprocessor, self.config.vision.image_size, self.source)

    @cached_property
    def generation(self) -> Mapping[str, Any]:
        """The parsed ``generation_config.json``; empty where there is none.

        Raises:
            CheckpointError: it cannot be read.
        """
        path = self._file(GENERATION_FILE)
        return {} if path is None else _read_json(path, self.source)

    @property
    def text_length(self) -> TextLength:
        """What `generation` says of the length of texts.

        Raises:
            CheckpointError: as `generation`, or a length is none.
        """
        return parse_text_length(self.generation, self.source)

    @cached_property
    def sha256(self) -> str:
        """The checkpoint's fingerprint: SHA-256 over name, size and content of its config and weight files.

        Raises:
            CheckpointError: a file cannot be read.
        """
        digest = hashlib.sha256()
        for name in (CONFIG_FILE, *self.weight_files):
            path = self.folder / name
            try:
                digest.update(f"{name}\0{path.stat().st_size}\0".encode())
                with path.open("rb") as file:
                    while block := file.read(1 << 20):
                        digest.update(block)
            except OSError as error:
                raise CheckpointError(f"{self.source}: cannot read {path} ({error.strerror})") from error
        return digest.hexdigest()

    def _file(self, name: str) -> Path | None:
        path = self.folder / name
        return path if path.is_file() else None


def load_checkpoint(
    source: str | Path, *, revision: str | None = None, token: str | None = None, show_progress: bool = True
) -> Checkpoint:
    """Open a BLIP checkpoint. Reads its config and the headers of its weight files; tensors are mapped when asked for.

    Args:
        source: a folder in the hub's layout, or a hub id (``owner/name``). A folder of that name wins over the hub.
        revision: for a hub id, a branch, tag or commit.
        token: for a hub id, an access token; None leaves it to HF_TOKEN or the token that ``hf auth login`` stored.
        show_progress: for a hub id, show progress bars on a terminal.

    Raises:
        CheckpointError: not found, not reachable, not a BLIP checkpoint, without safetensors weights, or damaged.
    """
    folder, commit = _locate(source, revision, token, show_progress)
    name = str(source)
    raw_config = read_raw_config(folder, name)
    config = parse_config(raw_config, name)
    tensors = _stored_tensors(folder, name, config.architecture)
    return Checkpoint(name, commit, folder, config, raw_config, tensors)


def read_raw_config(folder: Path, name: str) -> dict[str, Any]:
    """The ``config.json`` of a checkpoint's folder, not interpreted.

    Raises:
        CheckpointError: it is not there, or holds no JSON object.
    """
    config_path = folder / CONFIG_FILE
    if not config_path.is_file():
        raise CheckpointError(
            f"{name}: no {CONFIG_FILE} in {folder}; expected a Hugging Face BLIP checkpoint "
            f"({CONFIG_FILE}, {WEIGHTS_FILE}, tokenizer.json, preprocessor_config.json)"
        )
    return _read_json(config_path, name)


def _locate(
    source: str | Path, revision: str | None, token: str | None, show_progress: bool
) -> tuple[Path, str | None]:
    """The folder of a checkpoint and, from a hub, its commit hash."""
    if not str(source):
        raise CheckpointError("the checkpoint's name is empty; give a checkpoint folder or a hub id (owner/name)")
    path = Path(source).expanduser()
    if path.is_dir():
        if revision is not None:
            raise CheckpointError(f"{source} is a local folder, which has no revision {revision!r}; leave revision out")
        return path, None
    if path.exists():
        raise CheckpointError(f"{source} is a file; give the folder that holds {CONFIG_FILE} and {WEIGHTS_FILE}")
    if isinstance(source, Path) or _looks_like_path(source):
        raise CheckpointError(f"{source}: no such folder; give an existing checkpoint folder or a hub id (owner/name)")
    from blipvino.checkpoint import hub  # noqa: PLC0415  its libraries take long to import, and folders need none of them

    folder = hub.download_checkpoint(source, revision=revision, token=token, show_progress=show_progress)
    return folder, folder.name


def _looks_like_path(source: str) -> bool:
    """Whether a string can only be meant as a path: a hub id is owner/name, of one slash."""
    return source.startswith((".", "~", "/")) or "\\" in source or source.count("/") != 1 or source.endswith("/")


def _stored_tensors(folder: Path, source: str, architecture: str) -> dict[str, _StoredTensor]:
    """The tensors of ``model.safetensors``, or else of the shards that the index names."""
    if (folder / WEIGHTS_FILE).is_file():
        return dict(_read_header(folder / WEIGHTS_FILE, source))
    if (folder / INDEX_FILE).is_file():
        return _sharded_tensors(folder, source)
    if (folder / "pytorch_model.bin").is_file():
        # Unpickling runs code of the file's author, so it is left to the user and to transformers.
        recipe = f"from transformers import {architecture} as M; M.from_pretrained({str(folder)!r})"
        raise CheckpointError(
            f"{source}: only pytorch_model.bin in {folder}, expected {WEIGHTS_FILE}; convert it once, with torch and "
            f'transformers installed: python -c "{recipe}.save_pretrained({str(folder)!r})"'
        )
    if (folder / _BUNDLE_MANIFEST).is_file():
        raise CheckpointError(f"{source}: is a bundle, made already; expected the checkpoint that it was made from")
    raise CheckpointError(
        f"{source}: no {WEIGHTS_FILE} in {folder}; save it with transformers' save_pretrained. A hub repository with "
        "only pytorch_model.bin often has a converted copy as a pull request: load it with revision 'refs/pr/N'"
    )


def _sharded_tensors(folder: Path, source: str) -> dict[str, _StoredTensor]:
    weight_map = _read_json(folder / INDEX_FILE, source).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{source}: {INDEX_FILE} has no weight_map; download or save the checkpoint again")
    stored: dict[str, _StoredTensor] = {}
    for file in sorted({str(file) for file in weight_map.values()}):
        if Path(file).name != file:
            raise CheckpointError(f"{source}: {INDEX_FILE} names {file!r}, expected a file beside it")
        if not (folder / file).is_file():
            raise CheckpointError(
                f"{source}: {INDEX_FILE} names {file}, which is not in {folder}; download or copy the missing file"
            )
        stored.update(_read_header(folder / file, source))
    for name, file in weight_map.items():
        if name not in stored or stored[name].file != file:
            raise CheckpointError(f"{source}: no tensor {name!r} in {file}, where {INDEX_FILE} says it is")
    return stored


def _read_header(path: Path, source: str) -> Iterator[tuple[str, _StoredTensor]]:
    """Where each tensor of a safetensors file lies. `safe_open` checks the header against the file's size first."""
    try:
        with safe_open(path, framework="numpy"):
            pass
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{source}: cannot read {path} ({error}); {_weights_advice(path)}") from error
    except OSError as error:
        raise CheckpointError(f"{source}: cannot read {path} ({error}); check the file and its permissions") from error
    for name, entry in header.items():
        if name != "__metadata__":
            offset = 8 + length + entry["data_offsets"][0]
            yield name, _StoredTensor(path.name, entry["dtype"], tuple(entry["shape"]), offset)


def _weights_advice(path: Path) -> str:
    """What to do about an unreadable weights file, by how it begins."""
    with path.open("rb") as file:
        if file.read(19) == b"version https://git":
            return "it is a git-lfs pointer and not the weights: run `git lfs pull` in its folder"
    return "it is truncated or damaged: download or copy it again"


def _read_json(path: Path, source: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{source}: cannot read {path} as JSON ({error}); download or save it again") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{source}: {path} holds a JSON {type(content).__name__}, expected an object")
    return content
