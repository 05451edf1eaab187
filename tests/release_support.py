"""Programs of others, run to their end."""

import subprocess
from pathlib import Path

import support


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    """What it prints. A failure shows all that it said."""
    environment = support.environment(PYTHONWARNINGS="", **variables)  # which are not our warnings
    finished = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, text=True, capture_output=True, timeout=100, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout
