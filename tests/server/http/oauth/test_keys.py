"""Each caller's own Decthings key, from the file of --keys."""

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import support
from decthings_mcp.server.http.access import Access, Credentials
from decthings_mcp.server.http.named_secrets import Keys, Tokens
from decthings_mcp.server.http.refusal import Refusal
from decthings_mcp.server.http.settings import HttpSettings
from decthings_mcp.server.settings import SettingsError
from http_support import TOKENS, bearer, call, echoing_upstream, http_server, token_file
from oauth_support import issuer, oidc, signed_in
from starlette.datastructures import Headers

KEYS = {"anna": "decthings-key-of-anna", "bert": "decthings-key-of-bert"}


def key_file(folder: Path, keys: dict[str, str]) -> Path:
    path = folder / "keys"
    path.write_text("".join(f"{name} {key}\n" for name, key in keys.items()))
    return path


def access(folder: Path) -> Access:
    """To a server whose token file has anna and bert; only anna has a key."""
    settings = HttpSettings(
        tenancy="per-caller", token_file=token_file(folder), keys_file=key_file(folder, {"anna": KEYS["anna"]})
    )
    return Access(settings, Credentials.load(settings))


async def key_of(access: Access, name: str, **headers: str) -> str:
    caller = await access.authenticate(Headers({**bearer(name), **headers}), b"")
    assert caller.api_key is not None
    return caller.api_key.get_secret_value()


@pytest.mark.anyio
async def test_a_callers_key_is_used_unless_the_request_brings_one(tmp_path: Path) -> None:
    server = access(tmp_path)
    assert await key_of(server, "anna") == KEYS["anna"]
    assert await key_of(server, "anna", **{"Decthings-Api-Key": "another"}) == "another"
    assert await key_of(server, "bert", **{"Decthings-Api-Key": "his-own"}) == "his-own"


@pytest.mark.anyio
async def test_a_caller_without_a_key_is_named_and_not_asked_to_sign_in_again(tmp_path: Path) -> None:
    with pytest.raises(Refusal) as refused:
        await access(tmp_path).authenticate(Headers(bearer("bert")), b"")
    assert refused.value.status == 403
    assert "'bert'" in str(refused.value)
    assert not refused.value.headers


@pytest.mark.anyio
async def test_the_key_file_is_read_again_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("decthings_mcp.server.http.named_secrets._RELOAD_SECONDS", 0)
    server = access(tmp_path)
    assert await key_of(server, "anna") == KEYS["anna"]
    key_file(tmp_path, {"bert": KEYS["bert"]})
    assert await key_of(server, "bert") == KEYS["bert"]
    with pytest.raises(Refusal):
        await key_of(server, "anna")
    for unusable in ("bert\n", "bert short\n", f"bert {KEYS['bert']}\nbert {KEYS['anna']}\n"):
        (tmp_path / "keys").write_text(unusable)
        assert await key_of(server, "bert") == KEYS["bert"]  # the previous ones stay valid


@pytest.mark.parametrize(("content", "reason"), [
    ("anna\n", "a name and a Decthings key on each line"),
    ("anna short\n", "16 characters"),
    ("# nobody\n", "lists no callers"),
    (f"anna {KEYS['anna']}\nanna {KEYS['bert']}\n", "twice"),
])  # fmt: skip
def test_a_key_file_that_cannot_be_used_is_refused_at_the_start(content: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(content)
    with pytest.raises(SettingsError, match=reason) as refused:
        Keys(path)
    assert not any(key in str(refused.value) for key in KEYS.values())


def test_a_caller_may_have_several_tokens(tmp_path: Path) -> None:
    path = token_file(tmp_path)
    path.write_text(f"{path.read_text()}anna next-token-of-anna-0123456789\n")
    tokens = Tokens(path)
    assert tokens.caller_of(TOKENS["anna"]) == tokens.caller_of("next-token-of-anna-0123456789") == "anna"


@pytest.mark.slow
def test_nothing_of_a_caller_is_in_any_answer_log_or_metric(tmp_path: Path) -> None:
    """A hundred callers at a time, each with an access token and a key that show up nowhere."""
    port, metrics_port = support.free_port(), support.free_port()
    resource = f"http://127.0.0.1:{port}/mcp"
    keys = {f"person-{number}": f"canary-key-{number:03}-5d0c6a1e" for number in range(100)}

    def ask(name: str) -> str:
        given = {**support.CREATE, "name": f"model of {name}", "description": f"mark of {name}"}
        headers = signed_in(tokens[name])
        foreign = {"Authorization": f"Bearer {refused[name]}"}
        wrong = call(resource, "create_model", given, foreign)
        return json.dumps([call(resource, "create_model", given, headers), wrong])

    with issuer() as serving, echoing_upstream() as up, ThreadPoolExecutor(100) as pool:
        canary = "canary-claim-93d7aa"
        tokens = {name: serving.token(resource, sub=name, email=f"{canary}-{name}") for name in keys}
        refused = {name: serving.token("https://other.example.com", sub=name, email=canary) for name in keys}
        options = [*oidc(serving.url, resource), "--tenancy", "per-caller", "--keys", str(key_file(tmp_path, keys))]
        options += ["--port", str(port), "--metrics-port", str(metrics_port), "--api-url", up.url]
        with http_server(*options, "--log-level", "DEBUG", cwd=tmp_path) as server:
            answers = dict(zip(keys, pool.map(ask, keys), strict=True))
            metrics = httpx.get(f"http://127.0.0.1:{metrics_port}/metrics").text
            assert server.end(signal.SIGTERM) == 0
    for name, answer in answers.items():
        assert f"mark of {name}" in answer
    for request in up.requests:
        params, _ = support.decode_request(request.body)
        assert request.headers["authorization"] == f"Bearer {keys[params['name'].removeprefix('model of ')]}"
    assert len(up.requests) == 100
    assert "decthings_mcp_tool_calls_total" in metrics
    seen = "".join([*answers.values(), *server.lines, metrics])
    assert len(seen) > 100_000
    parts = [part for token in (*tokens.values(), *refused.values()) for part in token.split(".")[1:]]
    assert not any(secret in seen for secret in (canary, *keys.values(), *parts))
