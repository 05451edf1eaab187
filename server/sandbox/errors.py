"""How the embedded Decthings says no."""

from __future__ import annotations


class ErrorReply(Exception):
    """Becomes the `error` of an answer."""

    def __init__(self, code: str, **details: str) -> None:
        super().__init__(code)
        self.error = {"code": code, **details}
