"""Names by which clients reach the server: hosts and the path of its URL. Light, as all settings are."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from ..settings import SettingsError, is_loopback

MAX_PORT = 65_535
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?(?::(?P<port>\*|[0-9]{1,5}))?")
_HOST_HEADER = re.compile(r"(?:\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::[0-9]{1,5})?")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_DEFAULT_PORTS = {"https": ":443", "http": ":80"}
"""Browsers leave them out."""
_SEGMENT = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._~-]+")
_OWN_PATHS = ("/healthz", "/readyz", "/upload", "/upload/describe")


def checked_host(given: str) -> str:
    """A value of --allowed-host as clients send it.

    Raises:
        SettingsError: no client sends such a Host header.
    """
    found = _HOST.fullmatch(given.strip().lower())
    port = found and found["port"]
    if found is None or (port is not None and port != "*" and not 0 < int(port) <= MAX_PORT):
        raise SettingsError(
            f"--allowed-host must be a name such as mcp.example.com, without https:// and a path; {given!r} is not. "
            "Letters outside ASCII are written in Punycode (xn--...), and IPv6 addresses in brackets."
        )
    return f"{found['name']}:{port}" if port else found["name"]


def checked_origin(given: str) -> str:
    """A value of --allowed-origin as browsers send it.

    Raises:
        SettingsError: no browser sends such an Origin header.
    """
    scheme, _, host = given.strip().lower().removesuffix("/").partition("://")
    if not _SCHEME.fullmatch(scheme) or _HOST.fullmatch(host) is None or host.endswith(":*"):
        raise SettingsError(
            f"--allowed-origin must be a scheme and a name such as https://app.example.com, without a path; {given!r} "
            "is not."
        )
    return f"{scheme}://{host.removesuffix(_DEFAULT_PORTS.get(scheme, ''))}"


def normalized_host(header: str) -> str:
    """A Host header in the form of `checked_host`: upper case and the dot of the root make no difference."""
    name, colon, port = header.lower().partition(":")
    return header.lower() if name.startswith("[") else f"{name.removesuffix('.')}{colon}{port}"


def is_host_header(normalized: str) -> bool:
    """Whether it is a name with or without a port: the SDK compares only what is before the colon."""
    return _HOST_HEADER.fullmatch(normalized) is not None


def is_own_name(host: str) -> bool:
    """Whether a host, with or without a port, is a name of this machine that only its own users can use."""
    found = _HOST.fullmatch(host)
    return found is not None and is_loopback(found["name"].strip("[]"))


def in_url(address: str) -> str:
    """An address as the host of a URL."""
    return f"[{address}]" if ":" in address else address.lower()


def host_in(url: str) -> str:
    return urlsplit(url).hostname or ""


def checked_path(given: str) -> str:
    """A value of --path, with one slash at its beginning.

    Raises:
        SettingsError: no request can have this path, or the server uses it itself.
    """
    path = "/" + given.strip("/")
    segments = path[1:].split("/") if path != "/" else []
    if path in _OWN_PATHS or not all(map(_SEGMENT.fullmatch, segments)):
        raise SettingsError(
            f"--path must be a path such as /mcp, of letters, digits, '.', '_', '~' and '-', and none of "
            f"{', '.join(_OWN_PATHS)}; {given!r} is not possible."
        )
    return path


def checked_public_url(given: str | None, path: str) -> str | None:
    """A value of --public-url, without a slash at its end.

    Args:
        path: that of MCP, which is no part of it.

    Raises:
        SettingsError: it is no URL that links can begin with.
    """
    if given is None:
        return None
    try:
        parts = urlsplit(given)
        is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
        possible = is_safe and bool(parts.hostname) and parts.port != 0 and parts.path.rstrip("/") != path
    except ValueError:
        possible = False
    if not possible or not re.fullmatch(r"[!-~]+", given) or re.search(r"[?#@]", given):
        raise SettingsError(
            f"--public-url must be what /upload follows, such as https://mcp.example.com: without {path}, a query and "
            "a user name, and with http only on this machine."
        )
    return given.rstrip("/")
