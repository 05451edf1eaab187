"""Who a caller is, which key it has and how often it calls: requests to the middleware in this process."""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from decthings_mcp.server.http import rate_limit
from decthings_mcp.server.http.access import Credentials
from decthings_mcp.server.http.named_secrets import Tokens
from decthings_mcp.server.http.refusal import Refusal
from decthings_mcp.server.http.settings import HttpSettings
from decthings_mcp.tools.calls.services import Caller
from gate_support import PER_CALLER, SINGLE, Endpoint, problem_of, run_raw
from http_support import TOKENS, bearer, token_file
from starlette.types import Message

pytestmark = pytest.mark.anyio

OWN_KEY = {"Decthings-Api-Key": "key-of-anna"}


@pytest.fixture
def tokens(tmp_path: Path) -> Credentials:
    return Credentials(Tokens(token_file(tmp_path)))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The seconds of the rate limit."""
    now = Counter(seconds=1000)
    monkeypatch.setattr(rate_limit, "monotonic", lambda: now["seconds"])
    return now


@pytest.mark.parametrize("authorization", [
    None, "", "Bearer", "Bearer ", "Bearer wrong-token-0123456789", TOKENS["anna"], f"Basic {TOKENS['anna']}",
    f"Token {TOKENS['anna']}", f"Bearer x {TOKENS['anna']}", f"x Bearer {TOKENS['anna']}", f"Bearer {TOKENS['anna']}x",
])  # fmt: skip
async def test_only_a_bearer_token_of_the_file_lets_a_caller_in(authorization: str | None, tokens: Credentials) -> None:
    endpoint = Endpoint(SINGLE, tokens)
    response = await endpoint({} if authorization is None else {"Authorization": authorization})
    assert problem_of(response) == (401, 401)
    assert response.headers["www-authenticate"] == 'Bearer realm="decthings-mcp"'
    assert "Authorization: Bearer TOKEN" in response.json()["error"]["message"]
    assert endpoint.callers == []


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  "])
async def test_the_owner_of_a_token_is_the_caller(scheme: str, tokens: Credentials) -> None:
    endpoint = Endpoint(SINGLE, tokens)
    assert (await endpoint({"Authorization": scheme + TOKENS["bert"]})).text == "ok"
    assert (endpoint.callers, endpoint.users) == ([Caller("bert")], ["bert"])


async def test_without_tokens_and_keys_everybody_is_one_caller() -> None:
    endpoint = Endpoint()
    await endpoint(bearer("anna"))
    assert endpoint.callers == [Caller("anyone")]


async def test_a_key_of_its_own_is_refused_where_the_server_has_one() -> None:
    response = await Endpoint()(OWN_KEY)
    assert problem_of(response) == (400, 400)
    assert "remove Decthings-Api-Key" in response.json()["error"]["message"]


@pytest.mark.parametrize("key", [None, "", "  ", "two words", "ümlaut".encode("latin-1")])
async def test_a_caller_with_a_key_of_its_own_must_send_one(key: Any) -> None:
    endpoint = Endpoint(PER_CALLER)
    assert problem_of(await endpoint({} if key is None else {"Decthings-Api-Key": key})) == (401, 401)
    assert endpoint.callers == []


class Company:
    """An authorization server's accounts, in place of the checks of access tokens."""

    async def caller_of(self, token: str) -> str:
        names = {"access-token-of-carl": "carl", "access-token-of-dora": "Dora D."}
        if token not in names:
            raise Refusal(401, "The access token is not valid.")
        return names[token]


async def test_a_token_of_the_file_or_an_access_token_lets_a_caller_in(tokens: Credentials) -> None:
    endpoint = Endpoint(SINGLE, tokens, Company())
    for authorization in (bearer("anna"), {"Authorization": "Bearer access-token-of-carl"}):
        assert (await endpoint(authorization)).text == "ok"
    assert [caller.name for caller in endpoint.callers] == ["anna", "carl"]
    response = await endpoint({"Authorization": "Bearer another"})
    assert problem_of(response) == (401, 401)
    assert "access token" in response.json()["error"]["message"]


async def test_a_bearer_token_is_the_key_where_callers_need_no_other(tokens: Credentials) -> None:
    endpoint = Endpoint(PER_CALLER)
    await endpoint({"Authorization": "Bearer key-of-bert"})
    assert [caller.api_key.get_secret_value() for caller in endpoint.callers if caller.api_key] == ["key-of-bert"]
    response = await endpoint()
    assert problem_of(response) == (401, 401)
    assert response.headers["www-authenticate"] == 'Bearer realm="decthings-mcp"'
    assert response.json()["error"]["message"] == (
        "Every request must carry a Decthings API key in the header Decthings-Api-Key, or as Authorization: Bearer KEY."
    )


async def test_a_caller_whose_key_is_missing_learns_where_it_comes_from(tokens: Credentials, tmp_path: Path) -> None:
    response = await Endpoint(PER_CALLER, tokens)(bearer("anna"))
    assert problem_of(response) == (403, 403)
    assert response.json()["error"]["message"] == (
        "Every request must carry a Decthings API key in the header Decthings-Api-Key."
    )
    (tmp_path / "keys").write_text("bert decthings-key-of-bert\n")
    settings = HttpSettings(tenancy="per-caller", keys_file=tmp_path / "keys")
    keys = tokens._replace(keys=Credentials.load(settings).keys)
    response = await Endpoint(PER_CALLER, keys)(bearer("anna"))
    assert problem_of(response) == (403, 403)
    message = response.json()["error"]["message"]
    assert "no Decthings key for 'anna'. Ask its operator to add that name, as it is spelled here" in message
    response = await Endpoint(PER_CALLER, keys, Company())({"Authorization": "Bearer access-token-of-dora"})
    assert problem_of(response) == (403, 403)
    assert "for 'Dora D.'. Ask its operator to set --oidc-name-claim" in response.json()["error"]["message"]


def test_files_that_are_not_given_are_not_read() -> None:
    assert Credentials.load(HttpSettings()) == Credentials(None, None)


async def test_callers_with_keys_are_told_apart_without_their_keys(tokens: Credentials) -> None:
    digest = hashlib.sha256(b"decthings-mcp caller\0key-of-anna").hexdigest()[:12]
    for endpoint, headers, name in [
        (Endpoint(PER_CALLER), OWN_KEY, digest),
        (Endpoint(PER_CALLER, tokens), {**OWN_KEY, **bearer("anna")}, f"anna/{digest}"),
    ]:
        await endpoint(headers)
        (caller,) = endpoint.callers
        assert (caller.name, endpoint.users) == (name, [name])
        assert caller.api_key is not None
        assert caller.api_key.get_secret_value() == "key-of-anna"
    assert problem_of(await Endpoint(PER_CALLER, tokens)(OWN_KEY)) == (401, 401)


async def test_a_secret_in_the_url_is_refused() -> None:
    response = await Endpoint()(url="http://x/mcp?token=secret")
    assert problem_of(response) == (400, 400)
    assert "secret" not in response.text
    assert "in headers" in response.json()["error"]["message"]


@pytest.mark.parametrize("name", ["Authorization", "Decthings-Api-Key"])
async def test_a_secret_that_is_sent_twice_is_refused(name: str, tokens: Credentials) -> None:
    for endpoint in (Endpoint(PER_CALLER), Endpoint(SINGLE, tokens)):
        twice = [(name, f"Bearer {TOKENS['anna']}"), (name, "Bearer x")]
        assert problem_of(await endpoint([*twice])) == (400, 400)


def test_headers_have_a_limit_in_all() -> None:
    async def receive() -> Message:
        return {"type": "http.request"}

    for excess, status in [(0, 200), (1, 431)]:
        value = b"v" * ((16 << 10) - len(b"hostxx") + excess)
        start, body = run_raw(Endpoint().app, receive, headers=[(b"host", b"x"), (b"x", value)])
        assert start["status"] == status
    assert b"at most 16 KiB" in body["body"]


async def test_each_caller_has_an_allowance_of_two_seconds(tokens: Credentials, clock: Counter[str]) -> None:
    endpoint = Endpoint(HttpSettings(calls_per_second=2), tokens)

    async def statuses(name: str, count: int) -> list[int]:
        return [(await endpoint(bearer(name))).status_code for _ in range(count)]

    assert await statuses("anna", 5) == [200] * 4 + [429]
    assert await statuses("bert", 1) == [200]
    clock["seconds"] += 1
    assert await statuses("anna", 3) == [200, 200, 429]
    clock["seconds"] += 100  # no more than that is saved up
    assert await statuses("anna", 5) == [200] * 4 + [429]
    assert len(endpoint.callers) == 4 + 1 + 2 + 4


@pytest.mark.parametrize(
    ("per_second", "at_once", "wait"), [(0.1, 1, "10"), (0.25, 1, "4"), (1, 2, "1"), (20, 40, "1")]
)
async def test_a_refusal_for_too_many_calls_names_the_seconds_to_wait(
    per_second: float, at_once: int, wait: str, clock: Counter[str]
) -> None:
    endpoint = Endpoint(HttpSettings(calls_per_second=per_second))
    for _ in range(at_once):
        assert (await endpoint()).status_code == 200
    for _ in range(2):  # being refused costs nothing
        response = await endpoint()
        assert problem_of(response) == (429, 429)
        assert response.headers["retry-after"] == wait
        assert f"Wait {wait} s" in response.json()["error"]["message"]
    clock["seconds"] += int(wait)
    assert (await endpoint()).status_code == 200


async def test_the_seconds_to_wait_are_those_that_are_left(clock: Counter[str]) -> None:
    endpoint = Endpoint(HttpSettings(calls_per_second=0.1))
    await endpoint()
    clock["seconds"] += 4
    assert (await endpoint()).headers["retry-after"] == "6"


async def test_callers_that_were_idle_for_long_take_no_memory(clock: Counter[str]) -> None:
    limiter = rate_limit.RateLimiter(1)

    def kept() -> set[str]:
        return set(vars(limiter)["_buckets"])

    limiter.take("anna")
    clock["seconds"] += 400
    limiter.take("bert")
    assert kept() == {"anna", "bert"}
    clock["seconds"] += 201
    limiter.take("carl")
    assert kept() == {"bert", "carl"}
    clock["seconds"] += 400
    limiter.take("carl")
    assert kept() == {"bert", "carl"}  # looked at only every ten minutes
    clock["seconds"] += 300
    limiter.take("dora")
    assert kept() == {"carl", "dora"}
