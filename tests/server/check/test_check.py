"""What `decthings-mcp check` and the resource decthings://check say, and what they keep to themselves."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path
from time import time
from typing import Any

import http_support
import pytest
import support
from decthings_mcp.server.api_key import KeptKey, Secret
from decthings_mcp.server.app import create_server
from decthings_mcp.server.check import checks
from decthings_mcp.server.settings import Settings
from decthings_mcp.tools.decthings.wire import encode_response
from mcp import Client
from mcp_types import TextResourceContents

CHECK = "decthings://check"
KEY = "check-key-4f1d9c"
ANNA = {"type": "user", "userId": "u-1", "username": "anna"}
MODEL: dict[str, Any] = {"id": "m", "access": "readwrite", "owner": ANNA}
OTHERS: dict[str, Any] = {**MODEL, "access": "read", "owner": {**ANNA, "username": "bert"}}


def models(*listed: dict[str, Any], date: str = "") -> bytes:
    body = encode_response({"result": {"models": list(listed), "total": len(listed)}})
    headers = [f"Date: {date}"] if date else []
    return support.http_response(body, "200 OK", "application/octet-stream", *headers)


def refusal(code: str) -> bytes:
    return support.frame({"error": {"code": code}})


async def read(client: Client) -> dict[str, dict[str, Any]]:
    """The checks by name."""
    (contents,) = (await client.read_resource(CHECK)).contents
    assert isinstance(contents, TextResourceContents)
    report = json.loads(contents.text)
    found = {check["name"]: check for check in report["checks"]}
    statuses = [check["status"] for check in report["checks"]]
    assert report["status"] == next(status for status in ("bad", "warning", "good") if status in statuses)
    return found


@asynccontextmanager
async def server(**settings: Any) -> AsyncGenerator[Client]:
    async with Client(create_server(Settings(api_key=Secret(KEY))._replace(**settings))) as client:
        yield client


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home folder without anything kept, and no proxy."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": str(tmp_path), **support.NO_KEPT_KEYS}.items():
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.mark.anyio
@pytest.mark.parametrize(("reply", "status", "detail", "next_step"), [
    (models(MODEL, OTHERS), "good", "takes the key. It opens the account anna.", None),
    (models(OTHERS), "good", "responds and takes the key.", None),
    (models(MODEL, {**MODEL, "owner": {**ANNA, "username": "bert"}}), "good", "responds and takes the key.", None),
    (refusal("bad_credentials"), "bad", "refuses the key (bad_credentials)", "Replace the key in DECTHINGS_API_KEY."),
    (refusal("too_many_requests"), "warning", "responds with an error: too_many_requests.", "Try again"),
    (support.http_response(b"<p>", "502 Bad Gateway", "text/html"), "bad", "502", "Check the network"),
    (b"", "bad", "response", "Check the network"),
])  # fmt: skip
async def test_decthings_is_asked_whether_it_takes_the_key(
    reply: bytes, status: str, detail: str, next_step: str | None, upstream: support.Upstream, machine: Path
) -> None:
    upstream.reply = reply
    async with server(api_url=upstream.url, key_source="DECTHINGS_API_KEY") as client:
        found = (await read(client))["decthings"]
    assert (found["status"], detail in found["detail"]) == (status, True), found
    assert found.get("nextStep", "").startswith(next_step or "")
    assert ("nextStep" in found) == (next_step is not None)
    assert upstream.requests[0].path.endswith("/Model/getModels")


@pytest.mark.anyio
async def test_without_any_configuration_it_says_what_to_do(machine: Path, upstream: support.Upstream) -> None:
    upstream.reply = refusal("bad_credentials")
    async with server(api_key=KeptKey("default"), api_url=upstream.url) as client:
        found = await read(client)
    assert found["key"]["status"] == "bad"
    assert "decthings-mcp login" in found["key"]["nextStep"]
    assert (found["decthings"]["status"], found["decthings"]["detail"].endswith("responds.")) == ("good", True)
    assert "authorization" not in upstream.requests[0].headers
    assert found["folders"]["status"] == "warning"
    assert found["key store"]["status"] == "good"


@pytest.mark.anyio
async def test_what_cannot_be_reached_is_bad(machine: Path) -> None:
    async with server(api_url=support.unreachable().url) as client:
        found = await read(client)
    assert (found["decthings"]["status"], "clock" in found) == ("bad", False)


@pytest.mark.anyio
@pytest.mark.parametrize(("ahead", "status", "words"), [
    (0, "good", "agrees"), (-3600, "warning", "behind"), (3600, "warning", "ahead of"),
])  # fmt: skip
async def test_the_clock_is_compared_with_that_of_decthings(
    ahead: int, status: str, words: str, machine: Path, upstream: support.Upstream
) -> None:
    upstream.reply = models(date=formatdate(time() - ahead, usegmt=True))
    async with server(api_url=upstream.url) as client:
        found = (await read(client))["clock"]
    assert (found["status"], words in found["detail"]) == (status, True)


@pytest.mark.anyio
async def test_a_proxy_is_shown_without_its_credentials(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: dict[str, str] = {}
    proxies = ["http://anna:secret@127.0.0.1:9", "anna:secret@127.0.0.1:9", "http://127.0.0.1:9"]
    for proxy in proxies:
        monkeypatch.setenv("https_proxy", proxy)
        async with server(api_url="https://decthings.invalid/v0") as client:
            found = await read(client)
        assert "secret" not in json.dumps(found)
        shown[proxy] = found["proxy"]["detail"]
    assert all("127.0.0.1:9 is used" in detail for detail in shown.values())
    monkeypatch.setenv("no_proxy", "decthings.invalid")
    async with server(api_url="https://decthings.invalid/v0") as client:
        assert "not used for decthings.invalid" in (await read(client))["proxy"]["detail"]


@pytest.mark.anyio
async def test_certificates_folders_and_space_that_cannot_be_used_are_named(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(machine / "none.pem"))
    (machine / "file").touch()
    settings: dict[str, Any] = {"sandbox": True, "sandbox_data": machine / "file"}
    async with server(files=[machine / "none"], **settings) as client:
        found = await read(client)
    assert "~/none.pem) cannot be used: No such file" in found["certificates"]["detail"]
    assert (found["folders"]["status"], found["folders"]["detail"]) == ("bad", "~/none is not a folder.")
    assert (found["sandbox"]["status"], found["decthings"]["status"]) == ("bad", "good")
    (machine / "none.pem").write_text("no certificate")
    monkeypatch.setattr(checks, "_LEAST_FREE_BYTES", 1 << 80)
    async with server(files=[machine / "none", machine], sandbox=True, sandbox_data=machine / "new") as client:
        found = await read(client)
    assert "has no certificates" in found["certificates"]["detail"]
    assert (found["folders"]["status"], found["sandbox"]["status"]) == ("warning", "warning")
    assert "--sandbox-data" in found["sandbox"]["nextStep"]


@pytest.mark.anyio
async def test_a_check_that_crashes_does_not_take_the_others_with_it(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "getproxies", lambda: 1 / 0)
    async with server(sandbox=True, sandbox_data=machine) as client:
        found = await read(client)
    assert found["proxy"]["detail"] == "This could not be checked (ZeroDivisionError)."
    assert found["folders"]["status"] == "warning"


@pytest.mark.anyio
async def test_a_key_that_is_echoed_or_in_a_path_is_not_shown(machine: Path, upstream: support.Upstream) -> None:
    upstream.reply = models({**MODEL, "owner": {**ANNA, "username": KEY}})
    async with server(api_url=upstream.url, files=[machine / KEY]) as client:
        assert KEY not in json.dumps(await read(client))


@pytest.mark.slow
def test_the_command_says_in_its_exit_status_how_it_is(tmp_path: Path, sandbox_url: str) -> None:
    variables = {"HOME": str(tmp_path), "DECTHINGS_API_KEY": KEY, "PYTHONWARNINGS": "default"}
    finished = support.run_server("check", "--api-url", sandbox_url, cwd=tmp_path, **variables)
    assert (finished.returncode, finished.stderr) == (0, ""), finished.stdout
    assert finished.stdout.endswith("All is well.\n")
    finished = support.run_server(
        "check", "--json", "--sandbox", "--files", ".", "none", "--profile", "work", cwd=tmp_path, **variables
    )
    report = json.loads(finished.stdout)
    assert (finished.returncode, report["status"], finished.stderr) == (1, "warning", "")
    assert "profile work is not used" in next(c["detail"] for c in report["checks"] if c["name"] == "configuration")
    arguments = ["check", "--api-url", support.unreachable().url]
    assert support.run_server(*arguments, cwd=tmp_path, **variables).returncode == 2


@pytest.mark.slow
def test_the_command_starts_what_the_clients_start(tmp_path: Path) -> None:
    command, *arguments = support.server_command("--sandbox")
    entries = {"cursor": [command, *arguments], "codeium/windsurf": ["/none/decthings-mcp"], "gemini": None}
    names = {"cursor": "mcp.json", "codeium/windsurf": "mcp_config.json", "gemini": "settings.json"}
    for folder, entry in entries.items():
        path = tmp_path / f".{folder}" / names[folder]
        path.parent.mkdir(parents=True)
        server = entry and {"decthings": {"command": entry[0], "args": entry[1:]}}
        path.write_text(json.dumps({"mcpServers": server}) if server else "{broken")
    finished = support.run_server("check", "--json", "--sandbox", cwd=tmp_path, HOME=str(tmp_path), APPDATA="")
    found = {check["name"]: check for check in json.loads(finished.stdout)["checks"]}
    assert "tools, after" in found["Cursor"]["detail"]
    assert (found["Windsurf"]["status"], found["Windsurf"]["nextStep"]) == (
        "bad", "To set it up again: decthings-mcp setup windsurf",
    )  # fmt: skip
    assert found["Gemini CLI"]["status"] == "warning"
    assert finished.returncode == 2


@pytest.mark.slow
def test_a_report_has_nothing_secret_and_replaces_no_file(tmp_path: Path, upstream: support.Upstream) -> None:
    upstream.reply = models(MODEL)
    home = tmp_path / "home-of-anna"
    (home / "models").mkdir(parents=True)
    (tmp_path / "taken").write_text("mine")
    variables = {
        "HOME": str(home), "DECTHINGS_API_KEY": KEY, "https_proxy": "http://u:secret@127.0.0.1:9",
        "XDG_DATA_HOME": str(home / "data"),
    }  # fmt: skip
    arguments = ["check", "--api-url", upstream.url, "--files", str(home / "models"), "--report"]
    finished = support.run_server(*arguments, "report", cwd=tmp_path, **variables)
    assert "account anna" in finished.stdout
    report = (tmp_path / "report").read_text()
    assert "Model files can come from ~/models." in report
    assert not [secret for secret in (KEY, "secret", "anna") if secret in report]
    finished = support.run_server(*arguments, "taken", cwd=tmp_path, **variables)
    assert (finished.returncode, (tmp_path / "taken").read_text()) == (2, "mine")
    assert "File exists" in finished.stderr


@pytest.mark.slow
@pytest.mark.anyio
async def test_callers_on_other_machines_learn_nothing_of_the_servers(
    tmp_path: Path, upstream: support.Upstream
) -> None:
    upstream.reply = models(MODEL)
    arguments = ["--api-url", upstream.url, "--files", str(tmp_path)]
    with http_support.http_server(*arguments, cwd=tmp_path, DECTHINGS_API_KEY=KEY) as running:
        async with http_support.connected(running.url) as client:
            found = await read(client)
    assert list(found) == ["version", "decthings"]
    assert found["decthings"]["detail"] == "Decthings responds and takes the key. It opens the account anna."
    assert found["version"]["detail"].startswith("decthings-mcp ")
    assert not [word for word in ("Python", "Linux", str(tmp_path), upstream.url) if word in json.dumps(found)]


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_caller_is_told_whether_their_own_key_is_taken(tmp_path: Path, sandbox_url: str) -> None:
    arguments = ["--tenancy", "per-caller", "--api-url", sandbox_url]
    with http_support.http_server(*arguments, cwd=tmp_path) as running:
        for key, status in {KEY: "good", "bad-key": "bad"}.items():
            async with http_support.connected(running.url, {"Decthings-Api-Key": key}) as client:
                found = (await read(client))["decthings"]
            assert (found["status"], "Decthings-Api-Key" in found.get("nextStep", "")) == (status, status == "bad")


@pytest.mark.slow
@pytest.mark.anyio
async def test_the_operators_key_store_is_not_described_to_callers(tmp_path: Path) -> None:
    with http_support.http_server(cwd=tmp_path) as running:
        async with http_support.connected(running.url) as client:
            found = await read(client)
            result = (await client.call_tool("find_models", {})).structured_content or {}
    assert found["key"]["status"] == "bad"
    assert result["error"]["code"] == "not_configured"
    for step in (found["key"]["nextStep"], result["nextStep"]):
        assert "operator" in step
        assert "/" not in step
    assert any("decthings-mcp login" in line for line in running.lines)
