"""What docs/oauth.md says, against the server's own parser."""

import re
import shlex
from pathlib import Path

import pytest
from decthings_mcp.server.cli import parser
from deploy_support import ROOT, load

DOCS = (ROOT / "docs" / "oauth.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^decthings-mcp (.*)", DOCS, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_shown_starts_a_server_whose_callers_sign_in(command: str, tmp_path: Path) -> None:
    options, http = load(shlex.split(command), tmp_path)
    assert http.oauth is not None
    assert http.oauth.resource == "https://mcp.example.com/mcp"
    assert http.oauth.scope
    assert "mcp.example.com" in http.hosts
    assert (http.tenancy == "per-caller") == (options.keys_file is not None)


def test_every_option_that_is_named_exists() -> None:
    assert len(COMMANDS) == 3
    assert set(re.findall(r"--[a-z][a-z-]+", DOCS)) <= set(re.findall(r"--[a-z-]+", parser().format_help()))
