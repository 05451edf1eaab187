"""The error responses of the sandbox."""

from __future__ import annotations


class ErrorReply(Exception):
    """Becomes the `error` of a response."""

    def __init__(self, code: str, **details: str) -> None:
        super().__init__(code)
        self.error = {"code": code, **details}
