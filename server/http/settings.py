"""The settings of --http: where to listen, who may call, and how much. Light, as all settings are."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

from ..api_key import Secret
from ..settings import Settings, SettingsError, is_loopback
from .names import checked_host, checked_origin, checked_path, checked_public_url, host_in, in_url, is_own_name
from .oauth.settings import OAuthSettings

Tenancy = Literal["single", "per-caller"]

_MIN_STATE_KEY_CHARACTERS = 32
_EVERY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104 - to be refused


class HttpSettings(NamedTuple):
    host: str = "127.0.0.1"
    port: int = 8000
    path: str = "/mcp"
    workers: int = 1
    tenancy: Tenancy = "single"
    token_file: Path | None = None
    keys_file: Path | None = None
    oauth: OAuthSettings | None = None
    allowed_hosts: Sequence[str] = ()
    """Values of the Host header in addition to those of this machine; `name:*` allows every port."""
    allowed_origins: Sequence[str] = ()
    trusted_proxies: Sequence[str] = ()
    calls_per_second: float = 20
    uploads_at_a_time: int = 4
    largest_upload: int = 8192
    """In MiB, by an upload link."""
    public_url: str | None = None
    """Where people reach the upload page, without a path of its own; None: where callers reach the server."""
    state_keys: Sequence[Secret] = ()
    """The first one seals what a question leaves with the client; all of them open it. Without any, each process
    has a key of its own."""
    stateless: bool = False
    """Whether clients with a handshake get no session, so that their requests can go to any process."""
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"

    @classmethod
    def load(cls, options: Namespace, settings: Settings) -> HttpSettings:
        """Settings from a parsed command line.

        Raises:
            SettingsError: an option has an invalid value, or one that would let anybody in.
        """
        given = {name: value for name in cls._fields if (value := getattr(options, name, None)) is not None}
        oauth = OAuthSettings.load(options)
        path = checked_path(options.path)
        public_url = checked_public_url(options.public_url, path)
        own_names = [in_url(name) for url in (public_url, oauth and oauth.resource) if url and (name := host_in(url))]
        http = cls(**given)._replace(
            path=path,
            oauth=oauth,
            public_url=public_url,
            allowed_hosts=[checked_host(name) for name in (*given.get("allowed_hosts", ()), *own_names)],
            allowed_origins=[checked_origin(origin) for origin in given.get("allowed_origins", ())],
            stateless=options.stateless or options.workers > 1,
            state_keys=_state_keys(options.state_key_file),
        )
        http.check_who_may_call(settings)
        return http

    def check_who_may_call(self, settings: Settings) -> None:
        if min(self.workers, self.uploads_at_a_time, self.largest_upload) < 1 or not self.calls_per_second > 0:
            raise SettingsError(
                "--workers, --calls-per-second, --uploads-at-a-time and --largest-upload must be greater than 0."
            )
        if self.tenancy == "per-caller" and (settings.sandbox or settings.secret_key is not None):
            raise SettingsError(
                "--tenancy per-caller means that every caller brings a key; remove the server's own key "
                "(DECTHINGS_API_KEY, DECTHINGS_API_KEY_FILE, --api-key-file) and --sandbox."
            )
        if self.keys_file is not None and (self.tenancy != "per-caller" or not self._names_callers):
            raise SettingsError(
                "--keys has the key of each caller by their name: it needs --tenancy per-caller, and --token-file or "
                "--oidc-issuer to know the name."
            )
        if self.metrics_port is not None and find_spec("prometheus_client") is None:
            raise SettingsError("Metrics need one more package: pip install 'decthings-mcp[metrics]'.")
        if self._reached_by and self.tenancy == "single" and not self._names_callers:
            raise SettingsError(
                f"{self._reached_by} anybody who reaches this port could use the server's account. Name the callers in "
                "a file with --token-file (a name and a token on each line), let them sign in with --oidc-issuer, let "
                "every caller bring a key of their own with --tenancy per-caller, or listen on 127.0.0.1 without "
                "--trusted-proxy and without an --allowed-host of other machines."
            )
        if self.host in _EVERY_ADDRESS and not self.allowed_hosts:
            raise SettingsError(
                f"On {self.host or 'every address'} the names by which clients reach this server must be given with "
                "--allowed-host, for example --allowed-host mcp.example.com."
            )

    @property
    def _names_callers(self) -> bool:
        return self.token_file is not None or self.oauth is not None

    @property
    def is_on_loopback(self) -> bool:
        return is_loopback(self.host.lower())

    @property
    def _reached_by(self) -> str:
        """How callers on other machines reach the server; empty when they do not."""
        if not self.is_on_loopback:
            return f"On {self.host or 'every address'}"
        if self.trusted_proxies:
            return "Through --trusted-proxy"
        foreign = [name for name in self.allowed_hosts if not is_own_name(name)]
        return f"As {foreign[0]}" if foreign else ""

    @property
    def hosts(self) -> list[str]:
        named = [name for host in self.allowed_hosts for name in (host, f"{host}:*")]
        own = [in_url(self.host), *(["127.0.0.1", "localhost", "[::1]"] if self.is_on_loopback else [])]
        return [*named, *(name for host in own for name in (host, f"{host}:*"))]

    @property
    def origins(self) -> list[str]:
        local = ["http://127.0.0.1:*", "http://localhost:*", "http://[::1]:*"] if self.is_on_loopback else []
        return [*self.allowed_origins, *local]


def _state_keys(path: Path | None) -> list[Secret]:
    if path is None:
        return [Secret(os.urandom(32).hex())]  # for all worker processes
    try:
        keys = path.expanduser().read_text(encoding="utf-8-sig").split()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The file of --state-key-file cannot be read: {type(error).__name__}.") from None
    if not keys or any(len(key) < _MIN_STATE_KEY_CHARACTERS for key in keys) or len(set(keys)) < len(keys):
        raise SettingsError(
            "The file of --state-key-file must contain different keys, one on each line, of "
            f"{_MIN_STATE_KEY_CHARACTERS} characters or more. "
            "This makes one: python3 -c 'import secrets; print(secrets.token_hex(32))'"
        )
    return [Secret(key) for key in keys]
