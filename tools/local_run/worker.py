"""The process that runs one model file: python -m decthings_mcp.tools.local_run.worker (`runner` starts it).

Everything that it needs is imported and read before the file is looked at. From then on it can open nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from ..decthings.tensors import Tensor, decode_tensors
from ..decthings.varint import decode_varint, varint_width
from ..decthings.wire import decode_response, encode_response

Inputs = Mapping[str, Tensor]
Run = Callable[[Inputs], dict[str, Any]]
"""From tensors by the names of inputs to what the runtime returns, by the names of outputs."""

_PACKAGES = {"onnx": "onnxruntime", "tflite": "ai-edge-litert"}


class WorkerError(Exception):
    """`code` is not_installed, invalid_executable_file, out_of_memory or exception."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def main() -> None:
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    first = stdin.read(1)
    size, _ = decode_varint(first + stdin.read(varint_width(first[0])))
    request, blobs = decode_response(stdin.read(size))
    model = stdin.read()
    try:
        names, results = _run(request, model, [decode_tensors(blob, as_views=True) for blob in blobs])
        reply = encode_response({"outputs": names}, results)
    except WorkerError as error:
        reply = encode_response({"error": {"code": error.code, "text": str(error)[:4_000]}})
    stdout.write(reply)
    stdout.flush()


def _run(request: dict[str, Any], model: bytes, inputs: list[list[Tensor]]) -> tuple[list[str], list[bytes]]:
    try:
        runtime = import_module(f".{request['format']}_runtime", __package__)
    except ImportError:
        raise WorkerError("not_installed", _PACKAGES[request["format"]]) from None
    restrict(request["memoryBytes"], request["cpuSeconds"])
    run: Run = _guarded("invalid_executable_file", lambda: runtime.load(model))
    results: dict[str, list[bytes]] = {}
    for tensors in _rounds(inputs):
        outputs = _guarded("exception", lambda: run(dict(zip(request["inputs"], tensors, strict=True))))  # noqa: B023
        for name, value in outputs.items():
            results.setdefault(name, []).append(_guarded("exception", lambda: runtime.encode(name, value)))  # noqa: B023
    return list(results), [b"".join(parts) for parts in results.values()]


def restrict(memory: int, cpu_seconds: int) -> None:
    """From now on no file and no socket can be opened. Windows has no such limits: there, only the time is limited."""
    try:
        import resource
    except ImportError:
        return
    limits = {
        resource.RLIMIT_NOFILE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_AS: memory,
    }
    for limit, value in limits.items():
        try:
            resource.setrlimit(limit, (value, value))
        except (ValueError, OSError):  # macOS has no limit of the address space
            continue


def _rounds(inputs: list[list[Tensor]]) -> Sequence[tuple[Tensor, ...]]:
    """The tensors of each run: all inputs have the same number of tensors, or one, which is used in every run."""
    counts = {len(tensors) for tensors in inputs} - {1}
    if len(counts) > 1:
        raise WorkerError("exception", f"the inputs have different numbers of tensors: {sorted(counts)}")
    count = counts.pop() if counts else 1
    return list(zip(*(tensors * count if len(tensors) == 1 else tensors for tensors in inputs), strict=True)) or [()]


def _guarded(code: str, step: Callable[[], Any]) -> Any:
    """What `step` returns; whatever the runtime raises becomes the error with this code."""
    try:
        return step()
    except WorkerError:
        raise
    except MemoryError:
        raise WorkerError("out_of_memory", "") from None
    except Exception as error:
        text = str(error)
        if "bad_alloc" in text or "allocate memory" in text:
            raise WorkerError("out_of_memory", "") from None
        raise WorkerError(code, f"{type(error).__name__}: {text}") from None


if __name__ == "__main__":
    main()
