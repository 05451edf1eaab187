"""The commands login and logout: the API key is kept on this machine, so that no configuration has to contain it."""

from __future__ import annotations

import getpass
import sys
from argparse import Namespace

import anyio
from pydantic import SecretStr

from ...tools.calls.services import Unavailable
from ..api_key import KeyProblem, Secret, checked_key, decode_key, login_command
from ..settings import Settings
from .kept_key import find_used_key
from .key_store import KeyStoreError, keep_key, remove_key
from .trial import Trial, try_key

_SECONDS = 60
"""For the user to unlock the key store."""


def run_login(settings: Settings, options: Namespace) -> int:
    """Keep a key, or say which one is used. Returns the exit status: 0 if there is a key that works, or is kept."""
    if options.status:
        return anyio.run(_show_status, settings)
    try:
        key = _ask()
        return _keep_if_taken(settings, key, unchecked=options.unchecked)
    except (_CannotLogIn, KeyStoreError) as error:
        print(f"decthings-mcp: {error}", file=sys.stderr)
        return 1


def run_logout(settings: Settings) -> int:
    """Remove the key of the profile. Returns the exit status: 0 if none is kept any more."""
    try:
        places = remove_key(settings.profile)
    except KeyStoreError as error:
        print(f"decthings-mcp: The key may still be kept: {error}.", file=sys.stderr)
        return 1
    for place in places:
        print(f"The key of the profile {settings.profile} was removed from {place}.")
    if not places:
        print(f"No key was kept for the profile {settings.profile}.")
    return 0


class _CannotLogIn(Exception):
    """There is no key that can be kept. The message is a sentence."""


def _ask() -> Secret:
    """The key, typed without echo or, without a terminal, all of stdin."""
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison] - it is when it was closed
        raise _CannotLogIn("There is no key: stdin is closed.")
    try:
        typed = getpass.getpass("Decthings API key: ") if sys.stdin.isatty() else decode_key(sys.stdin.buffer.read())
    except (EOFError, ValueError):
        raise _CannotLogIn("There is no key: what was given is not text.") from None
    if not typed.strip():
        raise _CannotLogIn("No key was given, so nothing was kept. Create one in your Decthings account.")
    key = checked_key(typed.strip())
    if isinstance(key, KeyProblem):
        raise _CannotLogIn("This is no API key: it contains white space, ${ or characters that no key has.")
    return key


def _keep_if_taken(settings: Settings, key: Secret, *, unchecked: bool) -> int:
    trial = None if unchecked else anyio.run(try_key, settings, SecretStr(key.value))
    if trial is not None and trial.is_refused:
        raise _CannotLogIn("Decthings refused this key (bad_credentials), so it was not kept.")
    if trial is not None and not trial.is_taken:
        command = f"{login_command(settings.profile)} --unchecked"
        raise _CannotLogIn(
            f"Whether Decthings takes this key could not be found out, so it was not kept. {trial.problem} "
            f"To keep it without trying it: {command}"
        )
    kept = keep_key(settings.profile, key)
    print("The key was not tried." if trial is None else _taken(trial))
    print(f"It is kept in {kept.place}, for the profile {settings.profile}.")
    if kept.why_no_key_store:
        print(f"It is a file, which only you can read, because {kept.why_no_key_store}.")
    print("A server without a key uses it from its next call on; one that has another key must be restarted.")
    if settings.key_source != "login":
        print(f"Here, {settings.key_source} is set too, and is used instead of it.", file=sys.stderr)
    return 0


async def _show_status(settings: Settings) -> int:
    print(f"Profile: {settings.profile}")
    key = await find_used_key(settings, _SECONDS)
    if isinstance(key, Unavailable):
        print(f"Key: {key.message}\nWhat to do: {login_command(settings.profile)}")
        return 1
    print(f"Key: from {key[1]}")
    trial = await try_key(settings, key[0])
    if trial.is_taken:
        print(_taken(trial))
    elif trial.is_refused:
        print(f"Decthings refuses the key (bad_credentials). What to do: {login_command(settings.profile)}")
    else:
        print(f"Whether Decthings takes the key could not be found out. {trial.problem}")
    return int(not trial.is_taken)


def _taken(trial: Trial) -> str:
    where = "The sandbox" if trial.in_sandbox else "Decthings"
    account = f"It opens the account {trial.account}." if trial.account else "It does not say whose account that is."
    return f"{where} takes the key. {account}"
