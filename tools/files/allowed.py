"""The files that arguments may name: regular files in the allowed folders.

A path is resolved through every symbolic link before it is compared with the folders. Then the file is
opened from its folder downwards without following links: the opened file is the one that was checked, even
if a link has replaced it since. It is opened again when it is sent, and must be the same, unchanged file, so
that hundreds of files in one call keep no descriptors open. Names are compared as they are spelled on disk; on
a file system that ignores case, a path may be refused, but never wrongly accepted.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..decthings import BlobChanged, BlobSource
from ..results.errors import FileNotAllowed, FileNotFound, FileNotReadable
from ..results.text import join_words, sanitize, single_line
from .protobuf import ReadAt

_CHUNK = 1024 * 1024
_READ_AHEAD = 2
"""Chunks that are read while one is being sent."""
_HASH_BACKLOG = 4
"""Chunks that are read but not hashed yet: hashing is the slowest step."""
_OPEN = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
# O_PATH needs no permission to list the folders on the way to the file.
_OPEN_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


class FileBlob(BlobSource):
    """A file in the state in which it was first opened; sending fails if it has changed since."""

    def __init__(self, name: str, open_: Callable[[], int]) -> None:
        """Open the file once, to remember its state.

        Args:
            open_: opens the file and returns a new descriptor each time; raises OSError.
        """
        self.name = name
        self._open = open_
        self._hash = hashlib.sha256()
        with self._opened() as descriptor:
            self._status = os.fstat(descriptor)

    @property
    def is_regular(self) -> bool:
        return stat.S_ISREG(self._status.st_mode)

    @property
    def size(self) -> int:
        return self._status.st_size

    @property
    def sha256(self) -> str:
        """The SHA-256 of the bytes that `chunks` has yielded, available after its end."""
        return self._hash.hexdigest()

    @contextmanager
    def reader(self) -> Generator[ReadAt]:
        with self._opened() as descriptor:
            yield lambda offset, length: _read_at(descriptor, offset, length)

    async def chunks(self) -> AsyncIterator[bytes]:
        with _ReadAhead(self) as reading:
            self._hash = reading.hash
            ahead = deque(reading.next_chunk() for _ in range(_READ_AHEAD))
            sent = 0
            while sent < self.size:
                chunk = await asyncio.wrap_future(ahead.popleft())
                ahead.append(reading.next_chunk())
                sent += len(chunk)
                yield chunk
            await asyncio.wrap_future(ahead.popleft())  # the hash is complete

    def open_again(self) -> int:
        """Open the file for sending and return its descriptor.

        Raises:
            BlobChanged: it no longer exists, or is not readable any more.
        """
        try:
            return self._open()
        except OSError as error:
            raise BlobChanged(f"{self.name} was found but can no longer be opened.") from error

    def chunk(self, descriptor: int, offset: int) -> bytes:
        """Read the chunk at `offset` and check that the file is unchanged.

        Raises:
            BlobChanged: it is another file, or its content has changed.
        """
        try:
            chunk = _read_at(descriptor, offset, min(_CHUNK, self.size - offset))
        except OSError as error:
            raise BlobChanged(f"{self.name} could not be read completely ({os.strerror(error.errno or 0)}).") from error
        # Checked before each chunk is sent, also the last: without it the request is incomplete and has no effect.
        if not chunk or _identity(os.fstat(descriptor)) != _identity(self._status):
            raise BlobChanged(f"{self.name} was changed while it was being sent.")
        return chunk

    @contextmanager
    def _opened(self) -> Generator[int]:
        descriptor = self._open()
        try:
            yield descriptor
        finally:
            os.close(descriptor)


class _ReadAhead:
    """Reads a file ahead of the sending in one thread, and hashes it in another."""

    def __init__(self, file: FileBlob) -> None:
        self.hash = hashlib.sha256()
        self._file = file
        self._reader, self._hasher = ThreadPoolExecutor(1, "upload"), ThreadPoolExecutor(1, "sha256")
        self._hashing = deque[Future[None]]()
        self._descriptor: int | None = None
        self._offset = 0

    def __enter__(self) -> _ReadAhead:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.submit(self._close)  # after a read that may be in progress
        self._reader.shutdown(wait=False)

    def next_chunk(self) -> Future[bytes]:
        """The next chunk; empty at the end, as soon as everything is hashed."""
        return self._reader.submit(self._read)

    def _read(self) -> bytes:
        if self._descriptor is None:
            self._descriptor = self._file.open_again()
        if self._offset == self._file.size:
            for hashed in self._hashing:
                hashed.result()
            return b""
        if len(self._hashing) == _HASH_BACKLOG:
            self._hashing.popleft().result()
        chunk = self._file.chunk(self._descriptor, self._offset)
        self._offset += len(chunk)
        self._hashing.append(self._hasher.submit(self.hash.update, chunk))
        return chunk

    def _close(self) -> None:
        self._hasher.shutdown(wait=False)
        if self._descriptor is not None:
            os.close(self._descriptor)


def _read_at(descriptor: int, offset: int, length: int) -> bytes:
    os.lseek(descriptor, offset, os.SEEK_SET)  # Windows has no pread
    return os.read(descriptor, length)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    # The change time too: a modification time can be set back.
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


class AllowedFiles:
    """The folders from which files may be read. They exist; relative paths start in the first one.

    Args:
        remote_callers: whether the users are on other machines, whose own files cannot be read.
    """

    def __init__(self, folders: Sequence[Path], *, remote_callers: bool = False) -> None:
        self._remote_callers = remote_callers
        self._folders = [Path(os.path.realpath(folder)) for folder in folders]

    def open(self, path: str) -> FileBlob:
        """Open the file at `path`.

        Raises:
            FileNotAllowed: it is outside the allowed folders, or not a regular file.
            FileNotFound, FileNotReadable: it is inside them but cannot be opened.
        """
        folder, parts = self._locate(path)
        name = single_line(sanitize(Path(path).name, 100)) or "The path"
        try:
            file = FileBlob(name, lambda: _open_below(folder, parts))
        except FileNotFoundError:
            raise FileNotFound(
                f"File {sanitize(path, 200)!r} was not found in the allowed folders.",
                "Check the path with the user. " + self._where(),
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
                "Give the data as base64 if it is small. Otherwise ask the operator of this server to share a "
                "folder with --files and to put the file there.",
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
            self._where() + " For another folder, ask the user to add --files FOLDER to the server's arguments.",
        )

    def _where(self) -> str:
        first, *others = [sanitize(str(folder), 200) for folder in self._folders]
        also = f" Files in {join_words(others, 'and')} need an absolute path." if others else ""
        return f"A relative path starts in {first}.{also}"


def _open_below(folder: Path, parts: Sequence[str]) -> int:
    if os.open not in os.supports_dir_fd:  # Windows
        return os.open(folder.joinpath(*parts), _OPEN)
    with ExitStack() as opened:
        descriptor = os.open(folder, _OPEN_FOLDER)
        for index, part in enumerate(parts):
            opened.callback(os.close, descriptor)
            descriptor = os.open(part, _OPEN if index == len(parts) - 1 else _OPEN_FOLDER, dir_fd=descriptor)
        return descriptor
