"""Whether a command line is plain enough to serve before it is read in full.

It is when reading it in full cannot find anything wrong with it. Everything else is left to `cli`.
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

_FLAGS = ("--sandbox", "--read-only", "--unchecked-uploads")
_IN_NAMES = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")
_LONGEST_RETRY = 30


def offered_tools(argv: Sequence[str], environ: Mapping[str, str], tools: Mapping[str, bool]) -> Collection[str] | None:
    """The names of the tools that it offers; None when it is not plain.

    Args:
        tools: names, and whether the tool changes nothing.
    """
    given = _given(argv)
    if given is None or not (_values_are_good(given, tools) and _environment_is_good(environ, given)):
        return None
    named = _names(given.get("--tools", [""])[-1]) or list(tools)
    return [name for name in tools if name in named and (tools[name] or "--read-only" not in given)]


def _given(argv: Sequence[str]) -> dict[str, list[str]] | None:
    """The values of each option; None for anything but the plain ones."""
    given: dict[str, list[str]] = {}
    rest = list(argv)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if name in _FLAGS and not equals:
            given[name] = []
            continue
        if name not in _CHECKS:
            return None
        if not equals:
            value = rest.pop(0) if rest else ""
        if not value or value.startswith("-"):
            return None
        given.setdefault(name, []).append(value)
    return given


def _values_are_good(given: Mapping[str, Sequence[str]], tools: Mapping[str, bool]) -> bool:
    if "--sandbox-data" in given and "--sandbox" not in given:
        return False
    if not all(name in tools for value in given.get("--tools", ()) for name in _names(value)):
        return False
    return all(_CHECKS[name](value) for name, values in given.items() for value in values)


def _environment_is_good(environ: Mapping[str, str], given: Mapping[str, Sequence[str]]) -> bool:
    try:
        os.getcwd()  # noqa: PTH109
    except OSError:
        return False
    folders = [] if "--files" in given else environ.get("DECTHINGS_FILES", "").split(os.pathsep)
    key_file = "" if "--api-key-file" in given else environ.get("DECTHINGS_API_KEY_FILE", "")
    retry, url = environ.get("DECTHINGS_RETRY_SECONDS", ""), environ.get("DECTHINGS_API_URL", "")
    return (
        not environ.get("DECTHINGS_TIMEOUT")
        and (not key_file or _is_secret(key_file))
        and (not retry or _is_retry(retry))
        and (not url or _is_url(url))
        and all(_is_folder(folder) for folder in folders if folder)
    )


def _names(value: str) -> list[str]:
    return [name.strip() for name in value.split(",") if name.strip()]


def _is_folder(value: str) -> bool:
    return os.path.isdir(os.path.expanduser(value))  # noqa: PTH111, PTH112


def _is_retry(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= 2 and int(value) <= _LONGEST_RETRY


def _is_url(value: str) -> bool:
    """Whether it is a usual one: https, or a port of this machine."""
    scheme, _, rest = value.partition("://")
    host, _, path = rest.partition("/")
    if scheme == "http":
        host, _, port = host.partition(":")
        if host != "127.0.0.1" or not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 1 << 16):
            return False
    return (
        scheme in ("http", "https")
        and bool(host)
        and _IN_NAMES.issuperset(host)
        and _IN_NAMES.issuperset(path.replace("/", ""))
    )


def _is_secret(value: str) -> bool:
    """Whether there is nothing to warn of. That it cannot be read is told by the first call."""
    try:
        return not os.stat(os.path.expanduser(value)).st_mode & stat.S_IROTH  # noqa: PTH111, PTH116
    except (OSError, ValueError):
        return True


def _anything(_: str) -> bool:
    return True


_CHECKS: dict[str, Callable[[str], bool]] = {
    "--api-key-file": _is_secret,
    "--api-url": _is_url,
    "--files": _is_folder,
    "--log-level": lambda value: value.upper() in ("WARNING", "ERROR", "CRITICAL"),  # others would log each message
    "--retry-seconds": _is_retry,
    "--sandbox-data": lambda value: not value.startswith("~"),
    "--tools": _anything,  # checked with the names there are
}
