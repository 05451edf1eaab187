"""What create_model says to {upload: true} where there are no links, and where they make no sense."""

from typing import Any

import pytest
from support import EXAMPLE_SNAPSHOT, Chat

pytestmark = pytest.mark.anyio

UPLOAD: dict[str, Any] = {"type": "upload", "format": "onnx"}


async def test_a_server_next_to_the_files_asks_for_the_path(sandbox_chat: Chat) -> None:
    answer = await sandbox_chat.create(
        {"name": "n", "description": "d", "options": {**UPLOAD, "data": {"upload": True}}}
    )
    assert (answer["error"]["code"], answer["error"]["outcome"]) == ("no_upload_link", "not_created")
    assert "path" in answer["nextStep"]


@pytest.mark.parametrize("data", [
    {"upload": "yes"}, {"upload": True, "path": "a.onnx"}, {"upload": True, "base64": "AA=="}, {"upload": False},
])  # fmt: skip
async def test_a_file_comes_in_one_way(data: Any, sandbox_chat: Chat) -> None:
    answer = await sandbox_chat.create({"name": "n", "description": "d", "options": {**UPLOAD, "data": data}})
    (problem,) = answer["error"]["problems"]
    assert problem["path"] == "options.data"
    assert "exactly one of path" in problem["problem"]


async def test_fields_that_are_filled_in_for_completeness_make_no_difference(sandbox_chat: Chat) -> None:
    data = {"path": "", "base64": "", "upload": "true"}
    answer = await sandbox_chat.create({"name": "n", "description": "d", "options": {**UPLOAD, "data": data}})
    assert answer["error"]["code"] == "no_upload_link"
    data = {"path": "none.onnx", "base64": None, "upload": False}
    answer = await sandbox_chat.create({"name": "n", "description": "d", "options": {**UPLOAD, "data": data}})
    assert answer["error"]["code"] == "file_not_found"


async def test_a_link_for_the_file_of_an_initial_state_exists_only_over_http(sandbox_chat: Chat) -> None:
    state = {"method": "upload", "name": "s", "data": [{"key": "k", "data": {"upload": True}}]}
    answer = await sandbox_chat.create(
        {"name": "n", "description": "d", "options": {**EXAMPLE_SNAPSHOT, "initialState": state}}
    )
    assert answer["error"]["code"] == "no_upload_link"
