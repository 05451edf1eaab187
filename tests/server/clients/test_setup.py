"""The setup command, as a user types it: what it shows, what it asks, what it changes, and what it reports."""

import json
import os
import pty
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import support
from decthings_mcp.server.clients import files
from decthings_mcp.server.clients.catalog import CLIENTS
from decthings_mcp.tools.catalog import TOOL_NAMES

from .conftest import Home

PROGRAM = str(Path(sysconfig.get_path("scripts")) / "decthings-mcp")
LISTED = f"the server lists {len(TOOL_NAMES)} tools"
LAUNCH = {"command": PROGRAM, "args": ["--sandbox"]}
ADD_AS_VSCODE_DOES = """
entry = json.loads(sys.argv[sys.argv.index("--add-mcp") + 1])
file = Path(os.environ["HOME"], ".config/Code/User/mcp.json")
file.parent.mkdir(parents=True, exist_ok=True)
file.write_text(json.dumps({"servers": {entry.pop("name"): entry}}))
"""
ADD_AS_COPILOT_DOES = """
file = Path(os.environ["HOME"], ".copilot/mcp-config.json")
file.parent.mkdir(parents=True, exist_ok=True)
match sys.argv[1:]:
    case ["mcp", "add", name, "--", command, *args]:
        servers = {name: {"type": "local", "command": command, "args": args}}
    case ["mcp", "remove", name]:
        servers = {}
file.write_text(json.dumps({"mcpServers": servers}))
"""


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.mark.slow
def test_a_found_client_is_set_up_and_the_server_is_started_as_it_does(home: Home) -> None:
    file = home.write(".cursor/mcp.json", '{"mcpServers": {}}\n')
    status, printed = home.setup("--sandbox", "--yes")
    assert status == 0
    assert read(file) == {"mcpServers": {"decthings": LAUNCH}}
    assert f"{file} will be changed:" in printed
    assert '+  "decthings": {' in printed
    assert LISTED in printed
    assert "Claude Desktop" not in printed


@pytest.mark.slow
def test_a_named_client_is_set_up_even_when_it_is_not_found(home: Home) -> None:
    status, printed = home.setup("windsurf", "codex", "--sandbox", "--yes")
    assert status == 0
    assert read(home.path / ".codeium/windsurf/mcp_config.json") == {"mcpServers": {"decthings": LAUNCH}}
    assert (home.path / ".codex/config.toml").read_text().startswith("[mcp_servers.decthings]\n")
    assert printed.count("will be created") == 2


def test_without_a_client_it_says_how_to_name_one(home: Home) -> None:
    status, printed = home.setup("--yes")
    assert status == 1
    assert "No MCP client was found here" in printed
    assert "cursor" in printed


def test_without_a_terminal_and_a_yes_nothing_is_changed(home: Home) -> None:
    file = home.write(".cursor/mcp.json")
    status, printed = home.setup("--sandbox")
    assert status == 1
    assert "Nothing was changed: there is no terminal to ask you in" in printed
    assert [path for path in home.path.rglob("*") if path.is_file()] == [file]
    assert file.read_text() == "{}"


@pytest.mark.slow
@pytest.mark.parametrize(("reply", "is_agreed"), [("y", True), ("", False), ("\x04", False)])
def test_in_a_terminal_it_asks(reply: str, is_agreed: bool, home: Home) -> None:
    file = home.write(".cursor/mcp.json")
    terminal, end = pty.openpty()
    with os.fdopen(terminal, "w", buffering=1) as keyboard, os.fdopen(end) as stdin, subprocess.Popen(
        support.server_command("setup", "--sandbox"), env=support.environment(), stdin=stdin, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as running:  # fmt: skip
        print(reply, end="" if reply == "\x04" else "\n", file=keyboard, flush=True)
        printed, _ = running.communicate(timeout=60)
    assert "Do it? [y/N]" in printed
    assert ("Nothing was changed." in printed) != is_agreed
    assert running.returncode == (0 if is_agreed else 1)
    assert (file.read_text() != "{}") == is_agreed


@pytest.mark.slow
def test_what_is_configured_like_this_already_is_not_changed(home: Home) -> None:
    entry = {**LAUNCH, "env": {"LANG": "C"}, "disabled": False}
    file = home.write(".cursor/mcp.json", json.dumps({"mcpServers": {"decthings": entry}}))
    before = file.stat()
    status, printed = home.setup("--sandbox")
    assert (status, file.stat().st_mtime_ns) == (0, before.st_mtime_ns)
    assert "It is configured like this already." in printed
    assert LISTED in printed
    assert "switched off" not in printed


@pytest.mark.slow
@pytest.mark.parametrize("member", [{"disabled": True}, {"enabled": False}])
def test_an_entry_that_is_switched_off_is_reported(member: dict[str, bool], home: Home) -> None:
    home.write(".cursor/mcp.json", json.dumps({"mcpServers": {"decthings": {**LAUNCH, **member}}}))
    status, printed = home.setup("--sandbox")
    assert (status, "It is switched off in Cursor" in printed) == (0, True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "is_said"), [([], True), (["--api-key-file", "key"], False), (["--sandbox"], False)]
)
def test_a_missing_key_is_reported_and_one_in_a_variable_does_not_count(
    arguments: list[str], is_said: bool, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Graphical clients see no variables of a shell."""
    monkeypatch.setenv("DECTHINGS_API_KEY", "k")
    home.write("project/key", "k").chmod(0o600)
    status, printed = home.setup("cursor", "--yes", *arguments)
    assert status == 0
    assert ("To keep one on this machine: " in printed) == is_said


@pytest.mark.slow
def test_remove_gives_back_the_file_and_leaves_nothing_behind(home: Home) -> None:
    text = '// mine\r\n{"mcpServers": {"b": {"command": "b", "headers": [{"x-api-key": "s3cr3t-value"}]},},}'
    file = home.write(".cursor/mcp.json", text)
    file.chmod(0o640)
    home.setup("--sandbox", "--yes")
    assert files.read_backup(file) == text.encode()
    status, printed = home.setup("--remove", "--yes")
    assert status == 0
    assert file.read_bytes() == text.encode()
    assert names_in(file.parent) == ["mcp.json"]
    assert file.stat().st_mode & 0o777 == 0o640
    assert "s3cr3t-value" not in printed


@pytest.mark.slow
def test_a_file_that_had_nothing_else_is_deleted(home: Home) -> None:
    home.setup("cursor", "--sandbox", "--yes")
    status, printed = home.setup("cursor", "--remove", "--yes")
    assert (status, names_in(home.path / ".cursor")) == (0, [])
    assert "mcp.json will be deleted" in printed


def test_of_a_long_line_only_what_changes_is_shown_and_no_secret(home: Home) -> None:
    servers = {"b": {"command": "b-mcp", "headers": [["Authorization", "s3cr3t-value"]]}}
    home.write(".cursor/mcp.json", json.dumps({"mcpServers": servers, "history": "y" * 300}))
    _, printed = home.setup("--sandbox")
    assert '+… , "decthings": {"command"' in printed
    assert "yyy" not in printed
    assert "s3cr3t-value" not in printed


def test_remove_without_an_entry_changes_nothing(home: Home) -> None:
    home.write(".cursor/mcp.json")
    status, printed = home.setup("--remove")
    assert (status, "It has no such entry." in printed) == (0, True)


@pytest.mark.slow
def test_a_client_that_cannot_be_set_up_is_named_and_the_others_go_on(home: Home) -> None:
    half = home.write(".cursor/mcp.json", '{"mcpServers": {"a": ')
    status, printed = home.setup("cursor", "windsurf", "--sandbox", "--yes")
    assert status == 1
    assert half.read_text() == '{"mcpServers": {"a": '
    assert f"{half} was left as it is: It is not valid JSON." in printed
    assert LISTED in printed
    assert names_in(half.parent) == ["mcp.json"]


@pytest.mark.slow
def test_a_link_stays_a_link_and_its_target_is_changed(home: Home) -> None:
    target = home.write("dotfiles/cursor.json")
    link = home.path / ".cursor/mcp.json"
    link.parent.mkdir()
    link.symlink_to("../dotfiles/cursor.json")
    assert home.setup("--sandbox", "--yes")[0] == 0
    assert link.readlink() == Path("../dotfiles/cursor.json")
    assert read(target) == {"mcpServers": {"decthings": LAUNCH}}
    assert home.setup("--remove", "--yes")[0] == 0
    assert (target.read_text(), names_in(target.parent)) == ("{}", ["cursor.json"])


def test_a_read_only_file_is_reported_and_stays(home: Home) -> None:
    file = home.write(".cursor/mcp.json")
    file.chmod(0o400)
    status, printed = home.setup("--sandbox", "--yes")
    assert (status, file.read_text(), names_in(file.parent)) == (1, "{}", ["mcp.json"])
    assert f"{file} is read-only. It was left as it is." in printed


@pytest.mark.parametrize("what", ["folder", "loop", "below a file"])
def test_a_path_that_is_no_file_is_reported(what: str, home: Home) -> None:
    path = home.path / ".codeium/windsurf/mcp_config.json"
    if what == "below a file":
        home.write(".codeium/windsurf", "")
    elif what == "folder":
        path.mkdir(parents=True)
    else:
        path.parent.mkdir(parents=True)
        path.symlink_to(path)
    status, printed = home.setup("windsurf", "--sandbox", "--yes")
    assert status == 1
    assert str(path) in printed
    assert "Traceback" not in printed


def test_a_folder_that_cannot_be_written_is_reported(home: Home) -> None:
    home.write(".codeium", "")
    (home.path / "blocked").symlink_to(home.path / ".codeium" / "missing")
    (home.path / ".cursor").mkdir()
    (home.path / ".cursor/mcp.json").symlink_to(home.path / "blocked" / "mcp.json")
    status, printed = home.setup("cursor", "--sandbox", "--yes")
    assert status == 1
    assert "Not a directory" in printed


def test_a_file_that_another_program_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text("{} ")
    with pytest.raises(files.ClientError, match="changed by another program"):
        files.replace(file, b"{}", b'{"a": 1}', keep=True)
    assert names_in(tmp_path) == ["mcp.json"]


@pytest.mark.slow
@pytest.mark.parametrize(("program", "script", "client"), [
    ("code", ADD_AS_VSCODE_DOES, "vscode"), ("copilot", ADD_AS_COPILOT_DOES, "copilot"),
])  # fmt: skip
def test_a_clients_own_command_is_used_and_shown(program: str, script: str, client: str, home: Home) -> None:
    home.install(program, script)
    status, printed = home.setup("--sandbox", "--yes")
    assert status == 0
    assert f"{home.path}/bin/{program} " in printed
    assert LISTED in printed
    assert home.setup("--sandbox", "--yes")[1].count("It is configured like this already.") == 1
    status, printed = home.setup("--remove", "--yes")
    assert status == 0
    assert (f"{home.path}/bin/{program} mcp remove decthings" in printed) == (program == "copilot")
    assert "decthings" not in "".join(path.read_text() for path in home.path.rglob("mcp*.json"))


def test_a_clients_command_that_fails_is_reported_and_nothing_is_lost(home: Home) -> None:
    file = home.write(".copilot/mcp-config.json", '{"mcpServers": {"a": {"command": "a"}}}')
    home.install("copilot", f"Path({str(file)!r}).write_text('half'); sys.exit('disk trouble')")
    status, printed = home.setup("--sandbox", "--yes")
    assert status == 1
    assert "Its command failed with status 1: disk trouble" in printed
    assert f"What it was before is in {file}.decthings-backup" in printed
    assert files.read_backup(file) == b'{"mcpServers": {"a": {"command": "a"}}}'


def test_a_clients_command_that_does_nothing_is_reported(home: Home) -> None:
    home.install("copilot", "print('Added.')")
    status, printed = home.setup("--sandbox", "--yes")
    assert (status, "does not say so" in printed) == (1, True)


@pytest.mark.slow
def test_project_changes_the_projects_configuration(home: Home) -> None:
    home.install("copilot", "sys.exit('it has no command for projects')")
    status, printed = home.setup("vscode", "copilot", "claude-desktop", "--project", "--sandbox", "--yes")
    assert read(home.path / "project/.vscode/mcp.json") == {"servers": {"decthings": {"type": "stdio", **LAUNCH}}}
    assert read(home.path / "project/.mcp.json")["mcpServers"]["decthings"]["tools"] == ["*"]
    assert "Claude Desktop has no configuration of a project. Leave --project out." in printed
    assert status == 1


@pytest.mark.slow
def test_the_options_of_the_server_get_into_the_entry_with_absolute_paths(home: Home) -> None:
    (home.path / "project/models").mkdir()
    key = home.write("key", "k")
    status, _ = home.setup(
        "windsurf", "--yes", "--name", "other", "--files", "models", "--files", "~", "--read-only",
        "--timeout", "call=9", "--api-key-file", str(key),
    )  # fmt: skip
    assert status == 0
    entry = read(home.path / ".codeium/windsurf/mcp_config.json")["mcpServers"]["other"]
    models, key_file = f"{home.path}/project/models", ["--api-key-file", str(key)]
    files_ = ["--files", models, "--files", str(home.path)]
    assert entry["args"] == [*key_file, *files_, "--timeout", "call=9", "--read-only"]


@pytest.mark.slow
def test_a_server_that_does_not_start_is_reported(home: Home) -> None:
    status, printed = home.setup("cursor", "--tools", "no_such_tool", "--yes")
    assert status == 1
    assert "The server does not work when it is started as configured: Unknown tools in --tools" in printed


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.id)
def test_print_shows_a_configuration_to_copy_and_changes_nothing(client: Any, home: Home) -> None:
    status, printed = home.setup("--print", client.id, "--sandbox")
    assert status == 0
    assert client.title in printed
    assert PROGRAM in printed
    assert "--sandbox" in printed
    assert not [path for path in home.path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(("arguments", "expected"), [
    (["nonesuch"], "Unknown clients: nonesuch. Available: claude-desktop"),
    (["cursor", "--name", "a b"], "--name must begin with a letter"),
    (["cursor", "--files", "/no/such/folder"], "is not a folder"),
    (["--files", ".", "cursor"], "Name clients before --files"),
])  # fmt: skip
def test_a_wrong_command_line_is_refused(arguments: list[str], expected: str, home: Home) -> None:
    status, printed = home.setup(*arguments, "--yes")
    assert status == 2
    assert expected in printed


def test_print_of_a_project_says_who_has_no_such_configuration(home: Home) -> None:
    _, printed = home.setup("--print", "windsurf", "cursor", "--project")
    assert "# Windsurf\nIt has no configuration of a project." in printed
    assert f"In {home.path}/project/.cursor/mcp.json:" in printed


def test_print_shows_the_clients_own_command_where_it_has_one(home: Home) -> None:
    home.install("claude", "")
    _, printed = home.setup("--print", "claude-code", "--sandbox")
    assert f"Or run: claude mcp add -s user decthings -- {PROGRAM} --sandbox" in printed


def test_a_client_that_only_print_knows_is_reported(home: Home) -> None:
    status, printed = home.setup("goose", "--yes")
    assert (status, "decthings-mcp setup --print goose" in printed) == (1, True)


def test_a_program_in_a_temporary_environment_is_not_written(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", "/home/a/.cache/uv/archive-v0/x1y2")
    status, printed = home.setup("cursor", "--yes")
    assert (status, "uv tool install" in printed) == (2, True)
    file = home.write(".cursor/mcp.json", '{"mcpServers": {"decthings": {"command": "x"}}}')
    assert home.setup("cursor", "--remove", "--yes")[0] == 0
    assert file.read_text() == '{"mcpServers": {}}'


def test_a_deleted_working_folder_is_reported(home: Home) -> None:
    (home.path / "project").rmdir()
    assert home.setup("cursor") == (2, "decthings-mcp: The working folder does not exist any more.\n")


@pytest.mark.slow
def test_what_a_terminal_cannot_show_is_escaped(home: Home) -> None:
    home.write(".cursor/mcp.json", '{"mcpServers": {"b": {"command": "models 🦉"} } }')
    finished = support.run_server("setup", "cursor", "--sandbox", cwd=home.path, PYTHONIOENCODING="ascii")
    assert (finished.returncode, finished.stderr) == (1, "")
    assert "models \\U0001f989" in finished.stdout
