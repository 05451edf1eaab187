from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import httpx
import pytest
import support
from hypothesis import HealthCheck, settings

# Shared machines are slow at times: how long an example takes says nothing here.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def http() -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        yield client


@pytest.fixture
def upstream() -> Generator[support.Upstream]:
    with support.upstream() as server:
        yield server


@pytest.fixture
def sandbox_url(tmp_path: Path) -> Generator[str]:
    with support.sandbox(tmp_path / "sandbox") as url:
        yield url
