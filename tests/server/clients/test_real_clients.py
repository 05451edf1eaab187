"""Real clients, which start the server themselves to say whether it is connected, after their files were edited.

`.ci/clients` installs them. That their own commands work is in tests/release/test_first_minute.py.
"""

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
def test_a_client_reads_the_file_that_setup_has_edited(client: str, tmp_path: Path) -> None:
    _, environment = environment_of_clients([client], tmp_path)
    name, text = CONFIGURATIONS[client]
    own = tmp_path / name
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(text)
    without = {**environment, "PATH": "/usr/bin:/bin"}  # the client's program, so its file is edited
    setup = support.server_command("setup", IDS[client], "--sandbox", "--files", str(tmp_path), "--yes")
    printed = run(*setup, cwd=tmp_path, **without)
    assert f"the server lists {len(TOOL_NAMES)} tools" in printed
    assert "its own command" not in printed
    listed = listed_servers(client, tmp_path, **environment)
    assert re.search(CONNECTED[client], listed), listed
    assert ("// mine" in text) == ("// mine" in own.read_text())
    run(*setup, "--remove", cwd=tmp_path, **without)
    assert "decthings-mcp" not in own.read_text()
    if client == "gemini":  # the others write their files whenever they run
        assert own.read_text() == text
