"""Real clients, which start the server themselves to say whether it is connected. `.ci/clients` installs them."""

import re
from pathlib import Path

import pytest
import support
from decthings_mcp.tools.catalog import TOOL_NAMES
from release_support import CONNECTED, environment_of_clients, listed_servers, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

IDS = {"claude": "claude-code", "gemini": "gemini", "opencode": "opencode"}
CONFIGURATIONS = {
    "claude": (".claude.json", '{"mcpServers": {"other": {"type": "stdio", "command": "false", "args": []}}}'),
    # Gemini starts servers only in folders that it trusts.
    "gemini": (".gemini/settings.json", '{\n  // mine\n  "security": {"folderTrust": {"enabled": false}}\n}\n'),
    "opencode": (".config/opencode/opencode.jsonc", '{\n  // mine\n  "autoupdate": false,\n}\n'),
}


@pytest.mark.parametrize("client", IDS)
@pytest.mark.parametrize("way", ["own command", "edited file"])
def test_the_client_itself_says_that_the_server_is_connected(client: str, way: str, tmp_path: Path) -> None:
    _, environment = environment_of_clients([client], tmp_path)
    name, text = CONFIGURATIONS[client]
    own = tmp_path / name
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(text)
    setup = support.server_command("setup", IDS[client], "--sandbox", "--files", str(tmp_path), "--yes")
    variables = environment if way == "own command" else {**environment, "PATH": "/usr/bin:/bin"}
    printed = run(*setup, cwd=tmp_path, **variables)
    assert f"the server lists {len(TOOL_NAMES)} tools" in printed
    assert ("its own command" in printed) == (way == "own command")
    listed = listed_servers(client, tmp_path, **environment)
    assert re.search(CONNECTED[client], listed), listed
    assert ("// mine" in text) == ("// mine" in own.read_text())
    run(*setup, "--remove", cwd=tmp_path, **variables)
    assert "decthings-mcp" not in own.read_text()
    if way == "edited file" and client == "gemini":  # the others write their files whenever they run
        assert own.read_text() == text
