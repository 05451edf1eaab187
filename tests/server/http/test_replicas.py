"""Several servers at one address: nothing ties a request to one of them, and one can be lost."""

import secrets
import signal
import threading
from collections import Counter
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import nginx_support
import pytest
import support
import upload_support
from deploy_support import NGINX_CONF
from fault_proxy import models_named
from http_support import HttpServer, bearer, call, connected, http_server, token_file
from nginx_support import Gateway, needs_nginx
from support import CREATE

pytestmark = pytest.mark.slow

CALLS, AT_A_TIME = 200, 20


@pytest.fixture
def replicas(tmp_path: Path) -> Generator[Callable[..., list[HttpServer]]]:
    """Starts some, with tokens, and one Decthings for all."""
    with ExitStack() as stack:
        sandbox = stack.enter_context(support.sandbox(tmp_path / "sandbox"))
        shared = ("--api-url", sandbox, "--token-file", str(token_file(tmp_path)), "--calls-per-second", "10000")

        def start(*arguments: tuple[str, ...]) -> list[HttpServer]:
            return [
                stack.enter_context(http_server(*shared, *own, cwd=tmp_path, DECTHINGS_API_KEY=support.KEY))
                for own in arguments
            ]

        yield start


def key_file(path: Path, *keys: str) -> tuple[str, ...]:
    path.write_text("\n".join(keys))
    return "--state-key-file", str(path)


def question(server: HttpServer, model_id: str) -> dict[str, Any]:
    """What delete_model asks first, and the reply that says yes."""
    asked = call(server.url, "delete_model", {"modelId": model_id, "confirmName": "n"}, bearer("anna"))["result"]
    yes = {name: {"action": "accept", "content": {"confirm": True}} for name in asked["inputRequests"]}
    return {"requestState": asked["requestState"], "inputResponses": yes}


def create(server: HttpServer) -> str:
    return call(server.url, "create_model", CREATE, bearer("anna"))["result"]["structuredContent"]["result"]["modelId"]


def test_a_reply_may_go_through_another_replica(replicas: Callable[..., list[HttpServer]], tmp_path: Path) -> None:
    old, new = secrets.token_hex(32), secrets.token_hex(32)
    first, second, rotated, stranger = replicas(
        key_file(tmp_path / "a", old), key_file(tmp_path / "b", old), key_file(tmp_path / "c", new, old), ()
    )
    model_id = create(first)
    arguments = {"modelId": model_id, "confirmName": "n"}
    asked = question(first, model_id)
    for server, name in ((stranger, "anna"), (second, "bert")):  # another key, another caller
        refused = call(server.url, "delete_model", arguments, bearer(name), **asked)
        assert refused["error"]["code"] == -32602
    tampered = {**asked, "requestState": asked["requestState"][:-4] + "AAAA"}
    assert call(second.url, "delete_model", arguments, bearer("anna"), **tampered)["error"]["code"] == -32602
    deleted = call(second.url, "delete_model", arguments, bearer("anna"), **asked)
    assert deleted["result"]["structuredContent"]["outcome"] == "done"
    model_id = create(second)
    deleted = call(
        rotated.url, "delete_model", {**arguments, "modelId": model_id}, bearer("anna"), **question(second, model_id)
    )
    assert deleted["result"]["structuredContent"]["outcome"] == "done"


CONF = NGINX_CONF.replace("rate=20r/s", "rate=10000r/s").replace("burst=40", "burst=10000").replace("least_conn;", "")
"""Without limits, and so that each replica has its share."""


@contextmanager
def gateway(folder: Path, servers: list[HttpServer]) -> Generator[Gateway]:
    folder.mkdir()
    with nginx_support.gateway(folder, *(server.port for server in servers), conf=CONF) as nginx:
        yield nginx


def served_by(nginx: Gateway) -> Counter[str]:
    """How many requests each replica has served."""
    return Counter(line["replica"] for line in nginx.access_log())


def outcome_of(url: str, name: str) -> str:
    """What a caller gets."""
    try:
        answer = call(url, "create_model", {**CREATE, "name": name}, bearer("anna"))
    except httpx.TransportError:
        return "no answer"
    if "error" in answer:
        return f"HTTP {answer['error']['code']}"
    result = answer["result"]["structuredContent"]
    return result.get("error", result)["outcome"]


def load(url: str, in_the_middle: Callable[[], None]) -> dict[str, str]:
    """Many calls at a time, with something that happens after a third of them; the outcomes, by name."""
    done = threading.Semaphore(0)

    def one(number: int) -> tuple[str, str]:
        name = f"model-{number}"
        outcome = outcome_of(url, name)
        done.release()
        return name, outcome

    def happen() -> None:
        for _ in range(CALLS // 3):
            done.acquire()
        in_the_middle()

    happening = threading.Thread(target=happen)
    happening.start()
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        results = dict(pool.map(one, range(CALLS)))
    happening.join()
    return results


@needs_nginx
@pytest.mark.parametrize("event", ["nothing", "SIGKILL", "SIGTERM"])
def test_a_lost_replica_loses_only_its_calls_in_progress(
    event: str, replicas: Callable[..., list[HttpServer]], tmp_path: Path, outcomes: dict[str, Counter[str]]
) -> None:
    servers = replicas(*[("--stateless", *key_file(tmp_path / "key", "k" * 64))] * 3)

    def happen() -> None:
        if event != "nothing":
            servers[0].process.send_signal(getattr(signal, event))

    with gateway(tmp_path / "nginx", servers) as front:
        results = load(front.url, happen)
        shares = served_by(front)
    for name, outcome in results.items():
        models = models_named(tmp_path / "sandbox", name)
        outcomes[f"replica: {event}"][f"{outcome}, {len(models)} model"] += 1
        assert len(models) <= 1
        assert outcome != "created" or models
        assert outcome not in ("not_created", "unknown")
    lost = sum(outcome != "created" for outcome in results.values())
    assert lost <= (AT_A_TIME if event == "SIGKILL" else 0)
    if event == "nothing":
        assert min(shares[server.root.removeprefix("http://")] for server in servers) > CALLS / 4
    elif event == "SIGTERM":
        assert servers[0].process.wait(30) == 0


@needs_nginx
def test_an_upload_link_of_one_replica_is_taken_by_another_and_known_to_a_third(
    replicas: Callable[..., list[HttpServer]], tmp_path: Path
) -> None:
    first, second, third = replicas(*[("--stateless", *key_file(tmp_path / "key", "k" * 64))] * 3)
    link = upload_support.link_of(first.url, "direct", bearer("anna"))
    assert upload_support.outcome(upload_support.upload(second, link, upload_support.onnx_model(1))) == "created"
    assert upload_support.ask(second.url, "direct", bearer("anna"))["outcome"] == "created"
    assert upload_support.ask(third.url, "direct", bearer("anna"))["outcome"] == "exists"
    assert upload_support.describe(third, link).json()["exists"] == "same"
    with gateway(tmp_path / "nginx", [first, second, third]) as front:
        link = upload_support.link_of(front.url, "large", bearer("anna"))
        assert upload_support.host_of(link) == front.root
        assert upload_support.outcome(upload_support.upload(front, link, upload_support.onnx_model(8))) == "created"
        assert not list((tmp_path / "nginx" / "nginx-body").iterdir())  # where nginx would have put the file
        assert "v1." not in front.logs()
    for name in ("direct", "large"):
        assert len(models_named(tmp_path / "sandbox", name)) == 1


@pytest.mark.anyio
@needs_nginx
@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_chat_uses_all_replicas(mode: str, replicas: Callable[..., list[HttpServer]], tmp_path: Path) -> None:
    servers = replicas(*[("--stateless", *key_file(tmp_path / "key", "k" * 64))] * 3)
    with gateway(tmp_path / "nginx", servers) as front:
        async with connected(front.url, bearer("anna"), mode=mode) as client:
            for number in range(6):
                created = await client.call_tool("create_model", {**CREATE, "name": str(number)})
                assert (created.structured_content or {})["outcome"] == "created"
        assert len(served_by(front)) == 3
