"""From nothing to connected, with the commands of the README. With -s it prints how long that takes."""

import json
import re
import sys
import time
from pathlib import Path

import pytest
import support
from decthings_mcp.tools.catalog import TOOL_NAMES
from release_support import CONNECTED, environment_of_clients, listed_servers, run

KEY = "a-key-of-the-sandbox"
CALL = json.dumps({"name": "n", "description": "d", "options": {"type": "code", "language": "go"}})
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_every_client_is_connected_after_install_login_and_setup(wheel: Path, tmp_path: Path) -> None:
    """No variable and no configuration contains the key, and a call has it."""
    clients, environment = environment_of_clients(CONNECTED, tmp_path)
    variables = {
        **environment,
        "UV_TOOL_DIR": str(tmp_path / "tools"),
        "UV_TOOL_BIN_DIR": str(tmp_path / "bin"),
        "UV_CACHE_DIR": str(Path.home() / ".cache" / "uv"),
    }
    (tmp_path / ".gemini").mkdir()  # a user of Gemini has said that it may trust the folder
    (tmp_path / ".gemini/settings.json").write_text(
        '{\n  // mine\n  "security": {"folderTrust": {"enabled": false}}\n}\n'
    )
    uv, program = Path(sys.executable).with_name("uv"), tmp_path / "bin" / "decthings-mcp"
    with support.sandbox(tmp_path / "data") as url:
        start = time.monotonic()
        run(uv, "tool", "install", "--quiet", "--python", sys.executable, wheel, cwd=tmp_path, **variables)
        installed = time.monotonic()
        run(program, "login", "--api-url", url, cwd=tmp_path, given=KEY, **variables)
        setup = run(program, "setup", "--api-url", url, "--files", tmp_path, "--yes", cwd=tmp_path, **variables)
        connected = time.monotonic()
        listed = {client: listed_servers(client, tmp_path, **variables) for client in clients}
        called = run(program, "call", "--api-url", url, "create_model", CALL, cwd=tmp_path, **variables)
        removed = run(program, "setup", "--remove", "--yes", cwd=tmp_path, **variables)
    print(
        f"\ninstall {installed - start:.1f} s, login and setup of {len(clients)} clients {connected - installed:.1f} s"
    )
    assert setup.count(f"the server lists {len(TOOL_NAMES)} tools") == len(clients)
    assert "To keep one on this machine" not in setup
    for client, servers in listed.items():
        assert re.search(CONNECTED[client], servers), servers
    assert json.loads(called)["result"]["modelId"]
    configurations = [path for path in tmp_path.rglob("*.json*") if path.is_file() and "tools" not in path.parts]
    assert len(configurations) >= len(clients)
    assert not [path for path in configurations if KEY in path.read_text(errors="replace")]
    assert setup.count("its own command") == len(clients)
    assert removed.count("Done.") == len(clients)
    own = [tmp_path / name for name in (".claude.json", ".gemini/settings.json", ".config/opencode/opencode.json")]
    assert not [path for path in own if path.exists() and str(program) in path.read_text()]
    assert "// mine" in (tmp_path / ".gemini/settings.json").read_text()
