"""Files from a model hub: one download call, and its failures put into words that say what to do."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from huggingface_hub import HfApi, constants, errors, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils.tqdm import tqdm

from blipvino.errors import CheckpointError

# The base class of the hub's HTTP client: httpx's in huggingface_hub 1, httpx2's in 2, so it is taken from there.
TransportError: type[Exception] = errors.HTTPError  # type: ignore[attr-defined]

# pytorch_model.bin and tf_model.h5 are never fetched: a BLIP repository holds its weights two or three times.
CHECKPOINT_FILES = (
    "config.json",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*-of-*.safetensors",
    "tokenizer.json",
    "vocab.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "preprocessor_config.json",
    "processor_config.json",
    "README.md",  # its license goes into a bundle's card
)


def download_checkpoint(
    repo_id: str, *, revision: str | None = None, token: str | None = None, show_progress: bool = True
) -> Path:
    """Fetch a checkpoint's files; see `download`."""
    return download(repo_id, CHECKPOINT_FILES, revision=revision, token=token, show_progress=show_progress)


def download(
    repo_id: str,
    files: Sequence[str],
    *,
    revision: str | None = None,
    token: str | None = None,
    cache: Path | None = None,
    cached_only: bool = False,
    show_progress: bool = True,
) -> Path:
    """Fetch files of a repository into the hub cache, or find them there, with progress bars on a terminal.

    A broken connection is resumed where it broke, files that are complete are never fetched again, and a cached copy
    serves where the hub cannot be reached. HF_ENDPOINT, HF_HOME, HF_HUB_CACHE and HF_HUB_OFFLINE are read at every
    call, where huggingface_hub itself reads them once, when it is imported.

    Args:
        repo_id: ``owner/name``.
        files: their names, or patterns of them. Those that the repository lacks are no error.
        revision: a branch, tag or commit; None is the default branch.
        token: an access token; None leaves it to HF_TOKEN or the token that ``hf auth login`` stored.
        cache: the hub cache's folder; None is the one that the environment names.
        cached_only: ask no hub.
        show_progress: show progress bars on a terminal.

    Returns:
        The snapshot folder; its name is the commit hash.

    Raises:
        CheckpointError: the id, the revision, the access or the connection is at fault, or the disk is full.
    """
    endpoint = hub_endpoint()
    try:
        folder = snapshot_download(
            repo_id,
            revision=revision,
            token=token,
            endpoint=endpoint,
            cache_dir=cache or _cache_folder(),
            local_files_only=cached_only or _offline(),
            allow_patterns=list(files),
            library_name="blipvino",
            tqdm_class=None if show_progress else _SilentTqdm,
        )
    # RuntimeError is what the transfer library hf_xet raises; ValueError covers answers that are not JSON.
    except (TransportError, OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(_explain(error, repo_id, revision, endpoint, cached_only)) from error
    return Path(folder)


class HubUnreachableError(CheckpointError):
    """A hub that was not asked, or did not answer: what it said before may serve."""


def resolve_commit(repo_id: str, *, revision: str | None = None, token: str | None = None) -> str:
    """The commit that a revision is now. Nothing is fetched, and no cache is asked.

    Args:
        repo_id: ``owner/name``.
        revision: a branch, tag or commit; None is the default branch.
        token: as of `download_checkpoint`.

    Raises:
        HubUnreachableError: HF_HUB_OFFLINE is set, there is no connection, or the hub fails.
        CheckpointError: the id, the revision or the access is at fault.
    """
    endpoint = hub_endpoint()
    wanted = f"{repo_id} at {revision}" if revision else repo_id
    if _offline():
        raise HubUnreachableError(f"{wanted}: HF_HUB_OFFLINE is set")
    try:
        found = HfApi(endpoint, token=token, library_name="blipvino").model_info(repo_id, revision=revision)
    except OfflineModeIsEnabled as error:
        raise HubUnreachableError(f"{wanted}: HF_HUB_OFFLINE is set") from error
    except HfHubHTTPError as error:
        told = _explain(error, repo_id, revision, endpoint)
        raise (HubUnreachableError if error.response.status_code >= 500 else CheckpointError)(told) from error
    except (TransportError, OSError) as error:
        raise HubUnreachableError(
            f"{wanted}: no connection to {endpoint} ({first_line(error)}); check the network and HF_ENDPOINT"
        ) from error
    except ValueError as error:  # HFValidationError among them, and answers that are not JSON
        raise CheckpointError(_explain(error, repo_id, revision, endpoint)) from error
    if found.sha is None:
        raise CheckpointError(f"{wanted}: {endpoint} names no commit; check HF_ENDPOINT")
    return found.sha


class _SilentTqdm(tqdm):
    """A progress bar that shows nothing."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{**options, "disable": True})  # type: ignore[no-untyped-call]


def hub_endpoint() -> str:
    """The hub's address: HF_ENDPOINT as it is now.

    Raises:
        CheckpointError: it is none.
    """
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or constants.ENDPOINT
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise CheckpointError(f"HF_ENDPOINT is {endpoint!r}, expected a URL such as https://hub.example.org")
    return endpoint


def _cache_folder() -> Path | None:
    """The cache that the environment names now; None leaves the choice to huggingface_hub."""
    cache = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if cache:
        return Path(os.path.expandvars(cache)).expanduser()
    home = os.environ.get("HF_HOME")
    return Path(os.path.expandvars(home)).expanduser() / "hub" if home else None


def _offline() -> bool:
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in ("1", "ON", "YES", "TRUE")


def _explain(error: Exception, repo_id: str, revision: str | None, endpoint: str, cached_only: bool = False) -> str:
    """One line on a failed download: what failed, and what to do."""
    # "Not in the cache either" hides why the hub was not asked or did not answer; that reason is its cause.
    reason = (error.__cause__ or error) if isinstance(error, LocalEntryNotFoundError) else error
    if isinstance(error, HFValidationError):
        return (
            f"{repo_id!r} is neither a folder nor a hub id; expected a folder, or owner/name of letters, digits, - _ ."
        )
    if isinstance(reason, HfHubHTTPError):
        return explain_refusal(reason, repo_id, revision, endpoint)
    unasked = cached_only or _offline()
    if isinstance(reason, OfflineModeIsEnabled) or (isinstance(error, LocalEntryNotFoundError) and unasked):
        wanted = f"{repo_id} at {revision}" if revision else repo_id
        return (
            f"{wanted} is not (or not completely) in the cache and "
            f"{'local_files_only' if cached_only else 'HF_HUB_OFFLINE'} is set; "
            "unset it and load once while online"
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left while downloading {repo_id}; free some, or point HF_HOME at another disk, and run again"
    if isinstance(reason, (TransportError, LocalEntryNotFoundError)):
        return (
            f"{repo_id}: no connection to {endpoint} ({first_line(reason)}), and the cache does not hold it; "
            "check the network, HF_ENDPOINT and the proxy, and run again: files already complete are kept"
        )
    return f"{repo_id}: downloading from {endpoint} failed ({first_line(error)}); check HF_ENDPOINT and run again"


def explain_refusal(error: HfHubHTTPError, repo_id: str, revision: str | None, endpoint: str) -> str:
    """One line on an answer of the hub that is not the file."""
    status = error.response.status_code
    if isinstance(error, GatedRepoError):
        return f"{repo_id} is gated: ask for access on its page at {endpoint}, then set HF_TOKEN or run `hf auth login`"
    if isinstance(error, RevisionNotFoundError):
        return (
            f"{repo_id} has no revision {revision or 'main'!r} at {endpoint}; expected a branch, a tag or a full commit"
        )
    if status in (401, 403):
        return (
            f"{repo_id}: {endpoint} refused access (HTTP {status}): it does not exist, is private, or the token is "
            "wrong; check the id, and set HF_TOKEN or run `hf auth login`"
        )
    if isinstance(error, RepositoryNotFoundError) or status == 404:
        return f"{repo_id} was not found at {endpoint}, and no folder has that name; check the spelling of owner/name"
    return f"{repo_id}: {endpoint} answered HTTP {status} ({first_line(error)}); try again later"


def first_line(error: Exception) -> str:
    """An error's message on one line, since huggingface_hub's own run over several."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
