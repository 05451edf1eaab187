"""Images and sounds, as a result shows them to the user."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence

from mcp_types import AudioContent, ImageContent

from ..decthings import Media
from ..decthings.evaluations import Output
from ..files.media import bytes_of

_SHOWN = {
    "png": (b"\x89PNG\r\n", "image/png"),
    "jpg": (b"\xff\xd8\xff", "image/jpeg"),
    "gif": (b"GIF8", "image/gif"),
    "webp": (b"RIFF", "image/webp"),
    "wav": (b"RIFF", "audio/wav"),
    "mp3": (b"ID3", "audio/mpeg"),
    "ogg": (b"OggS", "audio/ogg"),
    "flac": (b"fLaC", "audio/flac"),
}
"""What clients show. Bytes that do not begin like their format are not handed to a decoder."""
_ALIASES = {"jpeg": "jpg", "wave": "wav"}
_MAX_BLOCKS = 4
_MAX_BYTES = 512 << 10


def content_blocks(outputs: Sequence[Output]) -> list[ImageContent | AudioContent]:
    """The first images and sounds that a client can show."""
    blocks: list[ImageContent | AudioContent] = []
    for media in _media_in(outputs):
        data = bytes_of(media)
        signature, media_type = _SHOWN.get(_ALIASES.get(media.format.lower(), media.format.lower()), (b"", ""))
        if not media_type or not data.startswith(signature) or len(data) > _MAX_BYTES:
            continue
        encoded = base64.b64encode(data).decode()
        if media_type.startswith("image/"):
            blocks.append(ImageContent(type="image", data=encoded, mime_type=media_type))
        else:
            blocks.append(AudioContent(type="audio", data=encoded, mime_type=media_type))
        if len(blocks) == _MAX_BLOCKS:
            break
    return blocks


def _media_in(outputs: Sequence[Output]) -> Iterator[Media]:
    for output in outputs:
        for tensor in output.tensors:
            if not isinstance(tensor.elements, memoryview):
                yield from (element for element in tensor.elements if isinstance(element, Media))
