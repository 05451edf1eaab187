"""update_model on the sandbox."""

from typing import Any

import pytest
from support import YES, Chat, User

pytestmark = pytest.mark.anyio


async def test_update_model_changes_only_what_is_given(sandbox_chat: Chat, user: User) -> None:
    model_id = await sandbox_chat.new_model("a")
    definition = {"name": "x", "rules": {"shape": "[1]", "allowedTypes": "f32"}}
    answer = await sandbox_chat(
        "update_model", modelId=model_id, name="b", parameterDefinitions={"evaluateInput": definition}
    )
    assert answer["result"]["changed"] == ["name", "parameterDefinitions"]
    assert answer["result"]["newValues"]["name"] == "b"
    (model,) = (await sandbox_chat("find_models", ids=[model_id], detail=True))["models"]
    assert (model["name"], model["description"]) == ("b", "d")
    assert model["parameterDefinitions"]["evaluateInput"][0]["required"] is True
    assert user.questions == []


async def test_update_model_refuses_an_empty_update(sandbox_chat: Chat) -> None:
    (problem,) = (await sandbox_chat("update_model", modelId="m"))["error"]["problems"]
    assert (problem["path"], "nothing to change" in problem["problem"]) == ("arguments", True)


async def test_update_model_replaces_all_tags_and_shows_them(sandbox_chat: Chat) -> None:
    model_id = await sandbox_chat.new_model("a", tags=[{"tag": "old", "value": "1"}])
    tags = [{"tag": "new", "value": "2"}]
    answer = await sandbox_chat("update_model", modelId=model_id, tags=tags)
    assert answer["result"]["newValues"] == {"tags": tags}
    (model,) = (await sandbox_chat("find_models", ids=[model_id]))["models"]
    assert model["tags"] == ["new: 2"]


async def test_update_model_can_empty_fields(sandbox_chat: Chat) -> None:
    definition = {"name": "x", "rules": {"shape": [], "allowedTypes": ["f32"]}}
    model_id = await sandbox_chat.new_model("a", parameterDefinitions={"train": [definition]})
    nothing: dict[str, Any] = {name: [] for name in ("createState", "train", "evaluateInput", "evaluateOutput")}
    await sandbox_chat("update_model", modelId=model_id, description="", parameterDefinitions=nothing, tags=[])
    (model,) = (await sandbox_chat("find_models", ids=[model_id], detail=True))["models"]
    assert (model["description"], model["parameterDefinitions"], model["tags"]) == ("", nothing, [])


NOTHING = {name: [] for name in ("createState", "train", "evaluateInput", "evaluateOutput")}
AUTOFILLED: dict[str, Any] = {
    "name": "", "description": "", "publicAccess": False, "tags": [], "parameterDefinitions": NOTHING,
}  # fmt: skip


async def test_update_model_leaves_out_what_a_client_fills_in_for_every_field(sandbox_chat: Chat, user: User) -> None:
    user.answer = YES
    tags = [{"tag": "t", "value": "v"}]
    model_id = await sandbox_chat.new_model("a", tags=tags)
    await sandbox_chat("update_model", modelId=model_id, publicAccess=True)
    answer = await sandbox_chat("update_model", modelId=model_id, **{**AUTOFILLED, "description": "new"})
    assert answer["result"]["changed"] == ["description"]
    assert answer["ignored"] == ["name", "parameterDefinitions", "publicAccess", "tags"]
    (model,) = (await sandbox_chat("find_models", ids=[model_id], detail=True))["models"]
    assert (model["name"], model["description"], model["tags"]) == ("a", "new", tags)
    assert model["publicAccess"] is True


async def test_update_model_of_a_client_that_fills_in_every_field_can_make_a_model_private(
    sandbox_chat: Chat, user: User
) -> None:
    user.answer = YES
    model_id = await sandbox_chat.new_model("a")
    await sandbox_chat("update_model", modelId=model_id, publicAccess=True)
    answer = await sandbox_chat("update_model", modelId=model_id, **AUTOFILLED)
    assert answer["result"]["changed"] == ["publicAccess"]
