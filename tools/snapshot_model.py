"""snapshot_model: keep a model as it is, for models that build on it."""

from __future__ import annotations

from typing import Any

from mcp.server.mcpserver import Context
from mcp_types import CallToolResult
from pydantic import TypeAdapter, with_config

# pydantic needs this TypedDict rather than typing's on Python 3.11.
from typing_extensions import TypedDict

from .answers import CHANGES, output_schema, success
from .decthings import types
from .reading import Reader
from .repeating import call_decthings
from .schema_nodes import object_of, text
from .text import harmless
from .tool import DecthingsTool


@with_config(types.STRICT)
class SnapshotArguments(TypedDict):
    modelId: str
    snapshotName: str


async def snapshot_model(
    arguments: SnapshotArguments, ignored: list[str], context: Context[Any, Any]
) -> CallToolResult:
    snapshot_id = await call_decthings(
        context, lambda client: client.snapshot_model(arguments["modelId"], arguments["snapshotName"])
    )
    next_step = "Use modelId and snapshotId in create_model with type basedOnModelSnapshot or fromExisting."
    answer = {"result": {"snapshotId": harmless(snapshot_id, 1_000)}, "nextStep": next_step}
    return success(answer, f'Took the snapshot "{harmless(arguments["snapshotName"], 100)}".', "done")


SNAPSHOT_MODEL = DecthingsTool.define(
    snapshot_model,
    reader=Reader(object_of({"modelId": text(), "snapshotName": text()}, ("modelId", "snapshotName"))),
    adapter=TypeAdapter(SnapshotArguments),
    effect=CHANGES,
    title="Take a snapshot of a Decthings model",
    description="Keep a model's code and active state as a snapshot, on which create_model can base new models "
    "(basedOnModelSnapshot). Answers with snapshotId.",
    output_schema=output_schema(result=object_of({"snapshotId": text()}, ("snapshotId",))),
)
