"""Traces, as a collector receives them."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest
import support
from http_support import MODERN, call, http_server
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support import CREATE

pytestmark = pytest.mark.slow

TRACE = "0af7651916cd43dd8448eb211c80319c"

PARENT = "b7ad6b7169203331"


def spans_of(requests: list[support.Request]) -> dict[str, Span]:
    exports = [ExportTraceServiceRequest.FromString(request.body) for request in requests]
    return {s.name: s for e in exports for r in e.resource_spans for scope in r.scope_spans for s in scope.spans}


def test_a_trace_goes_through_the_server_to_decthings_and_holds_no_key(tmp_path: Path) -> None:
    parent = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    with (
        support.upstream(support.http_response(b"", "200 OK", "application/x-protobuf")) as collector,
        support.upstream(support.created()) as up,
        http_server(
            "--api-url", up.url, cwd=tmp_path, DECTHINGS_API_KEY=support.KEY,
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url.removesuffix("/v0"), OTEL_EXPORTER_OTLP_COMPRESSION="none",
        ) as server,
    ):  # fmt: skip
        call(server.url, "create_model", CREATE, _meta={**MODERN, **parent})
        assert server.end(signal.SIGTERM) == 0
    spans = spans_of(collector.requests)
    tool, request = spans["tools/call create_model"], spans["POST"]
    assert {span.trace_id.hex() for span in (tool, request)} == {TRACE}
    assert tool.parent_span_id.hex() == PARENT
    assert request.parent_span_id == tool.span_id
    assert re.fullmatch(f"00-{TRACE}-{request.span_id.hex()}-01", up.requests[0].headers["traceparent"])
    assert support.KEY.encode() not in b"".join(r.body for r in collector.requests)
