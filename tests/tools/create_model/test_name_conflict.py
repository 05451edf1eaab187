"""What create_model says of a model that already has the name."""

from typing import Any

import pytest
import support
from create_model_arguments import DEFINITIONS
from decthings_mcp.server.sandbox.seed import MODEL_ID
from support import CODE, CREATE, CREATE_STATE, EXAMPLE_SNAPSHOT, YES, Chat, Upstream, User

pytestmark = pytest.mark.anyio


async def test_a_name_that_is_taken_is_explained(sandbox_chat: Chat) -> None:
    model_id = await sandbox_chat.new_model("a")
    await sandbox_chat.new_model("a-2")
    other = await sandbox_chat("create_model", name="a", description="other", options={**CODE, "language": "rust"})
    assert (other["error"]["outcome"], "result" in other) == ("not_created", False)
    assert other["error"]["existing"]["differs"] == ["description", "language"]
    assert other["error"]["freeNames"] == ["a-3", "a-4"]
    assert model_id in other["text"]


async def test_a_model_that_is_as_requested_can_be_gone_on_with(sandbox_chat: Chat) -> None:
    """As after a call whose response was lost."""
    model_id = await sandbox_chat.new_model("a")
    answer = await sandbox_chat("create_model", name="a", description="d", options=CODE)
    error = answer["error"]
    assert (error["code"], error["outcome"], error["existing"]["same"]) == ("name_already_used", "exists", True)
    assert "freeNames" not in error
    assert answer["result"] == {"modelId": model_id, "isNowCreating": False}
    made_at = error["existing"]["createdAt"]
    assert error["message"].startswith(f"A model of this name exists, made at {made_at}, and it is what you asked for.")
    assert "it is that model" in error["message"]
    assert "go on with this modelId. If the user wants a second model" in answer["nextStep"]
    assert model_id in answer["text"]


async def test_a_model_that_is_still_created_and_as_requested_is_waited_for(sandbox_chat: Chat) -> None:
    given = {"name": "a", "description": "d", "options": {**EXAMPLE_SNAPSHOT, "initialState": CREATE_STATE}}
    first, second = await sandbox_chat.create(given), await sandbox_chat.create(given)
    assert second["result"] == first["result"]
    assert "as far as can be told: Decthings does not return initialState" in second["error"]["message"]
    assert "wait_for_model" in second["nextStep"]


@pytest.mark.parametrize(("options", "differs", "not_compared"), [
    ({"type": "fromExisting", "modelId": MODEL_ID}, None, ["modelId"]),
    ({"type": "upload", "format": "tflite", "data": {"base64": "CAAAAFRGTDMAAAAA"}}, None, ["format", "data"]),
    ({**EXAMPLE_SNAPSHOT, "initialState": {"method": "copy"}}, ["basedOnSnapshot"], ["initialState"]),
    ({**CODE, "preset": "pytorch"}, None, ["preset"]),
])  # fmt: skip
async def test_uncompared_fields_are_listed(options: Any, differs: Any, not_compared: Any, sandbox_chat: Chat) -> None:
    await sandbox_chat.new_model("a")
    existing = (await sandbox_chat("create_model", name="a", description="d", options=options))["error"]["existing"]
    assert existing.get("differs") == differs
    assert existing["notCompared"] == not_compared
    assert existing["same"] == (False if differs else "as far as can be told")


async def test_all_that_cannot_be_compared_is_named_in_one_sentence(sandbox_chat: Chat) -> None:
    await sandbox_chat.new_model("a")
    options = {"type": "upload", "format": "tflite", "data": {"base64": "CAAAAFRGTDMAAAAA"}}
    error = (await sandbox_chat("create_model", name="a", description="d", options=options))["error"]
    assert "as far as can be told: Decthings does not return format and data. If this repeats" in error["message"]


@pytest.mark.parametrize(("name", "value"), [
    ("tags", [{"tag": "t", "value": "v"}]), ("language", "rust"), ("wasm", True),
    ("parameterDefinitions", DEFINITIONS),
])  # fmt: skip
async def test_each_option_that_is_not_as_requested_is_named(name: str, value: Any, sandbox_chat: Chat) -> None:
    await sandbox_chat.new_model("a")
    given = {"name": "a", "description": "d", "options": {**CODE, name: value}}
    assert (await sandbox_chat.create(given))["error"]["existing"]["differs"] == [name]


async def test_what_is_not_as_requested_is_named(sandbox_chat: Chat, user: User) -> None:
    user.answer = YES  # to a public model
    copy = {**EXAMPLE_SNAPSHOT, "initialState": {"method": "copy"}}
    await sandbox_chat.create({"name": "a", "description": "d", "publicAccess": True, "options": copy})
    other = await sandbox_chat.create({"name": "a", "description": "d", "options": CODE})
    assert other["error"]["existing"]["differs"] == ["publicAccess", "language", "basedOnSnapshot"]
    assert other["error"]["existing"]["beingCreated"] is False


async def test_free_names_are_only_suggested_when_all_that_are_taken_are_known(sandbox_chat: Chat) -> None:
    for number in (*range(3, 12), *range(20, 35)):
        await sandbox_chat.new_model(f"a-{number}")
    await sandbox_chat.new_model("a")
    answer = await sandbox_chat.create({"name": "a", "description": "other", "options": CODE})
    assert answer["error"]["freeNames"] == ["a-2"]


async def test_a_public_model_is_as_requested_when_it_was_asked_for(sandbox_chat: Chat, user: User) -> None:
    user.answer = YES
    given = {"name": "a", "description": "d", "publicAccess": True, "options": CODE}
    first, second = await sandbox_chat.create(given), await sandbox_chat.create(given)
    assert (second["error"]["outcome"], second["result"]) == ("exists", first["result"])


async def test_a_model_that_decthings_describes_badly_is_not_handed_over(chat: Chat, upstream: Upstream) -> None:
    model = {"name": "n", "description": "d", "publicAccess": False, "access": "readwrite", "owner": {"type": "user"},
             "language": "go"}  # fmt: skip
    page = support.frame({"result": {"models": [model], "total": 1, "offset": 0, "limit": 100}})
    taken = support.frame({"error": {"code": "name_already_used"}})
    upstream.reply = lambda _, request: page if "getModels" in request.path else taken
    answer = await chat.create(CREATE)
    assert ("result" in answer, answer["error"]["code"]) == (False, "name_already_used")
    assert answer["error"]["message"].startswith("A model of this name exists, and it is what you asked for. If")
