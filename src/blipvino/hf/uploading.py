"""Folders onto a model hub: one call, and its failures put into words that say what to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from blipvino.checkpoint.hub import TransportError, explain_refusal, first_line, hub_endpoint
from blipvino.errors import OutputError


@dataclass(frozen=True)
class Upload:
    """What an upload is called, and where it goes.

    Attributes:
        repo_id: ``owner/name``; made where it is not there.
        revision: branch; None is the default one.
        private: whether a repository that is made is private; None is the hub's own choice.
        token: access token; None is the one that is stored.
        message: of the commit.
        create_pr: open a pull request in place of a commit to the branch.
    """

    repo_id: str
    revision: str | None = None
    private: bool | None = None
    token: str | None = None
    message: str = "Upload model"
    create_pr: bool = False


def upload(folder: Path, what: Upload) -> str:
    """Upload all that is in a folder.

    Returns:
        The commit's address.

    Raises:
        OutputError: the hub refuses, or cannot be reached.
    """
    endpoint = hub_endpoint()
    api = HfApi(endpoint=endpoint, token=what.token, library_name="blipvino")
    try:
        made = api.create_repo(what.repo_id, private=what.private, exist_ok=True)
        if what.revision is not None and not what.create_pr:
            api.create_branch(made.repo_id, branch=what.revision, exist_ok=True)
        commit = api.upload_folder(
            repo_id=made.repo_id,
            folder_path=folder,
            revision=what.revision,
            commit_message=what.message,
            create_pr=what.create_pr,
        )
    except HFValidationError as error:
        raise OutputError(f"{what.repo_id!r} is no hub id; expected owner/name of letters, digits, - _ .") from error
    except HfHubHTTPError as error:
        raise OutputError(explain_refusal(error, what.repo_id, what.revision, endpoint)) from error
    except (TransportError, OSError, ValueError, RuntimeError) as error:  # RuntimeError: of hf_xet
        raise OutputError(
            f"{what.repo_id}: uploading to {endpoint} failed ({first_line(error)}); check HF_ENDPOINT, and the token "
            "(HF_TOKEN or `hf auth login`)"
        ) from error
    return str(commit.commit_url)
