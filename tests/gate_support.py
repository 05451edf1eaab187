"""The middleware of the HTTP server in this process: what comes in, and what is refused."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Any

import httpx
from decthings_mcp.server.http import gate
from decthings_mcp.server.http.access import Access, Credentials, SignIn
from decthings_mcp.server.http.settings import HttpSettings
from decthings_mcp.tools.calls.services import CALLER, Caller
from simulated_time import SimulatedLoop
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SINGLE, PER_CALLER = HttpSettings(), HttpSettings(tenancy="per-caller")
NONE = Credentials()


class Endpoint:
    """In place of MCP: notes what comes in. `sessions` are those that each caller has."""

    def __init__(
        self, settings: HttpSettings = SINGLE, credentials: Credentials = NONE, sign_in: SignIn | None = None
    ) -> None:
        self.callers: list[Caller] = []
        self.users: list[str] = []
        self.headers: list[Headers] = []
        self.bodies: list[bytes] = []
        self.sessions = Counter[str]()
        self.mcp = gate.BodyMiddleware(self._mcp)
        access = Access(settings, credentials, sign_in)
        self.app = gate.AccessMiddleware(self.mcp, access, lambda caller: self.sessions[caller])

    async def _mcp(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.callers.append(scope[CALLER])
        self.users.append(scope["user"].username)
        self.headers.append(request.headers)
        self.bodies.append(await request.body())
        await PlainTextResponse("ok")(scope, receive, send)

    async def __call__(
        self, headers: Any = None, url: str = "http://Server.example./mcp", **more: Any
    ) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app)) as http:
            return await http.post(url, headers=headers, **more)


def problem_of(response: httpx.Response) -> tuple[int, int]:
    """The status, in HTTP and in the JSON-RPC error, which always has a sentence."""
    error = response.json()["error"]
    assert error["message"][0].isupper()
    assert error["message"].endswith((".", "TOKEN."))
    assert (response.json()["jsonrpc"], response.json()["id"]) == ("2.0", None)
    return response.status_code, error["code"]


def run_raw(app: ASGIApp, receive: Receive, *, headers: Iterable[tuple[bytes, bytes]] = ()) -> list[Message]:
    """What the app sends to a request whose messages are those of `receive`, in simulated time."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/mcp", "query_string": b"", "headers": list(headers)}
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:

        async def run() -> None:
            await app(scope, receive, send)

        runner.run(run())
    return sent
