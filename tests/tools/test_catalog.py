"""Every tool as tools/list shows it."""

import json
from pathlib import Path
from typing import Any

import bpe_openai
import pytest
from decthings_mcp.server.app import create_server
from decthings_mcp.server.settings import Settings
from decthings_mcp.tools.calls.tool import DecthingsTool
from decthings_mcp.tools.catalog import TOOLS
from generated import ROOT, assert_up_to_date
from jsonschema import Draft202012Validator
from mcp import Client
from support import Chat, schema_nodes

pytestmark = pytest.mark.anyio

SCHEMAS = ROOT / "tests" / "tools" / "schemas"
PARTS = ("name", "title", "description", "inputSchema", "outputSchema", "annotations")
BANNED = {"$ref", "$defs", "oneOf", "anyOf", "allOf", "not", "const", "default", "title", "nullable"}
NODES_OF_ALL_TOOLS = [
    (f"{tool.name}{path}", node) for tool in TOOLS for path, node in schema_nodes(dict(tool.input_schema))
]


async def test_only_the_tools_that_are_offered_are_listed_and_can_be_called(mode: str, tmp_path: Path) -> None:
    settings = Settings(sandbox=True, sandbox_data=tmp_path, read_only=True)
    async with Client(create_server(settings), mode=mode) as client:
        tools = (await client.list_tools()).tools
        assert all(tool.annotations is not None and tool.annotations.read_only_hint for tool in tools)
        names = {tool.name for tool in tools}
        assert names == {"find_models", "find_datasets", "inspect_model_file", "wait_for_model"}


async def test_tool_hints_follow_the_words_of_the_specification(sandbox_chat: Chat) -> None:
    hints = {tool.name: tool.annotations for tool in (await sandbox_chat.client.list_tools()).tools}
    writing = {name: hint for name, hint in hints.items() if hint and not hint.read_only_hint}
    # "If false, the tool performs only additive updates": an update overwrites.
    assert {name for name, hint in writing.items() if hint.destructive_hint} == {"update_model", "delete_model"}
    # "The same arguments will have no additional effect": a second model of one name is refused, a second snapshot not.
    # Evaluating changes nothing, but a second time it costs the user a second time.
    assert {name for name, hint in writing.items() if not hint.idempotent_hint} == {"snapshot_model", "evaluate_model"}


@pytest.mark.parametrize(("path", "node"), NODES_OF_ALL_TOOLS, ids=[path for path, _ in NODES_OF_ALL_TOOLS])
def test_every_node_is_one_that_all_clients_take(path: str, node: dict[str, Any]) -> None:
    assert not BANNED & node.keys()
    assert node["type"] in ("object", "array", "string", "integer", "number", "boolean")
    assert ("items" in node) == (node["type"] == "array")
    assert ("properties" in node) == (node["type"] == "object")
    assert set(node) <= {"type", "description", "properties", "required", "items", "enum", "minimum", "maximum"}
    for name in node.get("required", []):
        # Some frameworks lose a required object that has a description, together with its fields.
        member = node["properties"][name]
        assert member["type"] != "object" or "description" not in member


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_schemas_are_json_schema_2020_12(tool: DecthingsTool) -> None:
    Draft202012Validator.check_schema(tool.input_schema)
    Draft202012Validator.check_schema(dict(tool.output_schema))


async def test_every_tool_is_what_its_schema_file_shows(chat: Chat) -> None:
    tools = (await chat.client.list_tools()).tools
    assert {path.stem for path in SCHEMAS.glob("*.json")} <= {tool.name for tool in tools}
    for tool in tools:
        shown = tool.model_dump(mode="json", by_alias=True, exclude_none=True)
        assert set(shown) == set(PARTS)
        text = json.dumps({part: shown[part] for part in PARTS}, indent=2, ensure_ascii=False) + "\n"
        assert_up_to_date(SCHEMAS / f"{tool.name}.json", text)


async def test_tool_schemas_fit_their_token_budget(chat: Chat) -> None:
    tools = (await chat.client.list_tools()).tools
    sent = [tool.model_dump_json(by_alias=True, exclude_none=True) for tool in tools]
    assert all(len(json.dumps(tool.input_schema, separators=(",", ":"))) < 4_900 for tool in tools)
    encode = bpe_openai.get_encoding("o200k_base").encode
    assert sum(len(encode(text)) for text in sent) <= 4_600
    schemas = [json.dumps(tool.input_schema, ensure_ascii=False, separators=(",", ":")) for tool in tools]
    shown = [f"{tool.name}{tool.description}{schema}" for tool, schema in zip(tools, schemas, strict=True)]
    assert sum(len(encode(text)) for text in shown) < 3_300


@pytest.mark.parametrize("tool", [tool for tool in TOOLS if tool.name != "create_model"], ids=lambda tool: tool.name)
def test_every_argument_has_a_description(tool: DecthingsTool) -> None:
    for name, node in tool.input_schema["properties"].items():
        assert node.get("description"), name
