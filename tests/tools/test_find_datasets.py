"""find_datasets on the sandbox."""

import pytest
from decthings_mcp.server.sandbox.seed import DATASET_ID
from support import Chat

pytestmark = pytest.mark.anyio


async def test_datasets_are_found_with_their_keys(sandbox_chat: Chat) -> None:
    (dataset,) = (await sandbox_chat("find_datasets"))["datasets"]
    assert (dataset["id"], dataset["entries"]) == (DATASET_ID, 150)
    assert dataset["keys"][0] == {"datasetKey": "image", "allowedTypes": ["image"], "shape": []}
