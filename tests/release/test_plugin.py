"""The plugin for Claude Code: its skill, and what the client itself says of it."""

import json
import re
import sys
from pathlib import Path

import pytest
from decthings_mcp.tools.catalog import TOOL_NAMES
from decthings_mcp.tools.results import api_errors, errors
from generated import ROOT
from release_support import environment_of_clients, run

PLUGIN = json.loads((ROOT / "plugin" / ".claude-plugin" / "plugin.json").read_text(encoding="utf-8"))
SKILL = (ROOT / "plugin" / "skills" / "notebook-to-model" / "SKILL.md").read_text(encoding="utf-8")


def test_the_skill_names_tools_and_codes_that_exist() -> None:
    codes = set(re.findall(r"^\| `([a-z_]+)` \|", SKILL, re.MULTILINE))
    known = {*api_errors.ADVICE, *(error.code for error in vars(errors).values() if hasattr(error, "code"))}
    assert codes
    assert codes <= known
    tools = set(re.findall(r"`([a-z]+_[a-z_]+)`", SKILL)) - codes
    assert {"inspect_model_file", "create_model", "wait_for_model"} <= tools <= set(TOOL_NAMES)


def test_the_skill_is_a_page_of_code_that_compiles() -> None:
    assert len(SKILL.splitlines()) < 100
    blocks = re.findall(r"```python\n(.*?)```", SKILL, re.DOTALL)
    assert blocks
    for block in blocks:
        compile(block, "SKILL.md", "exec")


@pytest.mark.slow
@pytest.mark.timeout(300)  # clients start slowly
def test_claude_code_installs_the_plugin_and_connects(wheel: Path, tmp_path: Path) -> None:
    """With the two commands of the documentation. uvx takes the wheel from the folder where it was built."""
    _, environment = environment_of_clients(["claude"], tmp_path)
    variables = {
        **environment,
        "UV_FIND_LINKS": str(wheel.parent),
        "UV_PYTHON": sys.executable,
        "UV_CACHE_DIR": str(Path.home() / ".cache" / "uv"),
    }

    def claude(*arguments: str) -> str:
        return run("claude", *arguments, cwd=tmp_path, **variables)

    for folder in (ROOT, ROOT / "plugin"):
        assert "Validation passed" in claude("plugin", "validate", "--strict", str(folder))
    claude("plugin", "marketplace", "add", str(ROOT))
    claude("plugin", "install", "decthings@decthings-mcp")
    (server,) = PLUGIN["mcpServers"].values()
    run(server["command"], server["args"][0], "--version", cwd=tmp_path, **variables)  # while no client waits for it
    assert re.search(r"plugin:decthings:decthings: uvx .* - ✔ Connected", claude("mcp", "list"))
