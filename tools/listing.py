"""What find_models and find_datasets have in common: their arguments, and how a page of items is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NotRequired, cast

from annotated_types import Ge, Le
from pydantic import with_config

# pydantic needs this TypedDict rather than typing's on Python 3.11.
from typing_extensions import TypedDict

from .arguments.schema import INTEGER, TAGS, Node, described, list_of, object_of, text
from .decthings import types
from .decthings.json_codec import is_list, is_object
from .results.text import iso_time, objects_in, sanitize, sanitize_json, short_text, str_or_empty
from .results.tool_result import output_schema

MAX_LIMIT = 50
_DEFAULT_LIMIT = 20
_MAX_DESCRIPTION = 160
_MAX_MEMBERS = 20


@with_config(types.STRICT)
class ListArguments(TypedDict):
    searchName: NotRequired[str]
    names: NotRequired[list[str]]
    ids: NotRequired[list[str]]
    tags: NotRequired[list[types.Tag]]
    owners: NotRequired[list[str]]
    sort: NotRequired[Literal["createdAt", "name"]]
    sortDirection: NotRequired[Literal["asc", "desc"]]
    offset: NotRequired[Annotated[int, Ge(0)]]
    limit: NotRequired[Annotated[int, Ge(1), Le(MAX_LIMIT)]]
    detail: NotRequired[bool]


def input_schema() -> Node:
    return object_of(
        {
            "searchName": text("Part of the name."),
            "names": list_of(text(), "Exact names."),
            "ids": list_of(text()),
            "tags": TAGS,
            "owners": list_of(text(), "Ids of users or organizations."),
            "sort": text("createdAt (default) or name.", ("createdAt", "name")),
            "sortDirection": text("asc or desc (default).", ("asc", "desc")),
            "offset": INTEGER,
            "limit": described("integer", f"1 to {MAX_LIMIT}, default {_DEFAULT_LIMIT}."),
            "detail": described("boolean", "Everything about each one."),
        }
    )


def page_schema(member: str) -> Node:
    return output_schema(**{member: list_of(object_of({"id": text(), "name": text()})), "total": INTEGER})


def list_params(arguments: ListArguments) -> types.ListParams:
    """In the form of the API: what narrows the list down stands in `filter`."""
    given = cast(dict[str, Any], arguments)
    narrowing = {name: given[name] for name in ("searchName", "names", "ids", "tags", "owners") if given.get(name)}
    params = {name: given[name] for name in ("sort", "sortDirection", "offset", "limit") if name in given}
    defaults = {"sort": "createdAt", "sortDirection": "desc", "limit": _DEFAULT_LIMIT}
    return cast(types.ListParams, {**defaults, **params, **({"filter": narrowing} if narrowing else {})})


def page(
    member: str, page_: Mapping[str, Any], arguments: ListArguments, summary: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """The answer: `summary` tells one item compactly; how to get the rest stands in `nextStep`."""
    detail, offset = arguments.get("detail", False), arguments.get("offset", 0)
    items = [full_item(item) if detail else summary(item) for item in page_[member]]
    shown = offset + len(items)
    if items and shown < page_["total"]:
        next_step = f"{page_['total'] - shown} more: call again with offset {shown}, or narrow it down."
    elif items:
        next_step = "That is all there is."
    elif page_["total"]:
        next_step = f"There are {page_['total']} {member}, and none at this offset. Call again with a smaller offset."
    else:
        next_step = f"There are no {member} like that. Ask for less, or look at all."
    return {member: items, "total": page_["total"], "offset": offset, "nextStep": next_step}


def full_item(item: dict[str, Any]) -> dict[str, Any]:
    """Everything that Decthings said of it, bounded."""
    told = _with_iso_times(sanitize_json(item, depth=10, items=1_000, text=10_000))
    # The outputSchema promises texts, which clients check.
    return {**told, "id": short_text(item.get("id")) or "", "name": sanitize(str_or_empty(item.get("name")), 10_000)}


def _with_iso_times(value: Any) -> Any:
    if is_object(value):
        return {
            name: iso_time(member) if name == "createdAt" and not isinstance(member, str) else _with_iso_times(member)
            for name, member in value.items()
        }
    return [_with_iso_times(item) for item in value] if is_list(value) else value


def common_fields(item: dict[str, Any]) -> dict[str, Any]:
    """What is told of a model and of a dataset alike."""
    owner = item.get("owner")
    names = [owner.get("username"), owner.get("organizationName")] if is_object(owner) else []
    return {
        "id": short_text(item.get("id")) or "",
        "name": short_text(item.get("name")) or "",
        "description": sanitize(str_or_empty(item.get("description")), _MAX_DESCRIPTION),
        "owner": next((short_text(name) for name in names if name), None),
        "access": short_text(item.get("access")),
        "publicAccess": item.get("publicAccess") is True,
        "createdAt": iso_time(item.get("createdAt")),
        "tags": first_few(objects_in(item.get("tags")), _tag),
    }


def _tag(tag: dict[str, Any]) -> str:
    return f"{sanitize(str_or_empty(tag.get('tag')), 60)}: {sanitize(str_or_empty(tag.get('value')), 60)}"


def first_few(items: list[dict[str, Any]], told: Callable[[dict[str, Any]], Any]) -> list[Any]:
    """The first few, and how many more there are."""
    more = [f"… and {len(items) - _MAX_MEMBERS} more"] if len(items) > _MAX_MEMBERS else []
    return [*map(told, items[:_MAX_MEMBERS]), *more]
