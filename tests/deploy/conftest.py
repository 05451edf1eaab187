import socket
from collections.abc import Generator

import pytest
from http_support import HttpServer, http_server


@pytest.fixture(scope="session")
def callers_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[HttpServer]:
    arguments = ("--tenancy", "per-caller", "--allowed-host", "mcp.example.com")
    with http_server(*arguments, cwd=tmp_path_factory.mktemp("callers")) as server:
        yield server


@pytest.fixture
def closed_port() -> Generator[int]:
    """Where nobody listens, nor will."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
