"""Every error code of the API page, through a real stdio client."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import anyio
import pytest
import support
from mcp import Client
from mcp_types import TextContent
from support import CREATE

# The codes of the API page with their members, a word that the next step has to say, and whether to repeat.
CODES: dict[str, tuple[dict[str, Any], str, bool]] = {
    "name_already_used": ({}, "another name", False),
    "organization_not_found": ({}, "organization", False),
    "access_denied": ({}, "access", False),
    "model_not_found": ({}, "find_models", False),
    "snapshot_not_found": ({}, "snapshot_model", False),
    "quota_exceeded": ({}, "quota", False),
    "server_overloaded": ({"retryAfterSeconds": 60}, "Wait 60 seconds", True),
    "invalid_executable_file": ({}, "snapshot", False),
    "read_executable_file_failed": ({}, "program", False),
    "bad_credentials": ({}, "DECTHINGS_API_KEY", False),
    "too_many_requests": ({"retryAfterSeconds": 60}, "Wait 60 seconds", True),
    "payment_required": ({}, "billing", False),
    "unknown": ({}, "once more", True),
    "dataset_not_found": ({"datasetId": "d-1"}, "datasetId", False),
    "dataset_key_not_found": ({"datasetId": "d-1", "datasetKey": "k-1"}, "datasetKey", False),
    "invalid_parameter": ({"parameterName": "name", "reason": "too \x1b[31mlong\x1b[0m"}, "reason", False),
    "brand_new_code": ({"hint": "x" * 5000}, "tell the user", False),
}


def _sent(members: dict[str, Any]) -> dict[str, Any]:
    """What Decthings sends of them; the time to wait is ours."""
    return {name: value for name, value in members.items() if name != "retryAfterSeconds"}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Generator[dict[str, Any]]:
    """The results of a call for each code, all by one server process."""

    async def collect(upstream: support.Upstream, folder: Path) -> dict[str, Any]:
        server = support.stdio(
            "--api-url", upstream.url, cwd=folder, DECTHINGS_API_KEY=support.KEY, DECTHINGS_RETRY_SECONDS="0"
        )
        results: dict[str, Any] = {}
        async with Client(server) as client:
            for code, (members, _, _) in CODES.items():
                upstream.reply = support.frame({"error": {"code": code, **_sent(members)}})
                results[code] = await client.call_tool("create_model", CREATE)
        return results

    with support.upstream() as upstream:
        yield anyio.run(collect, upstream, tmp_path_factory.mktemp("empty"))


@pytest.mark.parametrize("code", CODES)
def test_an_error_code_has_its_own_message_and_next_step(code: str, answers: dict[str, Any]) -> None:
    members, expected, retryable = CODES[code]
    result = answers[code]
    error = result.structured_content["error"]
    assert result.is_error
    assert (error["code"], error["outcome"], error["retryable"]) == (code, "not_created", retryable)
    assert error["message"].startswith("Nothing was created: ")
    assert expected in result.structured_content["nextStep"]
    assert set(error) == {"code", "message", "outcome", "retryable", *members}
    assert "\x1b" not in str(error)
    assert len(str(error)) < 1_000


@pytest.mark.parametrize("code", CODES)
def test_the_text_of_an_error_repeats_its_fields(code: str, answers: dict[str, Any]) -> None:
    (block,) = answers[code].content
    assert isinstance(block, TextContent)
    answer = answers[code].structured_content
    for expected in (answer["error"]["message"], code, "not_created", answer["nextStep"]):
        assert expected in block.text
    for name, value in answer["error"].items():
        if name not in ("message", "code", "outcome", "retryable"):
            assert f"{name}: {value}" in block.text


def test_no_two_codes_share_a_sentence(answers: dict[str, Any]) -> None:
    errors = [result.structured_content for result in answers.values()]
    assert len({answer["error"]["message"] for answer in errors}) == len(CODES)
    # Waiting is the one advice that two codes have in common.
    assert len({answer["nextStep"] for answer in errors}) == len(CODES) - 1
