"""Servers that the tests over HTTP share."""

from collections.abc import Generator

import pytest
from http_support import HttpServer, sandbox_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[HttpServer]:
    cwd = tmp_path_factory.mktemp("http")
    (cwd / "m.onnx").write_bytes(b"no model")
    with sandbox_server("--calls-per-second", "1000", cwd=cwd) as running:
        yield running
