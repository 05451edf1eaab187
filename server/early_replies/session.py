"""A connection as far as it consists of messages with prepared answers."""

from __future__ import annotations

from . import messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .messages import Message
    from .replies import Prepared


class Session:
    """The first line that is not answered ends it: what comes after may depend on that line."""

    def __init__(self, prepared: Prepared) -> None:
        self._prepared = prepared
        self._version = ""
        """Agreed upon."""
        self._initialized = False
        self.over = False
        self.replayed: list[str] = []
        """The lines that decide how all later ones are answered."""
        self.answer_to_replayed = b""

    def answer(self, line: str) -> bytes | None:
        """The answer, with its line end: empty for a notification, None for a line that others have to answer."""
        message = None if self.over else messages.read(line)
        answer = None if message is None else self._answer(message, line)
        self.over = answer is None
        return answer

    def _answer(self, message: Message, line: str) -> bytes | None:
        if message.method == "notifications/initialized":
            return self._note_initialized(message, line)
        version = self._version_of(message)
        if version is None or (text := self._prepared.result(version, message.method)) is None:
            return None
        answer = f'{{"jsonrpc":"2.0","id":{message.id},"result":{text}}}\n'.encode()
        if not self._version:
            self._version, self.answer_to_replayed = version, answer
            self.replayed.append(line)
        return answer

    def _version_of(self, message: Message) -> str | None:
        """Of the protocol, for a message that can come now."""
        prepared = self._prepared
        if message.method == "initialize":
            asked = None if self._version else messages.version_of_handshake(message)
            return asked if asked is None or asked in prepared.handshakes else prepared.newest_handshake
        if self._version in prepared.handshakes:
            return self._version if messages.asks_nothing_special(message) else None
        version = messages.version_of_envelope(message)
        return None if version in prepared.handshakes else version

    def _note_initialized(self, message: Message, line: str) -> bytes | None:
        first = self._version in self._prepared.handshakes and not self._initialized
        if not first or message.id is not None or message.params:
            return None
        self._initialized = True
        self.replayed.append(line)
        return b""
