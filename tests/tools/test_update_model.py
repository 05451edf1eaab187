"""update_model on the sandbox."""

from __future__ import annotations

from typing import Any

import pytest
from support import Chat, Person

pytestmark = pytest.mark.anyio


async def test_update_model_changes_only_what_is_given(sandbox_chat: Chat, person: Person) -> None:
    model_id = await sandbox_chat.new_model("a")
    definition = {"name": "x", "rules": {"shape": "[1]", "allowedTypes": "f32"}}
    answer = await sandbox_chat(
        "update_model", modelId=model_id, name="b", parameterDefinitions={"evaluateInput": definition}
    )
    assert answer["result"] == {"changed": ["name", "parameterDefinitions"]}
    (model,) = (await sandbox_chat("find_models", ids=[model_id], detail=True))["models"]
    assert (model["name"], model["description"]) == ("b", "d")
    assert model["parameterDefinitions"]["evaluateInput"][0]["required"] is True
    assert person.questions == []


async def test_update_model_refuses_an_empty_update(sandbox_chat: Chat) -> None:
    (problem,) = (await sandbox_chat("update_model", modelId="m"))["error"]["problems"]
    assert "nothing to change" in problem["problem"]


async def test_update_model_can_empty_fields(sandbox_chat: Chat) -> None:
    definition = {"name": "x", "rules": {"shape": [], "allowedTypes": ["f32"]}}
    model_id = await sandbox_chat.new_model("a", parameterDefinitions={"train": [definition]})
    nothing: dict[str, Any] = {name: [] for name in ("createState", "train", "evaluateInput", "evaluateOutput")}
    await sandbox_chat("update_model", modelId=model_id, description="", parameterDefinitions=nothing, tags=[])
    (model,) = (await sandbox_chat("find_models", ids=[model_id], detail=True))["models"]
    assert (model["description"], model["parameterDefinitions"], model["tags"]) == ("", nothing, [])
