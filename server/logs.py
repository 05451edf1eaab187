"""The log on stderr: nothing that holds the API key gets into it, whoever logs it."""

from __future__ import annotations

import logging
import sys

from pydantic import SecretStr

from ..tools.decthings.json_values import without

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_SHORTEST_SECRET = 8
"""What is shorter is a word, and words are everywhere."""


class _WithoutKey(logging.Formatter):
    """Libraries log headers of answers at DEBUG, and a proxy may echo what it was sent."""

    def __init__(self, key: SecretStr | None) -> None:
        super().__init__(_FORMAT)
        self._key = key

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        key = "" if self._key is None else self._key.get_secret_value()
        return without(text, key) if len(key) >= _SHORTEST_SECRET else text


def configure_logging(level: str, key: SecretStr | None) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_WithoutKey(key))
    logging.basicConfig(level=level, handlers=[handler])
