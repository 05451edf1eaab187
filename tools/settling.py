"""What became of a createModel whose answer was lost: looked up before anything is said.

All of the request was handed over and no usable answer came, so the model may exist. Names are unique
per owner, so a model of that name which is the caller's own, matches what was asked for and is no older
than the request, by Decthings' own clock, is the one that was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import anyio

from .answers import code_of
from .decthings import DecthingsClient, DecthingsError, InvalidResponse, types
from .errors import LookedUp
from .taken_names import compared, own_model

_PAUSES = (0.0, 0.5, 1.0, 2.0)
"""Seconds before each look: what was just made can take a moment to be listed."""
_LOOK_SECONDS = 3.0
_CLOCK_SLACK_MS = 2_000
"""A Date header has whole seconds, and travels for a while."""


@dataclass
class _Look:
    """The newest look: what it found, and the moment of the request on Decthings' clock, in milliseconds."""

    begun: float
    request_at: float | None = None
    model: Mapping[str, Any] | None = None
    answered: int = 0
    started: float = field(default_factory=monotonic)

    @property
    def seconds(self) -> float:
        return round(monotonic() - self.started, 1)

    def note_date(self, server_ms: float) -> None:
        self.request_at = server_ms - (monotonic() - self.begun) * 1000 - _CLOCK_SLACK_MS


async def settle(
    error: DecthingsError, params: types.CreateModelParams, client: DecthingsClient, begun: float
) -> tuple[types.CreatedModel, dict[str, Any]]:
    """The model that was created after all, and the evidence.

    Args:
        begun: `time.monotonic()` when the request began.

    Raises:
        LookedUp: it was not created, or that could not be found out.
    """
    look = _Look(begun)
    for pause in _PAUSES:
        await anyio.sleep(pause)
        await _look_once(look, params["name"], client)
        if look.model is not None:
            return _judged(error, look.model, look, params)
    if not look.answered:
        raise _unknown(error, "Decthings did not answer the look-ups either.", look)
    raise _unknown(error, "Looking it up by its name did not find it.", look)


async def _look_once(look: _Look, name: str, client: DecthingsClient) -> None:
    try:
        with anyio.fail_after(_LOOK_SECONDS):
            found = (await client.get_models({"filter": {"names": [name]}}, look.note_date))["models"]
    except (DecthingsError, TimeoutError):
        return
    look.answered += 1
    look.model = own_model(found, name)


def _judged(
    error: DecthingsError, model: Mapping[str, Any], look: _Look, params: types.CreateModelParams
) -> tuple[types.CreatedModel, dict[str, Any]]:
    existing = compared(model, params)
    evidence = {"seconds": look.seconds, "existing": existing}
    created_at = model.get("createdAt")
    if not isinstance(created_at, (int, float)) or look.request_at is None:
        raise _unknown(error, "A model of this name exists; whether this call made it cannot be told.", look, existing)
    if created_at < look.request_at:
        raise LookedUp(
            code_of(error),
            "Nothing was created: the account had a model of this name before, and Decthings refuses a second one.",
            "If that model is the wanted one, use it. Otherwise ask the person for another name.",
            {"lookUp": evidence},
        )
    model_id = model.get("id")
    if existing.get("differs") or not isinstance(model_id, str):
        raise _unknown(
            error, "A model of this name was made since, and is not quite what was asked for.", look, existing
        )
    return {"modelId": model_id, "isNowCreating": model.get("beingCreated") is True}, evidence


def _unknown(error: DecthingsError, found: str, look: _Look, existing: Mapping[str, Any] | None = None) -> LookedUp:
    evidence = {"seconds": look.seconds, "answers": look.answered, **({"existing": existing} if existing else {})}
    status = {"httpStatus": error.status} if isinstance(error, InvalidResponse) else {}
    return LookedUp(code_of(error), f"{error} {found}", "", {**status, "lookUp": evidence}, may_have_acted=True)
