"""HTTP clients for Decthings, as the settings and the system say: certificates, proxies, the server's name."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

import httpx

from ..tools.results.text import sanitize
from .certificates import load_certificates
from .settings import is_loopback

VERSION = version("decthings-mcp")

LoadCertificates = Callable[[], ssl.SSLContext]


def set_up_problem(error: Exception) -> str:
    """The reason in a few words, without what the error says of the configuration."""
    number = error.errno if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) else None
    return sanitize(os.strerror(number) if number else type(error).__name__)


def http_client_factory(
    url: str, load_certificates: LoadCertificates = load_certificates
) -> Callable[[], httpx.AsyncClient]:
    """A function that opens HTTP clients for the server at this URL; certificates are loaded only once.

    Raises:
        OSError, ValueError: the system's certificates cannot be used or, when the function is called, its proxy.
    """
    return partial(open_http_client, verify=load_certificates(), mounts=_without_proxy(url))


def _without_proxy(url: str) -> dict[str, None]:
    """Exclude a server on this machine from the system's proxy."""
    parts = urlsplit(url)
    return {f"all://{parts.netloc}": None} if is_loopback(parts.hostname or "") else {}


def open_http_client(**options: Any) -> httpx.AsyncClient:
    """An HTTP client that keeps nothing from one request to the next."""
    return httpx.AsyncClient(
        follow_redirects=False,
        headers={"User-Agent": f"decthings-mcp/{VERSION}"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # no cookies: callers would share them
        **options,
    )
