"""How long others wait, and how much memory a server takes, while one call over HTTP has expensive arguments."""

import asyncio
import http.client
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from calls import answer
from processes import call_body, encode, http_server, peak_mib, post

MEGABYTES = 4
MOST_VALUES = 90_000
"""A little less than what a request may have."""


def _code(**options: Any) -> dict[str, Any]:
    return {"name": "m", "description": "d", "options": {"type": "code", "language": "go", **options}}


def _state(**state: Any) -> dict[str, Any]:
    launcher = {"cpus": 1, "memoryMebibytes": 1}
    initial = {"method": "create", "name": "s", "launcherSpec": launcher, "params": [], **state}
    options = {"type": "basedOnModelSnapshot", "modelId": "m", "snapshotId": "s", "initialState": initial}
    return {"name": "m", "description": "d", "options": options}


def _tensor(type_: str, data: list[Any], shape: list[Any] | None = None) -> dict[str, Any]:
    tensor = {"type": type_, "shape": [len(data)] if shape is None else shape, "data": data}
    return _state(params=[{"name": "p", "data": [tensor]}])


CASES: dict[str, tuple[Any, Callable[[list[Any]], dict[str, Any]]]] = {
    "numbers in strings": ("1", lambda items: _tensor("f32", items)),
    "long numbers": (1.2345678901234567, lambda items: _tensor("f64", items)),
    "rows of one": ([1], lambda items: _tensor("f32", items, [len(items), 1])),
    "elements that do not fit": (True, lambda items: _tensor("f32", items)),
    "strings that are not ASCII": ("\u00e9", lambda items: _tensor("string", items)),
    "data: URIs": ("data:image/png,", lambda items: _tensor("image", items)),
    "images that are none": ("x", lambda items: _tensor("image", items)),
    "dimensions": (1, lambda items: _tensor("f32", ["1"], items)),
    "tags": ({"tag": "", "value": ""}, lambda items: _code(tags=items)),
    "tags that are wrong": ({}, lambda items: _code(tags=items)),
    "tags in strings": ("{}", lambda items: _code(tags=items)),
    "unknown fields": (1, lambda items: _code(**{f"x{number}": item for number, item in enumerate(items)})),
    "definitions": ({"name": "x"}, lambda items: _code(parameterDefinitions={"train": items})),
    "state files": ({"key": "k", "data": {"base64": ""}}, lambda items: _state(method="upload", data=items)),
}
"""An item, and the arguments that have many of it. Each is tried with 4 MB, and with as many values as are allowed."""


def _requests() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for what, (item, arguments) in CASES.items():
        encoded = encode(item)
        values = sum(map(encoded.count, (b",", b"[", b"{"))) + 1
        size = len(encoded) + (11 if what == "unknown fields" else 1)
        found[f"{what}, {MEGABYTES} MB"] = arguments([item] * (MEGABYTES * 1_000_000 // size))
        found[f"{what}, {MOST_VALUES:,} values"] = arguments([item] * (MOST_VALUES // values))
    long = "x" * (MEGABYTES * 1_000_000)
    found["a long name"] = {**_code(), "name": long}
    found["a long name of a field"] = _code(**{long: 1})
    found["a long number with a wrong end"] = _tensor("f64", ["1" * len(long) + "x"])
    found["a string of JSON"] = _code(tags=json.dumps([""] * (MOST_VALUES // 2)))
    return found


def _outcome(port: int, body: bytes) -> str:
    status, result = post(port, body)
    return result.get("error", result).get("code", "created") if status == 200 else str(status)


def _wait_for_others(port: int, done: threading.Event, waits: list[float]) -> None:
    """How long each of many small requests took, one after the other."""
    while not done.is_set():
        started_at = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        connection.close()
        waits.append(time.perf_counter() - started_at)
        done.wait(0.002)


def measure(body: bytes, url: str) -> dict[str, Any]:
    """One request to a server of its own, after a small one."""
    with http_server(url) as (port, pid):
        post(port, call_body(_code()))
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak is the present again
        rest, waits, done = peak_mib(pid), list[float](), threading.Event()
        others = threading.Thread(target=_wait_for_others, args=(port, done, waits))
        others.start()
        outcome = _outcome(port, body)
        done.set()
        others.join()
        return {"outcome": outcome, "wait": max(waits), "MiB": peak_mib(pid) - rest}


def rows(rounds: int) -> list[dict[str, Any]]:
    loop = asyncio.new_event_loop()
    listening = loop.run_until_complete(asyncio.start_server(answer, "127.0.0.1", 0, limit=1 << 26))
    upstream = threading.Thread(target=loop.run_forever)
    upstream.start()
    try:
        return _measure_all(rounds, f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v0")
    finally:
        loop.call_soon_threadsafe(loop.stop)
        upstream.join()


def _measure_all(rounds: int, url: str) -> list[dict[str, Any]]:
    """Of each case the median of the longest waits, and the highest peak."""
    found: list[dict[str, Any]] = []
    for what, arguments in _requests().items():
        body = call_body(arguments)  # before anything is measured: encoding it holds this process up
        runs = [measure(body, url) for _ in range(rounds)]
        waits = sorted(run["wait"] for run in runs)
        found.append({
            "what": what, "MB": len(body) / 1e6, "outcome": runs[0]["outcome"],
            "others wait, ms": waits[len(waits) // 2] * 1_000, "MiB above rest": max(run["MiB"] for run in runs),
        })  # fmt: skip
    return found
