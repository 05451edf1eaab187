"""What docs/http.md says, against the real server and its own parser."""

import json
import re
import shlex
import time
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
from decthings_mcp.server.cli import parser
from decthings_mcp.server.http.access import Access, Credentials
from decthings_mcp.server.http.metrics import Metrics
from decthings_mcp.server.http.named_secrets import Tokens
from decthings_mcp.server.http.settings import HttpSettings
from decthings_mcp.server.settings import SettingsError
from deploy_support import COMPOSE, DOCS, ENTRYPOINT, GRACE, ROOT, load
from http_support import TOKENS, HttpServer, post, sandbox_server, token_file
from starlette.datastructures import Headers


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCS, re.DOTALL)


CLIENTS: list[dict[str, Any]] = [
    (snippet.get("mcpServers") or snippet["servers"])["decthings"] for snippet in map(json.loads, blocks("json"))
]
SERVER_COMMANDS = [
    line.removeprefix("decthings-mcp ") for line in "".join(blocks("sh")).splitlines() if line.startswith("decthings-")
]


def unit() -> ConfigParser:
    (text,) = blocks("ini")
    read = ConfigParser(strict=False, interpolation=None)
    read.read_string(text)
    return read


def claude_code() -> dict[str, Any]:
    (line,) = [line for line in "".join(blocks("sh")).splitlines() if line.startswith("claude mcp add ")]
    words = shlex.split(line)
    name, _, value = words[words.index("--header") + 1].partition(": ")
    url = next(word for word in words if word.startswith("https:"))
    return {"type": words[words.index("--transport") + 1], "url": url, "headers": {name: value}}


def test_every_kind_of_client_and_both_tenancies_are_shown() -> None:
    assert len(CLIENTS) == 2
    shown = {header for client in [*CLIENTS, claude_code()] for header in client["headers"]}
    assert shown == {"Authorization", "Decthings-Api-Key"}
    assert len(DOCS.splitlines()) < 150


@pytest.mark.slow
@pytest.mark.parametrize("client", [*CLIENTS, claude_code()])
def test_a_shown_client_is_accepted(client: dict[str, Any], callers_server: HttpServer, tmp_path: Path) -> None:
    assert client.get("type", "http") == "http"
    assert client["url"] == "https://mcp.example.com/mcp"
    (header,) = client["headers"].items()
    name, value = header
    secret = TOKENS["anna"] if name == "Authorization" else "key"
    sent = {name: re.sub(r"TOKEN|\$\{.*?\}", secret, value), "Host": "mcp.example.com"}
    assert secret in sent[name]
    if name == "Decthings-Api-Key":
        assert post(callers_server.url, "tools/list", sent).status_code == 200
        assert post(callers_server.url, "tools/list", {"Host": "mcp.example.com"}).status_code == 401
        return
    tokens = ("--token-file", str(token_file(tmp_path)), "--allowed-host", "mcp.example.com")
    with sandbox_server(*tokens, cwd=tmp_path) as server:
        assert post(server.url, "tools/list", sent).status_code == 200
        assert post(server.url, "tools/list", {"Host": "mcp.example.com"}).status_code == 401


@pytest.mark.anyio
async def test_the_tokens_that_are_shown_are_accepted(tmp_path: Path) -> None:
    (text,) = blocks("text")
    path = tmp_path / "tokens"
    path.write_text(text)
    access = Access(HttpSettings(token_file=path), Credentials(Tokens(path)))
    pairs = [line.split() for line in text.splitlines() if not line.startswith("#")]
    for name, token in pairs:
        caller = await access.authenticate(Headers({"authorization": f"Bearer {token}"}), b"")
        assert caller.name == name


@pytest.mark.parametrize("command", SERVER_COMMANDS)
def test_a_command_that_is_shown_starts_a_server(command: str, tmp_path: Path) -> None:
    _, http = load(shlex.split(command), tmp_path)
    assert "mcp.example.com" in http.hosts


def test_the_unit_starts_a_server_that_has_time_to_end(tmp_path: Path) -> None:
    service = unit()["Service"]
    program, *arguments = shlex.split(service["ExecStart"])
    assert program.rpartition("/")[2] == ENTRYPOINT[0]
    _, http = load(arguments, tmp_path)
    assert http.token_file is not None
    assert http.is_on_loopback
    assert int(service["TimeoutStopSec"]) > GRACE
    credentials = set(re.findall(r"LoadCredential=([\w-]+):", blocks("ini")[0]))
    assert credentials == set(re.findall(r"%d/([\w-]+)", service["ExecStart"]))


def test_every_option_that_is_named_exists() -> None:
    named = set(re.findall(r"`(--[a-z-]+)", DOCS))
    known = set(re.findall(r"--[a-z-]+", parser().format_usage()))
    assert named <= known
    own = set(re.findall(r"^  (--[a-z-]+)", parser().format_help().partition("Streamable HTTP:")[2], re.MULTILINE))
    assert {"--http", "--state-key-file"} <= own <= set(re.findall(r"--[a-z-]+", DOCS))


def test_shown_options_are_checked_as_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        load(["--http", "--host", "0.0.0.0"], tmp_path)  # noqa: S104 - to be refused
    with pytest.raises(SystemExit):
        load(["--http", "--no-such-option"], tmp_path)


def test_every_metric_is_listed() -> None:
    listed = DOCS.partition("**Metrics**")[2].partition("\n- **")[0]
    for metric in Metrics().registry.collect():
        name = metric.name.removeprefix("decthings_mcp_") + ("_total" if metric.type == "counter" else "")
        assert f"`{name}`" in listed


def test_every_field_of_the_access_log_is_listed(callers_server: HttpServer) -> None:
    listed = DOCS.partition("each request:")[2].partition("No keys")[0]
    assert post(callers_server.url, "tools/call", {"Decthings-Api-Key": "k"}, name="find_models").status_code != 500
    until = time.monotonic() + 10
    while not (lines := [line for line in callers_server.access_log() if "name" in line]) and time.monotonic() < until:
        time.sleep(0.01)
    assert re.findall(r"`(.*?)`", listed) == list(lines[-1])


def test_the_commands_for_containers_name_files_that_are_there() -> None:
    files = re.findall(r"(?<!> )deploy/[\w.-]+", "\n".join(blocks("sh")))
    assert {"deploy/Dockerfile", "deploy/compose.yaml", "deploy/kubernetes.yaml"} <= set(files)
    assert all((ROOT / file).is_file() for file in files)
    made = re.findall(r"> (deploy/[\w.-]+)", "\n".join(blocks("sh")))
    assert made == [f"deploy/{secret['file'].removeprefix('./')}" for secret in COMPOSE["secrets"].values()]
