"""Which calls are repeated by themselves, and which are not."""

from itertools import count
from pathlib import Path

import pytest
import support
from decthings_mcp.tools.calls import retries
from support import CREATE, Upstream

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("fast_lookups")]


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_FIRST_PAUSE", 0.01)


class Retries:
    """Takes the progress of a call that reports nothing but its retries."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        assert message is not None
        assert "trying again" in message
        self.messages.append(message)


def refuse_at_first(refusal: bytes, times: int) -> support.Reply:
    """Refuses so often, then creates."""
    left = [refusal] * times

    return lambda _, __: left.pop() if left else support.created()


@pytest.mark.parametrize("refusal", [
    support.frame({"error": {"code": "too_many_requests"}}),
    support.frame({"error": {"code": "server_overloaded"}}),
    support.http_response(b"", "429 Too Many Requests"),
])  # fmt: skip
async def test_a_refused_call_is_retried_with_progress(refusal: bytes, upstream: Upstream, tmp_path: Path) -> None:
    upstream.reply = refuse_at_first(refusal, 2)
    retried = Retries()
    async with support.connect_chat(upstream, tmp_path) as chat:
        result = await chat.client.call_tool("create_model", CREATE, progress_callback=retried)
    assert not result.is_error
    assert len(upstream.requests) == 3
    assert len(retried.messages) == 2


async def test_a_lasting_refusal_reports_the_time_to_wait(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = count()
    monkeypatch.setattr(retries, "monotonic", lambda: next(seconds))
    upstream.reply = support.frame({"error": {"code": "server_overloaded"}})
    async with support.connect_chat(upstream, tmp_path, retry_seconds=2.5) as chat:
        error = (await chat.create(CREATE))["error"]
    assert (error["outcome"], error["retryable"], error["retryAfterSeconds"]) == ("not_created", True, 60)
    assert len(upstream.requests) == 3


async def test_a_call_that_only_reads_is_retried_after_any_fault(upstream: Upstream, tmp_path: Path) -> None:
    page = support.frame({"result": {"models": [], "total": 0, "offset": 0, "limit": 20}})
    left = [b"", support.http_response(b"", "502 Bad Gateway")]
    upstream.reply = lambda _, __: left.pop() if left else page
    retried = Retries()
    async with support.connect_chat(upstream, tmp_path) as chat:
        result = await chat.client.call_tool("find_models", {}, progress_callback=retried)
    assert (result.structured_content or {})["total"] == 0
    assert (len(upstream.requests), len(retried.messages)) == (3, 2)


async def test_a_call_that_could_not_be_sent_is_retried(tmp_path: Path) -> None:
    retried = Retries()
    async with support.connect_chat(support.unreachable(), tmp_path) as chat:
        result = await chat.client.call_tool("create_model", CREATE, progress_callback=retried)
    error = (result.structured_content or {})["error"]
    assert (error["code"], error["outcome"]) == ("connection_failed", "not_created")
    assert len(retried.messages) == 2
