import os
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Generator
from functools import partial
from pathlib import Path

import httpx
import pytest
import support
from decthings_mcp.server.sandbox import methods
from decthings_mcp.tools.calls import outcomes as call_outcomes
from decthings_mcp.tools.calls import writes
from decthings_mcp.tools.decthings import ClientPool
from decthings_mcp.tools.evaluate_model import evaluation
from hypothesis import HealthCheck, settings
from onnx import TensorProto, helper

# Shared machines are slow at times: how long an example takes says nothing here.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

OUTCOMES = pytest.StashKey[dict[str, Counter[str]]]()


def pytest_xdist_auto_num_workers() -> int:
    """Twice the cores: many tests wait, for a process to start or a deadline to pass. One file is quicker with -n0."""
    return 2 * (os.cpu_count() or 1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--outcomes", action="store_true", help="print the outcomes of every fault of test_lost_response (with -n0)"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[OUTCOMES] = defaultdict(Counter)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("--outcomes"):
        for fault, counted in config.stash[OUTCOMES].items():
            counts = ", ".join(f"{count} {what}" for what, count in sorted(counted.items()))
            terminalreporter.write_line(f"{fault:45} {counts}")


@pytest.fixture
def outcomes(request: pytest.FixtureRequest) -> dict[str, Counter[str]]:
    """Outcomes, by fault."""
    return request.config.stash[OUTCOMES]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def client_pool() -> AsyncGenerator[ClientPool]:
    client = partial(httpx.AsyncClient, trust_env=False, timeout=10, verify=support.NO_CERTIFICATES)
    async with ClientPool(client) as client_pool:
        yield client_pool


@pytest.fixture
def quick_creations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Initial states are made in a moment by sandboxes of this process."""
    monkeypatch.setattr(methods, "CREATION_MS", 100)


@pytest.fixture
def upstream() -> Generator[support.Upstream]:
    with support.upstream() as server:
        yield server


@pytest.fixture
def sandbox_url(tmp_path: Path) -> Generator[str]:
    with support.sandbox(tmp_path / "sandbox") as url:
        yield url


@pytest.fixture
def fast_lookups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks a lost model up a few times, and repeats what was lost, as ever, but at once."""
    monkeypatch.setattr(call_outcomes, "_PAUSES", (0.0, 0.0, 0.01))
    monkeypatch.setattr(evaluation, "_PAUSES", (0.0, 0.0, 0.01))
    monkeypatch.setattr(writes, "_PAUSES", (0.0, 0.0))


@pytest.fixture
async def chat(upstream: support.Upstream, tmp_path: Path, fast_lookups: None) -> AsyncGenerator[support.Chat]:
    """Its files are those of `tmp_path`."""
    upstream.reply = support.created()
    async with support.connect_chat(upstream, tmp_path, retry_seconds=0) as connected:
        yield connected


@pytest.fixture(scope="session")
def onnx_file() -> bytes:
    """A real ONNX model: one Identity node."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("input", "output")]
    node = helper.make_node("Identity", ["input"], ["output"])
    model = helper.make_model(helper.make_graph([node], "identity", values[:1], values[1:]), producer_name="tests")
    return model.SerializeToString()
