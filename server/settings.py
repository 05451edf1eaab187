"""What the process is told: by its command line, or else by its environment."""

from __future__ import annotations

import ipaddress
import os
import re
import stat
import tempfile
from argparse import Namespace
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import platformdirs
from pydantic import SecretStr

from ..tools.calls.time_limits import MAX_CALL_SECONDS, REQUEST_SHARE
from ..tools.decthings import DEFAULT_URL, Timeouts
from ..tools.results.errors import NotConfigured

TOOL_NAMES = (
    "find_models",
    "find_datasets",
    "inspect_model_file",
    "create_model",
    "wait_for_model",
    "snapshot_model",
    "update_model",
    "delete_model",
)
"""In the order of the catalog; named here so that a wrong one is told without importing them."""

_LONGEST_RETRY = 30
_TIMES = {"connect": (0.1, 30), "send": (0.1, 300), "response": (0.1, 40), "call": (1, MAX_CALL_SECONDS)}
"""The least and the most of what --timeout takes."""
_OLD_TIMES = {"answer": "response"}
"""Names that --timeout took before, and still takes."""

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

_HOW_TO_CORRECT = (
    "Ask the person to correct that in this server's configuration (DECTHINGS_API_KEY, or a file named by "
    "DECTHINGS_API_KEY_FILE) and to restart the server. Never put a key into the chat."
)
_HOW_TO_CONFIGURE = (
    "Ask the person to create an API key at Decthings, to put it into this server's configuration as the "
    "environment variable DECTHINGS_API_KEY, or to save it in a file named by DECTHINGS_API_KEY_FILE, and to "
    "restart the server. Never put a key into the chat. The option --sandbox tries everything without one."
)


class SettingsError(Exception):
    """The server cannot start with what it was told. The text is for the person who starts it."""


@dataclass(frozen=True)
class Settings:
    api_url: str = DEFAULT_URL
    remote_callers: bool = False
    """Whether it serves people on other machines."""
    callers_bring_keys: bool = False
    api_key: SecretStr | NotConfigured = field(default_factory=lambda: _no_key())
    files: Sequence[Path] = ()
    check_uploads: bool = True
    tools: Collection[str] = ()
    """The names of those that are offered; none means all."""
    read_only: bool = False
    retry_seconds: float = 20
    timeouts: Timeouts = field(default_factory=Timeouts)
    call_seconds: float = MAX_CALL_SECONDS
    sandbox: bool = False
    sandbox_data: Path = field(default_factory=lambda: default_sandbox_data())
    log_level: str = "WARNING"
    warnings: Sequence[str] = ()
    """What the person who starts the server should know, for the log."""

    @property
    def secret_key(self) -> SecretStr | None:
        return self.api_key if isinstance(self.api_key, SecretStr) else None

    def offers(self, tool: str, *, reads_only: bool) -> bool:
        return (not self.tools or tool in self.tools) and (reads_only or not self.read_only)

    @classmethod
    def load(cls, options: Namespace, environ: Mapping[str, str], cwd: Path | None) -> Settings:
        """
        Args:
            cwd: None when the working folder was deleted.

        Raises:
            SettingsError: an option or a variable has a value that cannot be used.
        """
        times = _times(options.timeout or environ.get("DECTHINGS_TIMEOUT", "").split(","))
        call_seconds = times.pop("call", MAX_CALL_SECONDS)
        key, warnings = _api_key(options.api_key_file, environ)
        return cls(
            api_url=DEFAULT_URL
            if options.sandbox
            else checked_url((options.api_url or environ.get("DECTHINGS_API_URL", "")).strip() or DEFAULT_URL),
            api_key=key,
            files=_folders(options.files, environ, None if options.http else cwd),
            remote_callers=options.http,
            callers_bring_keys=options.http and options.tenancy == "per-caller",
            check_uploads=not (options.unchecked_uploads or _is_on(environ, "DECTHINGS_UNCHECKED_UPLOADS")),
            tools=_tools(options.tools),
            read_only=options.read_only,
            retry_seconds=_seconds(options.retry_seconds or environ.get("DECTHINGS_RETRY_SECONDS") or "20"),
            timeouts=Timeouts(**times, request=call_seconds * REQUEST_SHARE),
            call_seconds=call_seconds,
            sandbox=options.sandbox,
            sandbox_data=_sandbox_data(options),
            log_level=options.log_level or "WARNING",
            warnings=warnings,
        )


def _seconds(given: str) -> float:
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= _LONGEST_RETRY:
        raise SettingsError(f"--retry-seconds and DECTHINGS_RETRY_SECONDS are 0 to {_LONGEST_RETRY} seconds.")
    return seconds


def _times(given: Sequence[str]) -> dict[str, float]:
    """What --timeout says: "connect=5"."""
    times: dict[str, float] = {}
    for named, _, value in (part.strip().partition("=") for part in given if part.strip()):
        name = _OLD_TIMES.get(named, named)
        least, most = _TIMES.get(name, (0, 0))
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", value) or not least <= float(value) <= most:
            known = ", ".join(f"{name} ({least:g} to {most:g})" for name, (least, most) in _TIMES.items())
            raise SettingsError(f"--timeout and DECTHINGS_TIMEOUT look like connect=5; there is, in seconds: {known}.")
        times[name] = float(value)
    return times


def _tools(given: str | None) -> list[str]:
    names = [name.strip() for name in (given or "").split(",") if name.strip()]
    if unknown := [name for name in names if name not in TOOL_NAMES]:
        raise SettingsError(
            f"--tools names tools; there is no {', '.join(unknown)}. There is: {', '.join(TOOL_NAMES)}."
        )
    return names


def _sandbox_data(options: Namespace) -> Path:
    if options.sandbox_data is None:
        return default_sandbox_data()
    if not (options.sandbox or options.for_sandbox):
        raise SettingsError("--sandbox-data goes with --sandbox, which is missing: without it Decthings is meant.")
    return options.sandbox_data.expanduser()


def default_sandbox_data() -> Path:
    try:
        return platformdirs.user_data_path("decthings-mcp", appauthor=False) / "sandbox"
    except RuntimeError:  # an account without a home, as containers have
        return Path(tempfile.gettempdir()) / "decthings-mcp-sandbox"


def checked_url(url: str) -> str:
    """The URL of the API, with its version. The key travels there, so it has to be https or this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:  # the port or an IPv6 address is none
        parts, host = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment or re.search(r"[^!-~]", url):
        raise SettingsError(f"The API URL has to look like {DEFAULT_URL}.")
    if parts.username is not None or parts.password is not None:
        raise SettingsError("The API URL must not hold a user name or a password; the key is given by itself.")
    if parts.scheme == "http" and not is_loopback(host):
        raise SettingsError("The API URL has to begin with https://, since the API key would be sent in clear text.")
    return url.rstrip("/")


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_on(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").strip().lower() in ("1", "true", "yes", "on")


def _api_key(key_file: Path | None, environ: Mapping[str, str]) -> tuple[SecretStr | NotConfigured, list[str]]:
    """The key, or why there is none: that is told by the first call, since clients hide what a start says."""
    if key_file is None and (given := environ.get("DECTHINGS_API_KEY", "").strip()):
        return _checked_key(given), []
    path = key_file or (Path(name) if (name := environ.get("DECTHINGS_API_KEY_FILE")) else None)
    if path is None:
        return _no_key(), []
    try:
        path = path.expanduser()
        text = path.read_text(encoding="utf-8-sig").strip()
        open_to_all = path.stat().st_mode & stat.S_IROTH
    except (OSError, ValueError, RuntimeError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "it is not a text file"
        return NotConfigured(f"The file with the Decthings API key cannot be read: {reason}.", _HOW_TO_CORRECT), []
    warning = f"Every user of this machine can read the API key in {path}; chmod 600 makes it private."
    empty = NotConfigured("The file with the Decthings API key is empty.", _HOW_TO_CORRECT)
    return _checked_key(text) if text else empty, [warning] if open_to_all and os.name == "posix" else []


def _checked_key(key: str) -> SecretStr | NotConfigured:
    if "${" in key:
        return NotConfigured(
            "The Decthings API key of this server is the literal text of a ${...} variable, which the client "
            "that started it did not fill in.",
            _HOW_TO_CORRECT,
        )
    if not re.fullmatch("[!-~]+", key):
        return NotConfigured(
            "The Decthings API key of this server holds white space or characters that no key has.",
            _HOW_TO_CORRECT,
        )
    return SecretStr(key)


def _no_key() -> NotConfigured:
    return NotConfigured("This server has no Decthings API key, so it cannot call Decthings.", _HOW_TO_CONFIGURE)


def _folders(given: Sequence[str] | None, environ: Mapping[str, str], cwd: Path | None) -> list[Path]:
    # An empty name is a variable that a client did not fill in.
    named = [name for name in given or environ.get("DECTHINGS_FILES", "").split(os.pathsep) if name]
    if not named:
        return [] if cwd is None or _is_private(cwd) else [cwd]
    folders = [Path(os.path.expanduser(name)) for name in named]  # noqa: PTH111 - pathlib raises for an unknown user
    for folder in folders:
        if not folder.is_dir():
            raise SettingsError(f"--files and DECTHINGS_FILES name folders; {folder} is not one.")
    return [folder.absolute() for folder in folders]


def _is_private(cwd: Path) -> bool:
    """A home folder, or one that holds homes, such as the file system's root: too much to open unasked."""
    cwd = cwd.resolve()
    return any(home.resolve().is_relative_to(cwd) for home in _homes()) or cwd == Path(cwd.anchor)


def _homes() -> list[Path]:
    homes = [Path(os.path.expanduser("~"))]  # noqa: PTH111 - pathlib raises when there is none
    if os.name == "posix":
        import pwd

        homes += [Path(user.pw_dir) for user in pwd.getpwall() if user.pw_uid >= 1000 or user.pw_uid == os.getuid()]
    return [home for home in homes if home.is_absolute() and home != Path(home.anchor)]
