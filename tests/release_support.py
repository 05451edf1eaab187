"""Programs of others, run to their end."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import support
from generated import ROOT


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    """What it prints. A failure shows all that it said."""
    environment = support.environment(PYTHONWARNINGS="", **variables)  # which are not our warnings
    finished = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, text=True, capture_output=True, timeout=100, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def environment_of_client(program: str, home: Path) -> dict[str, str]:
    """An empty home, and the program on the PATH. Skips the test of a client that .ci/clients has not installed."""
    listed = subprocess.run(
        [sys.executable, ROOT / ".ci" / "clients", "--installed"], stdout=subprocess.PIPE, check=True
    ).stdout
    folders: dict[str, str] = json.loads(listed)
    if program not in folders:
        pytest.skip(f"{program} is not installed: .venv/bin/python .ci/clients")
    path = os.pathsep.join([folders[program], folders["node"], str(Path(sys.executable).parent), "/usr/bin", "/bin"])
    return {"HOME": str(home), "XDG_CONFIG_HOME": "", "XDG_CACHE_HOME": "", "PATH": path, "DISABLE_AUTOUPDATER": "1"}


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
