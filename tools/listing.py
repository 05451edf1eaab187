"""What find_models and find_datasets share: their arguments, and how a page of items is shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Literal, NotRequired, cast

from annotated_types import Ge, Le
from pydantic import PlainValidator
from typing_extensions import TypedDict

from .arguments.schema import INTEGER, Node, described, list_of, object_of, string
from .arguments.validation import invalid
from .decthings import types
from .decthings.json_codec import is_list, is_object, parse_if_json
from .results.text import iso_time, objects_in, sanitize, sanitize_json, short_text, str_or_empty
from .results.tool_result import Success, output_schema

_MAX_LIMIT = 50
_DEFAULT_LIMIT = 20
_MAX_DESCRIPTION = 160
_MAX_ITEMS = 20
_OWNERS_PAGE = 100
_MAX_OWNER_ITEMS = 500
"""Among so many items the names of owners are looked for."""

ListPage = Callable[[types.ListParams], Awaitable[list[dict[str, Any]]]]
"""The items that Decthings lists for these parameters."""


_SEPARATOR = ": "
"""Between a tag and its value, as in the results."""


def _parse_tag(tag: Any) -> types.Tag:
    """A tag from "tag: value", or from the object that createModel takes."""
    given = parse_if_json(tag) if isinstance(tag, str) else tag
    if is_object(given) and set(given) == {"tag", "value"} and all(isinstance(text, str) for text in given.values()):
        return {"tag": given["tag"], "value": given["value"]}
    if not isinstance(tag, str) or ":" not in tag:
        raise invalid('must look like "tag: value"')
    name, _, value = tag.partition(_SEPARATOR if _SEPARATOR in tag else ":")
    return {"tag": name.strip(), "value": value.strip()}


TagFilter = Annotated[types.Tag, PlainValidator(_parse_tag)]


@types.strict
class ListArguments(TypedDict):
    searchName: NotRequired[str]
    names: NotRequired[list[str]]
    ids: NotRequired[list[str]]
    tags: NotRequired[list[TagFilter]]
    owners: NotRequired[list[str]]
    sort: NotRequired[Literal["createdAt", "name"]]
    sortDirection: NotRequired[Literal["asc", "desc"]]
    offset: NotRequired[Annotated[int, Ge(0)]]
    limit: NotRequired[Annotated[int, Ge(1), Le(_MAX_LIMIT)]]
    detail: NotRequired[bool]


def input_schema() -> Node:
    return object_of(
        {
            "searchName": string("Part of the name."),
            "names": list_of(string(), "Exact names."),
            "ids": list_of(string(), "Exact ids."),
            "tags": list_of(string(), 'Like "type: classifier".'),
            "owners": list_of(string(), "Names or ids of users or organizations."),
            "sort": string("createdAt (default) or name.", ("createdAt", "name")),
            "sortDirection": string("asc or desc (default).", ("asc", "desc")),
            "offset": described("integer", "How many to skip.", minimum=0),
            "limit": described(
                "integer", f"1 to {_MAX_LIMIT}, default {_DEFAULT_LIMIT}.", minimum=1, maximum=_MAX_LIMIT
            ),
            "detail": described("boolean", "Everything about each one."),
        }
    )


def page_schema(kind: str) -> Node:
    return output_schema(**{kind: list_of(object_of({"id": string(), "name": string()})), "total": INTEGER})


async def with_owner_ids(arguments: ListArguments, list_page: ListPage) -> ListArguments:
    """The arguments with the ids of the owners that are given by name.

    Decthings filters by id alone, so the names are looked for among the owners of what is listed without that filter;
    what is not found there is taken for an id.
    """
    if not (wanted := arguments.get("owners")):
        return arguments
    without = cast(
        ListArguments, {name: value for name, value in arguments.items() if name not in ("owners", "offset")}
    )
    ids: dict[str, str] = {}
    for offset in range(0, _MAX_OWNER_ITEMS, _OWNERS_PAGE):
        page = await list_page({**list_params(without), "offset": offset, "limit": _OWNERS_PAGE})
        ids |= {name.casefold(): id_ for name, id_ in map(_owner, page) if name and id_}
        if len(page) < _OWNERS_PAGE or all(owner.casefold() in ids for owner in wanted):
            break
    return {**arguments, "owners": [ids.get(owner.casefold(), owner) for owner in wanted]}


def _owner(item: dict[str, Any]) -> tuple[str | None, str | None]:
    """The name and the id of an item's owner."""
    owner = item.get("owner")
    if not is_object(owner):
        return None, None
    names, ids = (
        (owner.get("username"), owner.get("organizationName")),
        (owner.get("userId"), owner.get("organizationId")),
    )
    return short_text(next(filter(None, names), None)), short_text(next(filter(None, ids), None))


def list_params(arguments: ListArguments) -> types.ListParams:
    """The arguments in the form of the API, with `filter`."""
    given = cast(dict[str, Any], arguments)
    filter_ = {name: given[name] for name in types.Filter.__annotations__ if given.get(name)}
    params = {name: given[name] for name in ("sort", "sortDirection", "offset", "limit") if name in given}
    defaults = {"sort": "createdAt", "sortDirection": "desc", "limit": _DEFAULT_LIMIT}
    return cast(types.ListParams, {**defaults, **params, **({"filter": filter_} if filter_ else {})})


def page(
    kind: str,
    found: Mapping[str, Any],
    arguments: ListArguments,
    summary: Callable[[dict[str, Any]], dict[str, Any]],
    hint: str = "",
) -> Success:
    """The result of a search.

    Args:
        kind: "models" or "datasets", the field of `found` and of the result that has the items.
        summary: shows one item compactly.
        hint: follows the next step.
    """
    total, offset = found["total"], arguments.get("offset", 0)
    items = list(map(full_item if arguments.get("detail", False) else summary, found[kind]))
    headline = f"{total} {kind if total != 1 else kind.removesuffix('s')} found."
    next_step = " ".join(
        filter(None, (_next_step(kind, offset, len(items), total), _not_searched(arguments, total), hint))
    )
    untrusted = [f"{kind}.{field}" for field in _TEXT_OF_OTHERS] if items else []
    return Success(headline, {kind: items, "total": total, "offset": offset}, next_step, untrusted=untrusted)


_TEXT_OF_OTHERS = ("name", "description", "tags", "owner")


def _not_searched(arguments: ListArguments, total: int) -> str:
    notes: list[str] = []
    if arguments.get("searchName"):
        notes.append("searchName was looked for in names, not in descriptions or tags.")
    if arguments.get("owners") and not total:
        notes.append(f"Names of owners are known only from the newest {_MAX_OWNER_ITEMS} items; ids always work.")
    return " ".join(notes)


def _next_step(kind: str, offset: int, count: int, total: int) -> str:
    shown = offset + count
    if not total:
        return f"No {kind} match. Loosen the filter."
    if not count:
        return f"There are {total} {kind}, but none at this offset. Call again with a smaller offset."
    if shown < total:
        return f"{total - shown} more: call again with offset {shown}, or filter."
    return "That is all there is."


def full_item(item: dict[str, Any]) -> dict[str, Any]:
    """All that Decthings returned of an item, bounded."""
    shown = _with_iso_times(sanitize_json(item, depth=10, items=1_000, text=10_000))
    # The outputSchema promises strings, which clients check.
    return {**shown, "id": short_text(item.get("id")) or "", "name": sanitize(str_or_empty(item.get("name")), 10_000)}


def _with_iso_times(value: Any) -> Any:
    if is_object(value):
        return {
            name: iso_time(field) if name == "createdAt" and not isinstance(field, str) else _with_iso_times(field)
            for name, field in value.items()
        }
    return [_with_iso_times(item) for item in value] if is_list(value) else value


def common_fields(item: dict[str, Any]) -> dict[str, Any]:
    """The fields that models and datasets have in common."""
    owner_name, owner_id = _owner(item)
    return {
        "id": short_text(item.get("id")) or "",
        "name": short_text(item.get("name")) or "",
        "description": sanitize(str_or_empty(item.get("description")), _MAX_DESCRIPTION),
        "owner": owner_name,
        "ownerId": owner_id,
        "access": short_text(item.get("access")),
        "publicAccess": item.get("publicAccess") is True,
        "createdAt": iso_time(item.get("createdAt")),
        "tags": first_few(objects_in(item.get("tags")), _tag),
    }


def _tag(tag: dict[str, Any]) -> str:
    return f"{sanitize(str_or_empty(tag.get('tag')), 60)}: {sanitize(str_or_empty(tag.get('value')), 60)}"


def first_few(items: list[dict[str, Any]], show: Callable[[dict[str, Any]], Any]) -> list[Any]:
    """The first items, and how many more there are."""
    more = [f"… and {len(items) - _MAX_ITEMS} more"] if len(items) > _MAX_ITEMS else []
    return [*map(show, items[:_MAX_ITEMS]), *more]
