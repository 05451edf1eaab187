"""The files that arguments may name: regular ones below the allowed folders, and nothing else.

A path is resolved through every symbolic link before it is compared with the folders. Then the file
is opened from its folder downwards without following links, so that what is opened is what was
checked even when a link is put in its place in between.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import anyio.to_thread

from .decthings import BlobChanged, BlobSource
from .errors import FileNotAllowed, FileNotFound, FileNotReadable
from .text import harmless

_PIECE = 1024 * 1024
_OPEN = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class FileBlob(BlobSource):
    """An open file, read in pieces and hashed on the way. Close it, or leave its context."""

    def __init__(self, descriptor: int, name: str) -> None:
        self.name = name
        self._descriptor = descriptor
        self._status = os.fstat(descriptor)
        self._hash = hashlib.sha256()

    @property
    def size(self) -> int:
        return self._status.st_size

    @property
    def sha256(self) -> str:
        """Of the bytes that `pieces` has yielded so far."""
        return self._hash.hexdigest()

    def read_at(self, offset: int, length: int) -> bytes:
        os.lseek(self._descriptor, offset, os.SEEK_SET)  # Windows has no pread
        return os.read(self._descriptor, length)

    async def pieces(self) -> AsyncIterator[bytes]:
        self._hash = hashlib.sha256()
        offset = 0
        while offset < self.size:
            piece = await anyio.to_thread.run_sync(self._next_piece, offset)
            offset += len(piece)
            yield piece

    def _next_piece(self, offset: int) -> bytes:
        try:
            piece = self.read_at(offset, min(_PIECE, self.size - offset))
        except OSError as error:
            raise BlobChanged(f"{self.name} could not be read to its end ({os.strerror(error.errno or 0)}).") from error
        # Looked at before the last piece goes out: without that piece the request is incomplete and has no effect.
        if not piece or self._has_changed():
            raise BlobChanged(f"{self.name} was changed while it was being sent.")
        self._hash.update(piece)
        return piece

    def _has_changed(self) -> bool:
        now = os.fstat(self._descriptor)
        return (now.st_size, now.st_mtime_ns) != (self._status.st_size, self._status.st_mtime_ns)

    def close(self) -> None:
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Files:
    """`folders` exist. Relative paths start at the first one."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = [Path(os.path.realpath(folder)) for folder in folders]

    def open(self, path: str) -> FileBlob:
        """
        Raises:
            FileNotAllowed: it is outside the allowed folders, or not a regular file.
            FileNotFound, FileNotReadable: it is inside, and cannot be opened.
        """
        name = harmless(Path(path).name, 100)
        folder, parts = self._locate(path)
        try:
            descriptor = _open_below(folder, parts)
        except FileNotFoundError:
            raise FileNotFound(
                f"There is no file {harmless(path, 200)!r} in the folders that may be used.",
                "Check the path with the person. " + self._where(),
            ) from None
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise FileNotReadable(
                f"{name} cannot be opened: {reason}.",
                "Ask the person to make the file readable, or name another.",
            ) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise FileNotAllowed(f"{name} is not a regular file.", "Name a file, not a folder or a device.")
        return FileBlob(descriptor, name)

    def _locate(self, path: str) -> tuple[Path, tuple[str, ...]]:
        """The allowed folder that holds the path, and the way down from there."""
        if not self._folders:
            raise FileNotAllowed(
                "This server may not read any files.",
                "Ask the person to add --files FOLDER to the server's arguments (or to set DECTHINGS_FILES) "
                "with the folder that holds the file, and to restart it. Small data can be given as base64.",
            )
        # Joined to the folder, an absolute path replaces it.
        expanded = os.path.expanduser(path)  # noqa: PTH111 - Path.expanduser raises for an unknown user
        resolved = Path(os.path.realpath(self._folders[0] / expanded))
        for folder in self._folders:
            if resolved.is_relative_to(folder):
                return folder, resolved.relative_to(folder).parts
        raise FileNotAllowed(
            f"{harmless(path, 200)!r} is outside the folders that may be used.",
            self._where() + " For another folder, ask the person to add --files FOLDER to the server's arguments.",
        )

    def _where(self) -> str:
        folders = ", ".join(harmless(str(folder), 200) for folder in self._folders)
        return f"Files are taken from {folders}; a relative path starts at the first."


def _open_below(folder: Path, parts: Sequence[str]) -> int:
    if os.open not in os.supports_dir_fd:  # Windows
        return os.open(folder.joinpath(*parts), _OPEN)
    with ExitStack() as opened:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        for index, part in enumerate(parts):
            opened.callback(os.close, descriptor)
            last = index == len(parts) - 1
            descriptor = os.open(part, _OPEN if last else _OPEN | os.O_DIRECTORY, dir_fd=descriptor)
        return descriptor
