"""The certificates that are trusted: those of SSL_CERT_FILE or SSL_CERT_DIR, or else those of the operating system.

A company's own authority is in the operating system's store, where browsers and curl find it too.
"""

from __future__ import annotations

import os
import ssl
import sys
from pathlib import Path

_FILES = (
    "/etc/ssl/cert.pem",  # Alpine, Arch, Fedora, BSD
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/pki/tls/cert.pem",  # older ones
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu
    "/etc/ssl/ca-bundle.pem",  # SUSE
)
"""For a Python that was built for another system than the one it runs on."""


def load_certificates() -> ssl.SSLContext:
    """A context for connections to Decthings.

    Raises:
        OSError: SSL_CERT_FILE cannot be read.
        ValueError: what it names has no certificates.
    """
    if file := os.environ.get("SSL_CERT_FILE"):
        return ssl.create_default_context(cafile=file)
    if folder := os.environ.get("SSL_CERT_DIR"):
        return ssl.create_default_context(capath=folder)
    if sys.platform in ("darwin", "win32"):
        import truststore

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # asks the system about each certificate
    return _of_openssl()


def _of_openssl() -> ssl.SSLContext:
    """The store that truststore uses on Linux, read once: truststore reads it for each connection, for 20 ms."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    folder = ssl.get_default_verify_paths().capath
    context.load_verify_locations(
        system_file() or (None if folder and any(Path(folder).iterdir()) else _certifi()), folder
    )
    return context


def system_file() -> str | None:
    """The file with the certificates of a system with OpenSSL, if there is one."""
    return ssl.get_default_verify_paths().cafile or next((name for name in _FILES if Path(name).is_file()), None)


def _certifi() -> str:
    import certifi

    return certifi.where()
