"""What is configured in the clients here, and whether it works."""

import json
import sys

import pytest
from decthings_mcp.server.clients.launch import Launch
from decthings_mcp.server.clients.status import client_statuses
from decthings_mcp.server.clients.verify import verify
from decthings_mcp.tools.catalog import TOOL_NAMES

from .conftest import Home

ENTRY = {"command": sys.executable, "args": ["-m", "decthings_mcp.server", "--sandbox"]}


@pytest.mark.slow
def test_every_client_found_has_a_status(home: Home) -> None:
    cursor = home.write(".cursor/mcp.json", json.dumps({"mcpServers": {"models": ENTRY, "other": {"command": "b"}}}))
    project = home.write("project/.vscode/mcp.json", json.dumps({"servers": {"decthings": ENTRY}}))
    home.write(".config/Code/User/settings.json")
    home.write(".codex/config.toml", "[mcp_servers.decthings]\ncommand = '/gone/decthings-mcp'\n")
    home.write(".codeium/windsurf/mcp_config.json", "{")
    home.write(".config/zed/settings.json", "// nothing\n{}")
    found = {status.client.id: status for status in client_statuses()}
    assert set(found) == {"cursor", "vscode", "codex", "windsurf", "zed"}
    assert (found["cursor"].file, found["cursor"].name) == (cursor, "models")
    works = found["cursor"].verified
    assert works is not None
    assert works.tools == TOOL_NAMES
    assert (found["vscode"].file, found["vscode"].verified) == (project, works)
    broken = found["codex"].verified
    assert broken is not None
    assert broken.problem == "/gone/decthings-mcp cannot be started: No such file or directory"
    assert "not valid JSON" in str(found["windsurf"].problem)
    assert (found["zed"].name, found["zed"].problem) == (None, None)


@pytest.mark.slow
def test_a_file_that_is_the_users_and_the_projects_is_reported_once(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home.path)
    home.write(".cursor/mcp.json", json.dumps({"mcpServers": {"decthings": {**ENTRY, "disabled": True}}}))
    (status,) = client_statuses()
    assert (status.name, status.switched_off) == ("decthings", True)


@pytest.mark.slow
@pytest.mark.parametrize(("program", "expected"), [
    ("import sys; sys.exit('no such option')", "no such option"),
    ("", "it ended without listing its tools"),
    ("import time; time.sleep(60)", "it did not list its tools within 1 seconds"),
])  # fmt: skip
def test_a_server_that_does_not_work_says_why(program: str, expected: str, home: Home) -> None:
    verified = verify(Launch(sys.executable, ("-c", program)), {}, home.path, seconds=1 if "sleep" in program else 30)
    assert (verified.tools, verified.problem) == ((), expected)


@pytest.mark.slow
def test_secrets_of_the_shell_do_not_reach_the_server_as_they_do_not_in_a_client(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DECTHINGS_API_KEY", "k")
    program = "import os, sys; sys.exit(str('DECTHINGS_API_KEY' in os.environ) + os.environ['OWN'])"
    verified = verify(Launch(sys.executable, ("-c", program), {"OWN": "+"}), {"LANG": "C"}, home.path)
    assert verified.problem == "False+"
