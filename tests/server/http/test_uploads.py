"""Upload links: what each use of one makes of the model, and what it says."""

import asyncio
import json
import secrets
import socket
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
from decthings_mcp.server.http.rate_limit import RateLimiter
from decthings_mcp.server.http.uploads import links
from decthings_mcp.server.http.uploads.receive import Uploads
from decthings_mcp.server.settings import SettingsError
from decthings_mcp.tools.calls.services import Caller, Services, Unavailable
from decthings_mcp.tools.decthings import ClientPool
from decthings_mcp.tools.files.allowed import AllowedFiles
from fault_proxy import FAULTS, fault_proxy, models_named
from http_support import HttpServer, bearer, call, connected, http_server, keyed_server, sandbox_server, token_file
from mcp_types import ElicitRequestParams, ElicitRequestURLParams, ElicitResult
from pydantic import SecretStr
from simulated_decthings import FINE, Simulation, Weather
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.types import Message, Receive
from support import EXAMPLE_SNAPSHOT, Upstream
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
ARGUMENTS = {"name": "bad", "description": "d", "options": {"type": "upload", "format": "onnx"}}
REQUEST = Request({"type": "http", "headers": [(b"host", b"localhost")], "scheme": "http", "path": "/mcp"})


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


def by_link_state(key: str) -> dict[str, Any]:
    state = {"method": "upload", "name": "s", "data": [{"key": key, "data": {"upload": True}}]}
    return {**EXAMPLE_SNAPSHOT, "initialState": state}


def test_the_file_of_an_initial_state_is_uploaded_by_link(server: HttpServer) -> None:
    link = link_of(server.url, "state", ANNA, options=by_link_state("weights"))
    shown = describe(server, link).json()
    assert (shown["key"], "format" in shown) == ("weights", False)
    assert outcome(upload(server, link, b"no model file")) == "created"
    again = ask(server.url, "state", ANNA, options=by_link_state("weights"))
    receipt = {"key": "weights", "bytes": 13, "sha256": sha256(b"no model file").hexdigest()}
    assert (again["outcome"], again["uploads"]) == ("created", [receipt])
    another = ask(server.url, "state", ANNA, options=by_link_state("other"))
    assert (another["outcome"], "uploads" in another) == ("exists", False)
    assert describe(server, link).json()["exists"] == "same"


def test_the_file_of_an_initial_state_is_sent_under_its_key(tmp_path: Path) -> None:
    nothing = support.frame({"result": {"models": [], "total": 0}})
    with support.upstream() as up, keyed_server(up, tmp_path) as server:
        up.reply = lambda _, request: nothing if "getModels" in request.path else support.created()
        answer = upload(server, link_of(server.url, "state", options=by_link_state("weights")), b"some bytes")
    assert outcome(answer) == "created"
    params, blobs = up.last_call()
    assert params["options"] == {
        **EXAMPLE_SNAPSHOT,
        "initialState": {"method": "upload", "name": "s", "stateKeyNames": ["weights"]},
    }
    assert blobs == [b"some bytes"]


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
    return links.Links([key], public_url).create(ARGUMENTS, Caller("anna"), request).url


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


def test_a_length_that_another_one_overrides_is_refused(server: HttpServer, models: Callable[[str], list[str]]) -> None:
    """With both, the chunks count: more could arrive than was announced, after Decthings has had all of it."""
    link = link_of(server.url, "chunked", ANNA)
    head = {**sealed(link), "Host": "127.0.0.1", "Content-Length": "65536", "Transfer-Encoding": "chunked"}
    lines = [f"{name}: {value}" for name, value in head.items()]
    with socket.create_connection(("127.0.0.1", server.port), 30) as connection:
        connection.sendall("\r\n".join(["POST /upload HTTP/1.1", *lines, "", ""]).encode())
        connection.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(FILE), FILE))
        received = b""
        while not received.endswith(b"}"):
            received += connection.recv(65536)
    assert received.startswith(b"HTTP/1.1 411 ")
    assert b"not_created" in received
    assert models("chunked") == []


def test_a_receipt_is_only_for_the_format_that_was_uploaded(server: HttpServer) -> None:
    upload(server, link_of(server.url, "of-a-format", ANNA), FILE)
    given = by_link("of-a-format")
    given["options"]["format"] = "tflite"
    answer = call(server.url, "create_model", given, ANNA)["result"]["structuredContent"]
    assert (answer["outcome"], "upload" in answer) == ("exists", False)
    assert ask(server.url, "of-a-format", ANNA)["outcome"] == "created"


def test_what_the_page_shows_of_a_call_cannot_rewrite_its_sentences(server: HttpServer) -> None:
    shown = describe(server, link_of(server.url, "a\u202eb", ANNA, description="c\u2066d\x1b")).json()
    assert (shown["name"], shown["description"]) == ("a\ufffdb", "c\ufffdd\ufffd")


def test_arguments_that_become_small_only_when_compressed_get_no_link(server: HttpServer) -> None:
    error = ask(server.url, "bomb", ANNA, description="a" * 70_000)["error"]
    assert (error["code"], error["outcome"]) == ("no_upload_link", "not_created")


@pytest.mark.parametrize(("caller", "shown"), [
    (Caller("anna"), "anna"), (Caller("anna/b"), "anna/b"), (Caller("anyone"), None),
    (Caller("0123456789ab", SecretStr("k")), None), (Caller("anna/b/0123456789ab", SecretStr("k")), "anna/b"),
])  # fmt: skip
@pytest.mark.anyio
async def test_the_page_names_who_asked_for_the_upload(caller: Caller, shown: str | None) -> None:
    made, services = links.Links([KEY], None), Services(Unavailable("", ""), AllowedFiles([]))
    app = Starlette(routes=Uploads(made, lambda: services, RateLimiter(1000), 1).routes)
    link = made.create(ARGUMENTS, caller, REQUEST).url
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as http:
        response = await http.post("http://x/upload/describe", headers=sealed(link))
    assert response.json()["caller"] == shown


def test_two_browsers_at_once_make_one_model(server: HttpServer, models: Callable[[str], list[str]]) -> None:
    link = link_of(server.url, "twice", ANNA)
    slow = half_sent(server, link, FILE)
    assert outcome(upload(server, link, FILE)) == "created"
    error = finish(slow, FILE)["error"]
    assert (error["code"], error["outcome"]) == ("name_already_used", "exists")
    assert error["existing"]["modelId"] == models("twice")[0]
    later = upload(server, link, FILE)
    assert (later.status_code, outcome(later)) == (200, "exists")
    assert later.headers["connection"] == "close"  # its body was not read
    assert describe(server, link).json()["exists"] == "same"
    assert len(models("twice")) == 1


def test_a_cut_line_makes_nothing_and_the_link_works_again(
    server: HttpServer, models: Callable[[str], list[str]]
) -> None:
    link = link_of(server.url, "cut", ANNA)
    half_sent(server, link, FILE).close()
    assert models("cut") == []
    assert describe(server, link).json()["exists"] == "no"
    assert outcome(upload(server, link, FILE)) == "created"
    assert len(models("cut")) == 1


class Receiving:
    """An upload that is received in simulated time, and its response."""

    def __init__(self, folder: Path, receive: Receive, *weather: Weather) -> None:
        self.simulation = Simulation(folder)
        self.simulation.network.weather = list(weather)
        client = support.decthings(ClientPool(self.simulation.network.http_client), "http://decthings.invalid/v0")
        services = Services(client, AllowedFiles([]))
        self._app = Starlette(
            routes=Uploads(links.Links([KEY], None), lambda: services, RateLimiter(9), 8 << 30).routes
        )
        self._receive = receive
        self._sent: list[Message] = []
        self.seconds = 0.0

    def run(self, cancel_after: float = 1_000) -> None:
        self.simulation.run(self._run(cancel_after))
        self.simulation.close()
        self.status, self.error = self._sent[0]["status"], json.loads(self._sent[1]["body"])["error"]

    async def _run(self, cancel_after: float) -> None:
        async def send(message: Message) -> None:
            self._sent.append(message)

        loop = asyncio.get_running_loop()
        started = loop.time()
        head = {**sealed(made_elsewhere(KEY)), "Content-Length": str(len(FILE))}
        headers = [(name.lower().encode(), value.encode()) for name, value in head.items()]
        scope = {"type": "http", "method": "POST", "path": "/upload", "query_string": b"", "headers": headers}
        serving = loop.create_task(self._app(scope, self._receive, send))
        await asyncio.wait([serving], timeout=cancel_after)
        serving.cancel()
        await serving
        self.seconds = loop.time() - started


@pytest.mark.parametrize(("part", "pause", "ends_after"), [(65_536, 29, 29 + 29 + 30), (20_000, 20, 30), (1, 1, 30)])
def test_an_upload_that_stops_or_trickles_has_ended(part: int, pause: int, ends_after: int, tmp_path: Path) -> None:
    arriving = [FILE[:part], FILE[part : 2 * part], *(1000 * [b"x"] if part < 65_536 else [])]

    async def receive() -> Message:
        await asyncio.sleep(pause if arriving else 3600)
        return {"type": "http.request", "body": arriving.pop(0), "more_body": True}

    upload = Receiving(tmp_path, receive)
    upload.run()
    assert upload.seconds == ends_after
    assert (upload.status, upload.error["code"], upload.error["outcome"]) == (422, "upload_interrupted", "not_created")
    assert "less than 64 KiB were received in 30 seconds" in upload.error["message"]
    assert upload.simulation.decthings.acted == []


@pytest.mark.parametrize(("part", "outcome"), [(len(FILE), "unknown"), (len(FILE) // 2, "not_created")])
def test_an_upload_that_a_shutdown_ends_says_what_is_known(part: int, outcome: str, tmp_path: Path) -> None:
    arriving = [FILE[:part]]

    async def receive() -> Message:
        await asyncio.sleep(0 if arriving else 3600)
        return {"type": "http.request", "body": arriving.pop(0), "more_body": part < len(FILE)}

    upload = Receiving(tmp_path, receive, FINE, Weather(responds_after=20))
    upload.run(cancel_after=5)
    assert (upload.status, upload.error["code"], upload.error["outcome"]) == (503, "shutting_down", outcome)


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


@pytest.mark.parametrize("url", [
    "mcp.example.com", "ftp://x.example", "https://x.example/?a", "https://u:p@x.example", "http://x.example",
    "https://x.example/mcp", "https://x.example/mcp/", "https://", "https://x.example:0",
])  # fmt: skip
def test_a_public_url_that_links_cannot_begin_with_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="--public-url"):
        checked_public_url(url, "/mcp")


@pytest.mark.parametrize("url", ["https://x.example", "https://x.example/up", "http://localhost:8080", None])
def test_a_public_url_may_have_a_path_of_its_own(url: str | None) -> None:
    assert checked_public_url(url, "/mcp") == url


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
        assert ("page is open" in answer["nextStep"]) == (action == "accept")
