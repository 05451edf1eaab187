"""A call that writes: its time limit, and what it keeps in memory."""

import gc
import weakref
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import support
from decthings_mcp.tools.create_model import request
from decthings_mcp.tools.decthings_defaults import Timeouts
from decthings_mcp.tools.files.allowed import AllowedFiles
from decthings_mcp.tools.files.upload import FileBlob
from support import Upstream

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("fast_lookups")]

UPLOAD = {"type": "upload", "format": "future", "data": {"path": "m.bin"}}


def read_slowly(*_: object) -> None:
    Event().wait(0.3)


@pytest.mark.parametrize("public", [False, True])
async def test_a_file_that_takes_long_to_read_does_not_use_up_the_time_of_the_call(
    public: bool, upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m.bin").write_bytes(b"weights")
    monkeypatch.setattr(request, "check_model_file", read_slowly)
    upstream.reply = support.created()
    async with support.connect_chat(upstream, tmp_path, call_seconds=0.2) as chat:
        result = await chat.create({"name": "n", "description": "d", "publicAccess": public, "options": UPLOAD})
    assert result["outcome"] == "created"


async def test_a_call_whose_response_is_lost_lets_go_of_its_request_when_it_ends(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs: list[weakref.ref[FileBlob]] = []

    def open_and_track(files: AllowedFiles, path: str) -> FileBlob:
        blob = original(files, path)
        blobs.append(weakref.ref(blob))
        return blob

    original = AllowedFiles.open
    monkeypatch.setattr(AllowedFiles, "open", open_and_track)
    (tmp_path / "m.bin").write_bytes(b"weights")
    upstream.reply = b""
    times: dict[str, Any] = {"timeouts": Timeouts(response=0.3), "call_seconds": 2}
    gc.disable()
    try:
        async with support.connect_chat(upstream, tmp_path, retry_seconds=0, **times) as chat:
            result = await chat.create({"name": "n", "description": "d", "options": UPLOAD})
            kept = [blob() for blob in blobs]
    finally:
        gc.enable()
    assert result["error"]["outcome"] == "unknown"
    assert kept == [None]
