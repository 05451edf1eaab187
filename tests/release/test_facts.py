"""What is published says the same everywhere, and what the places where it is published ask for."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import release
from check_jsonschema import main as check_jsonschema
from click.testing import CliRunner
from decthings_mcp.server.cli import parser
from generated import ROOT, assert_up_to_date
from jsonschema import Draft202012Validator

SCHEMA = ROOT / ".ci" / "server.schema.json"
SERVER: dict[str, Any] = json.loads((ROOT / "server.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", release.with_facts())
def test_a_file_repeats_the_facts_of_pyproject(path: str) -> None:
    text = release.with_facts()[path]
    assert release.read_facts().owner in text
    assert_up_to_date(ROOT / path, text)


def check(*arguments: str | Path) -> None:
    checked = CliRunner().invoke(check_jsonschema, list(map(str, arguments)))
    assert checked.exit_code == 0, checked.output


@pytest.mark.parametrize("with_bundle", [False, True])
def test_the_registry_takes_server_json(with_bundle: bool, tmp_path: Path) -> None:
    bundle, file = tmp_path / "decthings-mcp.mcpb", tmp_path / "server.json"
    bundle.write_bytes(b"a bundle")
    published = json.loads(release.server_json_with(bundle, "registry.example")) if with_bundle else SERVER
    assert len(published["packages"]) == len(SERVER["packages"]) + with_bundle
    file.write_text(json.dumps(published))
    check("--schemafile", SCHEMA, file)
    assert list(unknown_keys(published)) == []


def unknown_keys(document: Any) -> Iterator[str]:
    """What the schema says nothing of: it allows any key, so a misspelled one would be ignored in silence."""
    text = SCHEMA.read_text(encoding="utf-8").replace("draft-07/schema#", "draft/2020-12/schema")
    schema = closed(json.loads(text))
    for error in Draft202012Validator({**schema, "unevaluatedProperties": False}).iter_errors(document):
        yield error.message


def closed(schema: Any) -> Any:
    """The schema with no other properties wherever it refers to a definition, but where allOf extends one."""
    if isinstance(schema, list):
        return [closed(node) for node in schema]
    if not isinstance(schema, dict):
        return schema
    node = {key: closed(value) for key, value in schema.items() if key != "allOf"}
    if "allOf" in schema:
        node["allOf"] = [base if "$ref" in base else closed(base) for base in schema["allOf"]]
    return {**node, "unevaluatedProperties": False} if "$ref" in node else node


@pytest.mark.parametrize(
    "place",
    [
        "",
        "repository",
        "packages/0",
        "packages/0/packageArguments/0",
        "packages/0/transport",
        "packages/0/environmentVariables/0",
        "packages/1/runtimeArguments/1/variables/folder",
    ],
)
def test_a_key_that_the_registry_does_not_know_is_noticed(place: str) -> None:
    document = json.loads(json.dumps(SERVER))
    node = document
    for step in filter(None, place.split("/")):
        node = node[int(step) if step.isdecimal() else step]
    node["is_secret"] = True
    assert list(unknown_keys(document))


def test_what_server_json_passes_to_the_server_exists() -> None:
    for package in SERVER["packages"]:
        arguments = [text for argument in package["packageArguments"] for text in (argument["name"], "/models")]
        assert parser().parse_args(arguments).files
        assert [variable["name"] for variable in package["environmentVariables"]] == ["DECTHINGS_API_KEY"]
    assert "DECTHINGS_API_KEY," in (parser().epilog or "")


def test_links_of_the_readme_work_on_a_package_index() -> None:
    text = release.readme_for_indexes()
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert any("/blob/v" in link for link in links)
    assert [link for link in links if not link.startswith(("https://", "goose://"))] == []


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda path: path.name)
def test_a_workflow_is_valid(path: Path) -> None:
    check("--builtin-schema", "vendor.github-workflows", path)
