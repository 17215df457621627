"""What the classes have in common: optimum-intel's conventions over a bundle."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, NoReturn, Self

import torch
from transformers import BlipConfig

from blipvino.bundle.bundle import Bundle
from blipvino.bundle.copying import copy_bundle
from blipvino.checks import folder_path, shown
from blipvino.errors import InputError, OutputError
from blipvino.files.atomic import make_folder
from blipvino.hf.bundle_sources import BUNDLE_FOLDER, Found, Origin, find
from blipvino.hf.compile_settings import engine_options
from blipvino.hf.pixel_values import PixelReader
from blipvino.hf.quantization_configs import compression
from blipvino.hf.uploading import Upload, upload
from blipvino.machine.core import openvino_core
from blipvino.machine.devices import CPU, device_name, find_device
from blipvino.runtime.loaded_model import LoadedModel

_WITHOUT_MEANING = {
    *("dtype", "torch_dtype", "device_map", "attn_implementation", "low_cpu_mem_usage", "use_safetensors"),
    *("trust_remote_code", "use_cache", "dynamic_shapes", "stateful"),
}
"""Options of `transformers` and optimum-intel that say how weights come into memory; a bundle's way is its own."""
_PROCESSOR_FILES = ("preprocessor_config.json", "tokenizer.json", "generation_config.json", "README.md")

logger = logging.getLogger(__name__)


class OVBlipModel:
    """A model under `transformers`' interface, run from a bundle. Its methods may be called from several threads.

    Args:
        found: the bundle, and the folder of its processor's files.
        config: `transformers`' configuration; by default the bundle's own.
        device: OpenVINO's name of what computes.
        ov_config: settings by OpenVINO's names, see `blipvino.hf.compile_settings`.
        compile: compile the graphs now, and not when they are first needed.

    Raises:
        InputError: the bundle is of another kind of model, or an option is not allowed.
    """

    architectures: ClassVar[tuple[str, ...]]
    """Classes of checkpoints that it runs."""
    loaded_class: ClassVar[type[LoadedModel]]
    main_input_name: ClassVar[str] = "input_ids"
    input_modalities: ClassVar[tuple[str, ...]] = ("image", "text")
    output_modalities: ClassVar[tuple[str, ...]] = ("text",)

    def __init__(
        self,
        found: Found,
        config: BlipConfig | None = None,
        *,
        device: str = CPU,
        ov_config: Mapping[str, Any] | None = None,
        compile: bool = True,
    ) -> None:
        self._check_kind(found.bundle.manifest.architecture, found.bundle.folder)
        self._found = found
        self.config = config or BlipConfig.from_pretrained(found.bundle.folder)
        self.name_or_path = str(found.folder)
        self.ov_config = dict(ov_config or {})
        self._model: LoadedModel | None = None
        self._reader: PixelReader | None = None
        self.to(device)
        engine_options(self._device, self.ov_config)  # what cannot be used is refused now
        if compile:
            self.compile()

    @classmethod
    def _check_kind(cls, architecture: str, place: str | Path) -> None:
        if architecture not in cls.architectures:
            raise InputError(f"{place} is a {architecture}; {cls.__name__} runs {', '.join(cls.architectures)}")

    @classmethod
    def from_pretrained(  # noqa: PLR0913  # optimum-intel's parameters
        cls,
        model_id: str | Path,
        *,
        export: bool | None = None,
        quantization_config: object | None = None,
        load_in_8bit: bool = False,
        config: BlipConfig | None = None,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        subfolder: str = "",
        local_files_only: bool = False,
        device: str = CPU,
        ov_config: Mapping[str, Any] | None = None,
        compile: bool = True,
        **options: Any,
    ) -> Self:
        """Load a bundle, or make one of a checkpoint and load that.

        Args:
            model_id: a bundle's folder; a folder or hub repository that holds one, as `save_pretrained` and
                `push_to_hub` write it; a BLIP checkpoint, a folder or a hub id; or ``demo``.
            export: True makes a bundle of a checkpoint, False takes bundles alone, None takes what is there. The bundle
                is made once, into blipvino's cache; `save_pretrained` puts it elsewhere.
            quantization_config: how a checkpoint is compressed, see
                `blipvino.hf.quantization_configs.compression`; None does not compress it.
            load_in_8bit: a checkpoint's weights in 8 bits, where there is no ``quantization_config``.
            config: `transformers`' configuration in place of the bundle's own, for `config`; graphs stay what they are.
            revision: branch, tag or commit on the hub.
            token: access token for the hub; None and True are the one that is stored.
            cache_dir: the hub cache's folder.
            subfolder: of the folder or the repository.
            local_files_only: ask no hub.
            device: OpenVINO's name of what computes, in any case.
            ov_config: settings by OpenVINO's names.
            compile: compile the graphs now.
            **options: those that have no meaning here are taken and left alone, such as ``dtype`` and ``device_map``.

        Raises:
            BlipvinoError: there is no such model, it is damaged or of another kind, or an option is not allowed.
            TypeError: there is no such option.
        """
        if not str(model_id):
            raise InputError("model_id is '', expected a bundle, a checkpoint or a hub id")
        unknown = sorted(options.keys() - _WITHOUT_MEANING)
        if unknown:
            raise TypeError(f"{cls.__name__}.from_pretrained() has no option {unknown[0]!r}")
        device_name(device)
        engine_options(device, ov_config)
        asked = quantization_config is not None or load_in_8bit
        wanted = compression(quantization_config, load_in_8bit=load_in_8bit) if asked else None
        cache = None if cache_dir is None else folder_path("cache_dir", cache_dir)
        secret = token if isinstance(token, str) else None
        origin = Origin(model_id, revision, secret, cache, subfolder, local_files_only)
        found = find(origin, export, wanted, lambda architecture: cls._check_kind(architecture, model_id))
        model = cls(found, config, device=device, ov_config=ov_config, compile=compile)
        model.name_or_path = str(model_id)
        return model

    @property
    def bundle(self) -> Bundle:
        """The bundle that it runs."""
        return self._found.bundle

    @property
    def model_save_dir(self) -> Path:
        """The folder with the processor's files, for ``AutoProcessor.from_pretrained``."""
        return self._found.folder

    @property
    def blip(self) -> LoadedModel:
        """The model as blipvino's own interface has it; graphs are compiled when they are first needed."""
        if self._model is None:
            options = engine_options(self._device, self.ov_config)
            self._model = self.loaded_class.load(self.bundle, options=options)
        return self._model

    @property
    def pixels(self) -> PixelReader:
        """Turns ``pixel_values`` into features."""
        if self._reader is None:
            self._reader = PixelReader(self.blip)
        return self._reader

    @property
    def device(self) -> torch.device:
        """Where tensors are taken from and given: the CPU's memory, whatever computes."""
        return torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        """Of what is computed, as it is given."""
        return torch.float32

    def to(self, *devices: object, **named: object) -> Self:
        """Have another device compute: "cpu", "gpu", "auto" or any other name that OpenVINO has.

        torch's devices and types are taken and left alone, as in optimum-intel: they say nothing of OpenVINO's.

        Raises:
            InputError: there is no such device here.
        """
        for device in (*devices, *named.values()):
            if isinstance(device, str):
                name = device_name(device)
                find_device(name, openvino_core())
                if name != getattr(self, "_device", None):
                    self._device = name
                    self.clear_requests()
            else:
                logger.debug("%s is no device of OpenVINO", shown(device))
        return self

    def clear_requests(self) -> None:
        """Forget what is compiled."""
        self._model = self._reader = None

    def compile(self) -> None:
        """Compile what one image and one text need; other shapes are compiled when they are first needed."""
        raise NotImplementedError

    def half(self) -> Self:
        """The same: weights are in half precision or less already, as the bundle's recipe has it."""
        return self

    def eval(self) -> Self:
        """The same: there is no training."""
        return self

    def can_generate(self) -> bool:
        """Whether it has ``generate``."""
        return True

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """See `forward`."""
        return self.forward(*arguments, **named)

    def forward(self, *arguments: Any, **named: Any) -> Any:
        """One pass, as `transformers` has it."""
        raise NotImplementedError

    def save_pretrained(self, save_directory: str | Path, push_to_hub: bool = False, **options: Any) -> None:
        """Save the model, to be loaded with `from_pretrained`, by this class or as a bundle.

        The bundle goes into the folder ``blipvino`` in the directory, whole or not at all, and the processor's files
        beside it, where `transformers` looks for them; those that are there already stay.

        Args:
            save_directory: made where it is not there. Other files in it stay.
            push_to_hub: upload the directory, too.
            **options: of `push_to_hub`; the repository is by default called as the directory is.

        Raises:
            BlipvinoError: it cannot be written, or the hub refuses.
        """
        folder = folder_path("save_directory", save_directory)
        make_folder(folder)
        copy_bundle(self.bundle, folder / BUNDLE_FOLDER)
        try:
            for name in _PROCESSOR_FILES:
                source = self.model_save_dir / name
                if source.is_file() and not (folder / name).exists():
                    shutil.copyfile(source, folder / name)
            self.config.save_pretrained(folder)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be written ({error.strerror}); check its permissions") from error
        if push_to_hub:
            upload(folder, _upload(options.pop("repo_id", folder.resolve().name), options))

    def push_to_hub(self, repo_id: str | Path, repository_id: str | None = None, **options: Any) -> str:
        """Upload the model, to be loaded with ``from_pretrained(repo_id)``.

        Args:
            repo_id: ``owner/name``; the repository is made where it is not there. Or, as in optimum-intel, the
                directory that the model was saved to.
            repository_id: ``owner/name``, after a directory.
            **options: ``private``, ``token``, ``revision``, ``commit_message`` and ``create_pr``.

        Returns:
            The commit's address.

        Raises:
            OutputError: the hub refuses, or cannot be reached.
            TypeError: there is no such option.
        """
        if repository_id is not None:
            what = _upload(repository_id, options)
            return upload(folder_path("save_directory", repo_id), what)
        what = _upload(str(repo_id), options)
        with TemporaryDirectory(prefix="blipvino-") as folder:
            self.save_pretrained(folder)
            return upload(Path(folder), what)

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled.

        Raises:
            InputError: always; compiled graphs belong to their process.
        """
        raise InputError(
            f"a {type(self).__name__} cannot be pickled or copied deeply, since it holds compiled graphs; "
            "save_pretrained() it, and load that there with from_pretrained()"
        )


def _upload(repo_id: str, options: Mapping[str, Any]) -> Upload:
    """An upload of the options that `push_to_hub` takes."""
    given = dict(options)
    token = given.pop("token", None)
    message = given.pop("commit_message", None) or "Upload model"
    known = {name: given.pop(name) for name in ("revision", "private", "create_pr") if name in given}
    if given:
        raise TypeError(f"push_to_hub() has no option {min(given)!r}")
    return Upload(repo_id, token=token if isinstance(token, str) else None, message=message, **known)
