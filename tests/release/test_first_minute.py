"""From nothing to connected, with the commands of the README. With -s it prints how long that takes."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import support
from release_support import CONNECTED, environment_of_client, listed_servers, run

KEY = "a-key-of-the-sandbox"
CALL = json.dumps({"name": "n", "description": "d", "options": {"type": "code", "language": "go"}})
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_every_client_is_connected_after_install_login_and_setup(wheel: Path, tmp_path: Path) -> None:
    """No variable and no configuration contains the key, and a call has it."""
    environments = [environment_of_client(client, tmp_path) for client in CONNECTED]
    variables = {
        **environments[0],
        "PATH": os.pathsep.join(environment["PATH"] for environment in environments),
        "UV_TOOL_DIR": str(tmp_path / "tools"),
        "UV_TOOL_BIN_DIR": str(tmp_path / "bin"),
        "UV_CACHE_DIR": str(Path.home() / ".cache" / "uv"),
    }
    (tmp_path / ".gemini").mkdir()  # a user of Gemini has said that it may trust the folder
    (tmp_path / ".gemini/settings.json").write_text('{"security": {"folderTrust": {"enabled": false}}}')
    uv, program = Path(sys.executable).with_name("uv"), tmp_path / "bin" / "decthings-mcp"
    with support.sandbox(tmp_path / "data") as url:
        start = time.monotonic()
        run(uv, "tool", "install", "--quiet", "--python", sys.executable, wheel, cwd=tmp_path, **variables)
        installed = time.monotonic()
        subprocess.run(
            [program, "login", "--api-url", url], env=support.environment(**variables), cwd=tmp_path, input=KEY,
            text=True, timeout=60, check=True,
        )  # fmt: skip
        setup = run(program, "setup", "--api-url", url, "--files", tmp_path, "--yes", cwd=tmp_path, **variables)
        connected = time.monotonic()
        listed = {client: listed_servers(client, tmp_path, **variables) for client in CONNECTED}
        called = run(program, "call", "--api-url", url, "create_model", CALL, cwd=tmp_path, **variables)
    print(f"\ninstall {installed - start:.1f} s, login and setup of three clients {connected - installed:.1f} s")
    assert setup.count("the server lists 8 tools") == 3
    assert "To keep one on this machine" not in setup
    for client, connection in CONNECTED.items():
        assert re.search(connection, listed[client]), listed[client]
    assert json.loads(called)["result"]["modelId"]
    configurations = [path for path in tmp_path.rglob("*.json*") if path.is_file() and "tools" not in path.parts]
    assert len(configurations) >= 3
    assert not [path for path in configurations if KEY in path.read_text(errors="replace")]
