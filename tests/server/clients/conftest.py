"""A machine of a test's own: an empty home, and no client's program but those that the test puts there."""

import os
import sys
from pathlib import Path

import pytest
from decthings_mcp.server.cli import run


class Home:
    """The user's home, with the clients that a test installs."""

    def __init__(self, path: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.path, self._capture = path, capture

    def write(self, name: str, text: str | bytes = "{}") -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    def install(self, program: str, script: str) -> None:
        """A client's program, in Python."""
        file = self.write(
            f"bin/{program}", f"#!{sys.executable}\nimport json, os, sys\nfrom pathlib import Path\n{script}"
        )
        file.chmod(0o700)

    def setup(self, *arguments: str) -> tuple[int, str]:
        """The exit status, and what is printed."""
        status = run(["setup", *arguments])
        captured = self._capture.readouterr()
        return status, captured.out + captured.err


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Home:
    for name in [name for name in os.environ if name.startswith("DECTHINGS") or name.endswith(("_HOME", "CONFIG_DIR"))]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    (home / "project").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", f"{home}/bin:/usr/bin:/bin")
    monkeypatch.chdir(home / "project")
    monkeypatch.setattr(sys, "stdin", None)  # as without a terminal
    return Home(home, capsys)
