"""From an empty home to a server that the clients themselves call connected, with the commands of the README.

With -s it prints how long that takes.
"""

import json
import re
import sys
import time
from pathlib import Path

import pytest
from release_support import environment_of_clients, run

CLIENTS = {
    "claude": ("claude-code", r"decthings: .* - ✔ Connected"),
    "gemini": ("gemini", r"✓ decthings: .* - Connected"),
    "opencode": ("opencode", r"✓ decthings connected"),
}
"""By their programs: the names that setup has for them, and what they say."""


@pytest.mark.slow
@pytest.mark.timeout(300)  # clients start slowly
def test_install_login_and_setup_connect_the_clients(wheel: Path, sandbox_url: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".gemini").mkdir(parents=True)
    # Gemini starts servers only in folders that it trusts.
    (home / ".gemini" / "settings.json").write_text('{"security": {"folderTrust": {"enabled": false}}}')
    programs, environment = environment_of_clients(CLIENTS, home)
    variables = {**environment, "DECTHINGS_API_URL": sandbox_url}
    uv, cache = Path(sys.executable).with_name("uv"), {"UV_CACHE_DIR": str(Path.home() / ".cache" / "uv")}
    command = home / ".local" / "bin" / "decthings-mcp"

    started = time.monotonic()
    run(uv, "tool", "install", "--quiet", "--python", sys.executable, wheel, cwd=home, **variables, **cache)
    run(command, "login", cwd=home, given="a-key\n", **variables)
    run(command, "setup", *(CLIENTS[program][0] for program in programs), "--yes", cwd=home, **variables)
    for program in programs:
        listed = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", run(program, "mcp", "list", cwd=home, **variables))
        assert re.search(CLIENTS[program][1], listed), listed
        print(f"{program}: connected {time.monotonic() - started:.1f} s after nothing was there")
    assert "models" in json.loads(run(command, "call", "find_models", cwd=home, **variables))  # with the key
