"""The log on stderr, with the API key removed from every line."""

from __future__ import annotations

import logging
import sys

from pydantic import SecretStr

from ..tools.decthings.client import CURRENT_API_KEY
from ..tools.decthings.redact import redact

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class _RedactingFormatter(logging.Formatter):
    """Removes the API key: libraries log response headers at DEBUG, and a proxy may echo the request."""

    def __init__(self, key: SecretStr | None) -> None:
        super().__init__(_FORMAT)
        self._key = key

    def format(self, record: logging.LogRecord) -> str:
        return redact(redact(super().format(record), self._key), CURRENT_API_KEY.get())


def configure_logging(level: str, key: SecretStr | None) -> None:
    """Log to stderr from `level` on, without the key."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_RedactingFormatter(key))
    logging.basicConfig(level=level, handlers=[handler])
