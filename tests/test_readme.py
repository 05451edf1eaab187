"""What the README shows, against the real program."""

import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from decthings_mcp.server.cli import parser
from mcp import Client, StdioServerParameters
from support import environment

README_FOLDER = Path(__file__).parents[1]
README = (README_FOLDER / "README.md").read_text(encoding="utf-8")
COMMAND = "/path/to/.venv/bin/decthings-mcp"
SNIPPETS = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", README, re.DOTALL)]
SERVERS: list[dict[str, Any]] = [(s.get("mcpServers") or s["servers"])["decthings"] for s in SNIPPETS]


def claude_code() -> dict[str, Any]:
    (line,) = re.findall(r"^claude mcp add .*", README, re.MULTILINE)
    options, _, command = line.partition(" -- ")
    name, value = shlex.split(options)[-1].split("=")
    program, *arguments = shlex.split(command)
    return {"command": program, "args": arguments, "env": {name: value}}


@pytest.fixture
def filled_in(tmp_path: Path) -> Callable[[str], str]:
    """Puts real paths and values where the README has placeholders."""
    (tmp_path / "auth.txt").write_text("key\n")
    (tmp_path / "auth.txt").chmod(0o600)
    values = {
        "/path/to/auth.txt": str(tmp_path / "auth.txt"),
        "/path/to/models": str(tmp_path),
        "${workspaceFolder}": str(tmp_path),
        "${input:decthings-key}": "key",
        "${env:DECTHINGS_API_KEY}": "key",
    }
    return lambda text: values.get(text, text)


def test_there_is_a_snippet_for_every_client() -> None:
    assert len(SERVERS) == 3
    assert len(README.splitlines()) <= 150


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("server", [*SERVERS, claude_code()])
async def test_a_snippet_gives_key_and_files(server: dict[str, Any], filled_in: Callable[[str], str]) -> None:
    assert server["command"] == COMMAND
    variables = {name: filled_in(value) for name, value in server["env"].items()}
    parameters = StdioServerParameters(
        command=sys.executable,
        args=["-m", "decthings_mcp.server", *map(filled_in, server["args"])],
        env=environment(**variables),
    )
    upload = {"type": "upload", "format": "onnx", "data": {"path": "auth.txt"}}
    async with Client(parameters) as client:
        result = await client.call_tool("create_model", {"name": "n", "description": "d", "options": upload})
    # The key is there, and so is the file: it is only no model.
    assert (result.structured_content or {})["error"]["code"] == "not_a_model_file"


def test_every_option_of_the_table_exists() -> None:
    options = set(re.findall(r"--[a-z-]+", " ".join(re.findall(r"^\| `--.*?\|", README, re.MULTILINE))))
    over_http = set(re.findall(r"--[a-z-]+", (README_FOLDER / "docs" / "http.md").read_text(encoding="utf-8")))
    existing = set(re.findall(r"--[a-z-]+", parser().format_usage())) - {"--version"}
    assert options <= existing
    assert existing - options <= over_http
