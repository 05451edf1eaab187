"""The prepared results: those of requests whose response was known when the package was built."""

from __future__ import annotations

import json
import os
import sys

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


def load() -> PreparedResults | None:
    """None when they were generated with other packages than those that are installed."""
    try:
        with open(FILE, encoding="utf-8") as file:  # noqa: PTH123
            prepared = PreparedResults(json.load(file))
    except (OSError, ValueError, KeyError):
        return None
    return prepared if all(_is_installed(*package) for package in prepared.generated_with.items()) else None


def _is_installed(name: str, version: str) -> bool:
    """Whether `import` would find that version. Some installations that have it are not recognized."""
    for folder in sys.path:
        if os.path.isdir(os.path.join(folder, f"{name}-{version}.dist-info")):  # noqa: PTH112, PTH118
            return _is_only_version(folder, name)
        other = os.path.join(folder, name)  # noqa: PTH118
        if os.path.isdir(other) or os.path.exists(f"{other}.py"):  # noqa: PTH110, PTH112
            return False
    return False


def _is_only_version(folder: str, name: str) -> bool:
    """Whether there is one version: an installation that was interrupted can leave two."""
    found = [entry for entry in os.listdir(folder) if entry.startswith(f"{name}-") and entry.endswith(".dist-info")]  # noqa: PTH208
    return len(found) == 1
