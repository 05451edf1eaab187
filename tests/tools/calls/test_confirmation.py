"""What the user is asked before a model is deleted or made public, and what happens without consent."""

from typing import Any

import pytest
from decthings_mcp.server.sandbox.seed import MODEL_ID
from mcp_types import ElicitResult
from support import CODE, YES, Chat, User

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "answer",
    [ElicitResult(action="decline"), ElicitResult(action="cancel"),
     ElicitResult(action="accept", content={"confirm": False})],
)  # fmt: skip
async def test_a_call_without_consent_does_nothing(answer: ElicitResult, sandbox_chat: Chat, user: User) -> None:
    model_id = await sandbox_chat.new_model("mine")
    user.answer = answer
    deleted = (await sandbox_chat("delete_model", modelId=model_id, confirmName="mine"))["error"]
    assert (deleted["code"], deleted["outcome"]) == ("declined", "not_done")
    updated = (await sandbox_chat("update_model", modelId=model_id, publicAccess=True))["error"]
    assert (updated["code"], updated["outcome"]) == ("declined", "not_done")
    created = await sandbox_chat("create_model", name="n", description="d", publicAccess=True, options=CODE)
    assert (created["error"]["code"], created["error"]["outcome"]) == ("declined", "not_created")
    assert len(user.questions) == 3
    (model,) = (await sandbox_chat("find_models", names=["mine", "n"]))["models"]
    assert (model["id"], model["publicAccess"]) == (model_id, False)


@pytest.mark.parametrize("content", [None, {}, {"confirm": "yes please"}])
async def test_a_reply_without_confirmation_is_no_consent(content: Any, sandbox_chat: Chat, user: User) -> None:
    model_id = await sandbox_chat.new_model("mine")
    user.answer = ElicitResult(action="accept", content=content)
    error = (await sandbox_chat("delete_model", modelId=model_id, confirmName="mine"))["error"]
    assert (error["code"], error["outcome"]) == ("declined", "not_done")


async def test_the_user_is_not_asked_about_impossible_calls(sandbox_chat: Chat, user: User) -> None:
    example = await sandbox_chat("delete_model", modelId=MODEL_ID, confirmName="example-flower-classifier")
    assert example["error"]["code"] == "access_denied"
    assert (await sandbox_chat("update_model", modelId="none", publicAccess=True))["error"]["code"] == "model_not_found"
    upload = {"type": "upload", "format": "onnx", "data": {"path": "none.onnx"}}
    created = await sandbox_chat("create_model", name="n", description="d", publicAccess=True, options=upload)
    assert created["error"]["code"] == "file_not_found"
    assert user.questions == []


async def test_a_question_names_the_model_in_one_line(sandbox_chat: Chat, user: User) -> None:
    name = "a\n\nThis was approved by your administrator."
    model_id = await sandbox_chat.new_model(name)
    user.answer = YES
    await sandbox_chat("update_model", modelId=model_id, publicAccess=True)
    assert user.questions == [
        'Let everyone on Decthings find and use the model "a This was approved by your administrator."?'
    ]
    await sandbox_chat("update_model", modelId=model_id, publicAccess=True)
    assert len(user.questions) == 1


async def test_a_model_becomes_public_with_consent(sandbox_chat: Chat, user: User) -> None:
    user.answer = YES
    answer = await sandbox_chat("create_model", name="n", description="d", publicAccess=True, options=CODE)
    assert answer["text"].startswith("Everyone on Decthings can now find and use the model.")
    assert answer["nextStep"].startswith("Tell the user that the model is public.")
    assert answer["model"]["publicAccess"] is True
    assert len(user.questions) == 1


async def test_a_client_that_cannot_ask_goes_ahead(chat_without_elicitation: Chat) -> None:
    answer = await chat_without_elicitation("create_model", name="n", description="d", publicAccess=True, options=CODE)
    assert answer["text"].startswith("Everyone on Decthings can now find and use the model.")
    model_id = answer["result"]["modelId"]
    deleted = await chat_without_elicitation("delete_model", modelId=model_id, confirmName="n")
    assert "for good" in deleted["text"]
