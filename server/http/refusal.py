"""Refusals of the HTTP server."""

from __future__ import annotations

from collections.abc import Mapping


class Refusal(Exception):
    """A request is refused: an HTTP status and a sentence for the user who configured the client."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
