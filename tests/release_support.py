"""Programs of others, run to their end."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
import support
from generated import ROOT


def run(*command: str | Path, cwd: Path, given: str = "", **variables: str) -> str:
    """All that it prints; `given` is its stdin."""
    environment = support.environment(PYTHONWARNINGS="", **variables)  # which are not our warnings
    finished = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, input=given, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=100, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout
    return finished.stdout


def environment_of_clients(programs: Iterable[str], home: Path) -> tuple[list[str], dict[str, str]]:
    """Those programs that .ci/clients has installed, and an environment with an empty home and them on the PATH.

    Skips the test when there are none.
    """
    listed = subprocess.run(
        [sys.executable, ROOT / ".ci" / "clients", "--installed"], stdout=subprocess.PIPE, check=True
    ).stdout
    folders: dict[str, str] = json.loads(listed)
    found = [program for program in programs if program in folders]
    if not found:
        pytest.skip("no client is installed: .venv/bin/python .ci/clients")
    own = [folders[program] for program in (*found, "node")]
    path = os.pathsep.join([*own, str(Path(sys.executable).parent), "/usr/bin", "/bin"])
    unset = dict.fromkeys(("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"), "")
    return found, {**unset, "HOME": str(home), "PATH": path, "DISABLE_AUTOUPDATER": "1"}


CONNECTED = {
    "claude": "decthings: .* - ✔ Connected",
    "gemini": "✓ decthings: .* - Connected",
    "opencode": "✓ decthings connected",
}
"""What clients say of a server that they have started, as a pattern, by program."""


def listed_servers(program: str, cwd: Path, **variables: str) -> str:
    """What a client says of its servers, which it starts for that; without colors and line breaks."""
    finished = subprocess.run(
        [program, "mcp", "list"], cwd=cwd, env=support.environment(**variables), text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=100, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout
    return re.sub(r"\s+", " ", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", finished.stdout))
