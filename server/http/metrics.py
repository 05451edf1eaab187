"""Prometheus metrics: tool calls by outcome, and the requests to Decthings that they make."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector
from pydantic import BaseModel

from ...tools.catalog import TOOL_NAMES
from ...tools.decthings import ApiError, DecthingsError
from ...tools.decthings.json_codec import is_object
from ...tools.results.api_errors import ADVICE
from ..settings import SettingsError

_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 45, 120, 600)
_MULTIPROCESS_DIR = "PROMETHEUS_MULTIPROC_DIR"


class Metrics:
    """Counters in a registry of their own. Labels come from fixed lists; anything else is counted as "other"."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        common: dict[str, Any] = {"registry": self.registry, "namespace": "decthings_mcp"}
        self._calls = Counter("tool_calls", "Tool calls, by outcome.", ["tool", "outcome"], **common)
        self._errors = Counter("tool_errors", "Failed tool calls, by error code.", ["tool", "code"], **common)
        self._seconds = Histogram("tool_seconds", "Duration of tool calls.", ["tool"], buckets=_SECONDS, **common)
        self._in_progress = Gauge(
            "tool_calls_under_way", "Tool calls in progress.", multiprocess_mode="livesum", **common
        )
        self._requests = Counter(
            "decthings_requests", "Requests to Decthings, by result.", ["method", "result"], **common
        )
        self._request_seconds = Histogram(
            "decthings_seconds", "Duration of requests to Decthings.", ["method"], buckets=_SECONDS, **common
        )
        self._sent = Counter("decthings_sent_bytes", "Bytes of requests that were sent to Decthings.", **common)

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Middleware of the MCP server."""
        if ctx.method != "tools/call":
            return await call_next(ctx)
        name = (ctx.params or {}).get("name")
        tool, started, outcome = name if name in TOOL_NAMES else "other", perf_counter(), "refused"
        self._in_progress.inc()
        try:
            result = await call_next(ctx)
            outcome = self._outcome(tool, result)
            return result
        except anyio.get_cancelled_exc_class():
            outcome = "cancelled"
            raise
        finally:
            self._in_progress.dec()
            self._calls.labels(tool, outcome).inc()
            self._seconds.labels(tool).observe(perf_counter() - started)

    def _outcome(self, tool: str, result: Any) -> str:
        response = result.model_dump(by_alias=True) if isinstance(result, BaseModel) else result
        if not is_object(response) or "inputRequests" in response:
            return "asked"
        content: dict[str, Any] = response.get("structuredContent") or {}
        error = content.get("error")
        if error is None:
            return content.get("outcome", "done")
        code = error["code"] if error["code"] in _CODES else "other"
        self._errors.labels(tool, code).inc()
        return error.get("outcome", "failed")

    def on_request(self, method: str, error: DecthingsError | None, sent: int, seconds: float) -> None:
        self._requests.labels(method, "ok" if error is None else _result_of(error)).inc()
        self._request_seconds.labels(method).observe(seconds)
        self._sent.inc(sent)


def _result_of(error: DecthingsError) -> str:
    if isinstance(error, ApiError):
        return error.code if error.code in ADVICE else "other"
    return error.code


_CODES = frozenset(
    [*ADVICE, "invalid_arguments", "not_configured", "declined", "name_differs", "file_not_allowed", "file_not_found",
     "file_not_readable", "not_a_model_file", "took_too_long", "too_many_uploads", "internal_error", "invalid_request",
     "file_changed", "connection_failed", "too_many_calls", "request_cut_short", "no_response", "invalid_response"]
)  # fmt: skip


@contextmanager
def shared_between_processes() -> Generator[None]:
    """A context in which worker processes share their metrics through files in a folder."""
    with tempfile.TemporaryDirectory(prefix="decthings-mcp-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ[_MULTIPROCESS_DIR] = folder
        yield


def serve_metrics(port: int, host: str, metrics: Metrics | None) -> None:
    """Serve the metrics on their own port, in a thread.

    Args:
        metrics: the metrics of this process, or None for those of all worker processes.

    Raises:
        SettingsError: the port cannot be used.
    """
    if metrics is not None:
        registry = metrics.registry
    else:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # pyright: ignore[reportArgumentType]
    try:
        start_http_server(port, host, registry)
    except OSError:
        raise SettingsError(f"Cannot listen on {host}:{port} for metrics; another program may use this port.") from None
