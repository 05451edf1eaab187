"""OpenTelemetry traces: the spans of the MCP SDK, with the requests to Decthings below them."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ..settings import SettingsError

_VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def is_wanted(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether OpenTelemetry's own environment variables ask for traces."""
    return any(environ.get(name) for name in _VARIABLES) and environ.get("OTEL_SDK_DISABLED", "").lower() != "true"


def set_up_tracing() -> None:
    """Send spans to OTEL_EXPORTER_OTLP_ENDPOINT, and the header traceparent to Decthings.

    Raises:
        SettingsError: the extra `tracing` is not installed.
    """
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise SettingsError("Traces need additional packages: pip install 'decthings-mcp[tracing]'.") from None
    name = os.environ.get("OTEL_SERVICE_NAME", "decthings-mcp")
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    HTTPXClientInstrumentor().instrument()
