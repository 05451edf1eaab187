"""What probes and load balancers ask: whether the process serves, and whether Decthings answers."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

import anyio
import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse

from ..app import http_client_factory
from ..settings import Settings

_KNOWN_FOR_SECONDS = 5.0
_ASKING_SECONDS = 3.0


class Health:
    """`/readyz` says that the process serves; `/readyz?decthings` fails too while Decthings does not answer.

    An outage of Decthings is no reason to restart servers, or to take all of them out at once.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open_client: Callable[[], httpx.AsyncClient] | None = None
        self._answers = False
        self._asked_at = float("-inf")
        self._asking = anyio.Lock()

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
        async with self._asking:  # who asks meanwhile is told what is found out now
            if monotonic() - self._asked_at > _KNOWN_FOR_SECONDS:
                self._answers = await self._ask()
                self._asked_at = monotonic()
            return self._answers

    async def _ask(self) -> bool:
        try:
            self._open_client = self._open_client or http_client_factory(self._settings)
            async with self._open_client() as http:
                with anyio.fail_after(_ASKING_SECONDS):
                    answer = await http.get(self._settings.api_url)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError):  # no certificates, no proxy, no time left
            return False
        return answer.status_code not in (502, 503, 504)
