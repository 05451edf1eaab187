"""The resources that a client can read, at both revisions."""

import json

import pytest
from decthings_mcp.server.app import create_server
from decthings_mcp.server.sandbox.seed import MODEL_ID
from decthings_mcp.server.settings import Settings
from decthings_mcp.tools.arguments.limits import LimitedValidator
from decthings_mcp.tools.arguments.validation import check
from decthings_mcp.tools.create_model.arguments import READER, CreateModelArguments
from decthings_mcp.tools.create_model.guide import EXAMPLES
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import PromptReference, ResourceTemplateReference, TextResourceContents

pytestmark = pytest.mark.anyio

MODEL = "decthings://models/{modelId}"


async def read(client: Client, uri: str) -> str:
    (contents,) = (await client.read_resource(uri)).contents
    assert isinstance(contents, TextResourceContents)
    return contents.text


async def test_a_model_is_read_as_json(client: Client) -> None:
    model = json.loads(await read(client, f"decthings://models/{MODEL_ID}"))
    assert (model["id"], model["createdAt"]) == (MODEL_ID, "2026-01-01T00:00:00Z")
    (template,) = (await client.list_resource_templates()).resource_templates
    assert (template.uri_template, template.mime_type) == (MODEL, "application/json")


async def test_an_unknown_model_is_an_invalid_parameter(client: Client) -> None:
    with pytest.raises(MCPError) as caught:
        await client.read_resource("decthings://models/none")
    assert caught.value.error.code == -32602


async def test_a_model_resource_without_a_key_is_refused() -> None:
    async with Client(create_server(Settings())) as client:
        with pytest.raises(MCPError, match="no Decthings API key"):
            await client.read_resource(f"decthings://models/{MODEL_ID}")
        reference = ResourceTemplateReference(uri=MODEL)
        assert (await client.complete(reference, {"name": "modelId", "value": ""})).completion.values == []


@pytest.mark.parametrize(("typed", "found"), [("", 1), ("1111", 1), ("FLOWER", 1), ("none", 0)])
async def test_ids_are_completed_by_their_beginning_or_the_name(typed: str, found: int, client: Client) -> None:
    answer = await client.complete(ResourceTemplateReference(uri=MODEL), {"name": "modelId", "value": typed})
    assert answer.completion.values == [MODEL_ID][:found]
    kind = await client.complete(PromptReference(name="set_up_model"), {"name": "kind", "value": typed})
    assert kind.completion.values == []


@pytest.mark.parametrize(
    "reference",
    [ResourceTemplateReference(uri=MODEL), ResourceTemplateReference(uri="decthings://guide/create_model"),
     PromptReference(name="set_up_model"), PromptReference(name="none")],
)  # fmt: skip
async def test_completing_what_does_not_exist_is_an_invalid_parameter(
    reference: ResourceTemplateReference | PromptReference, client: Client
) -> None:
    with pytest.raises(MCPError, match=r"Available: .*(modelId of|kind, source of)") as caught:
        await client.complete(reference, {"name": "other", "value": "x"})
    assert caught.value.error.code == -32602


async def test_the_guide_has_an_example_for_every_way(client: Client) -> None:
    text = await read(client, "decthings://guide/create_model")
    for title, given in EXAMPLES.items():
        assert title in text
        arguments, ignored = READER.read(given)
        check(arguments, LimitedValidator(CreateModelArguments), READER.schema, READER.unions)
        assert ignored == []
    assert {given["options"]["type"] for given in EXAMPLES.values()} == set(READER.unions["options"].members)
