"""Seconds from the start of the process to the results of tools/list and of a first tool call on stdio, and from the
end of stdin to the end of the process, next to a bare MCPServer; and its memory at rest (Linux)."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from calls import ARGUMENTS, POSTING
from processes import BARE, OURS, server
from upload import sink

_NAMES = ("tools/list, s", "first call, s", "exit, s", "rest, MiB")
_FIND = {"name": "find_models", "arguments": {}}
_CREATE = {"name": "create_model", "arguments": ARGUMENTS}


def measure(command: list[str], call: dict[str, Any], *arguments: str, **environ: str) -> list[float]:
    """In the order of the names."""
    with server(command, *arguments, **environ) as started:
        assert started.running.stdin is not None
        started.connect()
        started.ask("tools/list")
        listed = time.perf_counter() - started.started
        assert not started.ask("tools/call", **call)["result"].get("isError")
        called = time.perf_counter() - started.started
        mib = started.resident_mib()
        ending = time.perf_counter()
        started.running.stdin.close()
        started.running.wait()
        return [listed, called, time.perf_counter() - ending, mib]


@contextmanager
def another_pydantic() -> Generator[str]:
    """A folder for PYTHONPATH with the newest version that is not the installed one, as an update would bring it."""
    wanted = f"pydantic>=2.12,<3,!={version('pydantic')}"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "-q", "--target", folder, wanted], check=True, stdout=sys.stderr
        )
        yield folder


def measure_after_update(packages: str, cache: Path) -> list[float]:
    return measure(OURS, _FIND, "--sandbox", PYTHONPATH=packages, XDG_CACHE_HOME=str(cache), XDG_DATA_HOME=str(cache))


def rows(rounds: int) -> list[dict[str, Any]]:
    """Medians by server: on the sandbox, next to a server that does nothing; with a key, to one with the same POST."""
    with tempfile.TemporaryDirectory() as data, sink() as url, another_pydantic() as packages:
        sandbox = ("--sandbox", "--sandbox-data", data)
        caches = [Path(data, f"cache-{number}") for number in range(rounds)]
        servers: dict[str, Callable[[], list[float]]] = {
            "decthings-mcp": lambda: measure(OURS, _FIND, *sandbox),
            "without early replies": lambda: measure(OURS, _FIND, *sandbox, DECTHINGS_MCP_EARLY_REPLIES="0"),
            "bare MCPServer": lambda: measure(BARE, _CREATE),
            "decthings-mcp with a key": lambda: measure(OURS, _CREATE, "--api-url", url, DECTHINGS_API_KEY="k"),
            "bare MCPServer with httpx": lambda: measure([sys.executable, "-c", POSTING, url], _CREATE),
            "after an update, first start": lambda: measure_after_update(packages, caches[-1]),
            "after an update, later starts": lambda: measure_after_update(packages, caches.pop()),
        }
        runs: dict[str, list[list[float]]] = {name: [] for name in servers}
        for _ in range(rounds):
            for name, run in servers.items():
                runs[name].append(run())
    return [
        {"server": name, **dict(zip(_NAMES, map(statistics.median, zip(*of, strict=True)), strict=True))}
        for name, of in runs.items()
    ]
