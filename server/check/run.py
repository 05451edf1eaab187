"""Makes the checks: for the command, for an assistant on this machine, and for callers on others."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import anyio.to_thread

from ...tools.calls.services import Services, Unavailable
from ...tools.decthings.redact import redact
from ...tools.results.errors import NotConfigured
from ..connection import VERSION
from ..login.kept_key import find_used_key
from ..login.trial import try_client, try_key
from ..settings import Settings
from .checks import CheckFunction, Situation, explain_trial
from .report import Check, Report

_KEY_STORE_SECONDS = 10


async def report_on(settings: Settings, checks: Sequence[CheckFunction], *, is_server: bool = True) -> Report:
    """What the checks find with these settings."""
    situation = (await _look(settings))._replace(is_server=is_server)
    made = await anyio.to_thread.run_sync(
        lambda: list(chain.from_iterable(_make(check, situation) for check in checks))
    )
    key = situation.key[0] if isinstance(situation.key, tuple) and not isinstance(situation.key, Unavailable) else None
    return Report([Check(*redact(list(check), key)) for check in made])


async def _look(settings: Settings) -> Situation:
    if settings.sandbox:
        return Situation(settings)
    if settings.callers_bring_keys:
        return Situation(settings, None, await try_key(settings, None))
    key = await find_used_key(settings, _KEY_STORE_SECONDS)
    return Situation(settings, key, await try_key(settings, None if isinstance(key, Unavailable) else key[0]))


def _make(check: CheckFunction, situation: Situation) -> list[Check]:
    try:
        return list(check(situation))
    except Exception as error:  # one that cannot be made does not take the others with it
        name = check.__name__.removeprefix("check_").replace("_", " ")
        return [Check(name, "warning", f"This could not be checked ({type(error).__name__}).", "Report it as a bug.")]


async def report_to_caller(services: Services, *, brings_key: bool) -> Report:
    """What concerns a caller on another machine, and nothing of this one."""
    checks = [Check("version", "good", f"decthings-mcp {VERSION}.")]
    operator = "Ask the operator of this server to run decthings-mcp check on its machine"
    try:
        client = await services.require_client()
    except NotConfigured:
        return Report([*checks, Check("key", "bad", "This server cannot call Decthings.", f"{operator}.")])
    trial = await try_client(client)
    refused = "Correct the API key in the header Decthings-Api-Key of your client" if brings_key else operator
    return Report([
        *checks,
        explain_trial(trial, "Decthings", has_key=True, if_refused=refused, if_not_reached=f"Try again. {operator}"),
    ])  # fmt: skip
