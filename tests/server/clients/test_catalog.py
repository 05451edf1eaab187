"""Where clients keep their configuration, and the links that add the server to them."""

import json
import re
from base64 import b64decode
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import pytest
from decthings_mcp.server.clients.catalog import BY_ID, CLIENTS, Client, Machine
from decthings_mcp.server.clients.launch import Launch
from decthings_mcp.server.clients.links import links
from generated import ROOT

System = Literal["linux", "darwin", "windows"]
HOME = Path("/home/ada")


def machine(system: System = "linux", **environ: str) -> Machine:
    return Machine(system, HOME, environ, Path("/srv/project"))


@pytest.mark.parametrize(("client", "system", "expected"), [
    ("claude-desktop", "linux", ".config/Claude/claude_desktop_config.json"),
    ("claude-desktop", "darwin", "Library/Application Support/Claude/claude_desktop_config.json"),
    ("claude-desktop", "windows", "AppData/Roaming/Claude/claude_desktop_config.json"),
    ("vscode", "darwin", "Library/Application Support/Code/User/mcp.json"),
    ("zed", "darwin", ".config/zed/settings.json"),
    ("zed", "windows", "AppData/Roaming/Zed/settings.json"),
    ("opencode", "windows", ".config/opencode/opencode.json"),
    ("goose", "windows", "AppData/Roaming/Block/goose/config/config.yaml"),
    ("cursor", "windows", ".cursor/mcp.json"),
])  # fmt: skip
def test_each_system_has_its_place(client: str, system: Any, expected: str) -> None:
    assert BY_ID[client].file(machine(system), project=False) == HOME / expected


@pytest.mark.parametrize(("client", "variable", "expected"), [
    ("claude-code", "CLAUDE_CONFIG_DIR", "/moved/.claude.json"),
    ("codex", "CODEX_HOME", "/moved/config.toml"),
    ("copilot", "COPILOT_HOME", "/moved/mcp-config.json"),
    ("zed", "XDG_CONFIG_HOME", "/moved/zed/settings.json"),
])  # fmt: skip
def test_a_clients_own_variable_moves_its_configuration(client: str, variable: str, expected: str) -> None:
    moved = machine()._replace(environ={variable: "/moved"})
    assert BY_ID[client].file(moved, project=False) == Path(expected)


def test_a_file_that_exists_is_taken_before_one_that_does_not(tmp_path: Path) -> None:
    own = Machine("linux", tmp_path, {}, tmp_path)
    (tmp_path / "opencode.jsonc").touch()
    assert BY_ID["opencode"].file(own, project=True) == tmp_path / "opencode.jsonc"


@pytest.mark.parametrize("client", [client for client in CLIENTS if client.is_editable], ids=lambda client: client.id)
def test_a_client_without_any_trace_is_not_found(client: Client) -> None:
    assert not client.is_on(machine())


def test_a_batch_file_counts_as_no_program(tmp_path: Path) -> None:
    (tmp_path / "code.cmd").touch(mode=0o700)
    assert machine(PATH=str(tmp_path)).program("code.cmd") is None


def test_the_documentation_names_every_client_and_its_files() -> None:
    page = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
    for client in CLIENTS:
        assert f"`{client.id}`" in page
    for client in CLIENTS:
        for name in (*client.project, *(path.rpartition("}")[2].lstrip("/") for path in client.user)):
            assert name.rpartition("/")[2] in page


def test_links_carry_the_launch_and_nothing_else() -> None:
    launch = Launch("/opt/bin/decthings-mcp", ("--files", "/srv/my models"))
    found = {client: parse_qs(urlsplit(link).query) for client, link in links(launch, "dec").items()}
    entry = {"command": launch.command, "args": list(launch.args)}
    assert json.loads(found["vscode"]["config"][0]) == {"type": "stdio", **entry}
    for client in ("cursor", "lm-studio"):
        assert found[client]["name"] == ["dec"]
        assert json.loads(b64decode(found[client]["config"][0])) == entry
    assert found["goose"]["cmd"] + found["goose"]["arg"] == [launch.command, *launch.args]


def test_links_for_web_pages_have_no_path_of_a_machine() -> None:
    for link in links().values():
        assert re.fullmatch(r"(https|goose)://[!-~]+", link)
        assert "/home" not in link
    assert parse_qs(urlsplit(links()["goose"]).query)["cmd"] == ["uvx"]
