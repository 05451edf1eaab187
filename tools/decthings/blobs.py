"""Blobs: the binary parts of a request, held in memory or read as they are sent."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Sequence


class BlobSource(ABC):
    """A blob whose bytes are produced while they are sent, so that memory does not grow with it."""

    @property
    @abstractmethod
    def size(self) -> int:
        """The number of bytes that `chunks` yields in total."""

    @abstractmethod
    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the bytes, once.

        Raises:
            BlobChanged: the data is no longer what was announced.
        """


class HashedBlob(BlobSource):
    """A blob that is hashed while its bytes are produced."""

    @property
    @abstractmethod
    def sha256(self) -> str:
        """The SHA-256 of what `chunks` has yielded, in hexadecimal digits; available after its end."""


Blob = bytes | BlobSource


class ConcatenatedBlob(BlobSource):
    """Several blobs sent one after the other as a single one."""

    def __init__(self, parts: Sequence[Blob]) -> None:
        self._parts = parts
        self._size = sum(map(size_of, parts))

    @property
    def size(self) -> int:
        return self._size

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in chunks_of(self._parts):
            yield chunk


def size_of(blob: Blob) -> int:
    return len(blob) if isinstance(blob, bytes) else blob.size


def join(parts: Iterable[Blob]) -> Blob:
    """Join all `parts` into one blob; adjacent parts in memory are merged."""
    merged: list[Blob] = []
    run: list[bytes] = []
    for part in parts:
        if isinstance(part, bytes):
            run.append(part)
        else:
            merged += [b"".join(run), part]
            run = []
    if not merged:
        return b"".join(run)
    return ConcatenatedBlob([*merged, b"".join(run)])


async def chunks_of(blobs: Iterable[Blob]) -> AsyncIterator[bytes]:
    """The bytes of all `blobs` in order, in chunks that are never empty."""
    for blob in blobs:
        if isinstance(blob, BlobSource):
            async for chunk in blob.chunks():
                yield chunk
        elif blob:
            yield blob
