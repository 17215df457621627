"""An output has each row once, whoever reads all of it."""

import pytest

from blipvino.batch.output.job_manifest import MANIFEST
from blipvino.batch.output.share_folders import job_folder
from blipvino.batch.row_selection import Share
from blipvino.errors import OutputError


def test_shares_are_folders_of_their_own(tmp_path):
    assert job_folder(tmp_path, None).folder == tmp_path
    assert job_folder(tmp_path / "none", Share(3, 16)).folder == tmp_path / "none" / "03-of-16"
    (tmp_path / "03-of-16").mkdir()
    (tmp_path / "notes").mkdir()
    assert job_folder(tmp_path, Share(4, 16)).folder == tmp_path / "04-of-16"


def test_rows_are_not_done_once_more_by_other_shares(tmp_path):
    (tmp_path / "03-of-16").mkdir()
    with pytest.raises(OutputError, match="has shares of a job, such as 03-of-16"):
        job_folder(tmp_path, None)
    with pytest.raises(OutputError, match="another number of shares"):
        job_folder(tmp_path, Share(3, 8))
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / MANIFEST).touch()
    with pytest.raises(OutputError, match="not in shares"):
        job_folder(tmp_path / "whole", Share(3, 8))
