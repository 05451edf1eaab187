"""One HTTP server with more and more calls at a time, and more and more processes: calls a second and memory."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any

from calls import answer, free_port, over_http
from processes import OURS, peak_mib_of_tree

CONCURRENCY = (1, 10, 100, 1_000)
PROCESSES = (1, 2)
CALLS = {1: 300, 10: 1_000, 100: 2_000, 1_000: 5_000}


async def measure(processes: int, url: str) -> dict[int, tuple[float, float]]:
    """Calls a second and MiB of all processes, by concurrency."""
    port = free_port()
    command = [*OURS, "--api-url", url, "--http", "--port", str(port), "--calls-per-second", "100000"]
    found: dict[int, tuple[float, float]] = {}
    async with over_http([*command, "--workers", str(processes)], port) as (call, pid):
        await asyncio.gather(*(call(number) for number in range(50)))
        for concurrency in CONCURRENCY:
            numbers, begun = iter(range(CALLS[concurrency])), time.perf_counter()

            async def work(numbers: Any = numbers) -> None:
                for number in numbers:
                    await call(number)

            await asyncio.gather(*(work() for _ in range(concurrency)))
            found[concurrency] = CALLS[concurrency] / (time.perf_counter() - begun), peak_mib_of_tree(pid)
    return found


async def measure_all(rounds: int) -> list[dict[str, Any]]:
    listening = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=2_048)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v0"
    runs: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for processes in PROCESSES:
            for concurrency, measured in (await measure(processes, url)).items():
                runs.setdefault((processes, concurrency), []).append(measured)
    listening.close()
    return [
        {"processes": processes, "concurrency": concurrency,
         "calls a second": statistics.median(rate for rate, _ in seen), "MiB": max(mib for _, mib in seen)}
        for (processes, concurrency), seen in runs.items()
    ]  # fmt: skip


def rows(rounds: int) -> list[dict[str, Any]]:
    return asyncio.run(measure_all(rounds))
