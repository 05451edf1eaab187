"""The prepared results: those of requests that always have the same response."""

from __future__ import annotations

import json
import os

from . import cache
from .installed import replies_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..settings import Settings

FILE = os.path.join(os.path.dirname(__file__), "prepared.json")  # noqa: PTH118, PTH120
_LIST_OF_TOOLS = "tools/list"


class PreparedResults:
    """Results as JSON, by protocol version and method."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._texts: list[str] = document["texts"]
        self._results: dict[str, dict[str, int]] = document["results"]
        self.generated_with: dict[str, str] = document["generatedWith"]
        """Names and versions of the packages that decide what a result is."""
        self.handshakes: list[str] = document["handshakes"]
        """Protocol versions that begin with `initialize`, oldest first."""

    @property
    def newest_handshake(self) -> str:
        return self.handshakes[-1]

    def result(self, version: str, method: str) -> str | None:
        index = self._results.get(version, {}).get(method)
        return None if index is None else self._texts[index]

    def offer(self, settings: Settings) -> bool:
        """Leaves out the tools that `settings` do not offer. False when they name a tool that does not exist."""
        if not settings.tools and not settings.read_only:
            return True
        for index in {results[_LIST_OF_TOOLS] for results in self._results.values()}:
            result = json.loads(self._texts[index])
            if not {tool["name"] for tool in result["tools"]}.issuperset(settings.tools):
                return False
            result["tools"] = [tool for tool in result["tools"] if _is_offered(tool, settings)]
            self._texts[index] = json.dumps(result, ensure_ascii=False, separators=(",", ":"))
        return True


def _is_offered(tool: dict[str, Any], settings: Settings) -> bool:
    return settings.offers(tool["name"], reads_only=tool["annotations"]["readOnlyHint"])


def load(versions: dict[str, str]) -> PreparedResults | None:
    """The results for these versions of the packages: those that came with the server, or those in the cache."""
    return _released(versions) or _cached(versions)


def _released(versions: dict[str, str]) -> PreparedResults | None:
    try:
        with open(FILE, encoding="utf-8") as file:  # noqa: PTH123
            prepared = PreparedResults(json.load(file))
    except (OSError, ValueError, KeyError):
        return None
    return prepared if prepared.generated_with == versions else None


def _cached(versions: dict[str, str]) -> PreparedResults | None:
    document = cache.read(replies_key(versions))
    return None if document is None else PreparedResults(document)
