"""A file that is passed on while it is received: hashed and checked on the way, and never held.

Its last chunk is kept back until the checks of the whole file are through. Without it the request is incomplete, and
Decthings does nothing: a wrong file costs the way, but makes no model.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from types import TracebackType

import anyio.to_thread

from ..decthings import HashedBlob, UploadInterrupted
from ..results.errors import NotAModelFile
from .formats import check_model_file
from .passing import AlreadyPassed, PassingFile
from .structure import ReadAt

_CHUNK = 1024 * 1024


class StreamedFile(HashedBlob):
    """A model file of known size whose bytes come from `body`, once. A context manager that ends its check."""

    def __init__(self, size: int, body: AsyncIterator[bytes], check_as: str | None) -> None:
        """Prepares to receive it.

        Args:
            check_as: the format to check it by; None for no check.
        """
        self._size = size
        self._body = body
        self._hash = hashlib.sha256()
        self._received = 0
        self._next: bytes | None = None
        self._passing = None if check_as is None else PassingFile(size, lambda read_at: _check(check_as, size, read_at))

    def __enter__(self) -> StreamedFile:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._passing is not None:
            self._passing.close()

    @property
    def size(self) -> int:
        return self._size

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    async def start(self) -> None:
        """Receive and check the first chunk, so that what clearly is no model never reaches Decthings.

        Raises:
            NotAModelFile
            UploadInterrupted: the file was not received completely.
        """
        self._next = await self._receive()

    async def chunks(self) -> AsyncIterator[bytes]:
        if self._next is None:
            raise UploadInterrupted("The file was received once and is gone; it cannot be sent again.")
        while chunk := self._next:
            self._next = None
            yield chunk
            self._next = await self._receive()
        self._next = None

    async def _receive(self) -> bytes:
        """The next chunk, hashed and checked; empty at the end."""
        chunk, left = bytearray(), self._size - self._received
        while len(chunk) < min(_CHUNK, left):
            try:
                chunk += await anext(self._body)
            except StopAsyncIteration:
                raise UploadInterrupted("The upload ended before the whole file was received.") from None
        if len(chunk) > left:
            raise UploadInterrupted("The upload is larger than it said.")
        self._received += len(chunk)
        received = bytes(chunk)
        await anyio.to_thread.run_sync(self._consume, received)
        return received

    def _consume(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        if self._passing is not None:
            self._passing.pass_on(chunk)


def _check(format_: str, size: int, read_at: ReadAt) -> None:
    try:
        check_model_file(format_, size, read_at)
    except AlreadyPassed:  # to say what else it is
        raise NotAModelFile(
            f"The file is not a complete {format_} file.",
            "Ask the user to upload another file, or to convert this one.",
        ) from None
