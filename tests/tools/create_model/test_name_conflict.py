"""What create_model says of a model that already has the name."""

from __future__ import annotations

from typing import Any

import pytest
from decthings_mcp.server.sandbox.seed import MODEL_ID
from support import CODE, EXAMPLE_SNAPSHOT, Chat

pytestmark = pytest.mark.anyio


async def test_a_name_that_is_taken_is_explained(sandbox_chat: Chat) -> None:
    model_id = await sandbox_chat.new_model("a")
    await sandbox_chat.new_model("a-2")
    same = (await sandbox_chat("create_model", name="a", description="d", options=CODE))["error"]
    assert (same["existing"]["modelId"], same["existing"]["same"]) == (model_id, True)
    assert same["freeNames"] == ["a-3", "a-4"]
    other = await sandbox_chat("create_model", name="a", description="other", options={**CODE, "language": "rust"})
    assert other["error"]["existing"]["differs"] == ["description", "language"]
    assert model_id in other["text"]


@pytest.mark.parametrize(("options", "differs", "not_compared"), [
    ({"type": "fromExisting", "modelId": MODEL_ID}, None, ["modelId"]),
    ({"type": "upload", "format": "tflite", "data": {"base64": "CAAAAFRGTDMAAAAA"}}, None, ["format", "data"]),
    ({**EXAMPLE_SNAPSHOT, "initialState": {"method": "copy"}}, ["basedOnSnapshot"], ["initialState"]),
    ({**CODE, "preset": "pytorch"}, None, ["preset"]),
])  # fmt: skip
async def test_fields_that_cannot_be_compared_are_listed(
    options: Any, differs: Any, not_compared: Any, sandbox_chat: Chat
) -> None:
    await sandbox_chat.new_model("a")
    existing = (await sandbox_chat("create_model", name="a", description="d", options=options))["error"]["existing"]
    assert existing.get("differs") == differs
    assert existing["notCompared"] == not_compared
    assert existing.get("same") is (False if differs else None)
