"""Seconds from the start of the process to the answer of tools/list on stdio, next to a bare MCPServer.

python tests/benchmarks/start.py [ROUNDS]
"""

from __future__ import annotations

import statistics
import sys
import time

from processes import BARE, OURS, server


def seconds_to_tools_list(command: list[str]) -> tuple[float, float]:
    """And MiB at rest."""
    with server(command) as started:
        started.connect()
        started.ask("tools/list")
        return time.perf_counter() - started.started, started.peak_mib()


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 11
    times: dict[str, list[tuple[float, float]]] = {"decthings-mcp": [], "bare MCPServer": []}
    for _ in range(rounds):
        times["decthings-mcp"].append(seconds_to_tools_list(OURS))
        times["bare MCPServer"].append(seconds_to_tools_list(BARE))
    medians = {name: [statistics.median(values) for values in zip(*runs, strict=True)] for name, runs in times.items()}
    for name, (seconds, mib) in medians.items():
        print(f"{name:15} {seconds:.2f} s, peak {mib:.0f} MiB (medians of {rounds} alternating runs)")
    print(f"ratio           {medians['decthings-mcp'][0] / medians['bare MCPServer'][0]:.2f}")


if __name__ == "__main__":
    main()
