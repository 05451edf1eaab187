"""The key that `decthings-mcp login` keeps: how it gets there, who uses it, and where it never is."""

import json
import os
import pty
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import support
from mcp import Client

pytestmark = pytest.mark.slow

KEY = "kept-key-4f1d9c"
KEY_STORES = Path(__file__).parents[1] / "key_stores"
PLAIN_KEY_STORE = "keyrings.alt.file.PlaintextKeyring"


class Machine:
    """A user's own folders, and the commands they type."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.options = ["--api-url", url]
        self.variables = {"XDG_CONFIG_HOME": str(folder / "config"), "XDG_DATA_HOME": str(folder / "data")}

    def run(self, *arguments: str, given: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        finished = support.run_server(
            *arguments, *self.options, cwd=self.folder, given=given, **{**self.variables, **variables}
        )
        assert "Traceback" not in finished.stderr
        assert KEY not in finished.stdout + finished.stderr
        return finished

    def login(self, *arguments: str, key: str = KEY, **variables: str) -> subprocess.CompletedProcess[str]:
        return self.run("login", *arguments, given=key, **variables)

    def server(self, *arguments: str, **variables: str) -> Client:
        given = {**self.variables, **variables}
        return Client(support.stdio(*arguments, *self.options, cwd=self.folder, **given))

    @property
    def files(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file() and "sandbox" not in path.parts]


@pytest.fixture
def machine(tmp_path: Path, sandbox_url: str) -> Machine:
    return Machine(tmp_path, sandbox_url)


async def find_models(client: Client) -> dict[str, Any]:
    return (await client.call_tool("find_models", {})).structured_content or {}


@pytest.mark.anyio
async def test_a_key_from_stdin_is_kept_in_a_private_file_and_used(machine: Machine) -> None:
    finished = machine.login(key=f"\ufeff {KEY}\r\n")
    assert (finished.returncode, finished.stderr) == (0, "")
    (path,) = machine.files
    assert str(path) in finished.stdout
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == (f"{KEY}\n", 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    async with machine.server() as client:
        assert "models" in await find_models(client)


def test_a_typed_key_has_no_echo(machine: Machine) -> None:
    own, users = pty.openpty()
    command = support.server_command("login", *machine.options)
    variables = support.environment(**machine.variables)
    streams: dict[str, Any] = {"stdin": users, "stdout": users, "stderr": users}
    with subprocess.Popen(command, cwd=machine.folder, env=variables, start_new_session=True, **streams) as process:
        os.close(users)
        shown = b""
        while not shown.endswith(b"API key: "):
            shown += os.read(own, 1000)
        os.write(own, f"{KEY}\n".encode())
        while True:
            try:
                shown += os.read(own, 1000)
            except OSError:  # the terminal is closed
                break
        assert process.wait(30) == 0
    os.close(own)
    assert b"takes the key" in shown
    assert KEY.encode() not in shown
    assert machine.files[0].read_text() == f"{KEY}\n"


@pytest.mark.anyio
async def test_a_running_server_without_a_key_uses_it_from_the_next_call_on(machine: Machine) -> None:
    async with machine.server() as client:
        answer = await find_models(client)
        assert answer["error"]["code"] == "not_configured"
        assert "decthings-mcp login " in answer["nextStep"]
        machine.login()
        assert "models" in await find_models(client)


@pytest.mark.anyio
async def test_a_running_server_whose_key_is_refused_uses_the_new_one(machine: Machine) -> None:
    machine.login("--unchecked", key="bad-key")
    async with machine.server() as client:
        assert (await find_models(client))["error"]["code"] == "bad_credentials"
        machine.login()
        assert "models" in await find_models(client)


def test_a_key_that_is_refused_or_none_is_not_kept(machine: Machine) -> None:
    machine.login()
    for key, expected in {"bad-key": "refused this key", " \n": "No key was given", "two words": "no API key"}.items():
        finished = machine.login(key=key)
        assert (finished.returncode, finished.stdout, len(finished.stderr.splitlines())) == (1, "", 1)
        assert expected in finished.stderr
    assert machine.files[0].read_text() == f"{KEY}\n"


def test_a_key_that_cannot_be_tried_is_kept_only_unchecked(tmp_path: Path) -> None:
    machine = Machine(tmp_path, support.unreachable().url)
    finished = machine.login()
    assert finished.returncode == 1
    assert "could not be found out" in finished.stderr
    assert "--unchecked" in finished.stderr
    assert machine.files == []
    assert machine.login("--unchecked").returncode == 0
    status = machine.run("login", "--status")
    assert "could not be found out" in status.stdout
    assert status.returncode == 1


@pytest.mark.anyio
async def test_profiles_are_kept_apart(machine: Machine) -> None:
    machine.login("--profile", "Work")
    assert [path.name for path in machine.files] == ["api-key-work"]
    async with machine.server("--profile", "work") as client:
        assert "models" in await find_models(client)
    async with machine.server() as client:
        assert (await find_models(client))["error"]["code"] == "not_configured"
    async with machine.server(DECTHINGS_PROFILE="home") as client:
        answer = await find_models(client)
    assert "profile home" in answer["error"]["message"]
    assert "login --profile home" in answer["nextStep"]


def test_what_is_given_comes_before_what_is_kept(machine: Machine) -> None:
    machine.login("--unchecked", key="bad-key")
    for variables in ({"DECTHINGS_API_KEY": KEY}, {"DECTHINGS_API_KEY": "${KEY}"}):
        finished = machine.run("call", "find_models", **variables)
        assert ("bad_credentials" in finished.stdout) == ("$" in variables["DECTHINGS_API_KEY"])
    status = machine.run("login", "--status", DECTHINGS_API_KEY=KEY)
    assert "from DECTHINGS_API_KEY" in status.stdout
    assert "takes the key" in status.stdout
    assert "DECTHINGS_API_KEY is set too" in machine.login(DECTHINGS_API_KEY="other").stderr


def test_a_key_store_is_used_where_there_is_one(machine: Machine) -> None:
    machine.login()
    with_store = {"PYTHON_KEYRING_BACKEND": PLAIN_KEY_STORE}
    assert "the key store (file PlaintextKeyring)" in machine.login(**with_store).stdout
    assert [path.name for path in machine.files] == ["keyring_pass.cfg"]
    assert "models" in json.loads(machine.run("call", "find_models", **with_store).stdout)
    assert "key store" in machine.run("login", "--status", **with_store).stdout
    assert "removed from the key store" in machine.run("logout", **with_store).stdout
    finished = machine.run("login", "--status", **with_store)
    assert "no Decthings API key" in finished.stdout
    assert finished.returncode == 1


def test_logout_removes_the_file(machine: Machine) -> None:
    machine.login()
    assert str(machine.files[0]) in machine.run("logout").stdout
    assert machine.files == []
    finished = machine.run("logout")
    assert (finished.stdout, finished.returncode) == ("No key was kept for the profile default.\n", 0)


def test_a_locked_key_store_is_reported_and_a_file_is_used_instead(machine: Machine) -> None:
    locked = {"PYTHONPATH": str(KEY_STORES), "PYTHON_KEYRING_BACKEND": "difficult_key_stores.Locked"}
    answer = json.loads(machine.run("call", "find_models", **locked).stdout)
    assert answer["error"]["code"] == "not_configured"
    assert "key store cannot be used (KeyringLocked)" in answer["error"]["message"]
    finished = machine.login(**locked)
    assert "KeyringLocked" in finished.stdout
    assert "models" in json.loads(machine.run("call", "find_models", **locked).stdout)
    finished = machine.run("logout", **locked)
    assert (finished.returncode, "KeyringLocked" in finished.stderr) == (1, True)


@pytest.mark.anyio
async def test_a_key_store_that_waits_for_the_user_holds_up_nothing_else(machine: Machine) -> None:
    pipe = machine.folder / "pipe"
    os.mkfifo(pipe)
    variables = {
        "PYTHONPATH": str(KEY_STORES), "PYTHON_KEYRING_BACKEND": "difficult_key_stores.AsksTheUser",
        "KEY_STORE_PIPE": str(pipe),
    }  # fmt: skip
    async with machine.server("--timeout", "call=2", **variables) as client:
        answer = await find_models(client)
        assert "did not respond within" in answer["error"]["message"]
        assert (await client.list_tools()).tools
        pipe.write_text(KEY)
        assert "models" in await find_models(client)


def test_a_folder_that_cannot_be_written_is_reported(machine: Machine) -> None:
    (machine.folder / "config").write_text("not a folder")
    finished = machine.login()
    assert (finished.returncode, finished.stdout) == (1, "")
    assert "cannot be written" in finished.stderr
