"""Replacing a configuration file: whole or not at all, as it was read, with a backup next to it."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path

from .errors import ClientError

_BACKUP = ".decthings-backup"
_MAX_BYTES = 64 << 20


def target_of(path: Path) -> Path:
    """The file itself, where the path is a link to it."""
    return Path(os.path.realpath(path))


def read(path: Path) -> bytes | None:
    """What the file contains; None when there is none.

    Raises:
        ClientError: there is something, but it cannot be read.
    """
    target = target_of(path)
    try:
        status = target.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ClientError(f"{path} cannot be read: {_reason(error)}.") from error
    if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_BYTES:
        raise ClientError(f"{path} is not a file of settings.")
    try:
        return target.read_bytes()
    except OSError as error:
        raise ClientError(f"{path} cannot be read: {_reason(error)}.") from error


def replace(path: Path, before: bytes | None, after: bytes | None, *, keep: bool) -> None:
    """Writes the file, or deletes it when `after` is None. A link stays a link, and the mode stays.

    Args:
        before: what the file contained when the change was made; when it is something else now, nothing is done.
        keep: whether `before` becomes the backup; otherwise the present backup stays.

    Raises:
        ClientError: the file was not changed.
    """
    target = target_of(path)
    if read(target) != before:
        raise ClientError(f"{path} was changed by another program in the meantime. Run setup again.")
    if before is not None and not target.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
        raise ClientError(f"{path} is read-only. It was left as it is.")
    try:
        if before is not None and keep:
            _write(_backup_of(target), before, like=target)
        if after is None:
            target.unlink()
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            _write(target, after, like=target)
    except OSError as error:
        raise ClientError(f"{path} cannot be written: {_reason(error)}. It was left as it is.") from error


def back_up(path: Path, data: bytes) -> None:
    """Keeps what a file contains before another program changes it.

    Raises:
        ClientError: the backup could not be written.
    """
    target = target_of(path)
    try:
        _write(_backup_of(target), data, like=target)
    except OSError as error:
        raise ClientError(f"No backup of {path} can be written: {_reason(error)}.") from error


def read_backup(path: Path) -> bytes | None:
    """What the file contained before it was last changed here; None when there is no backup."""
    return read(_backup_of(target_of(path)))


def delete_backup(path: Path) -> None:
    _backup_of(target_of(path)).unlink(missing_ok=True)


def backup_name(path: Path) -> Path:
    return _backup_of(target_of(path))


def _backup_of(target: Path) -> Path:
    return target.with_name(target.name + _BACKUP)


def _write(target: Path, data: bytes, like: Path) -> None:
    """In one step, with the mode and the owner of `like`, or 0600 when there is no such file."""
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if like.exists():
            _copy_access(like, name)
        os.replace(name, target)  # noqa: PTH105 - the temporary file is a name
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _copy_access(like: Path, name: str) -> None:
    shutil.copymode(like, name)
    if os.name == "posix":
        status, own = like.stat(), Path(name).stat()
        if (status.st_uid, status.st_gid) != (own.st_uid, own.st_gid):
            os.chown(name, status.st_uid, status.st_gid)


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else "the system refused"
