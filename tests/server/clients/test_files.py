"""Replacing files, and running clients' commands, when the system refuses."""

import os
import sys
from pathlib import Path

import pytest
from decthings_mcp.server.clients import commands, files
from decthings_mcp.server.clients.errors import ClientError


def refuse(*_: object, **__: object) -> None:
    raise PermissionError(13, "refused")


def test_a_replacement_that_fails_leaves_the_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mcp.json"
    file.write_text("{}")
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(ClientError, match=r"mcp\.json cannot be written: Permission denied\. It was left as it is"):
        files.replace(file, b"{}", b'{"a": 1}', keep=False)
    with pytest.raises(ClientError, match=r"No backup of .*mcp\.json can be written: Permission denied"):
        files.back_up(file, b"{}")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("mcp.json", "{}")]


def test_a_file_that_cannot_be_read_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mcp.json"
    file.write_text("{}")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ClientError, match=r"mcp\.json cannot be read: Permission denied"):
        files.read(file)


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only root can give a file to another user")
def test_a_file_of_another_user_stays_theirs(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text("{}")
    os.chown(file, 12345, 54321)
    files.replace(file, b"{}", b'{"a": 1}', keep=True)
    for path in tmp_path.iterdir():
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)


def test_a_command_that_cannot_be_started_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="Its command cannot be started: No such file or directory"):
        commands.run([str(tmp_path / "gone")], tmp_path)


def test_a_command_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_SECONDS", 0.5)
    with pytest.raises(ClientError, match=r"Its command did not end within 0\.5 seconds"):
        commands.run([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path)
