"""The versions of the packages that decide what a reply is, found without importing them."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_OWN = "decthings_mcp"
PACKAGES = (_OWN, "mcp", "mcp_types", "pydantic", "pydantic_core")
"""Ours, those that make lists and schemas, and those that write them as JSON."""


def installed_versions() -> dict[str, str] | None:
    """The versions that `import` would find, by package. None for installations in which they cannot be told apart."""
    folders = [folder for folder in sys.path if any(_contains(folder, name) for name in PACKAGES)]
    entries = {folder: os.listdir(folder) for folder in folders}  # noqa: PTH208
    versions = {name: _version(name, entries) for name in PACKAGES}
    return None if None in versions.values() else {name: version or "" for name, version in versions.items()}


def replies_key(versions: dict[str, str]) -> list[str]:
    """All that the replies depend on: equal keys have equal replies."""
    packages = [f"{name} {version}" for name, version in versions.items()]
    # Descriptions are docstrings: Python 3.13 changed their indentation, and -OO leaves them out.
    return [*packages, f"{sys.implementation.cache_tag} {sys.flags.optimize}", *_state_of_sources()]


def _version(name: str, entries_of: dict[str, list[str]]) -> str | None:
    """None when there are several: an installation that was interrupted can leave two."""
    prefix, suffix = f"{name}-", ".dist-info"
    for folder, entries in entries_of.items():
        found = [entry for entry in entries if entry.startswith(prefix) and entry.endswith(suffix)]
        if found or _contains(folder, name):
            return found[0].removeprefix(prefix).removesuffix(suffix) if len(found) == 1 else None
    return None


def _contains(folder: str, name: str) -> bool:
    path = os.path.join(folder, name)  # noqa: PTH118
    return os.path.isdir(path) or os.path.exists(f"{path}.py")  # noqa: PTH110, PTH112


def _state_of_sources() -> list[str]:
    """Empty for an installed package, whose version says it all; for an editable one, when each source was changed."""
    folder = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
    if os.path.basename(folder) == _OWN:  # noqa: PTH119
        return []
    return [folder, *(state for package in ("server", "tools") for state in _states(os.path.join(folder, package)))]  # noqa: PTH118


def _states(folder: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_dir():
                yield from _states(entry.path)
            elif entry.name.endswith(".py"):
                status = entry.stat()
                yield f"{entry.name} {status.st_size} {status.st_mtime_ns}"
