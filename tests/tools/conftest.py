"""Chats on the sandbox, at both revisions."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from decthings_mcp.server.app import create_server
from decthings_mcp.server.settings import Settings
from mcp import Client
from mcp.server import MCPServer
from support import Chat, Person


@pytest.fixture(params=["legacy", "auto"])
def mode(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def server(tmp_path: Path) -> MCPServer:
    return create_server(Settings(sandbox=True, sandbox_data=tmp_path / "data", files=[tmp_path]))


@pytest.fixture
def person() -> Person:
    return Person()


@pytest.fixture
async def sandbox_chat(server: MCPServer, mode: str, person: Person) -> AsyncGenerator[Chat]:
    """With a client that can ask the person."""
    async with Client(server, mode=mode, elicitation_callback=person) as client:
        yield Chat(client)


@pytest.fixture
async def client(server: MCPServer, mode: str) -> AsyncGenerator[Client]:
    """One that cannot ask."""
    async with Client(server, mode=mode) as client:
        yield client


@pytest.fixture
def chat_without_elicitation(client: Client) -> Chat:
    return Chat(client)
