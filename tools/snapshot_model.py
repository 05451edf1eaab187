"""snapshot_model: keeps a model as it is now, for models that build on it."""

from __future__ import annotations

from typing_extensions import TypedDict

from .arguments.reader import Reader
from .arguments.schema import object_of, string
from .calls.call import Call
from .calls.outcomes import OutcomeLookup
from .calls.tool import DecthingsTool
from .decthings import types
from .results.text import objects_in, sanitize
from .results.tool_result import CHANGES, Success, output_schema


@types.strict
class SnapshotArguments(TypedDict):
    modelId: str
    snapshotName: str


async def snapshot_model(arguments: SnapshotArguments, call: Call) -> Success:
    model_id, name = arguments["modelId"], arguments["snapshotName"]
    snapshot_id = await call.write(
        lambda client, sending: client.snapshot_model(model_id, name, sending),
        lambda lookup: _verify_snapshot(lookup, model_id, name),
        may_repeat=False,
    )
    fields = {"result": {"snapshotId": sanitize(snapshot_id, 1_000)}}
    next_step = "Use modelId and snapshotId in create_model with type basedOnModelSnapshot or fromExisting."
    if call.evidence is None:
        return Success(f'Took the snapshot "{sanitize(name, 100)}".', fields, next_step)
    headline = f'A snapshot "{sanitize(name, 100)}" from about the time of this call exists. {_FOUND}'
    return Success(headline, fields, next_step, outcome="exists")


_FOUND = "The response of Decthings was lost, so it was looked up; this call took it, or another one just before."


async def _verify_snapshot(lookup: OutcomeLookup, model_id: str, name: str) -> str:
    """The id of a snapshot of that name that is no older than the call.

    Raises:
        LostResponse: there is none.
    """
    async for models in lookup.models({"ids": [model_id]}):
        for snapshot in (snapshot for model in models for snapshot in objects_in(model.get("snapshots"))):
            is_older, snapshot_id = lookup.is_older(snapshot.get("createdAt")), snapshot.get("id")
            if snapshot.get("name") == name and not is_older and isinstance(snapshot_id, str):
                return snapshot_id
    raise lookup.unknown(
        "The model shows no new snapshot of this name.",
        "Look at the model's snapshots with find_models before you take another one.",
    )


SNAPSHOT_MODEL = DecthingsTool(
    handler=snapshot_model,
    title="Take a snapshot of a Decthings model",
    description="Keep a model's code and active state as a snapshot, on which create_model can base new models "
    "(basedOnModelSnapshot). Returns snapshotId.",
    reader=Reader(
        object_of(
            {"modelId": string("From find_models."), "snapshotName": string("Name of the new snapshot.")},
            ("modelId", "snapshotName"),
        )
    ),
    arguments=SnapshotArguments,
    output_schema=output_schema(result=object_of({"snapshotId": string()}, ("snapshotId",))),
    effect=CHANGES,
)
