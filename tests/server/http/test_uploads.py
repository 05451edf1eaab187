"""Upload links: what each use of one makes of the model, and what it says."""

import asyncio
import json
import secrets
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
import support
from decthings_mcp.server.http.names import checked_public_url
from decthings_mcp.server.http.uploads import links
from decthings_mcp.server.http.uploads.receive import Uploads
from decthings_mcp.server.settings import SettingsError
from decthings_mcp.tools.calls.services import Caller, Services
from decthings_mcp.tools.decthings import ClientPool
from decthings_mcp.tools.files.allowed import AllowedFiles
from fault_proxy import FAULTS, fault_proxy, models_named
from http_support import HttpServer, bearer, call, connected, http_server, keyed_server, sandbox_server, token_file
from mcp_types import ElicitRequestParams, ElicitRequestURLParams, ElicitResult
from simulated_decthings import Simulation
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.types import Message
from support import Upstream
from upload_support import (
    ask,
    by_link,
    describe,
    finish,
    half_sent,
    host_of,
    link_of,
    onnx_model,
    outcome,
    sealed,
    upload,
)

KEY = secrets.token_hex(32)
ANNA = bearer("anna")
FILE = onnx_model(2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="module")
def server(folder: Path) -> Generator[HttpServer]:
    (folder / "key").write_text(KEY, encoding="utf-8-sig")  # as some editors write it
    options = ("--state-key-file", str(folder / "key"), "--token-file", str(token_file(folder)))
    with sandbox_server(*options, "--largest-upload", "4", "--calls-per-second", "1000", cwd=folder) as running:
        yield running


@pytest.fixture
def models(folder: Path) -> Callable[[str], list[str]]:
    return lambda name: models_named(folder / "sandbox", name)


def test_an_uploaded_file_makes_the_model(server: HttpServer, models: Callable[[str], list[str]]) -> None:
    link = link_of(server.url, "plain", ANNA)
    shown = describe(server, link).json()
    assert (shown["name"], shown["description"], shown["format"]) == ("plain", "A test.", "onnx")
    assert (shown["public"], shown["caller"], shown["largestBytes"]) == (False, "anna", 4 << 20)
    created = upload(server, link, FILE)
    assert (created.status_code, outcome(created)) == (200, "created")
    assert models("plain") == [created.json()["result"]["modelId"]]
    again = ask(server.url, "plain", ANNA)
    assert (again["outcome"], again["result"]["modelId"]) == ("created", models("plain")[0])
    assert again["upload"] == {"bytes": len(FILE), "sha256": sha256(FILE).hexdigest()}


def test_a_link_is_in_no_log_but_its_caller_is(server: HttpServer) -> None:
    link = link_of(server.url, "logged", ANNA)
    describe(server, link)
    line = server.logged("request", "POST /upload/describe")
    assert (line["caller"], line["status"]) == ("anna", 200)
    assert not any(sealed(link)["Decthings-Upload-Link"][:40] in logged for logged in server.lines)


def test_a_link_says_that_the_model_becomes_public(server: HttpServer) -> None:
    assert describe(server, link_of(server.url, "open", ANNA, publicAccess=True)).json()["public"] is True


def made_elsewhere(key: str, host: str = "127.0.0.1:8000", public_url: str | None = None) -> str:
    request = Request({"type": "http", "headers": [(b"host", host.encode())], "scheme": "http", "path": "/mcp"})
    arguments = {"name": "bad", "description": "d", "options": {"type": "upload", "format": "onnx"}}
    return links.Links([key], public_url).create(arguments, Caller("anna"), request).url


@pytest.mark.parametrize("problem", ["none", "changed", "cut", "of another server", "expired"])
def test_a_link_that_is_not_valid_makes_nothing(
    problem: str, server: HttpServer, models: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    if problem == "expired":
        past = time.time() - 901
        monkeypatch.setattr(links, "time", lambda: past)
    link = made_elsewhere(secrets.token_hex(32) if problem == "of another server" else KEY)
    monkeypatch.undo()
    link = {"none": "", "changed": link[:-2] + "AA", "cut": link[:-9]}.get(problem, link)
    for response in (describe(server, link), upload(server, link, FILE)):
        error = response.json()["error"]
        assert (response.status_code, error["outcome"]) == (403, "not_created")
        assert error["code"] == ("link_expired" if problem == "expired" else "link_invalid")
        assert "chat" in error["message"]
    assert models("bad") == []


def test_the_state_of_a_question_is_no_link(server: HttpServer) -> None:
    arguments = {"modelId": "none", "confirmName": "n"}
    created = call(server.url, "create_model", support.CREATE, ANNA)["result"]["structuredContent"]
    asked = call(server.url, "delete_model", {**arguments, "modelId": created["result"]["modelId"]}, ANNA)["result"]
    assert describe(server, "#" + asked["requestState"]).json()["error"]["code"] == "link_invalid"


@pytest.mark.parametrize(("content", "status", "code", "says"), [
    (b"", 422, "not_a_model_file", "empty"),
    (b"\x89PNG" + bytes(3 << 20), 422, "not_a_model_file", "a PNG image"),
    (FILE[:-1], 422, "not_a_model_file", "not a complete onnx file"),
    (bytes((4 << 20) + 1), 413, "too_large", "at most 4 MiB"),
    ([FILE], 411, "length_required", "how large"),
], ids=["empty", "an image", "a part", "too large", "without a length"])  # fmt: skip
def test_a_file_that_cannot_be_taken_makes_nothing(
    content: Any, status: int, code: str, says: str, server: HttpServer, models: Callable[[str], list[str]]
) -> None:
    link = link_of(server.url, "wrong", ANNA)
    response = upload(server, link, content)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["outcome"]) == (status, code, "not_created")
    assert says in error["message"]
    assert models("wrong") == []


def test_two_browsers_at_once_make_one_model(server: HttpServer, models: Callable[[str], list[str]]) -> None:
    link = link_of(server.url, "twice", ANNA)
    slow = half_sent(server, link, FILE)
    assert outcome(upload(server, link, FILE)) == "created"
    error = finish(slow, FILE)["error"]
    assert (error["code"], error["outcome"]) == ("name_already_used", "exists")
    assert error["existing"]["modelId"] == models("twice")[0]
    later = upload(server, link, FILE)
    assert (later.status_code, outcome(later)) == (200, "exists")
    assert describe(server, link).json()["exists"] == "same"
    assert len(models("twice")) == 1


def test_a_cut_line_makes_nothing_and_the_link_works_again(
    server: HttpServer, models: Callable[[str], list[str]]
) -> None:
    link = link_of(server.url, "cut", ANNA)
    half_sent(server, link, FILE).close()
    assert models("cut") == []
    assert "exists" not in describe(server, link).json()
    assert outcome(upload(server, link, FILE)) == "created"
    assert len(models("cut")) == 1


def test_an_upload_that_stops_for_30_seconds_has_ended(tmp_path: Path) -> None:
    simulation = Simulation(tmp_path)
    client = support.decthings(ClientPool(simulation.network.http_client), "http://decthings.invalid/v0")
    services = Services(client, AllowedFiles([]))
    app = Starlette(routes=Uploads(links.Links([KEY], None), lambda: services, 1000, 8 << 30).routes)
    arriving, sent = [FILE[:1000], FILE[1000:2000]], list[Message]()

    async def receive() -> Message:
        await asyncio.sleep(29 if arriving else 3600)
        return {"type": "http.request", "body": arriving.pop(0), "more_body": True}

    async def send(message: Message) -> None:
        sent.append(message)

    async def run() -> float:
        started = asyncio.get_running_loop().time()
        head = {**sealed(made_elsewhere(KEY)), "Content-Length": str(len(FILE))}
        headers = [(name.lower().encode(), value.encode()) for name, value in head.items()]
        scope = {"type": "http", "method": "POST", "path": "/upload", "query_string": b"", "headers": headers}
        await app(scope, receive, send)
        return asyncio.get_running_loop().time() - started

    seconds = simulation.run(run())
    simulation.close()
    error = json.loads(sent[1]["body"])["error"]
    assert seconds == 29 + 29 + 30
    assert (sent[0]["status"], error["code"], error["outcome"]) == (422, "upload_interrupted", "not_created")
    assert "nothing was received for 30 seconds" in error["message"]
    assert simulation.decthings.acted == []


def test_a_tab_that_is_closed_after_all_was_sent_changes_nothing(
    server: HttpServer, models: Callable[[str], list[str]]
) -> None:
    connection = half_sent(server, link_of(server.url, "closed", ANNA), FILE)
    connection.sendall(FILE[len(FILE) // 2 :])
    connection.close()
    while (answer := ask(server.url, "closed", ANNA))["outcome"] == "waiting_for_upload":
        assert server.process.poll() is None
    assert answer["outcome"] in ("created", "exists")
    assert models("closed") == [answer["result"]["modelId"]]


def test_a_name_that_another_model_has_gets_no_link(server: HttpServer) -> None:
    taken = call(server.url, "create_model", {**support.CREATE, "name": "taken"}, ANNA)["result"]["structuredContent"]
    error = ask(server.url, "taken", ANNA)["error"]
    assert (error["code"], error["outcome"]) == ("name_already_used", "not_created")
    assert error["existing"]["modelId"] == taken["result"]["modelId"]


def test_another_caller_learns_that_it_exists_but_gets_no_receipt(server: HttpServer) -> None:
    upload(server, link_of(server.url, "annas", ANNA), FILE)
    seen = ask(server.url, "annas", bearer("bert"))
    assert (seen["outcome"], "upload" in seen) == ("exists", False)


def test_arguments_that_are_too_long_get_no_link(server: HttpServer) -> None:
    error = ask(server.url, "long", ANNA, description=secrets.token_hex(6000))["error"]
    assert (error["code"], error["outcome"]) == ("no_upload_link", "not_created")


@pytest.mark.parametrize(("host", "public_url", "expected"), [
    ("127.0.0.1:8000", None, "http://127.0.0.1:8000"),
    ("localhost", None, "http://localhost"),
    ("mcp.example.com", None, "https://mcp.example.com"),
    ("127.0.0.1:8000", "https://example.com/up", "https://example.com"),
])  # fmt: skip
def test_a_link_leads_where_people_reach_the_server(host: str, public_url: str | None, expected: str) -> None:
    link = made_elsewhere(KEY, host, public_url)
    assert host_of(link) == expected
    assert f"{public_url or expected}/upload#" in link


@pytest.mark.parametrize("url", ["mcp.example.com", "ftp://x.example", "https://x.example/?a", "https://u:p@x.example"])
def test_a_public_url_that_links_cannot_begin_with_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="--public-url"):
        checked_public_url(url)


def test_the_page_loads_nothing_and_is_framed_by_nobody(server: HttpServer) -> None:
    page = httpx.get(f"{server.root}/upload", verify=support.NO_CERTIFICATES)
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "frame-ancestors 'none'" in policy
    assert (page.headers["referrer-policy"], page.headers["cache-control"]) == ("no-referrer", "no-store")
    assert "http" not in page.text


@pytest.mark.slow
def test_a_link_carries_the_key_of_its_caller_and_shows_it_nowhere(sandbox_url: str, tmp_path: Path) -> None:
    mine = {"Decthings-Api-Key": "canary-key-of-mine"}
    with http_server("--tenancy", "per-caller", "--api-url", sandbox_url, cwd=tmp_path) as server:
        link = link_of(server.url, "mine", mine)
        shown, created = describe(server, link), upload(server, link, FILE)
        assert shown.json()["caller"] is None
        assert outcome(created) == "created"
        found = call(server.url, "find_models", {"names": ["mine"]}, mine)["result"]["structuredContent"]["models"]
        assert [model["id"] for model in found] == [created.json()["result"]["modelId"]]
        others = ask(server.url, "mine", {"Decthings-Api-Key": "another"})
        assert others["outcome"] == "waiting_for_upload"
        seen = [link, shown.text, created.text, *server.lines]
        assert not any("canary" in text for text in seen)


@pytest.mark.slow
def test_a_caller_has_only_so_many_uploads_at_a_time(tmp_path: Path) -> None:
    nothing = support.frame({"result": {"models": [], "total": 0}})
    with support.upstream(nothing) as up, keyed_server(up, tmp_path, "--uploads-at-a-time", "1") as server:
        first, second = link_of(server.url, "first"), link_of(server.url, "second")
        held = support.HeldReply(nothing)
        up.reply = held
        connection = half_sent(server, first, FILE)
        assert held.started.wait(30)
        error = upload(server, second, FILE).json()["error"]
        assert (error["code"], error["outcome"], error["retryable"]) == ("too_many_uploads", "not_created", True)
        connection.close()
        held.released.set()


@contextmanager
def behind(fault: str, target: str, cwd: Path) -> Generator[HttpServer]:
    """A server whose way to Decthings has this fault, once."""
    with fault_proxy(target, FAULTS[fault], times=1) as proxy:
        up = Upstream(url=proxy.url)
        with keyed_server(up, cwd) as server:
            yield server


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "first", "then"), [
    ("acted, reset at byte 0", "exists", "exists"),
    ("not acted, request closed at byte 100000", "not_created", "created"),
    ("not acted, too many requests", "not_created", "created"),
])  # fmt: skip
def test_a_fault_behind_the_server_is_told_as_it_is_and_the_link_works_again(
    fault: str, first: str, then: str, sandbox_url: str, tmp_path: Path
) -> None:
    file = onnx_model(16)  # more than fits into the buffers of a connection
    with behind(fault, sandbox_url, tmp_path) as server:
        link = link_of(server.url, "faulty")
        assert outcome(upload(server, link, file)) == first
        assert outcome(upload(server, link, file)) == then
        assert len(models_named(tmp_path / "sandbox", "faulty")) == 1


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.parametrize("action", ["accept", "decline", "cancel"])
async def test_a_client_that_can_open_pages_is_asked_to(mode: str, action: Any, server: HttpServer) -> None:
    opened: list[str] = []

    async def open_page(_: Any, params: ElicitRequestParams) -> ElicitResult:
        assert isinstance(params, ElicitRequestURLParams)
        opened.append(params.url)
        return ElicitResult(action=action)

    name = f"asked-{mode}-{action}"
    async with connected(server.url, ANNA, mode=mode, elicitation_callback=open_page) as client:
        answer = (await client.call_tool("create_model", by_link(name))).structured_content or {}
    assert len(opened) == 1
    assert describe(server, opened[0]).json()["name"] == name
    if action == "decline":
        assert (answer["error"]["code"], answer["error"]["outcome"]) == ("declined", "not_created")
    else:
        assert answer["outcome"] == "waiting_for_upload"
