"""create_model when the user uploads the file: from a stream to the result, with the outcome of a local upload.

What is received once cannot be sent again: a lost response is looked up, and nothing is repeated.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from mcp_types import CallToolResult

from ..calls.progress import Progress
from ..calls.services import Services
from ..calls.writes import Write
from ..decthings import ApiError, DecthingsClient, DecthingsError, SendProgress, types
from ..files.streamed import StreamedFile
from ..results.errors import InternalError, ToolFailure
from ..results.text import log_crash, sanitize
from ..results.tool_result import CREATES, Success, failure, mark_sandbox, success
from .arguments import CreateModelArguments
from .lost_response import verify_created
from .name_conflict import explain_conflict, model_exists
from .tool import created_result
from .upload_link import find_existing, role_of_file, with_file

_log = logging.getLogger(__name__)


async def create_from_upload(
    arguments: Mapping[str, Any], file: StreamedFile, services: Services, sending: SendProgress
) -> CallToolResult:
    """The result of the call; its failures are results too.

    Args:
        arguments: those of create_model, checked, without the file.
        services: of the caller.
        sending: is updated while the request is sent, so that it can be read after a cancellation.
    """
    try:
        result, evidence = await _create(arguments, file, services, sending)
        outcome = success(result, CREATES, evidence=evidence)
    except ToolFailure as error:
        outcome = failure(error, CREATES)
    except DecthingsError as error:
        outcome = failure(error, CREATES, may_have_acted=error.may_have_acted and sending.may_have_acted)
    except Exception as error:
        log_crash(_log, "upload", error)
        outcome = failure(InternalError(may_have_acted=sending.may_have_acted), CREATES)
    return mark_sandbox(outcome) if services.in_sandbox else outcome


async def _create(
    arguments: Mapping[str, Any], file: StreamedFile, services: Services, sending: SendProgress
) -> tuple[Success, Mapping[str, Any] | None]:
    client, params = await services.require_client(), with_file(arguments, file)
    with services.uploads.take(services.caller.name):
        if (existing := await find_existing(client, arguments)) is not None:
            raise model_exists(existing, {"existing": existing})
        await file.start()
        try:
            created, evidence = await _write(params, client, services, sending).run()
        except ApiError as error:
            if error.code != "name_already_used":
                raise
            raise await explain_conflict(error, params, client) from None
    role = role_of_file(arguments)
    result = created_result(cast(CreateModelArguments, arguments), created, {role.get("key", "data"): file}, evidence)
    receipt = {name: result.fields[name] for name in ("upload", "uploads") if name in result.fields}
    services.receipts.keep(services.caller.name, result.fields["result"]["modelId"], role, receipt)
    return result, evidence


def _write(
    params: types.CreateModelParams, client: DecthingsClient, services: Services, sending: SendProgress
) -> Write[types.CreatedModel]:
    return Write(
        f"The upload of {sanitize(params['name'], 100)!r}",
        client,
        replace(services, retry_seconds=0),
        Progress(None),
        sending,
        lambda client, sending: client.create_model(params, None, sending),
        lambda lookup: verify_created(lookup, params),
        may_repeat=False,
        deadline=float("inf"),
    )
