"""Many mixed calls, faults among them, in one process: its memory, descriptors and threads on the way.

python tests/benchmarks/soak.py [CALLS]
"""

import asyncio
import json
import os
import signal
import sys
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

from processes import INITIALIZE

_AT_A_TIME = 10
_CANCELLED = 10_000_000
"""The ids of calls that are cancelled start here."""


async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Decthings with every kind of response, chosen by the model's name; lost ones can be looked up."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            answer = _answer(head.split(b" ")[1], await reader.readexactly(length))
            if answer is None:
                break
            writer.write(answer)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


def _answer(path: bytes, body: bytes) -> bytes | None:
    params = json.loads(body[body.index(b"{") :])
    if path.endswith(b"getModels"):
        name = params.get("filter", {}).get("names", ["m"])[0]
        model = {"id": "m", "name": name, "access": "readwrite", "createdAt": time.time() * 1000, "description": "d",
                 "publicAccess": False, "language": "go"}  # fmt: skip
        return _frame({"result": {"models": [model], "total": 1}})
    number = int(params["name"])
    if number % 50 == 7:
        return None  # the connection breaks after the request
    if number % 50 == 13:
        return b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
    if number % 10 == 3:
        return _frame({"error": {"code": "quota_exceeded"}})
    return _frame({"result": {"modelId": "m", "isNowCreating": False}})


def _frame(reply: dict[str, Any]) -> bytes:
    document = json.dumps(reply).encode()
    frame = b"\xfd" + len(document).to_bytes(2) + document
    head = f"HTTP/1.1 200 OK\r\nDate: {formatdate(usegmt=True)}\r\nContent-Type: application/octet-stream\r\n"
    return head.encode() + f"Content-Length: {len(frame)}\r\n\r\n".encode() + frame


def _call(number: int) -> dict[str, Any]:
    options: Any = {"type": "code", "language": "go"}
    if number % 20 == 11:
        options = {"type": "code", "language": "Go", "data": [number]}  # wrong in three ways
    create = {"name": str(number), "description": "d", "options": options}
    named = ("find_models", {"searchName": "m"}) if number % 10 == 5 else ("create_model", create)
    params = {"name": named[0], "arguments": named[1]}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


_COUNTING = """
import asyncio, gc, signal, sys
from decthings_mcp.server.__main__ import main

def report(*_):
    left = [task for task in gc.get_objects() if isinstance(task, asyncio.Task) and not task.done()]
    print("tasks", len(left), file=sys.stderr, flush=True)

signal.signal(signal.SIGUSR1, report)
sys.exit(main())
"""
"""The server, which prints how many tasks it has on a signal."""


async def soak(calls: int) -> None:
    listening = await asyncio.start_server(upstream, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v0"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _COUNTING, "--api-url", url, limit=1 << 24,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "DECTHINGS_API_KEY": "k"},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None

    def send(message: dict[str, Any]) -> None:
        assert process.stdin is not None
        process.stdin.write(json.dumps(message).encode() + b"\n")

    send({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": INITIALIZE})
    await process.stdout.readline()
    send({"jsonrpc": "2.0", "method": "notifications/initialized"})
    started_at, outcomes = time.perf_counter(), dict[str, int]()
    for number in range(1, _AT_A_TIME + 1):
        send(_call(number))
    for done in range(1, calls + 1):
        while (message := json.loads(await process.stdout.readline()))["id"] >= _CANCELLED:
            pass
        answer = message["result"]["structuredContent"]
        outcome = answer.get("error", {}).get("code") or ("looked up" if "lookUp" in answer else "done")
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        if done + _AT_A_TIME <= calls:
            send(_call(done + _AT_A_TIME))
        if done % 100 == 0:
            send(_call(_CANCELLED + done))
            send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": _CANCELLED + done}})
        if done % max(1, calls // 10) == 0:
            process.send_signal(signal.SIGUSR1)
            tasks = await _tasks(process.stderr)
            rate = done / (time.perf_counter() - started_at)
            print(f"{done:7} calls, {rate:5.0f}/s, {_state(process.pid)}, {tasks} tasks", flush=True)
    print(", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items())))
    process.stdin.close()
    print(f"ended with status {await process.wait()}")


async def _tasks(stderr: asyncio.StreamReader) -> int:
    """Other lines are about calls that were cancelled."""
    while not (line := (await stderr.readline()).decode()).startswith("tasks "):
        pass
    return int(line.split()[1])


def _state(pid: int) -> str:
    status = Path(f"/proc/{pid}/status").read_text()
    values = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if ":" in line and line.split()[1:]}
    descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return f"{int(values['VmRSS']) / 1024:.1f} MiB, {descriptors} descriptors, {values['Threads']} threads"


if __name__ == "__main__":
    asyncio.run(soak(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
