"""What probes and load balancers ask: whether the process serves, and whether Decthings answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from time import monotonic

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse

from .app import opens_http_clients
from .settings import Settings

_KNOWN_FOR_SECONDS = 5.0
_ASKING_SECONDS = 3.0


class Health:
    """`/readyz` says that the process serves; `/readyz?decthings` fails too while Decthings does not answer.

    An outage of Decthings is no reason to restart servers, or to take all of them out at once.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._http: httpx.AsyncClient | None = None
        self._answers = False
        self._asked_at = float("-inf")

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        async with opens_http_clients(self._settings)() as self._http:
            yield

    async def alive(self, _: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def ready(self, request: Request) -> JSONResponse:
        if "decthings" not in request.query_params:
            return JSONResponse({"status": "ok"})
        answers = await self._decthings_answers()
        said = {"status": "ok" if answers else "unavailable", "decthings": answers}
        return JSONResponse(said, 200 if answers else 503)

    async def _decthings_answers(self) -> bool:
        """Any answer at all, asked without a key: what it says is not ours to know here."""
        if self._settings.sandbox:
            return True
        if monotonic() - self._asked_at > _KNOWN_FOR_SECONDS and self._http is not None:
            self._asked_at = monotonic()
            try:
                answer = await self._http.get(self._settings.api_url, timeout=_ASKING_SECONDS)
                self._answers = answer.status_code not in (502, 503, 504)
            except httpx.HTTPError:
                self._answers = False
        return self._answers
