"""A connection as long as it consists of messages with prepared results."""

from __future__ import annotations

from . import messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .messages import Message
    from .replies import PreparedResults


class Session:
    """Finished by the first line without an early reply: later lines may depend on that line."""

    def __init__(self, prepared: PreparedResults) -> None:
        self._prepared = prepared
        self._version = ""
        """The negotiated protocol version."""
        self._initialized = False
        self.finished = False
        self.handshake_lines: list[str] = []
        """The lines that decide how the server responds to all later ones."""
        self.handshake_response = b""

    def reply_to(self, line: str) -> bytes | None:
        """The response with its line end: empty for a notification, None for a line that the server must see."""
        message = None if self.finished else messages.read(line)
        reply = None if message is None else self._reply_to(message, line)
        self.finished = reply is None
        return reply

    def _reply_to(self, message: Message, line: str) -> bytes | None:
        if message.method == "notifications/initialized":
            return self._note_initialized(message, line)
        version = self._version_of(message)
        if version is None or (result := self._prepared.result(version, message.method)) is None:
            return None
        response = f'{{"jsonrpc":"2.0","id":{message.id},"result":{result}}}\n'.encode()
        if not self._version:
            self._version, self.handshake_response = version, response
            self.handshake_lines.append(line)
        return response

    def _version_of(self, message: Message) -> str | None:
        """The protocol version of a request; None when it cannot come now."""
        prepared = self._prepared
        if message.method == "initialize":
            requested = None if self._version else messages.version_of_handshake(message)
            return requested if requested is None or requested in prepared.handshakes else prepared.newest_handshake
        if self._version in prepared.handshakes:
            return self._version if messages.is_plain_request(message) else None
        version = messages.version_of_envelope(message)
        return None if version in prepared.handshakes else version

    def _note_initialized(self, message: Message, line: str) -> bytes | None:
        is_first = self._version in self._prepared.handshakes and not self._initialized
        if not is_first or message.id is not None or message.params:
            return None
        self._initialized = True
        self.handshake_lines.append(line)
        return b""
