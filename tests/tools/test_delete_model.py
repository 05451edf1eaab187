"""delete_model on the sandbox: only with the name of the model, and with the consent of the user."""

import pytest
from support import YES, Chat, User

pytestmark = pytest.mark.anyio


async def test_the_user_is_asked_before_a_model_is_deleted(sandbox_chat: Chat, user: User) -> None:
    model_id = await sandbox_chat.new_model("mine")
    user.answer = YES
    answer = await sandbox_chat("delete_model", modelId=model_id, confirmName="mine")
    assert answer["result"] == {"deleted": model_id}
    (question,) = user.questions
    assert '"mine"' in question
    assert "states (0) and snapshots (0)" in question
    assert "final" in question
    assert (await sandbox_chat("find_models", ids=[model_id]))["total"] == 0


@pytest.mark.parametrize(("confirm", "code"), [("other", "name_differs"), ("MINE", "name_differs")])
async def test_delete_model_refuses_another_name(confirm: str, code: str, sandbox_chat: Chat, user: User) -> None:
    model_id = await sandbox_chat.new_model("mine")
    assert (await sandbox_chat("delete_model", modelId=model_id, confirmName=confirm))["error"]["code"] == code
    unknown = await sandbox_chat("delete_model", modelId="none", confirmName="mine")
    assert unknown["error"]["code"] == "model_not_found"
    assert user.questions == []
    assert (await sandbox_chat("find_models", ids=[model_id]))["total"] == 1
    differs = await sandbox_chat("delete_model", modelId=model_id, confirmName=confirm)
    assert "differs from the one that the user gave, ask" in differs["nextStep"]


@pytest.mark.parametrize("name", ["n" * 300, "model\u200f-1"])
async def test_delete_model_accepts_the_name_of_find_models(name: str, sandbox_chat: Chat, user: User) -> None:
    model_id = await sandbox_chat.new_model(name)
    user.answer = YES
    shown = (await sandbox_chat("find_models", ids=[model_id]))["models"][0]["name"]
    assert "result" in await sandbox_chat("delete_model", modelId=model_id, confirmName=shown)
