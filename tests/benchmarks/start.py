"""Seconds from the start of the process to the answers of tools/list and of a first tool call on stdio, and from the
end of stdin to the end of the process, next to a bare MCPServer; and its memory at rest (Linux).

python tests/benchmarks/start.py [ROUNDS]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from typing import Any

from processes import BARE, OURS, server

_NAMES = ("tools/list, s", "first call, s", "exit, s", "rest, MiB")
_BARE_CALL = {"name": "create_model", "arguments": {"name": "n", "description": "d"}}
_CALL = {"name": "find_models", "arguments": {}}


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


def rows(rounds: int) -> list[dict[str, Any]]:
    """Medians by server."""
    runs: dict[str, list[list[float]]] = {"bare MCPServer": [], "decthings-mcp": [], "without the front": []}
    with tempfile.TemporaryDirectory() as data:
        ours = ("--sandbox", "--sandbox-data", data)
        for _ in range(rounds):
            runs["bare MCPServer"].append(measure(BARE, _BARE_CALL))
            runs["decthings-mcp"].append(measure(OURS, _CALL, *ours))
            runs["without the front"].append(measure(OURS, _CALL, *ours, DECTHINGS_MCP_FRONT="0"))
    return [
        {"server": name, **dict(zip(_NAMES, map(statistics.median, zip(*of, strict=True)), strict=True))}
        for name, of in runs.items()
    ]


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 11
    bare, *others = rows(rounds)
    print(f"medians of {rounds} alternating runs, and their ratios to the bare server's")
    print(" " * 17, *(f"{name:>20}" for name in _NAMES))
    for row in (bare, *others):
        print(f"{row['server']:17}", *(f"{row[name]:13.3f} ({row[name] / bare[name]:.2f})" for name in _NAMES))


if __name__ == "__main__":
    main()
