"""The store of the sandbox when its files cannot be used: what was not done is reported as such."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from decthings_mcp.server.app import create_server
from decthings_mcp.server.settings import Settings
from mcp import Client
from support import CODE, Chat

pytestmark = pytest.mark.anyio


def add_a_column(data: Path) -> None:
    with sqlite3.connect(data / "decthings.sqlite3") as store:
        store.execute("ALTER TABLE models ADD COLUMN extra TEXT")


def remove_the_uploads(data: Path) -> None:
    shutil.rmtree(data / "uploads")


def damage(data: Path) -> None:
    (data / "decthings.sqlite3").write_bytes(b"damaged" * 1000)


@pytest.mark.parametrize("fault", [add_a_column, remove_the_uploads, damage])
async def test_a_creation_that_the_store_cannot_hold_is_reported_as_not_created(
    fault: Callable[[Path], None], tmp_path: Path
) -> None:
    async with Client(create_server(Settings(sandbox=True, sandbox_data=tmp_path))) as client:
        fault(tmp_path)
        error = (await Chat(client).create({"name": "n", "description": "d", "options": CODE}))["error"]
    assert (error["code"], error["outcome"]) == ("unknown", "not_created")
    assert "nothing was done" in error["reason"]
