"""Sentences of results: none is there twice, and what decides something is said."""

import re
from pathlib import Path
from typing import Any

import pytest
from decthings_mcp.server.app import create_server
from decthings_mcp.server.sandbox.seed import MODEL_ID
from decthings_mcp.server.settings import Settings
from mcp import Client
from support import CODE, CREATE_STATE, EXAMPLE_SNAPSHOT, YES, Chat, User

pytestmark = pytest.mark.anyio

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("find_models", {}),
    ("find_models", {"searchName": "none", "owners": ["nobody"]}),
    ("find_datasets", {}),
    ("inspect_model_file", {"path": "m.onnx"}),
    ("inspect_model_file", {"path": "other.onnx"}),
    ("inspect_model_file", {"path": "/etc/passwd"}),
    ("create_model", {"name": "a", "description": "d", "publicAccess": True, "options": CODE}),
    ("create_model", {"name": "a", "description": "d", "publicAccess": True, "options": CODE}),
    ("create_model", {"name": "a", "description": "other", "options": CODE}),
    ("create_model", {"name": "b", "description": "d", "options": {"type": "upload", "format": "onnx",
                                                                   "data": {"path": "m.onnx"}}}),
    ("create_model", {"name": "c", "description": "d", "options": {**EXAMPLE_SNAPSHOT, "initialState": CREATE_STATE}}),
    ("create_model", {"name": 7, "options": {"type": "code", "language": "f16"}}),
    ("wait_for_model", {"modelId": MODEL_ID}),
    ("wait_for_model", {"modelId": "none"}),
    ("update_model", {"modelId": MODEL_ID, "tags": []}),
    ("update_model", {"modelId": "none"}),
    ("snapshot_model", {"modelId": MODEL_ID, "snapshotName": "v2"}),
    ("delete_model", {"modelId": MODEL_ID, "confirmName": "none"}),
]  # fmt: skip


async def test_no_sentence_is_twice_in_one_result(
    sandbox_chat: Chat, user: User, tmp_path: Path, onnx_file: bytes
) -> None:
    (tmp_path / "m.onnx").write_bytes(onnx_file)
    user.answer = YES
    for tool, arguments in CALLS:
        text = (await sandbox_chat(tool, **arguments))["text"]
        sentences = [part for line in text.splitlines() for part in re.split(r"(?<=[.!?]) ", line) if len(part) > 12]
        assert len(sentences) == len(set(sentences)), text


async def test_a_server_without_a_key_says_what_becomes_of_one_in_the_chat(mode: str) -> None:
    async with Client(create_server(Settings()), mode=mode) as client:
        answer = await Chat(client)("find_models")
    assert answer["error"]["code"] == "not_configured"
    assert "A key in the chat is of no use here" in answer["nextStep"]
    assert "replace it at Decthings by a new one" in answer["nextStep"]
    assert "sandbox" not in answer["nextStep"]
