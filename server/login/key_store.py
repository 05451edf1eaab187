"""Where `decthings-mcp login` keeps API keys: in the system's key store, or in a file that only the user can read.

The key store is used where the package `keyring` is installed and finds one that works. A file, if there is one, is
newer than the entry of the key store: `keep` removes the file when the key store takes the key.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import platformdirs

from ..api_key import Secret, decode_key

_SERVICE = "decthings-mcp"


class KeyStoreError(Exception):
    """The key store or the file cannot be used. The message is a clause that says which, and why."""


class FoundKey(NamedTuple):
    key: Secret
    place: str
    """In words, to follow "in": "the key store (macOS Keyring)", "the file /home/anna/.config/…"."""


class KeptAt(NamedTuple):
    place: str
    why_no_key_store: str
    """Why it is a file; empty when it is the key store."""


def find_key(profile: str) -> FoundKey | None:
    """The key of a profile. It may take as long as the user needs to unlock the key store.

    Raises:
        KeyStoreError
    """
    if (path := key_file(profile)) is not None and (key := _read(path)) is not None:
        return FoundKey(Secret(key), f"the file {path}")
    keyring = _keyring()
    key = None if keyring is None else _use(keyring, lambda: keyring.get_password(_SERVICE, profile))
    return FoundKey(Secret(key), _name_of(keyring)) if key else None


def keep_key(profile: str, key: Secret) -> KeptAt:
    """Keep the key of a profile in place of the one that was there.

    Raises:
        KeyStoreError: neither the key store nor the file can be written.
    """
    try:
        place = _keep_in_key_store(profile, key)
    except KeyStoreError as error:
        if (path := key_file(profile)) is None:
            raise KeyStoreError(f"{error}, and there is no home folder to keep a file in") from None
        try:
            _write(path, key)
        except OSError as file_error:
            raise KeyStoreError(f"{error}, and the file {path} cannot be written ({_reason(file_error)})") from None
        return KeptAt(f"the file {path}", str(error))
    _remove_file(profile)
    return KeptAt(place, "")


def remove_key(profile: str) -> list[str]:
    """Remove the key of a profile, and return where it was.

    Raises:
        KeyStoreError
    """
    places = _remove_file(profile)
    keyring = _keyring()
    if keyring is not None and _use(keyring, lambda: keyring.get_password(_SERVICE, profile)):
        _use(keyring, lambda: keyring.delete_password(_SERVICE, profile))
        places.append(_name_of(keyring))
    return places


def key_file(profile: str) -> Path | None:
    """The file of a profile's key; None without a home folder."""
    try:
        return platformdirs.user_config_path("decthings-mcp", appauthor=False) / f"api-key-{profile}"
    except RuntimeError:
        return None


def describe_key_store() -> str:
    """Which key store is used, or why there is none.

    Raises:
        KeyStoreError
    """
    keyring = _keyring()
    if keyring is None:
        return "none: the package keyring is not installed, so login keeps keys in files"
    if _use(keyring, lambda: keyring.get_keyring().priority) <= 0:
        return "none: keyring has found no key store on this system, so login keeps keys in files"
    return _name_of(keyring)


def _keyring() -> Any:
    """The module, or None where it is not installed."""
    try:
        import_module("keyring.errors")
        return import_module("keyring")
    except ImportError:
        return None


def _name_of(keyring: Any) -> str:
    return f"the key store ({_use(keyring, lambda: keyring.get_keyring().name)})"


def _use(keyring: Any, action: Callable[[], Any]) -> Any:
    """What the action returns; None when there is no key store.

    Raises:
        KeyStoreError: it is locked, or cannot be used.
    """
    try:
        return action()
    except keyring.errors.NoKeyringError:
        return None
    except Exception as error:  # back ends raise what the libraries of their systems raise
        raise KeyStoreError(f"the system's key store cannot be used ({type(error).__name__})") from error


def _keep_in_key_store(profile: str, key: Secret) -> str:
    keyring = _keyring()
    if keyring is None:
        raise KeyStoreError("the package keyring is not installed")
    _use(keyring, lambda: keyring.set_password(_SERVICE, profile, key.value))
    if _use(keyring, lambda: keyring.get_password(_SERVICE, profile)) != key.value:
        raise KeyStoreError("this system has no key store")
    return _name_of(keyring)


def _read(path: Path) -> str | None:
    try:
        return decode_key(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise KeyStoreError(f"the file {path} cannot be read ({_reason(error)})") from error


def _write(path: Path, key: Secret) -> None:
    """Replace the file at once, so that a server never reads half a key."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # readable by the user alone
    try:
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
            file.write(f"{key.value}\n")
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise


def _remove_file(profile: str) -> list[str]:
    path = key_file(profile)
    try:
        if path is None or not path.exists():
            return []
        path.unlink()
    except OSError as error:
        raise KeyStoreError(f"the file {path} cannot be removed ({_reason(error)})") from error
    return [f"the file {path}"]


def _reason(error: Exception) -> str:
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "it is not a text file"
