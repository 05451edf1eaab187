"""Where Decthings is, and how long it may take: light to import, unlike the client, for settings to name them."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_URL = "https://api.decthings.com/v0"


@dataclass(frozen=True)
class Timeouts:
    """Seconds: to connect, without progress while sending, and until the response begins."""

    connect: float = 5
    send: float = 20
    response: float = 20
    request: float = 28
    """For all of that together, unless there is an upload, which may take as long as it makes progress."""
