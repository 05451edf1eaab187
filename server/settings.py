"""The settings of the process: from its command line, or else from its environment.

Light to import, since a client is replied to next: no pydantic, and tuples because dataclasses import inspect.
"""

from __future__ import annotations

import os
import re
from argparse import Namespace
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from ..tools.calls.time_limits import DEFAULT_RETRY_SECONDS, MAX_CALL_SECONDS, MAX_RETRY_SECONDS, REQUEST_SHARE
from ..tools.decthings_defaults import DEFAULT_URL, Timeouts
from .api_key import DEFAULT_PROFILE, NO_KEY, KeptKey, KeyProblem, Secret, choose_key, is_profile
from .folders import chosen_folders, missing
from .placeholders import is_placeholder, without_placeholders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pydantic import SecretStr

_TIME_RANGES = {"connect": (0.1, 30), "send": (0.1, 300), "response": (0.1, 40), "call": (1, MAX_CALL_SECONDS)}
"""The least and the greatest value that --timeout takes, in seconds."""
_OLD_TIME_NAMES = {"answer": "response"}
"""Names that --timeout took before, and still takes."""

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class SettingsError(Exception):
    """The server cannot start with these settings. The message is for the operator."""


class Settings(NamedTuple):
    api_url: str = DEFAULT_URL
    remote_callers: bool = False
    """Whether it serves callers on other machines."""
    callers_bring_keys: bool = False
    api_key: Secret | KeyProblem | KeptKey = NO_KEY
    key_source: str = ""
    """The option or the variable that the key comes from, or "login"."""
    profile: str = DEFAULT_PROFILE
    """Whose key is used when none is given."""
    files: Sequence[Path] = ()
    outputs: Path | None = None
    """The folder that the outputs of models are written to."""
    check_uploads: bool = True
    tools: Collection[str] = ()
    """The names of the tools that are offered; an empty collection means all."""
    read_only: bool = False
    retry_seconds: float = DEFAULT_RETRY_SECONDS
    timeouts: Timeouts = Timeouts()
    call_seconds: float = MAX_CALL_SECONDS
    sandbox: bool = False
    sandbox_data: Path | None = None
    """The folder of the sandbox's models; None means one in the user's data folder."""
    log_level: str = "WARNING"
    warnings: Sequence[str] = ()
    """What the operator should know, for the log."""

    @property
    def secret_key(self) -> SecretStr | None:
        """The API key as the client takes it."""
        from pydantic import SecretStr

        return SecretStr(self.api_key.value) if isinstance(self.api_key, Secret) else None

    @property
    def sandbox_folder(self) -> Path:
        return self.sandbox_data or _default_sandbox_folder()

    def offers(self, tool: str, *, reads_only: bool) -> bool:
        return (not self.tools or tool in self.tools) and (reads_only or not self.read_only)

    @classmethod
    def load(cls, options: Namespace, environ: Mapping[str, str], cwd: Path | None) -> Settings:
        """Settings from a parsed command line, or else from the environment.

        Args:
            cwd: the working folder; None when it was deleted.

        Raises:
            SettingsError: an option or a variable has an invalid value.
        """
        unfilled = is_placeholder(environ.get("DECTHINGS_API_KEY", ""))
        options, environ = without_placeholders(options, environ)
        defaults = cls()
        times = _times(options.timeout or environ.get("DECTHINGS_TIMEOUT", "").split(","))
        call_seconds = times.pop("call", defaults.call_seconds)
        profile = _profile(options.profile or environ.get("DECTHINGS_PROFILE", DEFAULT_PROFILE))
        key, source, warnings = choose_key(options.api_key_file, environ, profile, unfilled=unfilled)
        if profile != DEFAULT_PROFILE and source != "login":
            warnings.append(f"The profile {profile} is not used, since the API key comes from {source}.")
        files = chosen_folders(options.files, environ, None if options.http else cwd)
        if options.http:  # its log is read; on stdio the calls report it
            warnings += [f"No files can come from {folder}: it is not a folder." for folder in missing(files)]
        return cls(
            api_url=_api_url(options, environ),
            api_key=key,
            key_source=source,
            profile=profile,
            files=files,
            outputs=_outputs(options),
            remote_callers=options.http,
            callers_bring_keys=options.http and options.tenancy == "per-caller",
            check_uploads=not (options.unchecked_uploads or _is_on(environ, "DECTHINGS_UNCHECKED_UPLOADS")),
            tools=[name.strip() for name in (options.tools or "").split(",") if name.strip()],
            read_only=options.read_only,
            retry_seconds=_retry_seconds(options.retry_seconds or environ.get("DECTHINGS_RETRY_SECONDS")),
            timeouts=Timeouts(**times, request=call_seconds * REQUEST_SHARE),
            call_seconds=call_seconds,
            sandbox=options.sandbox,
            sandbox_data=_sandbox_data(options),
            log_level=options.log_level or defaults.log_level,
            warnings=warnings,
        )

    def check_tools(self, available: Sequence[str]) -> None:
        """Checks that the chosen tools are available.

        Raises:
            SettingsError: a tool that should be offered does not exist.
        """
        if unknown := [name for name in self.tools if name not in available]:
            raise SettingsError(f"Unknown tools in --tools: {', '.join(unknown)}. Available: {', '.join(available)}.")


def _retry_seconds(given: str | None) -> float:
    if not given:
        return Settings().retry_seconds
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= MAX_RETRY_SECONDS:
        raise SettingsError(f"--retry-seconds and DECTHINGS_RETRY_SECONDS must be 0 to {MAX_RETRY_SECONDS:g} seconds.")
    return seconds


def _times(given: Sequence[str]) -> dict[str, float]:
    """Seconds by name, from values of --timeout such as "connect=5"."""
    times: dict[str, float] = {}
    for given_name, _, value in (part.strip().partition("=") for part in given if part.strip()):
        name = _OLD_TIME_NAMES.get(given_name, given_name)
        least, greatest = _TIME_RANGES.get(name, (0, 0))
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", value) or not least <= float(value) <= greatest:
            names = ", ".join(f"{name} ({least:g} to {most:g})" for name, (least, most) in _TIME_RANGES.items())
            raise SettingsError(
                f"--timeout and DECTHINGS_TIMEOUT must look like connect=5. Available, in seconds: {names}."
            )
        times[name] = float(value)
    return times


def _sandbox_data(options: Namespace) -> Path | None:
    if options.sandbox_data is None:
        return None
    if not (options.sandbox or options.for_sandbox):
        raise SettingsError("--sandbox-data requires --sandbox.")
    return options.sandbox_data.expanduser()


def _default_sandbox_folder() -> Path:
    import tempfile

    import platformdirs

    try:
        return platformdirs.user_data_path("decthings-mcp", appauthor=False) / "sandbox"
    except RuntimeError:  # an account without a home, as containers have
        return Path(tempfile.gettempdir()) / "decthings-mcp-sandbox"


def _profile(given: str) -> str:
    name = given.strip().lower()
    if name != DEFAULT_PROFILE and not is_profile(name):
        raise SettingsError(
            "The name of a profile (--profile, DECTHINGS_PROFILE) has up to 64 letters, digits and, inside, -, _ and "
            "dots, such as work."
        )
    return name


def _api_url(options: Namespace, environ: Mapping[str, str]) -> str:
    given = (options.api_url or environ.get("DECTHINGS_API_URL", "")).strip()
    return _checked_url(given) if given and not options.sandbox else DEFAULT_URL


def _checked_url(url: str) -> str:
    """The URL of the API, with its version. It must be https or this machine, since the key is sent there."""
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:  # the port or an IPv6 address is invalid
        parts, host = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment or re.search(r"[^!-~]", url):
        raise SettingsError(f"The API URL must look like {DEFAULT_URL}.")
    if parts.username is not None or parts.password is not None:
        raise SettingsError("The API URL must not contain a user name or a password; pass the key separately.")
    if parts.scheme == "http" and not is_loopback(host):
        raise SettingsError("The API URL must begin with https://, since the API key would be sent in clear text.")
    return url.rstrip("/")


def is_loopback(host: str) -> bool:
    import ipaddress  # for an address that is not the default one

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_on(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").strip().lower() in ("1", "true", "yes", "on")


def _outputs(options: Namespace) -> Path | None:
    if options.outputs is None:
        return None
    folder = Path(os.path.expanduser(options.outputs))  # noqa: PTH111 - pathlib raises for an unknown user
    if options.http:
        raise SettingsError("--outputs is for the user of this machine; callers over HTTP are on others.")
    return folder.absolute()  # a call reports it when it does not exist
