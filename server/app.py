"""From settings to an MCP server: its tools, and what they work with while it serves."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import Any, Literal, cast
from urllib.parse import urlsplit

import httpx
from mcp.server import MCPServer
from mcp.server.caching import CacheHint
from pydantic import SecretStr

from ..tools.backend import Backend
from ..tools.create_model import CREATE_MODEL
from ..tools.decthings import DecthingsClient
from ..tools.decthings.client import TIMEOUT
from ..tools.errors import NotConfigured
from ..tools.files import Files
from .protocol import conforming
from .settings import Settings, is_loopback

VERSION = version("decthings-mcp")

INSTRUCTIONS = """\
These tools create machine learning models on Decthings, a cloud for them, in the user's own account.
Call create_model once the user has said what the model is called, what it does and how it is made: from \
code, from an uploaded model file, from a snapshot of a model, or as a copy of a model. Ask for what is missing \
instead of inventing it: ids of models, snapshots and datasets come from the user.
Every answer has a nextStep. An error's outcome tells whether a model was created; if it is unknown, repeat the \
same call with the same name, which cannot make a second model.\
"""

_SANDBOX_URL = "http://sandbox.invalid/v0"  # never leaves the process
_FOR_AN_HOUR = CacheHint(ttl_ms=3_600_000, scope="public")
_CACHED = ("tools/list", "prompts/list", "resources/list", "resources/templates/list", "server/discover")
_TOOLS = [CREATE_MODEL]


def create_server(settings: Settings) -> MCPServer[Backend]:
    @asynccontextmanager
    async def lifespan(_: MCPServer[Backend]) -> AsyncGenerator[Backend]:
        async with AsyncExitStack() as stack:
            yield Backend(await _connect(settings, stack), Files(settings.files), check_uploads=settings.check_uploads)

    servers: list[MCPServer[Any]] = []
    server = MCPServer[Backend](
        "decthings",
        title="Decthings",
        version=VERSION,
        instructions=INSTRUCTIONS,
        tools=list(_TOOLS),
        lifespan=lifespan,
        subscriptions=False,  # nothing that is listed ever changes
        middleware=[conforming([tool.name for tool in _TOOLS], servers)],
        cache_hints=dict.fromkeys(_CACHED, _FOR_AN_HOUR),
        log_level=cast(Literal["WARNING"], settings.log_level),
    )
    servers.append(server)
    return server


async def _connect(settings: Settings, stack: AsyncExitStack) -> DecthingsClient | NotConfigured:
    if settings.sandbox:
        return await _connect_to_sandbox(settings, stack)
    if isinstance(settings.api_key, NotConfigured):
        return settings.api_key
    parts = urlsplit(settings.api_url)
    # A proxy of the system's is not asked for what is on this machine.
    without_proxy = {f"all://{parts.netloc}": None} if is_loopback(parts.hostname or "") else {}
    http = _http(mounts=without_proxy)
    return DecthingsClient(await stack.enter_async_context(http), settings.api_url, settings.api_key)


async def _connect_to_sandbox(settings: Settings, stack: AsyncExitStack) -> DecthingsClient:
    from .sandbox import OWN_KEY, create_sandbox  # the store is not needed otherwise

    transport = httpx.ASGITransport(create_sandbox(settings.sandbox_data))
    http = await stack.enter_async_context(_http(transport=transport))
    client = DecthingsClient(http, _SANDBOX_URL, SecretStr(OWN_KEY))
    client.in_sandbox = True
    return client


def _http(**options: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        timeout=TIMEOUT,
        follow_redirects=False,
        headers={"User-Agent": f"decthings-mcp/{VERSION}"},
        limits=httpx.Limits(max_connections=16, max_keepalive_connections=16, keepalive_expiry=30),
        **options,
    )
