"""The formats of images, sounds and videos that are known here, and the content of binary elements."""

from __future__ import annotations

from ..decthings import Media

FORMATS = {
    "image": frozenset({"png", "jpg", "jpeg", "gif", "webp", "bmp", "tif", "tiff", "avif", "heic", "ppm"}),
    "audio": frozenset({"wav", "mp3", "ogg", "flac", "m4a", "aac", "opus"}),
    "video": frozenset({"mp4", "mov", "mkv", "webm", "avi", "mpg"}),
}
"""By tensor type. Only these become endings of files: a model cannot make a program of its output."""


def bytes_of(element: Media | bytes) -> bytes:
    """The content of a decoded binary, image, audio or video element."""
    data = element.data if isinstance(element, Media) else element
    return data if isinstance(data, bytes) else b""
