"""The inputSchema as clients take it, and its types, which must mean the same."""

import json
from copy import deepcopy
from typing import Any

import bpe_openai
import pytest
from decthings_mcp.tools.arguments.limits import LimitedValidator
from decthings_mcp.tools.arguments.validation import check
from decthings_mcp.tools.create_model.arguments import READER, CreateModelArguments
from decthings_mcp.tools.create_model.tool import CREATE_MODEL
from decthings_mcp.tools.results.errors import InvalidArguments, Problem
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from support import Chat, schema_nodes

ARGUMENTS = LimitedValidator(CreateModelArguments)

SCHEMA = dict(CREATE_MODEL.input_schema)

FULL_SCHEMA = dict(READER.schema)

VALIDATOR = Draft202012Validator(SCHEMA)

ALL_NODES = list(schema_nodes(SCHEMA))


def test_the_create_model_schema_is_small_enough() -> None:
    compact = json.dumps(SCHEMA, separators=(",", ":"), ensure_ascii=False)
    assert len(compact) < 4_900
    tokens = bpe_openai.get_encoding("o200k_base").encode(CREATE_MODEL.name + CREATE_MODEL.description + compact)
    assert len(tokens) <= 1_400


def test_every_enum_value_preset_and_format_is_described() -> None:
    text = " ".join([CREATE_MODEL.description, *(node.get("description", "") for _, node in ALL_NODES)])
    words = {word for _, node in ALL_NODES for word in node.get("enum", [])}
    named_as_ranges = {"i16", "i32", "u16", "u32"}  # "i8 to i64, u8 to u64"
    known = {"empty", "tensorflowjs", "pytorch", "tensorflow", "none", "onnx", "tflite"}
    for word in (words - named_as_ranges) | known:
        assert word in text, word


@pytest.mark.anyio
async def test_create_model_is_listed_with_its_schema_and_hints(chat: Chat) -> None:
    (tool,) = [tool for tool in (await chat.client.list_tools()).tools if tool.name == "create_model"]
    assert (tool.input_schema, tool.output_schema) == (SCHEMA, CREATE_MODEL.output_schema)
    hints = tool.annotations
    assert hints is not None
    assert tool.title == hints.title == "Create a Decthings model"
    assert (hints.read_only_hint, hints.destructive_hint, hints.idempotent_hint, hints.open_world_hint) == (
        False, False, True, True,
    )  # fmt: skip


# What each word needs and takes, from the API page.
DEFINED = {"parameterDefinitions"}

NEEDS: dict[str, dict[str, tuple[set[str], set[str]]]] = {
    ".options": {
        "code": ({"language"}, {"tags", "preset", "wasm"} | DEFINED),
        "upload": ({"format", "data"}, {"tags"} | DEFINED),
        "basedOnModelSnapshot": ({"modelId", "snapshotId", "initialState"}, {"tags"}),
        "fromExisting": ({"modelId"}, {"tags", "snapshotId"}),
    },
    ".options.initialState": {
        "copy": (set(), set()),
        "create": ({"name", "params", "launcherSpec"}, set()),
        "upload": ({"name", "data"}, set()),
    },
    ".options.initialState.params[].data": {"dataset": ({"datasetId", "datasetKey"}, set()), "data": ({"data"}, set())},
}

_LEAVES: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text("abcé😀 ", min_size=1, max_size=5),
    "integer": st.integers(1, 10**6),
    "number": st.integers(1, 9) | st.floats(0.1, 9),
    "boolean": st.booleans(),
}

_TENSORS = st.sampled_from([
    {"type": "f32", "shape": [2], "data": ["1.5", "-2"]}, {"type": "string", "shape": [], "data": ["x"]},
    {"type": "image", "shape": [1], "data": ["file:a.png"]}, {"type": "u64", "shape": [0, 3], "data": []},
])  # fmt: skip


def values(node: dict[str, Any], path: str = "") -> st.SearchStrategy[Any]:
    """Arguments as the schema and the API page have them."""
    if path.endswith(".data[]") and "shape" in node.get("properties", {}):
        return _TENSORS
    if "enum" in node:
        return st.sampled_from(node["enum"])
    if node["type"] == "array":
        return st.lists(values(node["items"], f"{path}[]"), max_size=2, unique_by=_key).filter(_alone_if_by_link)
    if node["type"] != "object":
        return _LEAVES[node["type"]]
    properties = {name: values(member, f"{path}.{name}") for name, member in node["properties"].items()}
    if {"path", "base64"} <= set(properties):
        return st.sampled_from(
            [{"path": "m.onnx"}, {"base64": "AAEC"}, *([{"upload": True}] if "upload" in properties else [])]
        )
    if path in NEEDS:
        tag = "method" if path.endswith("State") else "type"
        words = [
            st.fixed_dictionaries(
                {tag: st.just(word), **{n: properties[n] for n in sorted(needed)}},
                optional={n: properties[n] for n in sorted(possible)},
            )
            for word, (needed, possible) in NEEDS[path].items()
        ]
        return st.one_of(words)
    if path == ".options.parameterDefinitions":  # nothing at all in them is nothing given
        return st.fixed_dictionaries(properties).filter(lambda definitions: any(definitions.values()))
    # What reading fills in (the lists of the definitions, required, annotations) is given here.
    filled = node.get("required", []) if path in ("", ".options.initialState.launcherSpec") else list(properties)
    return st.fixed_dictionaries(
        {name: properties[name] for name in filled},
        optional={name: strategy for name, strategy in properties.items() if name not in filled},
    )


def _alone_if_by_link(items: list[Any]) -> bool:
    return len(items) < 2 or all(not isinstance(item, dict) or item.get("data") != {"upload": True} for item in items)


def _key(item: Any) -> Any:
    return item["key"] if isinstance(item, dict) and "key" in item else json.dumps(item)


def types_allow(arguments: Any) -> bool:
    try:
        check(arguments, ARGUMENTS, FULL_SCHEMA, READER.unions)
    except InvalidArguments:
        return False
    return True


@given(values(FULL_SCHEMA))
def test_arguments_that_the_schema_allows_are_accepted(arguments: Any) -> None:
    VALIDATOR.validate(arguments)
    assert types_allow(arguments)


@given(values(FULL_SCHEMA), st.data())
def test_arguments_that_the_schema_forbids_are_refused(arguments: Any, data: st.DataObject) -> None:
    arguments = place = deepcopy(arguments)
    while True:
        inside = [m for m in place.values() if isinstance(m, dict)] + [
            item for m in place.values() if isinstance(m, list) for item in m if isinstance(item, dict)
        ]
        if not inside or data.draw(st.booleans()):
            break
        place = data.draw(st.sampled_from(inside))
    name = data.draw(st.sampled_from(sorted(place)))
    if data.draw(st.booleans()):
        del place[name]
    else:
        place[name] = data.draw(st.sampled_from([None, 7.5, True, "other", {}, [], [None]]))
    assert VALIDATOR.is_valid(arguments) or not types_allow(arguments)


@given(values(FULL_SCHEMA))
def test_valid_arguments_are_read_unchanged(arguments: Any) -> None:
    read, ignored = READER.read(arguments)
    assert ignored == []
    assert check(read, ARGUMENTS, FULL_SCHEMA, READER.unions) == check(arguments, ARGUMENTS, FULL_SCHEMA, READER.unions)


_NAMES = st.sampled_from(["type", "options", "data", "initialState", "params", "shape", "name", "tags", "path"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES | st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["name", "description", "options", "type"]), _JSON))
def test_create_model_arguments_may_be_any_json(arguments: dict[str, Any]) -> None:
    problems: list[Problem] = []
    try:
        check(READER.read(arguments)[0], ARGUMENTS, FULL_SCHEMA, READER.unions)
    except InvalidArguments as error:
        problems = error.details["problems"]
    assert all(problem["path"] and problem["problem"] for problem in problems)
