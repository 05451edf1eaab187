"""Bytes to lines, as a text stream of the standard library would divide them."""

from __future__ import annotations

import codecs
import io


class Lines:
    """UTF-8, whatever is wrong in it replaced; a line ends with LF, CR LF or CR."""

    def __init__(self) -> None:
        utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._decoder = io.IncrementalNewlineDecoder(utf8, translate=True)
        self._begun: list[str] = []

    def feed(self, data: bytes) -> list[str]:
        """The lines that `data` completes, without their ends."""
        return self._divide(self._decoder.decode(data))

    def end(self) -> list[str]:
        """What is left when there is no more data."""
        whole = self._divide(self._decoder.decode(b"", final=True))
        rest = "".join(self._begun)
        self._begun = []
        return [*whole, rest] if rest else whole

    def _divide(self, text: str) -> list[str]:
        first, *others = text.split("\n")
        self._begun.append(first)
        if not others:
            return []
        whole = "".join(self._begun)
        self._begun = [others.pop()]
        return [whole, *others]
