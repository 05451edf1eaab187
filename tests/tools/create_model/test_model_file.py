"""create_model with a model file, on the sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import Chat

pytestmark = pytest.mark.anyio


async def test_an_upload_without_definitions_names_inspect_model_file(
    sandbox_chat: Chat, tmp_path: Path, onnx_file: bytes
) -> None:
    (tmp_path / "m.onnx").write_bytes(onnx_file)
    options = {"type": "upload", "format": "onnx", "data": {"path": "m.onnx"}}
    answer = await sandbox_chat("create_model", name="n", description="d", options=options)
    assert "inspect_model_file" in answer["nextStep"]
