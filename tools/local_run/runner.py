"""Runs a model file in a process of its own, which gets the file and the inputs, and nothing else of this machine.

The file may be hostile: the process has neither our environment nor an open file, can open none and no socket, has
limited memory, and is killed when its time is over. What it returns is read like a response from outside.

    to the process     varint length · frame {format, inputs, memoryBytes, cpuSeconds} with a blob an input · the file
    from the process   frame {outputs} with a blob an output, or {error: {code, text}}

Frames and tensors are those of Decthings' wire format.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress

import anyio
import anyio.to_thread
from anyio.abc import Process

from ..decthings.blobs import Blob, chunks_of, size_of
from ..decthings.evaluations import Output, decode_outputs
from ..decthings.json_codec import is_list, is_object
from ..decthings.responses import MAX_OUTPUT_BYTES
from ..decthings.tensors import encode_tensors
from ..decthings.types import ModelFormat
from ..decthings.varint import MalformedFrame, encode_varint
from ..decthings.wire import decode_response, encode_response

_BASE_MEMORY = 2 << 30
"""Bytes of address space, of which the interpreter and the runtime take a tenth."""
_MEMORY_PER_BYTE = 4
"""Of the file: it is read, parsed, and copied by the runtime."""

PYTHON = (sys.executable, "-I")

EXTRA = "decthings-mcp[run]"


class LocalRunFailed(Exception):
    """The file could not be run. The message is a text of the runtime or of the file, and not to be trusted.

    `code` is one of those that Decthings has for a failed evaluation; for a runtime that is not installed, and for a
    model that cannot be loaded, it is `invalid_executable_file`.
    """

    def __init__(self, code: str, text: str, *, oom: bool = False) -> None:
        super().__init__(text)
        self.code = code
        self.oom = oom


class RuntimeMissing(LocalRunFailed):
    """The package that runs files of this format is not installed. The message names it."""

    def __init__(self, package: str) -> None:
        super().__init__("invalid_executable_file", f"{package} is not installed (pip install '{EXTRA}')")
        self.package = package


async def run_model(format_: ModelFormat, model: Blob, inputs: Sequence[Output], seconds: float) -> list[Output]:
    """Run a model file once for each tensor of its inputs.

    Args:
        inputs: tensors in memory, with the names of the file's inputs.

    Raises:
        LocalRunFailed: also when it took too long, or ended without a result.
        BlobChanged: the file changed while it was read.
    """
    blobs = [b"".join([chunk async for chunk in chunks_of([encode_tensors(value.tensors)])]) for value in inputs]
    request = encode_response(
        {
            "format": format_,
            "inputs": [value.name for value in inputs],
            "memoryBytes": _BASE_MEMORY + _MEMORY_PER_BYTE * size_of(model) + sum(map(len, blobs)),
            "cpuSeconds": int(seconds) + 1,
        },
        blobs,
    )
    with tempfile.TemporaryDirectory(prefix="decthings-run-") as empty_folder:
        process = await anyio.open_process(
            [*PYTHON, "-m", "decthings_mcp.tools.local_run.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=empty_folder,
            env=bare_environment(),
        )
        try:
            with anyio.fail_after(seconds):
                reply = await _exchange(process, request, model)
        except TimeoutError:
            raise LocalRunFailed("max_duration_exceeded", f"it ran for more than {seconds:.0f} s") from None
        finally:
            await _end(process)
    return await anyio.to_thread.run_sync(_outputs, reply, process.returncode)


def bare_environment() -> dict[str, str]:
    """Nothing of ours but what Windows needs to start a process; no keys."""
    single_threaded = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return single_threaded | {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}


async def _exchange(process: Process, request: bytes, model: Blob) -> bytes:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the process was started with pipes")
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # it ended early; its reply says why
        await process.stdin.send(encode_varint(len(request)) + request)
        async for chunk in chunks_of([model]):
            await process.stdin.send(chunk)
        await process.stdin.aclose()
    reply = bytearray()
    async for chunk in process.stdout:
        reply += chunk
        if len(reply) > MAX_OUTPUT_BYTES:
            raise LocalRunFailed("invalid_output", f"its outputs are larger than {MAX_OUTPUT_BYTES >> 20} MiB")
    await process.wait()
    return bytes(reply)


async def _end(process: Process) -> None:
    with anyio.CancelScope(shield=True):
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        await process.wait()
        await process.aclose()


def _outputs(reply: bytes, exit_status: int | None) -> list[Output]:
    if not reply:
        raise LocalRunFailed("code_terminated", f"its process ended with the exit status {exit_status}")
    try:
        document, blobs = decode_response(reply)
        names, error = document.get("outputs"), document.get("error")
        if is_object(error):
            raise _failure(str(error.get("code")), str(error.get("text")))
        if not is_list(names) or len(names) != len(blobs):
            raise MalformedFrame("it has no outputs")
        decoded = decode_outputs(blobs)
    except MalformedFrame as malformed:
        raise LocalRunFailed("invalid_output", f"its process did not return outputs: {malformed}") from malformed
    return [Output(str(name), tensors) for name, tensors in zip(names, decoded, strict=True)]


def _failure(code: str, text: str) -> LocalRunFailed:
    if code == "not_installed":
        return RuntimeMissing(text)
    if code == "out_of_memory":
        return LocalRunFailed("code_terminated", "it needs more memory than is allowed", oom=True)
    return LocalRunFailed("invalid_executable_file" if code == "invalid_executable_file" else "exception", text)
