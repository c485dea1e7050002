"""What backupctl prints for people."""

import pytest

from backupctl import views


def test_colons_in_a_name_are_no_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    views.complain("no job has the scheduler_id 'files:books:prod'")
    assert "files:books:prod" in capsys.readouterr().err
