"""The upload page in a real Chromium, as a person sees and uses it."""

import os
import shutil
import socket
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import support
from fault_proxy import models_named
from generated import ROOT
from http_support import HttpServer, keyed_server, sandbox_server
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright
from upload_support import describe, line_to, link_of, onnx_model

CHROMIUM = shutil.which("chromium")
OFFLINE = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
"""Without what a browser does for itself."""
SCREENSHOTS = ROOT / "docs" / "images"
PATIENCE_MS = 30_000

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OFFLINE)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    (folder / "resnet50.onnx").write_bytes(onnx_model(12))
    (folder / "cat.png").write_bytes(b"\x89PNG" + bytes(1000))
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Generator[HttpServer]:
    with sandbox_server("--largest-upload", "16", cwd=folder) as running:
        yield running


@dataclass
class Person:
    """Who has the page open."""

    page: Page
    asked_elsewhere: list[str] = field(default_factory=list[str])
    complaints: list[str] = field(default_factory=list[str])

    def open(self, link: str) -> None:
        origin = link.partition("/upload")[0]

        def note_request(request: Request) -> None:
            if not request.url.startswith((origin, "data:")) or "v1." in request.url:
                self.asked_elsewhere.append(request.url)

        def note_message(message: ConsoleMessage) -> None:
            if "Failed to load resource" not in message.text:  # what the server refuses
                self.complaints.append(message.text)

        self.page.on("request", note_request)
        self.page.on("console", note_message)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(link)

    def choose(self, path: Path) -> None:
        expect(self.page.locator("#drop")).to_be_visible()
        self.page.set_input_files("#file", path)

    def drop(self, path: Path) -> None:
        """As from a file manager."""
        expect(self.page.locator("#drop")).to_be_visible()
        box = self.page.locator("#drop").bounding_box()
        assert box is not None
        session = self.page.context.new_cdp_session(self.page)
        for kind in ("dragEnter", "dragOver", "drop"):
            data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
            session.send("Input.dispatchDragEvent", {"type": kind, "x": box["x"] + 9, "y": box["y"] + 9, "data": data})

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name).click()

    def sees(self, heading: str) -> None:
        expect(self.page.get_by_role("heading", name=heading, exact=True)).to_be_focused(timeout=PATIENCE_MS)


@pytest.fixture
def person(browser: Browser) -> Generator[Person]:
    page = browser.new_page(viewport={"width": 640, "height": 560})
    person = Person(page)
    yield person
    page.close()
    assert person.asked_elsewhere == []
    assert person.complaints == []


UPLOAD = "Upload and create the model"
DONE = "Done: the model is created"


def test_a_dropped_file_becomes_the_model(person: Person, server: HttpServer, folder: Path) -> None:
    person.open(link_of(server.url, "resnet50"))
    expect(person.page.get_by_role("heading", level=1)).to_contain_text("resnet50")
    expect(person.page.get_by_role("button", name=UPLOAD)).to_be_disabled()
    person.drop(folder / "resnet50.onnx")
    expect(person.page.locator("#chosen")).to_contain_text("resnet50.onnx (12 MiB)")
    person.press(UPLOAD)
    person.sees(DONE)
    (model_id,) = models_named(folder / "sandbox", "resnet50")
    expect(person.page.locator("#details")).to_contain_text(model_id)
    expect(person.page.get_by_role("status")).to_have_text("Everything is sent.")
    person.page.reload()
    person.sees("The model exists")


def test_the_file_of_an_initial_state_is_uploaded(person: Person, server: HttpServer, folder: Path) -> None:
    state = {"method": "upload", "name": "s", "data": [{"key": "weights", "data": {"upload": True}}]}
    options = {**support.EXAMPLE_SNAPSHOT, "initialState": state}
    person.open(link_of(server.url, "with-state", options=options))
    expect(person.page.locator("#about")).to_contain_text("File of the initial state")
    expect(person.page.locator("#about")).to_contain_text("weights")
    person.choose(folder / "cat.png")
    person.press(UPLOAD)
    person.sees(DONE)


def test_the_page_needs_no_mouse(person: Person, server: HttpServer, folder: Path) -> None:
    person.page.on("filechooser", lambda _: None)  # from now on it is not the system's own
    person.open(link_of(server.url, "by-keyboard"))
    expect(person.page.locator("#go")).to_be_visible()
    person.page.bring_to_front()
    person.page.keyboard.press("Tab")
    expect(person.page.locator("#file")).to_be_focused()
    with person.page.expect_file_chooser() as chooser:
        person.page.keyboard.press("Enter")
    chooser.value.set_files(folder / "resnet50.onnx")
    expect(person.page.locator("#go")).to_be_enabled()
    person.page.keyboard.press("Tab")
    person.page.keyboard.press("Enter")
    person.sees(DONE)


def test_a_line_that_is_cut_is_reported_and_the_upload_can_be_repeated(
    person: Person, server: HttpServer, folder: Path
) -> None:
    with line_to(server) as line:
        person.open(line.through(link_of(server.url, "cut")))
        person.choose(folder / "resnet50.onnx")
        line.breaks_after = 6 << 20
        person.press(UPLOAD)
        person.sees("The connection was lost")
        assert models_named(folder / "sandbox", "cut") == []
        line.breaks_after = None
        person.press(UPLOAD)
        person.sees(DONE)
    assert len(models_named(folder / "sandbox", "cut")) == 1


def test_progress_is_shown_and_an_upload_can_be_cancelled(person: Person, server: HttpServer, folder: Path) -> None:
    with line_to(server) as line:
        person.open(line.through(link_of(server.url, "cancelled")))
        person.choose(folder / "resnet50.onnx")
        line.stops_after = 4 << 20
        person.press(UPLOAD)
        expect(person.page.locator("#numbers")).to_contain_text(" of 12 MiB · ", timeout=PATIENCE_MS)
        expect(person.page.locator("#bar")).not_to_have_js_property("value", 0)  # nothing has gone out at first
        assert 0 < float(person.page.locator("#bar").evaluate("bar => bar.value")) < 1
        person.press("Cancel")
        person.sees("Cancelled")
    assert models_named(folder / "sandbox", "cancelled") == []


NO_MODELS = support.frame({"result": {"models": [], "total": 0, "offset": 0, "limit": 100}})


@contextmanager
def uploading(person: Person, name: str, talk: support.Reply, folder: Path, tmp_path: Path) -> Generator[None]:
    """The page after the button was pressed, of a server whose Decthings responds so."""
    with support.upstream(talk) as up, keyed_server(up, tmp_path) as server:
        person.open(link_of(server.url, name))
        person.choose(folder / "resnet50.onnx")
        person.press(UPLOAD)
        yield


def test_an_upload_cannot_be_cancelled_when_everything_is_sent(person: Person, folder: Path, tmp_path: Path) -> None:
    held = support.HeldReply(support.created())

    def talk(connection: socket.socket, request: support.Request) -> bytes:
        return NO_MODELS if request.path.endswith("getModels") else held(connection, request)

    with uploading(person, "waiting", talk, folder, tmp_path):
        expect(person.page.locator("#numbers")).to_contain_text("Everything is sent.", timeout=PATIENCE_MS)
        expect(person.page.get_by_role("button", name="Cancel")).to_be_disabled()
        held.released.set()
        person.sees(DONE)


def test_nothing_can_be_chosen_while_an_upload_begins(person: Person, folder: Path, tmp_path: Path) -> None:
    held = support.HeldReply(NO_MODELS)
    looked = list[str]()

    def talk(connection: socket.socket, request: support.Request) -> bytes:
        method = request.path.rpartition("/")[2]
        looked.append(method)
        if method == "getModels" and looked.count(method) == 3:  # for the link, for the page, and now
            return held(connection, request)
        return NO_MODELS if method == "getModels" else support.created()

    with uploading(person, "once", talk, folder, tmp_path):
        assert held.started.wait(30)
        expect(person.page.locator("#file")).to_be_disabled()
        person.drop(folder / "cat.png")
        expect(person.page.locator("#chosen")).to_contain_text("resnet50.onnx")
        expect(person.page.locator("#go")).to_be_disabled()
        held.released.set()
        person.sees(DONE)
    assert looked.count("createModel") == 1


def test_a_model_whose_response_was_lost_is_that_of_the_upload(person: Person, folder: Path, tmp_path: Path) -> None:
    model = {"id": "m-1", "name": "lost", "description": "A test.", "publicAccess": False, "access": "readwrite",
             "owner": {"type": "user"}, "createdAt": 4_000_000_000_000}  # fmt: skip
    created = list[bytes]()

    def talk(_: socket.socket, request: support.Request) -> bytes | None:
        if request.path.endswith("createModel"):
            return created.append(request.body)
        models = [model] if created else []
        return support.frame({"result": {"models": models, "total": len(models), "offset": 0, "limit": 100}})

    with uploading(person, "lost", talk, folder, tmp_path):
        person.sees("The model exists")
        expect(person.page.locator("#message")).to_contain_text(
            "this upload made it, and the response was lost, or another one"
        )
    assert len(created) == 1


def test_a_line_that_stands_still_is_noticed(person: Person, server: HttpServer, folder: Path) -> None:
    person.page.clock.install()
    with line_to(server) as line:
        person.open(line.through(link_of(server.url, "still")))
        person.choose(folder / "resnet50.onnx")
        line.stops_after = 4 << 20
        person.press(UPLOAD)
        expect(person.page.locator("#numbers")).to_contain_text(" of 12 MiB · ", timeout=PATIENCE_MS)
        while (
            "Nothing could be sent for" not in person.page.locator("#numbers").inner_text()
        ):  # the last parts are on the way
            person.page.clock.run_for(6_000)
        person.page.clock.run_for(40_000)
        person.sees("The connection was lost")
    assert models_named(folder / "sandbox", "still") == []


def test_a_wrong_file_is_refused_and_another_one_taken(person: Person, server: HttpServer, folder: Path) -> None:
    person.open(link_of(server.url, "corrected"))
    person.choose(folder / "cat.png")
    person.press(UPLOAD)
    person.sees("Nothing was created")
    expect(person.page.locator("#message")).to_contain_text("a PNG image")
    person.choose(folder / "resnet50.onnx")
    person.press(UPLOAD)
    person.sees(DONE)


def test_a_file_that_is_too_large_is_not_sent(person: Person, server: HttpServer, tmp_path: Path) -> None:
    (tmp_path / "large.onnx").write_bytes(bytes(17 << 20))
    person.open(link_of(server.url, "too-large"))
    person.choose(tmp_path / "large.onnx")
    person.sees("The file is too large")
    expect(person.page.locator("#message")).to_contain_text("at most 16 MiB")
    expect(person.page.locator("#go")).to_be_disabled()


def test_a_link_that_was_changed_is_reported(person: Person, server: HttpServer) -> None:
    person.open(link_of(server.url, "changed")[:-3])
    person.sees("The link cannot be used")
    expect(person.page.locator("#form")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_colours_of_the_system(
    scheme: str, browser: Browser, server: HttpServer, folder: Path
) -> None:
    link = link_of(server.url, "resnet50-again", description="Recognizes 1,000 kinds of things in a picture.")
    assert describe(server, link).status_code == 200
    page = browser.new_page(
        viewport={"width": 640, "height": 500}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page.goto(link)
    page.set_input_files("#file", folder / "resnet50.onnx")
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert colour == ("rgb(21, 23, 26)" if scheme == "dark" else "rgb(244, 245, 247)")
    if os.environ.get("UPDATE"):
        page.screenshot(path=SCREENSHOTS / f"upload-{scheme}.png")
    page.close()
