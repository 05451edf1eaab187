"""create_model with a file that is on the user's own machine: the answer is a link to a page that uploads it.

Nothing is remembered meanwhile. When the same call is made again, the model's name tells whether it was created.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from mcp_types import InputRequiredResult

from ..arguments.binary_data import UploadByLink
from ..calls.call import Call
from ..calls.confirmation import ask_to_open
from ..calls.services import UploadLink
from ..decthings import ApiError, DecthingsClient, types
from ..results.errors import NoUploadLink
from ..results.text import join_words, sanitize, single_line
from ..results.tool_result import Success
from . import schema
from .arguments import CreateModelArguments
from .name_conflict import compare_with_request, explain_conflict, own_model

_PAGE_LIMIT = 100
_UNDEFINED = " It was created without parameterDefinitions; update_model sets them, if the user wants them."


def is_by_link(arguments: CreateModelArguments) -> bool:
    options: Mapping[str, Any] = arguments["options"]
    entries = [options] if options["type"] == "upload" else options.get("initialState", {}).get("data", [])
    return any(isinstance(entry["data"], UploadByLink) for entry in entries)


async def offer_link(arguments: CreateModelArguments, call: Call) -> Success | InputRequiredResult:
    """The model, if it exists; otherwise a link for it, which the user is asked to open where the client can do that.

    Raises:
        NoUploadLink
        UserDeclined: the user does not want to open it.
        ApiError: name_already_used, by a model that is not as requested.
    """
    links = call.services.upload_links
    if links is None:
        raise NoUploadLink(
            "This server runs where the files are, so it makes no upload links.",
            'Give the path of the file: data {"path": "..."}.',
        )
    without_file = _without_file(arguments)
    existing = await call.read(lambda client: find_existing(client, without_file))
    if existing is not None:
        return _existing_result(arguments, existing, call)
    link = links.create(without_file, call.services.caller, call.context.request_context.request)
    message = f'Upload the file of the model "{single_line(arguments["name"])}" on this page.'
    asked = await ask_to_open(link.url, message, call)
    return asked if isinstance(asked, InputRequiredResult) else _offer(arguments, link, is_open=asked)


def _without_file(arguments: CreateModelArguments) -> dict[str, Any]:
    """All of the arguments but the file: JSON."""
    return _change(arguments, lambda entry: {name: value for name, value in entry.items() if name != "data"})


def with_file(arguments: Mapping[str, Any], file: Any) -> types.CreateModelParams:
    return cast(types.CreateModelParams, _change(arguments, lambda entry: {**entry, "data": file}))


def _change(arguments: Mapping[str, Any], change: Callable[[Mapping[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """The arguments with another entry for the file: the options, or the one file of an initial state."""
    options = arguments["options"]
    if options["type"] == "upload":
        return {**arguments, "options": change(options)}
    state = options["initialState"]
    changed = {**state, "data": [change(entry) for entry in state["data"]]}
    return {**arguments, "options": {**options, "initialState": changed}}


def role_of_file(arguments: Mapping[str, Any]) -> dict[str, str]:
    """`format` of a model file, or `key` of a file of an initial state."""
    options = arguments["options"]
    if options["type"] == "upload":
        return {"format": options["format"]}
    return {"key": options["initialState"]["data"][0]["key"]}


async def find_existing(client: DecthingsClient, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
    """The caller's model of the requested name, in the form of `compare_with_request`; None if there is none.

    Raises:
        ApiError: name_already_used, when it is not as requested.
        DecthingsError
    """
    page = await client.get_models({"filter": {"names": [arguments["name"]]}, "limit": _PAGE_LIMIT})
    model = own_model(page["models"], arguments["name"])
    if model is None:
        return None
    params = with_file(arguments, b"")
    existing = compare_with_request(model, params)
    if existing.get("differs"):
        raise await explain_conflict(ApiError("name_already_used", {}), params, client)
    return existing


def _existing_result(arguments: CreateModelArguments, existing: Mapping[str, Any], call: Call) -> Success:
    model_id, creating = existing["modelId"], existing["beingCreated"]
    fields: dict[str, Any] = {"result": {"modelId": model_id, "isNowCreating": creating}}
    name = sanitize(arguments["name"], 100)
    receipt = call.services.receipts.find(call.services.caller.name, model_id, role_of_file(arguments))
    if receipt is not None:
        headline = f'Created the model "{name}" from the file that the user uploaded.'
        options = arguments["options"]
        undefined = options["type"] == "upload" and "parameterDefinitions" not in options
        return Success(headline, {**fields, **receipt}, schema.NEXT_STEPS[creating] + (_UNDEFINED if undefined else ""))
    headline = (
        f'A model "{name}" exists and is as requested, as far as Decthings returns it: its '
        f"{join_words(existing['notCompared'], 'and')} cannot be compared."
    )
    next_step = (
        f"If the user has uploaded the file, this is the model. {schema.NEXT_STEPS[creating]} If not, the name was "
        "taken before: ask the user for another name."
    )
    return Success(headline, {**fields, "existing": existing}, next_step, outcome="exists")


def _offer(arguments: CreateModelArguments, link: UploadLink, *, is_open: bool) -> Success:
    name = sanitize(arguments["name"], 100)
    show = "Show the user upload.link, complete and unchanged, to open in a browser and choose the file there."
    if is_open:
        show = "The page is open in the user's browser. Only if they do not see it, show them upload.link, unchanged."
    return Success(
        f'The model "{name}" is not created yet: its file must be uploaded by the user, at upload.link.',
        {"upload": {"link": link.url}},
        f"{show} When they say it is done, make the same call again: it returns the model. After {link.valid_minutes} "
        "minutes the same call returns a new link.",
        outcome="waiting_for_upload",
    )
