"""create_model: from the arguments of a chat to a model on Decthings."""

from __future__ import annotations

import hashlib
from contextlib import nullcontext
from typing import Annotated, Any, cast

import anyio
from mcp.server.mcpserver import Context, ElicitationResult, Resolve
from mcp_types import CallToolResult

from ..calls.confirmation import NOW_PUBLIC, Confirmed, Question, ask_to_publish, require_consent
from ..calls.outcomes import recovered_note, write_with_lookup
from ..calls.progress import Progress
from ..calls.services import services_of
from ..calls.tool import DecthingsTool
from ..decthings import ApiError, Blob, types
from ..decthings.blobs import size_of
from ..decthings.client import OnSent
from ..files.allowed import FileBlob
from ..results.text import sanitize
from ..results.tool_result import CREATES, success
from . import schema
from .arguments import READER, CreateModelArguments
from .lost_response import verify_created
from .name_conflict import with_conflict_details
from .request import RequestBuilder


async def _ask_if_public(arguments: Any, context: Context[Any, Any]) -> Question:
    if not arguments.get("publicAccess"):
        return Confirmed(confirm=True)
    services = services_of(context)
    services.connected()
    await RequestBuilder(services).resolve_options(arguments["options"])  # nobody is asked in vain
    return ask_to_publish(sanitize(arguments["name"], 200), context)


async def create_model(
    arguments: CreateModelArguments,
    ignored: list[str],
    context: Context[Any, Any],
    answer: Annotated[ElicitationResult[Confirmed], Resolve(_ask_if_public)],
) -> CallToolResult:
    require_consent(answer)
    services = services_of(context)
    services.connected()
    builder = RequestBuilder(services)
    options = await builder.resolve_options(arguments["options"])
    params = cast(types.CreateModelParams, {**arguments, "options": options})
    progress = Progress(context)
    on_sent = _upload_progress(progress) if builder.uploads else None
    slot = services.uploads.take(services.caller.name) if builder.uploads else nullcontext()
    # An upload may last, as long as it goes on.
    with slot, anyio.fail_after(None if builder.uploads else services.call_seconds):
        try:
            created, evidence = await write_with_lookup(
                f"create_model of {sanitize(arguments['name'], 100)!r}",
                services,
                progress,
                lambda client, sending: client.create_model(params, on_sent, sending),
                lambda lookup: verify_created(lookup, params),
            )
        except ApiError as error:
            if error.code != "name_already_used":
                raise
            raise await with_conflict_details(error, params, services.connected()) from None
    return _result(arguments, created, builder.uploads, ignored, evidence)


def _upload_progress(progress: Progress) -> OnSent:
    async def on_sent(sent: int, total: int) -> None:
        await progress(sent, total, f"Sent {sent / 2**20:.1f} of {total / 2**20:.1f} MiB to Decthings.")

    return on_sent


def _result(
    arguments: CreateModelArguments,
    created: types.CreatedModel,
    sent: dict[str, Blob],
    ignored: list[str],
    evidence: dict[str, Any] | None,
) -> CallToolResult:
    answer: dict[str, Any] = {"result": {**created, "modelId": sanitize(created["modelId"], 1_000)}}
    if arguments["options"]["type"] == "upload":
        answer["upload"] = _receipt(sent["data"])
    elif sent:
        answer["uploads"] = [{"key": sanitize(key, 100), **_receipt(blob)} for key, blob in sent.items()]
    if ignored:
        answer["ignored"] = ignored
    public = f"{NOW_PUBLIC} " if arguments.get("publicAccess") else ""
    answer["nextStep"] = public + _next_step(arguments["options"], created)
    if evidence is not None:
        answer["lookUp"] = evidence
    headline = f'{public}Created the model "{sanitize(arguments["name"], 100)}".{recovered_note(evidence)}'
    return success(answer, headline, "created")


def _next_step(options: Any, created: types.CreatedModel) -> str:
    undefined = options["type"] == "upload" and "parameterDefinitions" not in options
    return schema.NEXT_STEPS[created.get("isNowCreating")] + (schema.WITHOUT_DEFINITIONS if undefined else "")


def _receipt(blob: Blob) -> dict[str, Any]:
    digest = blob.sha256 if isinstance(blob, FileBlob) else hashlib.sha256(cast(bytes, blob)).hexdigest()
    return {"bytes": size_of(blob), "sha256": digest}


CREATE_MODEL = DecthingsTool.define(
    create_model,
    reader=READER,
    published_schema=schema.PUBLISHED_SCHEMA,
    takes=CreateModelArguments,
    title=schema.TITLE,
    description=schema.DESCRIPTION,
    effect=CREATES,
    output_schema=schema.OUTPUT_SCHEMA,
)
