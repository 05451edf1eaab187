"""A file that is sent as it was when it was named: read ahead, hashed on the way, checked before each chunk.

It is opened again when it is sent, and must be the same, unchanged file, so that hundreds of files in one call
keep no descriptors open.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext

from ..decthings import BlobChanged, HashedBlob
from .structure import ReadAt

_CHUNK = 1024 * 1024
_READ_AHEAD = 2
"""Chunks that are read while one is being sent."""
_HASH_BACKLOG = 4
"""Chunks that are read but not hashed yet: hashing is the slowest step."""


class FileBlob(HashedBlob):
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


def reader_of(data: FileBlob | bytes) -> AbstractContextManager[ReadAt]:
    """A reader of a file, or of bytes that came inline."""
    if isinstance(data, FileBlob):
        return data.reader()
    return nullcontext(lambda offset, length: data[offset : offset + length])


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
