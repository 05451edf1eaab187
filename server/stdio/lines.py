"""Bytes to lines, split as a text stream of the standard library would."""

from __future__ import annotations

import codecs
import io


class Lines:
    """Decodes UTF-8, with invalid bytes replaced, into lines that end with LF, CR LF or CR."""

    def __init__(self) -> None:
        utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._decoder = io.IncrementalNewlineDecoder(utf8, translate=True)
        self._partial: list[str] = []

    def feed(self, data: bytes) -> list[str]:
        """The lines that `data` completes, without their ends."""
        return self._split(self._decoder.decode(data))

    def end(self) -> list[str]:
        """The lines that are left when there is no more data."""
        complete = self._split(self._decoder.decode(b"", final=True))
        rest = "".join(self._partial)
        self._partial = []
        return [*complete, rest] if rest else complete

    def _split(self, text: str) -> list[str]:
        first, *others = text.split("\n")
        self._partial.append(first)
        if not others:
            return []
        complete = "".join(self._partial)
        self._partial = [others.pop()]
        return [complete, *others]
