"""The log on stderr: nothing that holds the API key gets into it, whoever logs it."""

from __future__ import annotations

import logging
import sys

from pydantic import SecretStr

from ..tools.decthings.client import CURRENT_API_KEY
from ..tools.decthings.json_codec import redact

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class _WithoutKey(logging.Formatter):
    """Libraries log headers of answers at DEBUG, and a proxy may echo what it was sent."""

    def __init__(self, key: SecretStr | None) -> None:
        super().__init__(_FORMAT)
        self._key = key

    def format(self, record: logging.LogRecord) -> str:
        return redact(redact(super().format(record), self._key), CURRENT_API_KEY.get())


def configure_logging(level: str, key: SecretStr | None) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_WithoutKey(key))
    logging.basicConfig(level=level, handlers=[handler])
