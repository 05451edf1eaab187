"""A call that only reads, to see whether Decthings responds, and whether it takes the key."""

from __future__ import annotations

from time import time
from typing import Any, NamedTuple

import httpx
from pydantic import SecretStr

from ...tools.decthings import ApiError, ClientPool, DecthingsClient, DecthingsError
from ...tools.results.text import objects_in, short_text
from ..connection import http_client_factory, set_up_problem
from ..settings import Settings

_MODELS = 50
"""How many of the account's models are looked at for its name."""


class Trial(NamedTuple):
    error: DecthingsError | None = None
    """Why there is no result; None when Decthings took the key."""
    set_up_problem: str = ""
    """Why no connection could be tried, as a clause."""
    account: str = ""
    """The user who owns models that this key may change; empty when that is nobody, or not one user."""
    in_sandbox: bool = False
    seconds_ahead: float | None = None
    """How far the clock of this machine is ahead of Decthings', whose Date header has whole seconds."""

    @property
    def is_taken(self) -> bool:
        return self.error is None and not self.set_up_problem

    @property
    def is_refused(self) -> bool:
        return isinstance(self.error, ApiError) and self.error.code == "bad_credentials"

    @property
    def problem(self) -> str:
        """Why it is not known whether the key is taken, as a sentence."""
        return str(self.error) if self.error is not None else f"The connection cannot be set up: {self.set_up_problem}."


async def try_key(settings: Settings, key: SecretStr | None) -> Trial:
    """Try a key on a connection of its own. Without a key, Decthings may refuse the call."""
    try:
        async with ClientPool(http_client_factory(settings.api_url)) as pool:
            return await try_client(DecthingsClient(pool, settings.api_url, key, settings.timeouts))
    except (OSError, ValueError, httpx.InvalidURL) as error:
        return Trial(set_up_problem=set_up_problem(error))


async def try_client(client: DecthingsClient) -> Trial:
    """Look at the newest models of the account."""
    ahead: list[float] = []
    try:
        listed = await client.get_models({"limit": _MODELS}, lambda date: ahead.append(time() - date / 1000))
    except DecthingsError as error:
        return Trial(error, in_sandbox=client.in_sandbox, seconds_ahead=ahead[-1] if ahead else None)
    account = _owner(objects_in(listed["models"]))
    return Trial(None, "", account, client.in_sandbox, ahead[-1] if ahead else None)


def _owner(models: list[dict[str, Any]]) -> str:
    owners: list[dict[str, Any]] = [model.get("owner") or {} for model in models if model.get("access") == "readwrite"]
    names = {short_text(owner.get("username")) for owner in owners if owner.get("type") == "user"} - {None}
    return names.pop() or "" if len(names) == 1 else ""
