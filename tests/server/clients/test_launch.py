"""The forms of an entry, and what the installed program is."""

import sys
import sysconfig
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from decthings_mcp.server.clients.launch import Launch, from_entry, installed_launch, to_entry
from decthings_mcp.server.settings import SettingsError

LAUNCH = Launch("/bin/x", ("--files", "/m"))


@pytest.mark.parametrize("shape", ["flat", "list", "transport"])
def test_an_entry_is_read_as_it_was_written(shape: Any) -> None:
    assert from_entry(to_entry(LAUNCH, shape, {"type": "stdio"})) == LAUNCH


@pytest.mark.parametrize("entry", [
    None, "x", {}, {"url": "http://127.0.0.1"}, {"command": 1}, {"command": []}, {"command": ["a", 1]},
    {"command": "a", "args": [1]}, {"command": "a", "args": "b"}, {"transport": {"type": "http"}},
])  # fmt: skip
def test_an_entry_that_starts_no_program_has_no_launch(entry: object) -> None:
    assert from_entry(entry) is None


def test_the_script_that_was_started_is_written_with_its_link(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`uv tool` and pipx link to it from a folder that outlives an upgrade."""
    (tmp_path / "tool").mkdir()
    (tmp_path / "tool/decthings-mcp").touch()
    (tmp_path / "decthings-mcp").symlink_to("tool/decthings-mcp")
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "decthings-mcp"), "setup"])
    assert installed_launch([], Namespace()) == Launch(str(tmp_path / "decthings-mcp"))


def test_without_a_script_the_interpreter_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def folder(_: str) -> str:
        return str(tmp_path)

    monkeypatch.setattr(sysconfig, "get_path", folder)
    assert installed_launch([], Namespace()) == Launch(sys.executable, ("-m", "decthings_mcp.server"))


def test_a_path_that_json_cannot_contain_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "\udcff" / "decthings-mcp"
    script.parent.mkdir()
    script.touch()
    monkeypatch.setattr(sys, "argv", [str(script)])
    with pytest.raises(SettingsError, match="not UTF-8"):
        installed_launch([], Namespace())
