"""Health endpoints for probes and load balancers: whether the process serves, and whether Decthings responds."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

import anyio
import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse

from ..app import http_client_factory
from ..settings import Settings

_CACHE_SECONDS = 5.0
_TIMEOUT_SECONDS = 3.0


class Health:
    """`/readyz` succeeds while the process serves; `/readyz?decthings` fails while Decthings does not respond.

    They are separate, since an outage of Decthings is no reason to restart servers or to remove all of them.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open_client: Callable[[], httpx.AsyncClient] | None = None
        self._responds = False
        self._checked_at = float("-inf")
        self._checking = anyio.Lock()

    async def alive(self, _: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def ready(self, request: Request) -> JSONResponse:
        if "decthings" not in request.query_params:
            return JSONResponse({"status": "ok"})
        responds = await self._decthings_responds()
        status = {"status": "ok" if responds else "unavailable", "decthings": responds}
        return JSONResponse(status, 200 if responds else 503)

    async def _decthings_responds(self) -> bool:
        """Whether Decthings sent any response in the last seconds, to a request without a key."""
        if self._settings.sandbox:
            return True
        async with self._checking:  # concurrent probes share one check
            if monotonic() - self._checked_at > _CACHE_SECONDS:
                self._responds = await self._check()
                self._checked_at = monotonic()
            return self._responds

    async def _check(self) -> bool:
        try:
            self._open_client = self._open_client or http_client_factory(self._settings.api_url)
            async with self._open_client() as http:
                with anyio.fail_after(_TIMEOUT_SECONDS):
                    response = await http.get(self._settings.api_url)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError):  # also for certificates, a proxy or a timeout
            return False
        return response.status_code not in (502, 503, 504)
