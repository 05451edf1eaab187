"""The prepared answers: results of requests whose answer was known when the package was built."""

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

FILE = os.path.join(os.path.dirname(__file__), "prepared.json")  # noqa: PTH118, PTH120 - pathlib takes long to import


class Prepared:
    """Made by `prepare`, from the server itself."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._texts: list[str] = document["texts"]
        self._results: dict[str, dict[str, int | list[int]]] = document["results"]
        self.made_with: dict[str, str] = document["madeWith"]
        """Names and versions of the packages that decide what is answered."""
        self.handshakes: list[str] = document["handshakes"]
        """Protocol versions that begin with `initialize`, oldest first."""
        self.tools: dict[str, bool] = document["tools"]
        """Names, and whether the tool changes nothing."""
        self.offered: Collection[str] = self.tools

    @property
    def newest_handshake(self) -> str:
        return self.handshakes[-1]

    def result(self, version: str, method: str) -> str | None:
        found = self._results.get(version, {}).get(method)
        if found is None:
            return None
        return self._texts[found] if isinstance(found, int) else self._list_of_tools(found)

    def _list_of_tools(self, parts: list[int]) -> str:
        """From what stands before the tools, each of them, and what stands after them."""
        before, *tools, after = (self._texts[part] for part in parts)
        offered = (text for name, text in zip(self.tools, tools, strict=True) if name in self.offered)
        return f"{before}{','.join(offered)}{after}"


def load() -> Prepared | None:
    """None when they were made with other packages than those that would answer now."""
    try:
        with open(FILE, encoding="utf-8") as file:  # noqa: PTH123
            prepared = Prepared(json.load(file))
    except (OSError, ValueError, KeyError):
        return None
    return prepared if all(_is_installed(*package) for package in prepared.made_with.items()) else None


def _is_installed(name: str, version: str) -> bool:
    """Whether that version is what `import` would find. Some of what it can be is not recognized."""
    for folder in sys.path:
        if os.path.isdir(os.path.join(folder, f"{name}-{version}.dist-info")):  # noqa: PTH112, PTH118
            return _is_only_version(folder, name)
        other = os.path.join(folder, name)  # noqa: PTH118
        if os.path.isdir(other) or os.path.exists(f"{other}.py"):  # noqa: PTH110, PTH112
            return False
    return False


def _is_only_version(folder: str, name: str) -> bool:
    """An installation that was interrupted can leave two."""
    found = [entry for entry in os.listdir(folder) if entry.startswith(f"{name}-") and entry.endswith(".dist-info")]  # noqa: PTH208
    return len(found) == 1
