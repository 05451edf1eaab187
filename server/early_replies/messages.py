"""A client's messages, as far as their results are prepared.

A message counts as plain only when the SDK would certainly read it in the same way. Whatever is unusual about it,
even if it is allowed, is left to the SDK: being slow is never wrong.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeGuard

VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
_INFO_KEY = "io.modelcontextprotocol/clientInfo"

_MEMBERS = {"jsonrpc", "id", "method", "params"}
_MAX_CHARACTERS = 20_000
_MAX_BRACKETS = 64
_MAX_DIGITS = 15


class Message:
    """A plain message: `id` is JSON as in the line, None for a notification."""

    def __init__(self, method: str, id_: str | None, params: dict[str, Any] | None) -> None:
        self.method, self.id, self.params = method, id_, params


def read(line: str) -> Message | None:
    """The message in a line; None when it is not plain."""
    message = _parsed(line)
    if not _is_object(message) or message.get("jsonrpc") != "2.0" or not message.keys() <= _MEMBERS:
        return None
    method, id_, params = message.get("method"), message.get("id", ""), message.get("params")
    if not isinstance(method, str) or not (params is None or _is_object(params)):
        return None
    if isinstance(id_, bool) or not isinstance(id_, int | str):
        return None
    text = f'"{id_}"' if isinstance(id_, str) else str(id_)
    return Message(method, text if "id" in message else None, params)


def _parsed(line: str) -> Any:
    """The JSON in a line; None when Python and the SDK may read it differently."""
    if len(line) > _MAX_CHARACTERS or "\\" in line or line.count("{") + line.count("[") > _MAX_BRACKETS:
        return None
    try:
        return json.loads(
            line, object_pairs_hook=_members, parse_int=_integer, parse_float=_refuse, parse_constant=_refuse
        )
    except (ValueError, RecursionError):
        return None


def version_of_handshake(message: Message) -> str | None:
    """The protocol version that a plain `initialize` requests."""
    params = message.params or {}
    if message.id is None or params.keys() != {"protocolVersion", "capabilities", "clientInfo"}:
        return None
    version = params["protocolVersion"]
    plain = _is_info(params["clientInfo"]) and _are_capabilities(params["capabilities"])
    return version if plain and isinstance(version, str) else None


def is_plain_request(message: Message) -> bool:
    """Whether a request after a handshake is plain."""
    params = message.params or {}
    return message.id is not None and params.keys() <= {"_meta"} and _is_progress(params.get("_meta", {}))


def version_of_envelope(message: Message) -> str | None:
    """The protocol version of a plain request without a handshake."""
    params = message.params or {}
    if message.id is None or params.keys() != {"_meta"} or not _is_object(params["_meta"]):
        return None
    meta = dict(params["_meta"])
    version, capabilities = meta.pop(VERSION_KEY, None), meta.pop(CAPABILITIES_KEY, None)
    info = meta.pop(_INFO_KEY, {"name": "", "version": ""})
    plain = _is_info(info) and _are_capabilities(capabilities) and _is_progress(meta)
    return version if plain and isinstance(version, str) else None


def _is_progress(meta: Any) -> bool:
    """Whether it is empty but for a progress token, which a list does not use."""
    if not _is_object(meta) or not meta.keys() <= {"progressToken"}:
        return False
    token = meta.get("progressToken", 0)
    return isinstance(token, int | str) and not isinstance(token, bool)


def _is_info(value: Any) -> bool:
    """Whether all is strings: icons are left to the SDK."""
    if not _is_object(value) or "icons" in value or not value.keys() >= {"name", "version"}:
        return False
    return all(isinstance(field, str) for field in value.values())


def _are_capabilities(value: Any) -> bool:
    """Whether there are only objects, down to the last, but for what clients are free to declare."""
    if not _is_object(value):
        return False
    known = dict(value)
    roots, *free = known.pop("roots", {}), known.pop("experimental", {}), known.pop("extensions", {})
    return (
        _is_object(roots)
        and roots.keys() <= {"listChanged"}
        and all(isinstance(flag, bool) for flag in roots.values())
        and all(_is_object(declared) and all(map(_is_object, declared.values())) for declared in free)
        and _has_only_objects(known)
    )


def _has_only_objects(value: Any) -> bool:
    return _is_object(value) and all(map(_has_only_objects, value.values()))


def _is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("duplicate member")
    return members


def _integer(text: str) -> int:
    if text[0] == "-" or len(text) > _MAX_DIGITS:
        raise ValueError("an unusual number")
    return int(text)


def _refuse(text: str) -> Any:
    raise ValueError(f"an unusual value: {text}")
