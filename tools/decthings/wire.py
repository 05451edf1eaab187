"""The frames in which Decthings' HTTP API carries JSON and binary data.

    request    u8 number of blobs · varint length of the JSON · a varint length for each blob · JSON · blobs
    response   varint length of the JSON · JSON · (varint length · bytes) for each blob, until the end
    varint     0…252: one byte · fd u16 · fe u32 · ff u64, big endian

Writers use the shortest varint; readers accept longer forms too, as the official clients do.
Source: the published HTTP reference; where it says nothing, what the official clients send.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .blobs import Blob, BlobSource
from .errors import InvalidRequest
from .json_codec import decode_json_object, encode_json, is_list, is_object
from .tensors import encode_tensors
from .varint import MalformedFrame, decode_varint, encode_varint

MAX_BLOBS = 255
"""The number of blobs is one byte."""


def detach_blobs(params: Mapping[str, Any]) -> tuple[dict[str, Any], list[Blob]]:
    """Split parameters in the form of the API page into JSON and the blobs that are sent next to it.

    A field `data` is removed from the JSON when it is a blob (an upload), the inline tensors of a parameter
    provider, or a list of state files; the names of the latter stay as `stateKeyNames`.
    """
    blobs: list[Blob] = []
    return _detach_members(params, blobs), blobs


def _detach(value: Any, blobs: list[Blob]) -> Any:
    if is_object(value):
        return _detach_members(value, blobs)
    return [_detach(item, blobs) for item in value] if is_list(value) else value


def _detach_members(members: Mapping[str, Any], blobs: list[Blob]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    state_key_names: list[str] | None = None
    for name, value in members.items():
        match value:
            case bytes() | BlobSource() if name == "data":
                blobs.append(value)
            case {"type": "data", "data": tensors} if name == "data":
                blobs.append(encode_tensors(tensors))
            case [{"key": _, "data": bytes() | BlobSource()}, *_] | [] if name == "data":
                state_key_names = [file["key"] for file in value]
                blobs += [file["data"] for file in value]
            case _:
                kept[name] = _detach(value, blobs)
    if state_key_names is not None:
        kept["stateKeyNames"] = state_key_names
    return kept


def encode_head(params: Mapping[str, Any], blob_sizes: Sequence[int]) -> bytes:
    """Encode the part of a request frame before the first blob."""
    if len(blob_sizes) > MAX_BLOBS:
        raise InvalidRequest(
            f"One request can have at most {MAX_BLOBS} binary parts (inline parameters or state files); "
            f"this one has {len(blob_sizes)}."
        )
    document = encode_json(params)
    lengths = b"".join(map(encode_varint, (len(document), *blob_sizes)))
    return bytes([len(blob_sizes)]) + lengths + document


def encode_response(reply: Mapping[str, Any], blobs: Sequence[bytes] = ()) -> bytes:
    document = encode_json(reply)
    parts = [encode_varint(len(document)), document]
    for blob in blobs:
        parts += [encode_varint(len(blob)), blob]
    return b"".join(parts)


def decode_response(frame: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """Decode the JSON object and the blobs of a response frame.

    Raises:
        MalformedFrame: a length extends beyond the end, or the JSON part is not a JSON object.
    """
    document, offset = _decode_part(frame, 0, "the JSON part")
    blobs: list[bytes] = []
    while offset < len(frame):
        blob, offset = _decode_part(frame, offset, f"blob {len(blobs)}")
        blobs.append(blob)
    return decode_json_object(document), blobs


def _decode_part(frame: bytes, offset: int, name: str) -> tuple[bytes, int]:
    length, start = decode_varint(frame, offset)
    end = start + length
    if end > len(frame):
        raise MalformedFrame(f"the length of {name} is {length} bytes, but only {len(frame) - start} remain")
    return frame[start:end], end
