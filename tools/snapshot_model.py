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
from .calls.outcomes import LookUp, confirmation, settled
from .calls.progress import Progress
from .calls.services import backend_of
from .calls.tool import DecthingsTool
from .decthings import types
from .results.text import harmless, objects
from .results.tool_result import CHANGES, output_schema, success


@with_config(types.STRICT)
class SnapshotArguments(TypedDict):
    modelId: str
    snapshotName: str


async def snapshot_model(
    arguments: SnapshotArguments, ignored: list[str], context: Context[Any, Any]
) -> CallToolResult:
    model_id, name = arguments["modelId"], arguments["snapshotName"]
    snapshot_id, evidence = await settled(
        "snapshot_model",
        backend_of(context),
        Progress(context),
        lambda client, delivery: client.snapshot_model(model_id, name, delivery),
        lambda look_up: _find_taken(look_up, model_id, name),
    )
    next_step = "Use modelId and snapshotId in create_model with type basedOnModelSnapshot or fromExisting."
    answer = {
        "result": {"snapshotId": harmless(snapshot_id, 1_000)},
        **({} if evidence is None else {"lookUp": evidence}),
        "nextStep": next_step,
    }
    return success(answer, f'Took the snapshot "{harmless(name, 100)}".{confirmation(evidence)}', "done")


async def _find_taken(look_up: LookUp, model_id: str, name: str) -> tuple[str, dict[str, Any]]:
    """The id of a snapshot of that name that is no older than the call.

    Raises:
        LookedUp: there is none.
    """
    async for models in look_up.models({"ids": [model_id]}):
        for snapshot in (snapshot for model in models for snapshot in objects(model.get("snapshots"))):
            is_new, snapshot_id = look_up.is_from_this_call(snapshot.get("createdAt")), snapshot.get("id")
            if snapshot.get("name") == name and is_new and isinstance(snapshot_id, str):
                return snapshot_id, look_up.evidence()
    raise look_up.still_unknown(
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
