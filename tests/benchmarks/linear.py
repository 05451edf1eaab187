"""create_model with more and more numbers in its arguments, over stdio: the cost grows with them and not faster."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from typing import Any

from calls import answer, over_stdio
from processes import OURS

ELEMENTS = (100, 1_000, 10_000, 100_000, 400_000)


def _arguments(elements: int) -> dict[str, Any]:
    tensor = {"type": "f32", "shape": [elements], "data": [f"{number / 7:.6f}" for number in range(elements)]}
    state = {
        "method": "create", "name": "s", "launcherSpec": {"cpus": 1, "memoryMebibytes": 512},
        "params": [{"name": "p", "data": {"type": "data", "data": [tensor]}}],
    }  # fmt: skip
    options = {"type": "basedOnModelSnapshot", "modelId": "m", "snapshotId": "s", "initialState": state}
    return {"name": "n", "description": "d", "options": options}


async def measure(rounds: int) -> list[dict[str, Any]]:
    """Bytes of the arguments and milliseconds, by the number of elements."""
    listening = await asyncio.start_server(answer, "127.0.0.1", 0, limit=1 << 26)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v0"
    found: list[dict[str, Any]] = []
    async with over_stdio([*OURS, "--api-url", url]) as (call, _):
        await call(1)
        for elements in ELEMENTS:
            given, times = _arguments(elements), list[float]()
            for number in range(rounds):
                begun = time.perf_counter()
                await call(elements * 100 + number, given)
                times.append((time.perf_counter() - begun) * 1000)
            found.append({"elements": elements, "bytes": len(json.dumps(given)), "ms": statistics.median(times)})
    listening.close()
    return found


def rows(rounds: int) -> list[dict[str, Any]]:
    return asyncio.run(measure(rounds))
