"""Replies of other sets of package versions than the released one, kept in the user's cache folder.

A file that is damaged, or that another user could have written, counts as missing.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MAX_BYTES = 1 << 20
_MAX_FILES = 10
"""Of sets of versions; the oldest are deleted."""


def folder() -> str | None:
    """The folder of the files, as platformdirs gives it, whose import would take a fifth of the start."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    usual = "~/Library/Caches" if sys.platform == "darwin" else "~/.cache"
    base = given if os.path.isabs(given) else os.path.expanduser(usual)  # noqa: PTH111, PTH117
    return os.path.join(base, "decthings-mcp", "early-replies") if os.path.isabs(base) else None  # noqa: PTH117, PTH118


def read(key: list[str]) -> Any:
    """The document of `key`; None when there is none that can be trusted."""
    place = folder()
    try:
        if place is None or not _is_ours(os.stat(place)):  # noqa: PTH116
            return None
        head, _, text = _read_file(_path(place, key)).partition(b"\n")
        return json.loads(text) if json.loads(head) == _head(key, text) else None
    except (OSError, ValueError, RecursionError):
        return None


def _read_file(path: str) -> bytes:
    """Raises: OSError for what cannot be read or was written by others."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or not _is_ours(status) or status.st_size > _MAX_BYTES:
            raise PermissionError
        return file.read()


def _is_ours(status: os.stat_result) -> bool:
    """Whether nobody else can write to it."""
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _path(place: str, key: list[str]) -> str:
    return os.path.join(place, f"{zlib.crc32(json.dumps(key).encode()):08x}.json")  # noqa: PTH118


def _head(key: list[str], text: bytes) -> dict[str, Any]:
    """The first line of a file."""
    return {"key": key, "crc32": zlib.crc32(text)}


def can_write() -> bool:
    """Whether the folder, which is made when it is missing, can be written to by this user alone."""
    place = folder()
    if place is None:
        return False
    os.makedirs(place, mode=0o700, exist_ok=True)  # noqa: PTH103
    return _is_ours(os.stat(place)) and os.access(place, os.W_OK)  # noqa: PTH116


def write(key: list[str], document: str) -> None:
    """Keeps the document of `key`.

    Raises:
        OSError: it cannot be written.
    """
    place = folder()
    if place is not None:
        text = document.encode()
        _replace(_path(place, key), json.dumps(_head(key, text)).encode() + b"\n" + text)
        _delete_old(place)


def _replace(path: str, content: bytes) -> None:
    """Replaces the file in one step, since other processes may write and read it at the same time."""
    unfinished = f"{path}.{os.getpid()}"
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    os.replace(unfinished, path)  # noqa: PTH105


def _delete_old(place: str) -> None:
    with os.scandir(place) as entries:
        files = sorted(entries, key=lambda entry: entry.stat().st_mtime, reverse=True)
    for entry in files[_MAX_FILES:]:
        os.unlink(entry.path)  # noqa: PTH108
