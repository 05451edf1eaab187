"""create_model: the handler, from checked arguments to the result."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, cast

from mcp_types import InputRequiredResult

from ..calls.call import Call
from ..calls.confirmation import NOW_PUBLIC, TELL_PUBLIC, publish_question
from ..calls.tool import DecthingsTool
from ..decthings import ApiError, Blob, HashedBlob, types
from ..decthings.blobs import size_of
from ..decthings.client import OnSent
from ..results.text import sanitize
from ..results.tool_result import CREATES, Success
from . import schema
from .arguments import READER, CreateModelArguments
from .lost_response import verify_created
from .name_conflict import explain_conflict
from .request import RequestBuilder
from .source_params import check_params
from .summary import summarize
from .upload_link import is_by_link, offer_link


async def _question(arguments: CreateModelArguments, call: Call) -> str | None:
    if not arguments.get("publicAccess") or is_by_link(arguments):  # then the page says it
        return None
    await check_params(arguments["options"], await call.client())
    call.lift_time_limit()
    await RequestBuilder(call.services).resolve_options(arguments["options"])  # nobody is asked in vain
    return publish_question(sanitize(arguments["name"], 200))


async def create_model(arguments: CreateModelArguments, call: Call) -> Success | InputRequiredResult:
    client = await call.client()
    if is_by_link(arguments):
        return await offer_link(arguments, call)
    await check_params(arguments["options"], client)
    builder = RequestBuilder(call.services)
    call.lift_time_limit()
    options = await builder.resolve_options(arguments["options"])
    if not builder.uploads:
        call.restart_time_limit()
    params = cast(types.CreateModelParams, {**arguments, "options": options})
    try:
        created = await _create(params, builder.uploads, call)
    except ApiError as error:
        if error.code != "name_already_used":
            raise
        raise await explain_conflict(error, params, client) from None
    return created_result(arguments, created, builder.uploads, call.evidence)


async def _create(params: types.CreateModelParams, uploads: dict[str, Blob], call: Call) -> types.CreatedModel:
    on_sent = _upload_progress(call) if uploads else None
    with call.services.uploads.take(call.services.caller.name) if uploads else nullcontext():
        return await call.write(
            lambda client, sending: client.create_model(params, on_sent, sending),
            lambda lookup: verify_created(lookup, params),
            may_repeat=True,
            subject=f" of {sanitize(params['name'], 100)!r}",
        )


def _upload_progress(call: Call) -> OnSent:
    async def on_sent(sent: int, total: int) -> None:
        await call.progress(sent, total, f"Sent {sent / 2**20:.1f} of {total / 2**20:.1f} MiB to Decthings.")

    return on_sent


def created_result(
    arguments: CreateModelArguments,
    created: types.CreatedModel,
    uploads: dict[str, Blob],
    evidence: Mapping[str, Any] | None,
) -> Success:
    fields: dict[str, Any] = {
        "result": {**created, "modelId": sanitize(created["modelId"], 1_000)},
        "model": summarize(arguments),
    }
    if arguments["options"]["type"] == "upload":
        fields["upload"] = _receipt(uploads["data"])
    elif uploads:
        fields["uploads"] = [{"key": sanitize(key, 100), **_receipt(blob)} for key, blob in uploads.items()]
    is_public = arguments.get("publicAccess", False)
    public, tell = (f"{NOW_PUBLIC} ", f"{TELL_PUBLIC} ") if is_public else ("", "")
    name, next_step = sanitize(arguments["name"], 100), tell + _next_step(arguments["options"], created)
    if evidence is None:
        return Success(f'{public}Created the model "{name}".', fields, next_step)
    headline = f'{public}The model "{name}" exists and is as requested{_as_far_as_compared(evidence)}. {_FOUND}'
    return Success(headline, fields, next_step, outcome="exists")


_FOUND = "The response of Decthings was lost, so it was looked up; it is the wanted one, whichever call created it."


def _as_far_as_compared(evidence: Mapping[str, Any]) -> str:
    not_compared = evidence["existing"].get("notCompared")
    return f", except {' and '.join(not_compared)}, which Decthings does not return" if not_compared else ""


def _next_step(options: Any, created: types.CreatedModel) -> str:
    steps = schema.NEXT_STEPS[created.get("isNowCreating")]
    if options["type"] != "upload":
        return steps
    return steps + schema.TRY_IT + ("" if "parameterDefinitions" in options else schema.WITHOUT_DEFINITIONS)


def _receipt(blob: Blob) -> dict[str, Any]:
    digest = hashlib.sha256(blob).hexdigest() if isinstance(blob, bytes) else cast(HashedBlob, blob).sha256
    return {"bytes": size_of(blob), "sha256": digest}


CREATE_MODEL = DecthingsTool(
    handler=create_model,
    title=schema.TITLE,
    description=schema.DESCRIPTION,
    reader=READER,
    published_schema=schema.PUBLISHED_SCHEMA,
    arguments=CreateModelArguments,
    output_schema=schema.OUTPUT_SCHEMA,
    effect=CREATES,
    question=_question,
    # "Calling the tool repeatedly with the same arguments will have no additional effect", says MCP: Decthings refuses
    # a second model of one name.
    idempotent=True,
)
