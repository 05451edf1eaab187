"""Real clients, which start the server themselves to say whether it is connected. `.ci/clients` installs them.

With -s they print how long it takes from nothing to connected.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest
import support
from generated import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

IDS = {"claude": "claude-code", "gemini": "gemini", "opencode": "opencode"}
CONNECTED = {
    "claude": r"decthings: .* - ✔ Connected",
    "gemini": r"✓ decthings: .* - Connected",
    "opencode": r"✓ decthings connected",
}
CONFIGURATIONS = {
    "claude": (".claude.json", '{"mcpServers": {"other": {"type": "stdio", "command": "false", "args": []}}}'),
    # Gemini starts servers only in folders that it trusts.
    "gemini": (".gemini/settings.json", '{\n  // mine\n  "security": {"folderTrust": {"enabled": false}}\n}\n'),
    "opencode": (".config/opencode/opencode.jsonc", '{\n  // mine\n  "autoupdate": false,\n}\n'),
}


@cache
def folders() -> dict[str, str]:
    """Of the programs that are installed."""
    command = [sys.executable, str(ROOT / ".ci" / "clients"), "--installed"]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def run(command: list[str], environment: Mapping[str, str], cwd: Path) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=environment, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", done.stdout)


@pytest.fixture(params=IDS)
def client(request: pytest.FixtureRequest) -> str:
    if request.param not in folders():
        pytest.skip(f"{request.param} is not installed: .venv/bin/python .ci/clients")
    return request.param


@pytest.fixture
def environment(client: str, tmp_path: Path) -> dict[str, str]:
    """An empty home, and of all clients only this one."""
    path = os.pathsep.join([folders()[client], folders()["node"], "/usr/bin", "/bin"])
    kept = {name: value for name, value in support.environment().items() if not name.endswith(("_HOME", "CONFIG_DIR"))}
    return {**kept, "HOME": str(tmp_path), "PATH": path, "DISABLE_AUTOUPDATER": "1"}


@pytest.mark.parametrize("way", ["own command", "edited file"])
def test_the_client_itself_says_that_the_server_is_connected(
    client: str, way: str, environment: dict[str, str], tmp_path: Path
) -> None:
    start = time.monotonic()
    name, text = CONFIGURATIONS[client]
    own = tmp_path / name
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(text)
    setup = support.server_command("setup", IDS[client], "--sandbox", "--files", str(tmp_path), "--yes")
    variables = environment if way == "own command" else {**environment, "PATH": "/usr/bin:/bin"}
    printed = run(setup, variables, tmp_path)
    assert "the server lists 8 tools" in printed
    assert ("its own command" in printed) == (way == "own command")
    listed = run([client, "mcp", "list"], environment, tmp_path)
    print(f"\n{client}, {way}: {time.monotonic() - start:.1f} s from an empty home to connected")
    assert re.search(CONNECTED[client], re.sub(r"\s+", " ", listed)), listed
    assert ("// mine" in text) == ("// mine" in own.read_text())
    run([*setup, "--remove"], variables, tmp_path)
    assert "decthings-mcp" not in own.read_text()
    if way == "edited file" and client == "gemini":  # the others write their files whenever they run
        assert own.read_text() == text
