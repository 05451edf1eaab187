"""What the README shows, against the real program."""

import re
import shlex
from pathlib import Path

import chat_picture
import pytest
from decthings_mcp.server.cli import parser
from decthings_mcp.server.clients.links import links
from decthings_mcp.server.folders import FilesParser
from decthings_mcp.tools.catalog import TOOL_NAMES
from generated import ROOT, assert_up_to_date
from support import run_server

PATH = ROOT / "README.md"
README = PATH.read_text(encoding="utf-8")
LINES = [line for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines()]
COMMANDS = [
    arguments
    for line in LINES
    for program, *arguments in map(shlex.split, line.split(" && "))
    if program == ".venv/bin/decthings-mcp"
]
"""Arguments of our own program."""
_TITLES = {"vscode": "VS Code", "cursor": "Cursor", "lm-studio": "LM Studio", "goose": "Goose"}


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) < 150
    assert README.index("```sh") < README.index("## Tools")


def test_two_commands_work_on_a_fresh_machine() -> None:
    """One runs the main job without an account, the other one the tests. .ci/run runs the second."""
    install = "python3 -m venv .venv && .venv/bin/pip install -q -c constraints.txt "
    fresh = [line for line in LINES if line.startswith(install)]
    assert [line.rpartition("/")[2] for line in fresh] == ["decthings-mcp demo", "pytest"]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_command_is_understood(arguments: list[str]) -> None:
    assert parser().parse_args(arguments)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [found for found in COMMANDS if found[0] in ("demo", "call")], ids=" ".join)
def test_a_command_works(arguments: list[str], tmp_path: Path) -> None:
    finished = run_server(*arguments, cwd=tmp_path, HOME=str(tmp_path), XDG_DATA_HOME="")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert '"outcome": "created"' in finished.stdout or "largest difference 0" in finished.stdout


def test_every_way_to_start_is_there() -> None:
    assert [arguments[0] for arguments in COMMANDS] == ["demo", "login", "setup", "call"]


def test_every_tool_is_in_the_table() -> None:
    rows = " ".join(re.findall(r"^\| (`.*?) \|", README, re.MULTILINE))
    assert sorted(re.findall(r"`(\w+)`", rows)) == sorted(TOOL_NAMES)


def test_the_links_are_those_of_setup() -> None:
    made = links()
    assert made.keys() == _TITLES.keys()
    line = " · ".join(f"[{_TITLES[client]}]({made[client]})" for client in _TITLES)
    assert_up_to_date(PATH, re.sub(r"^  (LINKS|\[VS Code\].*)$", lambda _: f"  {line}", README, flags=re.MULTILINE))


@pytest.mark.slow
@pytest.mark.anyio
async def test_the_picture_is_of_a_real_run(tmp_path: Path) -> None:
    assert_up_to_date(ROOT / "docs" / "chat.svg", await chat_picture.draw(tmp_path))


def test_every_option_of_the_table_exists() -> None:
    table = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    options = set(re.findall(r"--[a-z-]+", " ".join(re.findall(r"^\| `--.*?\|", table, re.MULTILINE))))
    over_http = set(re.findall(r"--[a-z-]+", (ROOT / "docs" / "http.md").read_text(encoding="utf-8")))
    existing = set(re.findall(r"--[a-z-]+", parser().format_usage())) - {"--version"}
    assert options <= existing
    assert existing - options <= over_http


def test_every_command_is_in_the_table() -> None:
    table = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    cells = " ".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE))
    named = set(re.findall(r"`(?:decthings-mcp )?([a-z]+)", cells))
    own = parser()
    assert isinstance(own, FilesParser)
    assert set(own.commands) <= named
