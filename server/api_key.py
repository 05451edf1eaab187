"""The API key: given to this process, in its environment or a file, or else kept by `decthings-mcp login`.

Light to import, as all settings are.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..tools.results.api_errors import KEYS_AND_CHATS

DEFAULT_PROFILE = "default"

_HOW_TO_CORRECT = (
    "Ask the user to correct the API key in this server's configuration (DECTHINGS_API_KEY, or a file named by "
    f"DECTHINGS_API_KEY_FILE) and to restart the server. {KEYS_AND_CHATS}"
)


class Secret:
    """A string that is never shown: pydantic's SecretStr, without importing pydantic."""

    def __init__(self, value: str) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "Secret()"


class KeyProblem(NamedTuple):
    """Why there is no API key that can be used. A call reports it, since clients hide what a start reports."""

    message: str
    next_step: str


class KeptKey(NamedTuple):
    """The key that `decthings-mcp login` keeps for a profile: it is looked up when a call first needs it."""

    profile: str
    unfilled: bool = False
    """Whether DECTHINGS_API_KEY is a placeholder that the client did not fill in."""

    def absent(self) -> KeyProblem:
        """What a call reports when no key is kept."""
        message = "This server has no Decthings API key, so it cannot call Decthings."
        if self.profile != DEFAULT_PROFILE:
            message = f"No Decthings API key is kept for the profile {self.profile}, so Decthings cannot be called."
        if self.unfilled:
            message += (
                " The variable DECTHINGS_API_KEY is the literal text of a ${...} variable, which the client that "
                "started it did not fill in."
            )
        return KeyProblem(
            message,
            "Ask the user to create an API key at Decthings and to run this in a terminal, which asks for the key: "
            f"{login_command(self.profile)} - then make the same call again. No restart is needed. (Given in this "
            "server's configuration, as DECTHINGS_API_KEY or DECTHINGS_API_KEY_FILE, a key needs a restart.) "
            f"{KEYS_AND_CHATS}",
        )


GivenKey = tuple[Secret | KeyProblem | KeptKey, str, list[str]]
"""The key of this process, the option or variable that it comes from (or "login"), and warnings for the operator."""

NO_KEY = KeyProblem(
    "This server has no Decthings API key, so it cannot call Decthings.",
    "Ask the user to run decthings-mcp login in a terminal, or to set DECTHINGS_API_KEY in this server's configuration "
    f"and to restart it. {KEYS_AND_CHATS}",
)


def login_command(profile: str) -> str:
    """The command line that a user of this machine can type."""
    import shlex
    import shutil
    import sys

    program, own = "decthings-mcp", Path(sys.executable).with_name("decthings-mcp")
    if shutil.which(program) is None and own.exists():
        program = shlex.quote(str(own))
    return f"{program} login" if profile == DEFAULT_PROFILE else f"{program} login --profile {profile}"


def is_profile(name: str) -> bool:
    """Whether it can be the name of a profile, in lower case. It is part of a file's name on every system."""
    return re.fullmatch(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?", name) is not None


def choose_key(key_file: Path | None, environ: Mapping[str, str], profile: str, *, unfilled: bool = False) -> GivenKey:
    """The key of this process.

    Args:
        key_file: the value of --api-key-file.
        profile: whose key is taken when none is given.
        unfilled: whether DECTHINGS_API_KEY is a placeholder.
    """
    if key_file is not None:
        return _key_in_file(key_file, "--api-key-file")
    if given := environ.get("DECTHINGS_API_KEY", "").strip():
        return checked_key(given), "DECTHINGS_API_KEY", []
    if name := environ.get("DECTHINGS_API_KEY_FILE"):
        return _key_in_file(Path(name), "DECTHINGS_API_KEY_FILE")
    return KeptKey(profile, unfilled), "login", []


def _key_in_file(path: Path, source: str) -> GivenKey:
    try:
        path = path.expanduser()
        text = decode_key(path.read_bytes())
        is_readable_by_all = os.name == "posix" and path.stat().st_mode & stat.S_IROTH
    except (OSError, ValueError, RuntimeError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "it is not a text file"
        problem = KeyProblem(f"The file with the Decthings API key cannot be read: {reason}.", _HOW_TO_CORRECT)
        return problem, source, []
    warning = f"Every user of this machine can read the API key in {path}; chmod 600 makes it private."
    empty = KeyProblem("The file with the Decthings API key is empty.", _HOW_TO_CORRECT)
    return checked_key(text) if text else empty, source, [warning] if is_readable_by_all else []


def decode_key(data: bytes) -> str:
    """The key in a file or on stdin, without a byte order mark and white space around it.

    Raises:
        ValueError: it is not text.
    """
    return data.decode("utf-8-sig").strip()


def checked_key(key: str) -> Secret | KeyProblem:
    if "${" in key:
        return KeyProblem(
            "The Decthings API key of this server contains the literal text of a ${...} variable, which the client "
            "that started it did not fill in.",
            _HOW_TO_CORRECT,
        )
    if not re.fullmatch("[!-~]+", key):
        return KeyProblem(
            "The Decthings API key of this server contains white space or characters that no key has.",
            _HOW_TO_CORRECT,
        )
    return Secret(key)
