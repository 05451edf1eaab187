"""Binary data in arguments: `{path}` or `{base64}`, "file:PATH" or a data: URI."""

from __future__ import annotations

import base64
import binascii
import os
import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated, Any
from urllib.parse import unquote, unquote_to_bytes

from pydantic import PlainValidator

from .checking import wrong
from .decthings.json_values import is_object
from .text import nearest

MAX_INLINE_BYTES = 256 * 1024
"""Base64 is typed by a model, which corrupts it when it is long; files have no such limit."""

_DATA_URI = re.compile(r"data:(?P<type>[^,;]*)(?:;[^,;]*)*?(?P<base64>;base64)?,(?P<data>.*)", re.DOTALL)
_FORMATS = {"jpeg": "jpg", "svg+xml": "svg", "mpeg": "mp3", "wave": "wav", "quicktime": "mov"}


@dataclass(frozen=True)
class FilePath:
    """A file that is named and not looked at yet."""

    path: str


Source = bytes | FilePath


@dataclass(frozen=True)
class MediaSource:
    format: str
    data: Source


def read_source(value: Any) -> Source:
    """`{path}`, `{base64}`, or one of the texts that `read_uri` takes."""
    if isinstance(value, str):
        return read_uri(value)
    if not is_object(value):
        raise wrong('has to be {"path": "..."} or {"base64": "..."}')
    for name in value:
        if name not in ("path", "base64"):
            meant = nearest(name, ("path", "base64"))
            raise wrong(
                f"has a member that is not known{f'; {meant} is' if meant else ''}",
                allowed=["path", "base64"],
            )
    if len(value) != 1:
        raise wrong("needs exactly one of path and base64", allowed=["path", "base64"])
    ((name, text),) = value.items()
    if not isinstance(text, str):
        raise wrong(f"needs a text for {name}")
    if name == "path":
        return _file(text)
    return read_uri(text) if text.startswith("data:") else _decode_base64(text)


def read_uri(text: str) -> Source:
    if text.startswith("file:"):
        rest = text.removeprefix("file:")
        return _file(unquote(rest.removeprefix("//")) if rest.startswith("///") else rest)
    uri = _DATA_URI.fullmatch(text)
    if uri is None:
        raise wrong('has to be "file:PATH" or a data: URI, or {"path": "..."}')
    if uri["base64"]:
        return _decode_base64(uri["data"])
    return _limited(unquote_to_bytes(uri["data"]))


def _file(path: str) -> FilePath:
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        path = ""
    if not path or "\0" in path:
        raise wrong("names no file")
    return FilePath(path)


def _decode_base64(text: str) -> bytes:
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise wrong("is not valid base64; give the file as {path}, which cannot be mistyped") from None
    return _limited(decoded)


def _limited(data: bytes) -> bytes:
    if len(data) > MAX_INLINE_BYTES:
        raise wrong(
            f"is {len(data)} bytes, and at most {MAX_INLINE_BYTES // 1024} KiB can be given inline; "
            "save it as a file and give its path"
        )
    return data


def read_media(value: Any) -> MediaSource:
    """Like `read_source`, with the format from a member `format`, the data: URI or the file's name."""
    members = dict(value) if is_object(value) else {}
    given_format = members.pop("format", None)
    if given_format is not None and not isinstance(given_format, str):
        raise wrong("needs a text for format")
    uri = value if isinstance(value, str) else next((v for v in members.values() if isinstance(v, str)), "")
    source = read_source(members or value)
    return MediaSource(given_format or _format_of(source, uri), source)


def _format_of(source: Source, uri: str) -> str:
    if isinstance(source, FilePath):
        name = PurePath(source.path).suffix.removeprefix(".").lower()
    else:
        uri_parts = _DATA_URI.fullmatch(uri)
        name = uri_parts["type"].partition("/")[2].lower().removeprefix("x-") if uri_parts else ""
        name = _FORMATS.get(name, name)
    if not name:
        raise wrong('tells no format; give {"path" or "base64", "format"}, for example "png", "wav" or "mp4"')
    return name


SourceArgument = Annotated[Source, PlainValidator(read_source)]
