"""The checks: each looks at one thing, and says what was found and what to do."""

from __future__ import annotations

import os
import platform
import shutil
import ssl
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from pydantic import SecretStr

from ...tools.calls.services import Unavailable
from ...tools.decthings import ApiError
from ...tools.decthings_defaults import DEFAULT_URL
from ...tools.results.text import join_words, sanitize
from ..api_key import KeptKey, login_command
from ..certificates import load_certificates, system_file
from ..connection import VERSION, set_up_problem
from ..folders import missing
from ..login.key_store import KeyStoreError, describe_key_store
from ..login.trial import Trial
from ..settings import Settings, is_loopback
from .report import Check

_MOST_SECONDS_APART = 60
_LEAST_FREE_BYTES = 1 << 30


class Situation(NamedTuple):
    """What the checks look at."""

    settings: Settings
    key: tuple[SecretStr, str] | Unavailable | None = None
    """The key with the place that it comes from, or why there is none; None where this server needs none."""
    trial: Trial | None = None
    """How Decthings responded; None when it was not asked."""
    is_server: bool = True
    """Whether these are the settings of a server, rather than those of a command in a terminal."""


CheckFunction = Callable[[Situation], Iterator[Check]]


def check_version(_: Situation) -> Iterator[Check]:
    python = f"Python {platform.python_version()}"
    yield Check("version", "good", f"decthings-mcp {VERSION}, mcp {version('mcp')}, {python}, {platform.platform()}.")


def check_configuration(situation: Situation) -> Iterator[Check]:
    for warning in situation.settings.warnings:
        yield Check("configuration", "warning", sanitize(warning), "Change it, or leave it if it is meant.")


def check_key(situation: Situation) -> Iterator[Check]:
    settings, key = situation.settings, situation.key
    if settings.sandbox:
        yield Check("key", "good", "The sandbox needs no API key.")
    elif settings.callers_bring_keys:
        yield Check("key", "good", "Each caller sends an API key of their own.")
    elif isinstance(key, Unavailable):
        kept = isinstance(settings.api_key, KeptKey)
        todo = (
            f"Run {login_command(settings.profile)}" if kept else f"Correct it in {settings.key_source}, or remove it"
        )
        yield Check("key", "bad", key.message, f"{todo}. Never put a key into the chat.")
    elif key is not None:
        profile = f", profile {settings.profile}" if isinstance(settings.api_key, KeptKey) else ""
        yield Check("key", "good", f"It comes from {key[1]}{profile}.")


def check_decthings(situation: Situation) -> Iterator[Check]:
    settings, trial = situation.settings, situation.trial
    if settings.sandbox:
        yield Check("decthings", "good", "The sandbox is used: nothing reaches Decthings.")
    elif trial is not None:
        where = "Decthings" if settings.api_url == DEFAULT_URL else f"Decthings at {settings.api_url}"
        todo = f"Run {login_command(settings.profile)}" if isinstance(settings.api_key, KeptKey) else ""
        has_key = situation.key is not None and not isinstance(situation.key, Unavailable)
        yield explain_trial(
            trial, where, has_key=has_key, if_refused=todo or f"Replace the key in {settings.key_source}",
            if_not_reached="Check the network, and what is said below of the proxy and certificates. A set "
            "DECTHINGS_API_URL or --api-url must be right",
        )  # fmt: skip


def explain_trial(trial: Trial, where: str, *, has_key: bool, if_refused: str, if_not_reached: str) -> Check:
    """What a trial says of Decthings and the key, with what to do in either case."""
    name = "decthings"
    if trial.is_refused and has_key:
        return Check(name, "bad", f"{where} responds and refuses the key (bad_credentials).", f"{if_refused}.")
    if trial.is_taken and has_key:
        account = f"It opens the account {trial.account}." if trial.account else ""
        sandbox = " It is an embedded sandbox, not Decthings itself." if trial.in_sandbox else ""
        return Check(name, "good", f"{where} responds and takes the key.{sandbox}", personal=account)
    if trial.is_taken or trial.is_refused:
        return Check(name, "good", f"{where} responds.")
    if isinstance(trial.error, ApiError):
        return Check(name, "warning", f"{where} responds with an error: {sanitize(trial.error.code, 100)}.",
                     "Try again in a minute.")  # fmt: skip
    return Check(name, "bad", trial.problem, f"{if_not_reached}.")


def check_clock(situation: Situation) -> Iterator[Check]:
    ahead = situation.trial.seconds_ahead if situation.trial is not None else None
    if ahead is None:
        return
    if abs(ahead) <= _MOST_SECONDS_APART:
        yield Check("clock", "good", "The clock agrees with that of Decthings.")
    else:
        side = "ahead of" if ahead > 0 else "behind"
        yield Check("clock", "warning", f"The clock is {abs(ahead):.0f} seconds {side} that of Decthings.",
                    "Set the clock of this machine: certificates depend on it, and so do times of models.")  # fmt: skip


def check_proxy(situation: Situation) -> Iterator[Check]:
    url = urlsplit(situation.settings.api_url)
    host, proxies = url.hostname or "", getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if situation.settings.sandbox or is_loopback(host):
        yield Check("proxy", "good", "None is used on this machine.")
    elif proxy is None:
        yield Check("proxy", "good", "None is set.")
    elif proxy_bypass(host):
        yield Check("proxy", "good", f"One is set, and not used for {host} (NO_PROXY).")
    else:
        yield Check("proxy", "good", f"{_without_credentials(proxy)} is used, from the system's settings.")


def _without_credentials(proxy: str) -> str:
    before, _, host = sanitize(proxy, 200).rpartition("@")
    scheme, separator, _ = before.partition("://")
    return host if not before else f"{scheme}://[credentials]@{host}" if separator else f"[credentials]@{host}"


def check_certificates(_: Situation) -> Iterator[Check]:
    named = next((name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)), None)
    source = f"{named} ({os.environ[named]})" if named else _system_store()
    try:
        load_certificates()
    except (OSError, ValueError) as error:
        reason = "it has no certificates" if isinstance(error, (ssl.SSLError, ValueError)) else set_up_problem(error)
        yield Check("certificates", "bad", f"{source} cannot be used: {reason}.",
                    "Correct SSL_CERT_FILE and SSL_CERT_DIR, or unset them to trust what the system does.")  # fmt: skip
    else:
        yield Check("certificates", "good", f"Those of {source} are trusted.")


def _system_store() -> str:
    file = system_file()
    return f"the operating system ({file})" if file else "the operating system"


def check_folders(situation: Situation) -> Iterator[Check]:
    folders = situation.settings.files
    gone = missing(folders)
    closed = [folder for folder in folders if folder not in gone and not os.access(folder, os.R_OK | os.X_OK)]
    usable = [folder for folder in folders if folder not in gone and folder not in closed]
    if not folders and not situation.is_server:
        yield Check("folders", "good", "None is named here. Those that a client names with --files are for its server.")
    elif not folders:
        yield Check("folders", "warning", "Model files can come from no folder.",
                    "Add --files FOLDER to the arguments of the server.")  # fmt: skip
    if usable:
        yield Check("folders", "good", f"Model files can come from {_names(usable)}.")
    for what, unusable in (("is not a folder", gone), ("cannot be read", closed)):
        for folder in unusable:
            yield Check("folders", "warning" if usable else "bad", f"{_names([folder])} {what}.",
                        "Create it, make it readable, or correct --files or DECTHINGS_FILES.")  # fmt: skip


def _names(folders: list[Path]) -> str:
    return join_words([sanitize(str(folder), 200) for folder in folders], "and")


def check_sandbox(situation: Situation) -> Iterator[Check]:
    """Whether there is space for the sandbox. That matters only where it is used."""
    folder = situation.settings.sandbox_folder
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    status = "bad" if situation.settings.sandbox else "warning"
    todo = "Name a folder with space that can be written: --sandbox-data DIR."
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        yield Check("sandbox", status, f"{_names([folder])} cannot be written.", todo)
        return
    free = shutil.disk_usage(existing).free
    detail = f"{free / 2**30:.1f} GiB are free for the sandbox in {_names([folder])}."
    yield Check("sandbox", "good", detail) if free >= _LEAST_FREE_BYTES else Check("sandbox", "warning", detail, todo)


def check_key_store(_: Situation) -> Iterator[Check]:
    try:
        yield Check("key store", "good", f"login uses {describe_key_store()}.")
    except KeyStoreError as error:
        yield Check("key store", "warning", f"{error}.", "login uses a file instead, which only you can read.")


CHECKS: tuple[CheckFunction, ...] = (
    check_version, check_configuration, check_key, check_decthings, check_clock, check_proxy, check_certificates,
    check_folders, check_sandbox, check_key_store,
)  # fmt: skip
"""In the order in which they are shown, by the command and to local callers."""
