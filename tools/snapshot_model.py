"""snapshot_model: keep a model as it is, for models that build on it."""

from __future__ import annotations

from typing import Any

from mcp.server.mcpserver import Context
from mcp_types import CallToolResult
from pydantic import with_config

# pydantic needs this TypedDict rather than typing's on Python 3.11.
from typing_extensions import TypedDict

from .arguments.reader import Reader
from .arguments.schema import object_of, text
from .calls.outcomes import OutcomeLookup, recovered_note, write_with_lookup
from .calls.progress import Progress
from .calls.services import services_of
from .calls.tool import DecthingsTool
from .decthings import types
from .results.text import objects_in, sanitize
from .results.tool_result import CHANGES, output_schema, success


@with_config(types.STRICT)
class SnapshotArguments(TypedDict):
    modelId: str
    snapshotName: str


async def snapshot_model(
    arguments: SnapshotArguments, ignored: list[str], context: Context[Any, Any]
) -> CallToolResult:
    model_id, name = arguments["modelId"], arguments["snapshotName"]
    snapshot_id, evidence = await write_with_lookup(
        "snapshot_model",
        services_of(context),
        Progress(context),
        lambda client, sending: client.snapshot_model(model_id, name, sending),
        lambda lookup: _verify_snapshot(lookup, model_id, name),
    )
    next_step = "Use modelId and snapshotId in create_model with type basedOnModelSnapshot or fromExisting."
    answer = {
        "result": {"snapshotId": sanitize(snapshot_id, 1_000)},
        **({} if evidence is None else {"lookUp": evidence}),
        "nextStep": next_step,
    }
    return success(answer, f'Took the snapshot "{sanitize(name, 100)}".{recovered_note(evidence)}', "done")


async def _verify_snapshot(lookup: OutcomeLookup, model_id: str, name: str) -> tuple[str, dict[str, Any]]:
    """The id of a snapshot of that name that is no older than the call.

    Raises:
        LostResponse: there is none.
    """
    async for models in lookup.models({"ids": [model_id]}):
        for snapshot in (snapshot for model in models for snapshot in objects_in(model.get("snapshots"))):
            is_new, snapshot_id = lookup.is_from_this_call(snapshot.get("createdAt")), snapshot.get("id")
            if snapshot.get("name") == name and is_new and isinstance(snapshot_id, str):
                return snapshot_id, lookup.evidence()
    raise lookup.unknown(
        "Looking at the model did not show a new snapshot of this name.",
        "Look at the model's snapshots with find_models before you take another one.",
    )


SNAPSHOT_MODEL = DecthingsTool.define(
    snapshot_model,
    reader=Reader(object_of({"modelId": text(), "snapshotName": text()}, ("modelId", "snapshotName"))),
    takes=SnapshotArguments,
    effect=CHANGES,
    title="Take a snapshot of a Decthings model",
    description="Keep a model's code and active state as a snapshot, on which create_model can base new models "
    "(basedOnModelSnapshot). Answers with snapshotId.",
    output_schema=output_schema(result=object_of({"snapshotId": text()}, ("snapshotId",))),
)
