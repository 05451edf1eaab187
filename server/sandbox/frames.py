"""Reads request frames from a stream: the JSON into memory, the blobs to disk."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from ...tools.decthings.json_codec import decode_json_object
from ...tools.decthings.varint import MalformedFrame, decode_varint, varint_width

_MAX_JSON = 64 * 1024 * 1024


@dataclass(frozen=True)
class ReceivedBlob:
    """A blob of a request, saved as a file."""

    path: Path
    size: int
    sha256: str


async def read_request(body: AsyncIterator[bytes], folder: Path) -> tuple[dict[str, Any], list[ReceivedBlob]]:
    """Read the parameters, and save the blobs as files in `folder`.

    Raises:
        MalformedFrame: the body is not exactly one frame.
    """
    stream = _Stream(body)
    count = (await stream.exactly(1))[0]
    json_size, *sizes = [await stream.varint() for _ in range(1 + count)]
    if json_size > _MAX_JSON:
        raise MalformedFrame("the JSON part is too long")
    params = decode_json_object(await stream.exactly(json_size))
    blobs = [await stream.save(size, folder / str(index)) for index, size in enumerate(sizes)]
    await stream.expect_end()
    return params, blobs


class _Stream:
    """Reads exact numbers of bytes from chunks of any size."""

    def __init__(self, body: AsyncIterator[bytes]) -> None:
        self._body = body
        self._buffer = b""

    async def _read_some(self, limit: int) -> bytes:
        """Between one and `limit` bytes; empty at the end."""
        while not self._buffer:
            try:
                self._buffer = await anext(self._body)
            except StopAsyncIteration:
                return b""
        some, self._buffer = self._buffer[:limit], self._buffer[limit:]
        return some

    async def exactly(self, size: int) -> bytes:
        return b"".join([chunk async for chunk in self._up_to(size)])

    async def _up_to(self, size: int) -> AsyncIterator[bytes]:
        while size:
            chunk = await self._read_some(size)
            if not chunk:
                raise MalformedFrame("it ends too early")
            size -= len(chunk)
            yield chunk

    async def varint(self) -> int:
        first = await self.exactly(1)
        return decode_varint(first + await self.exactly(varint_width(first[0])))[0]

    async def save(self, size: int, path: Path) -> ReceivedBlob:
        digest = hashlib.sha256()
        async with await anyio.open_file(path, "wb") as file:
            async for chunk in self._up_to(size):
                digest.update(chunk)
                await file.write(chunk)
        return ReceivedBlob(path, size, digest.hexdigest())

    async def expect_end(self) -> None:
        if await self._read_some(1):
            raise MalformedFrame("there is more data after the last blob")
