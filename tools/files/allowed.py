"""The files that arguments may name: regular files in the allowed folders.

A path is resolved through every symbolic link before it is compared with the folders. Then the file is
opened from its folder downwards without following links: the opened file is the one that was checked, even
if a link has replaced it since. Names are compared as they are spelled on disk; on a file system that ignores
case, a path may be refused, but never wrongly accepted.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

from ..results.errors import FileNotAllowed, FileNotFound, FileNotReadable
from ..results.text import closest_matches, join_words, sanitize, single_line
from .upload import FileBlob

_OPEN = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
# O_PATH needs no permission to list the folders on the way to the file.
_OPEN_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)

_LIST_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


class AllowedFiles:
    """The folders from which files may be read. Relative paths start in the first one.

    A folder that does not exist, as that of a disk that is not connected, can be used as soon as it does.

    Args:
        remote_callers: whether the users are on other machines, whose own files cannot be read.
    """

    def __init__(self, folders: Sequence[Path], *, remote_callers: bool = False) -> None:
        self._remote_callers = remote_callers
        self._given = list(dict.fromkeys(folders))
        self._resolved: dict[Path, Path] = {}
        self._resolve()

    def _resolve(self) -> None:
        """Resolve the folders that exist, each once: links that are changed later do not count."""
        for folder in self._given:
            if folder not in self._resolved and os.path.isdir(folder):  # noqa: PTH112 - Path's raises without permission
                self._resolved[folder] = Path(os.path.realpath(folder))

    @property
    def _folders(self) -> list[Path]:
        return [self._resolved[folder] for folder in self._given if folder in self._resolved]

    @property
    def missing(self) -> list[Path]:
        """The folders that do not exist, or are not folders."""
        return [folder for folder in self._given if folder not in self._resolved]

    def open(self, path: str) -> FileBlob:
        """Open the file at `path`.

        Raises:
            FileNotAllowed: it is outside the allowed folders, or not a regular file.
            FileNotFound, FileNotReadable: it is inside them but cannot be opened.
        """
        if "\0" in path:
            raise FileNotFound(
                f"File {sanitize(path, 200)!r} was not found: no path contains the character NUL.",
                "Check the path with the user. " + self._where() if self._folders else "Check the path with the user.",
            )
        self._resolve()
        folder, parts = self._locate(path)
        name = single_line(sanitize(Path(path).name, 100)) or "The path"
        try:
            file = FileBlob(name, lambda: _open_below(folder, parts))
        except FileNotFoundError:
            raise FileNotFound(
                f"File {sanitize(path, 200)!r} was not found in the allowed folders.",
                "Check the path with the user. " + self._where(),
                {} if self._remote_callers else _neighbours(folder, parts),
            ) from None
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise FileNotReadable(
                f"{name} cannot be opened: {reason}.", "Ask the user to make the file readable, or use another file."
            ) from error
        if not file.is_regular:
            raise FileNotAllowed(
                f"{name} is not a regular file.", "Give the path of a file, not of a folder or a device."
            )
        return file

    def _locate(self, path: str) -> tuple[Path, tuple[str, ...]]:
        """The allowed folder that contains the path, and the names below it."""
        if not self._folders and self._remote_callers:
            raise FileNotAllowed(
                "This server runs on another machine and shares no folder, so it cannot read files by path.",
                'For a model file, call create_model with options.data {"upload": true}: it returns a link where the '
                "user uploads it. Give other data as base64 if it is small; otherwise ask the operator of this "
                "server to share a folder with --files and to put the file there.",
            )
        if not self._folders and self.missing:
            raise FileNotAllowed(
                f"This server cannot read files: {_not_folders(self.missing)}.",
                "Ask the user to create the folder, or to correct --files (or DECTHINGS_FILES) in the server's "
                "configuration and to restart the server. Small data can be given as base64.",
            )
        if not self._folders:
            raise FileNotAllowed(
                "This server is not allowed to read files.",
                "Ask the user to add --files FOLDER to the server's arguments (or to set DECTHINGS_FILES) "
                "with the folder of the file, and to restart the server. Small data can be given as base64.",
            )
        # An absolute path replaces the folder when the two are joined.
        expanded = os.path.expanduser(path)  # noqa: PTH111 - Path.expanduser raises for an unknown user
        resolved = Path(os.path.realpath(self._folders[0] / expanded))
        for folder in self._folders:
            if resolved.is_relative_to(folder):
                return folder, resolved.relative_to(folder).parts
        raise FileNotAllowed(
            f"{sanitize(path, 200)!r} is outside the allowed folders.",
            f"Ask the user to move or copy the file into {_shown(self._folders[0])}; then its name is enough as path. "
            "Or ask them to add --files FOLDER with its folder to the server's arguments, and to restart it."
            f"{self._lacking()}",
        )

    def _where(self) -> str:
        first, *others = map(_shown, self._folders)
        also = f" Files in {join_words(others, 'and')} need an absolute path." if others else ""
        return f"A relative path starts in {first}.{also}{self._lacking()}"

    def _lacking(self) -> str:
        if not self.missing or self._remote_callers:
            return ""
        return f" {_not_folders(self.missing)}, so no files can come from there."


def _not_folders(missing: Sequence[Path]) -> str:
    names = list(map(_shown, missing))
    return f"{join_words(names, 'and')} {'is not a folder' if len(names) == 1 else 'are not folders'}"


def _shown(folder: Path) -> str:
    return sanitize(str(folder), 200)


_MAX_LISTED = 20
_MAX_NEAR = 3
_MAX_ENTRIES = 10_000


def _neighbours(folder: Path, parts: Sequence[str]) -> dict[str, Any]:
    """What is where the first name of a path is missing: names that are near, and all if they are few.

    Only visible files and folders, and no links: those may lead out of the allowed folder.
    """
    for depth, part in enumerate(parts):
        try:
            entries = _entries_in(folder, parts[:depth])
        except OSError:
            return {}
        if part in entries:
            continue
        shown = [sanitize(name, 100) for name, is_shown in sorted(entries.items()) if is_shown]
        near = closest_matches(part, shown, _MAX_NEAR)
        return {
            "folder": _shown(folder.joinpath(*parts[:depth])),
            **({"nearest": near} if near else {}),
            **({"folderHas": shown} if len(shown) <= _MAX_LISTED else {}),
        }
    return {}


def _entries_in(folder: Path, parts: Sequence[str]) -> dict[str, bool]:
    """The names in a folder below an allowed one, opened like a file, and whether each may be shown."""
    opened = _open_below(folder, parts, _LIST_FOLDER) if os.open in os.supports_dir_fd else folder.joinpath(*parts)
    try:
        with os.scandir(opened) as entries:
            return {entry.name: _may_be_shown(entry) for entry in islice(entries, _MAX_ENTRIES)}
    finally:
        if isinstance(opened, int):
            os.close(opened)


def _may_be_shown(entry: os.DirEntry[str]) -> bool:
    is_real = entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)
    return is_real and not entry.name.startswith(".")


def _open_below(folder: Path, parts: Sequence[str], flags: int = _OPEN) -> int:
    if os.open not in os.supports_dir_fd:  # Windows
        return os.open(folder.joinpath(*parts), flags)
    with ExitStack() as opened:
        descriptor = os.open(folder, _OPEN_FOLDER if parts else flags)
        for index, part in enumerate(parts):
            opened.callback(os.close, descriptor)
            descriptor = os.open(part, flags if index == len(parts) - 1 else _OPEN_FOLDER, dir_fd=descriptor)
        return descriptor
