"""delete_model on the sandbox: only with the name of the model, and with the consent of the user."""

from __future__ import annotations

import pytest
from support import YES, Chat, Person

pytestmark = pytest.mark.anyio


async def test_the_user_is_asked_before_a_model_is_deleted(sandbox_chat: Chat, person: Person) -> None:
    model_id = await sandbox_chat.new_model("mine")
    person.answer = YES
    answer = await sandbox_chat("delete_model", modelId=model_id, confirmName="mine")
    assert answer["result"] == {"deleted": model_id}
    (question,) = person.questions
    assert '"mine"' in question
    assert "states (0) and snapshots (0)" in question
    assert "final" in question
    assert (await sandbox_chat("find_models", ids=[model_id]))["total"] == 0


@pytest.mark.parametrize(("confirm", "code"), [("other", "name_differs"), ("MINE", "name_differs")])
async def test_delete_model_refuses_another_name(confirm: str, code: str, sandbox_chat: Chat, person: Person) -> None:
    model_id = await sandbox_chat.new_model("mine")
    assert (await sandbox_chat("delete_model", modelId=model_id, confirmName=confirm))["error"]["code"] == code
    unknown = await sandbox_chat("delete_model", modelId="none", confirmName="mine")
    assert unknown["error"]["code"] == "model_not_found"
    assert person.questions == []
    assert (await sandbox_chat("find_models", ids=[model_id]))["total"] == 1


@pytest.mark.parametrize("name", ["n" * 300, "model\u200f-1"])
async def test_delete_model_accepts_the_name_that_find_models_shows(
    name: str, sandbox_chat: Chat, person: Person
) -> None:
    model_id = await sandbox_chat.new_model(name)
    person.answer = YES
    told = (await sandbox_chat("find_models", ids=[model_id]))["models"][0]["name"]
    assert "result" in await sandbox_chat("delete_model", modelId=model_id, confirmName=told)
