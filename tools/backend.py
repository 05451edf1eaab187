"""What the tools work with: made by the server, handed to every call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mcp.server.mcpserver import Context

from .background import Background
from .decthings import DecthingsClient
from .errors import NotConfigured
from .files import Files
from .times import LONGEST_CALL


@dataclass(frozen=True)
class Backend:
    """`client` is the reason why Decthings cannot be called when the configuration does not allow it."""

    client: DecthingsClient | NotConfigured
    files: Files
    check_uploads: bool = True
    retry_seconds: float = 20
    """How long a call that was refused, or not sent, is repeated by itself."""
    call_seconds: float = LONGEST_CALL
    """For a whole call of a tool, unless it uploads."""
    background: Background | None = None

    @property
    def in_sandbox(self) -> bool:
        return isinstance(self.client, DecthingsClient) and self.client.in_sandbox

    def connected(self) -> DecthingsClient:
        """
        Raises:
            NotConfigured: there is no API key, or it cannot be used.
        """
        if isinstance(self.client, NotConfigured):
            raise self.client
        return self.client


def backend_of(context: Context[Any, Any]) -> Backend:
    return context.request_context.lifespan_context
