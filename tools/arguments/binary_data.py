"""Binary data in arguments: `{path}` or `{base64}`, "file:PATH" or a data: URI."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated, Any
from urllib.parse import unquote, unquote_to_bytes

from pydantic import PlainValidator

from ..decthings.json_codec import is_object, parse_if_json
from ..decthings.tensors import MAX_FORMAT_BYTES, MEDIA_TYPES
from ..results.text import closest_match
from .validation import invalid

MAX_INLINE_BYTES = 256 * 1024
"""Models make mistakes when they write long base64; files have no such limit."""

_FORMATS = {
    "jpeg": "jpg", "image/jpeg": "jpg", "image/svg+xml": "svg", "audio/mpeg": "mp3", "audio/x-wav": "wav",
    "audio/wave": "wav", "video/mpeg": "mpg", "video/quicktime": "mov", "video/x-matroska": "mkv",
}  # fmt: skip
"""Formats whose name differs from the file extension or from the media type's subtype."""


@dataclass(frozen=True)
class FilePath:
    """The path of a file that has not been opened yet."""

    path: str


Source = bytes | FilePath


@dataclass(frozen=True)
class UploadByLink:
    """A file that the user uploads on a page."""


@dataclass(frozen=True)
class MediaSource:
    """One image, audio or video element, before its file is opened."""

    format: str
    data: Source


def parse_source(value: Any) -> Source:
    """Read `{path}`, `{base64}`, or one of the strings that `_read_uri` accepts."""
    return _read(_as_object(value), text=False)[0]


def parse_media(value: Any) -> MediaSource:
    """Like `parse_source`, with the format from the field `format`, the data: URI or the file's name."""
    members = _as_object(value)
    source, media_type = _read({name: member for name, member in members.items() if name != "format"}, text=True)
    format_ = members.get("format") or _format_of(source, media_type)
    if not isinstance(format_, str) or len(format_.encode("utf-8", "replace")) > MAX_FORMAT_BYTES:
        raise invalid(f"needs a string of at most {MAX_FORMAT_BYTES} bytes for format")
    return MediaSource(format_, source)


def parse_binary(value: Any) -> Source:
    """Like `parse_source`, or base64 that can be nothing else. A field `format` is ignored: the element has none."""
    if isinstance(value, str) and _is_surely_base64(value):
        return _decode_base64(value)
    return _read({name: member for name, member in _as_object(value).items() if name != "format"}, text=False)[0]


_LONG = 64


def _is_surely_base64(string: str) -> bool:
    """Whether a string is base64 and neither a path nor a word: padded, or long and mixed, and nothing is left over."""
    mixed = len(string) >= _LONG and all(re.search(kind, string) for kind in ("[A-Z]", "[a-z]", "[0-9]"))
    if not (string.endswith("=") or mixed):
        return False
    try:
        return base64.b64encode(base64.b64decode(string, validate=True)).decode() == string
    except ValueError:
        return False


def _as_object(value: Any) -> dict[str, Any]:
    """The value as an object; empty fields are removed if another field is set."""
    if isinstance(value, str) and not value.lstrip().startswith("{"):
        return {"uri": value}
    members = parse_if_json(value)
    if not is_object(members):
        raise invalid('must be {"path": "..."} or {"base64": "..."}')
    given = {name: member for name, member in members.items() if member not in (None, "")}
    return given or {name: member for name, member in members.items() if member is not None}


def _read(members: dict[str, Any], *, text: bool) -> tuple[Source, str]:
    """The source, and its media type if it is a data: URI; `text` is whether that may have text instead of base64."""
    for name in members:
        if name not in ("path", "base64", "uri"):
            meant = closest_match(name, ("path", "base64"))
            suggestion = f"; probably {meant} is meant" if meant else ""
            raise invalid(f"has an unknown field{suggestion}", allowed=["path", "base64"])
    if len(members) != 1:
        raise invalid("needs exactly one of path and base64", allowed=["path", "base64"])
    ((name, string),) = members.items()
    if not isinstance(string, str):
        raise invalid(f"needs a string for {name}")
    if name == "uri" or string[:5].lower() in ("file:", "data:"):
        return _read_uri(string, text=text)
    return (_file(string) if name == "path" else _decode_base64(string)), ""


def _read_uri(uri: str, *, text: bool) -> tuple[Source, str]:
    scheme, _, rest = uri.partition(":")
    if scheme.lower() == "file":
        return _file(_path_of(rest)), ""
    if scheme.lower() == "data" and "," in rest:
        return _read_data_uri(rest, text=text)
    raise invalid('must be "file:PATH" or "data:;base64,...", with the media type before ";" if it is media')


def _path_of(rest: str) -> str:
    """The path in file:PATH, unchanged, or in a full file:// URI, without the host and unescaped."""
    if not rest.startswith("//"):
        return rest
    host, slash, path = rest.removeprefix("//").partition("/")
    return unquote(slash + path if host in ("", "localhost") else host + slash + path)


def _read_data_uri(rest: str, *, text: bool) -> tuple[bytes, str]:
    marker = rest.lower().replace(" ", "").find(";base64,")
    header, _, data = rest.partition(",")
    media_type = header.partition(";")[0].strip().lower()
    if marker < 0 and not text:
        raise invalid(_TEXT)
    if marker < 0:
        return _check_size(unquote_to_bytes(data)), media_type
    # A quoted parameter may contain a comma: the data starts after the first comma that follows the marker.
    return _decode_base64(rest[rest.lower().index("base64", marker) :].partition(",")[2]), media_type


_TEXT = (
    'is a data: URI without ";base64", so that its characters would be stored as they are; if they are base64, write '
    '"data:;base64,...", and if they are really meant, encode them as base64'
)


def _file(path: str) -> FilePath:
    if path.startswith(("http://", "https://")):
        raise invalid("is a URL, and this server downloads nothing; give the path of a file on the server's machine")
    if not path or "\0" in path:
        raise invalid("is not the path of a file")
    return FilePath(path)


def _decode_base64(encoded: str) -> bytes:
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        problem = "is not valid base64 (padded, without line breaks); the path of a file is safer"
        raise invalid(problem) from None
    return _check_size(decoded)


def _check_size(data: bytes) -> bytes:
    if len(data) > MAX_INLINE_BYTES:
        raise invalid(
            f"is {len(data)} bytes, and at most {MAX_INLINE_BYTES // 1024} KiB can be given inline; "
            "save it as a file and give the path"
        )
    return data


def _format_of(source: Source, media_type: str) -> str:
    if isinstance(source, FilePath):
        name = PurePath(source.path).suffix.removeprefix(".").lower()
    else:
        kind, _, subtype = media_type.partition("/")
        name = _FORMATS.get(media_type, subtype.removeprefix("x-")) if kind in MEDIA_TYPES else ""
    if not name:
        raise invalid('has no format; give {"path" or "base64", "format"}, for example "png", "wav" or "mp4"')
    return _FORMATS.get(name, name)


def parse_uploadable(value: Any) -> Source | UploadByLink:
    """Like `parse_source`, or `{upload: true}`."""
    members = dict(_as_object(value))
    by_link, encoded = members.pop("upload", False), members.get("base64")
    if isinstance(encoded, str) and len(encoded) // 4 * 3 > MAX_INLINE_BYTES + 2:
        raise invalid(
            f"is more than the {MAX_INLINE_BYTES // 1024} KiB that can be given inline; give the path of a file, or "
            '{"upload": true} for a link where the user uploads it'
        )
    if by_link is True and not members:
        return UploadByLink()
    if by_link is True or not members:
        raise invalid('needs exactly one of path, base64 and "upload": true', allowed=["path", "base64", "upload"])
    return _read(members, text=False)[0]


UploadableArgument = Annotated[Source | UploadByLink, PlainValidator(parse_uploadable)]
