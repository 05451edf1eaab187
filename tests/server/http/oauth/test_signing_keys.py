"""The keys of the authorization server: found, cached, rotated, and kept while it is down."""

from collections.abc import Generator
from contextlib import suppress
from typing import Any

import anyio
import pytest
import support
from cryptography.hazmat.primitives.asymmetric import ec
from decthings_mcp.server.http.oauth import signing_keys
from decthings_mcp.server.http.oauth.signing_keys import SigningKeys
from decthings_mcp.server.http.refusal import Refusal
from oauth_support import Issuer, issuer, rsa_key

pytestmark = pytest.mark.anyio


@pytest.fixture
def serving() -> Generator[Issuer]:
    with issuer() as running:
        yield running


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a minute had passed between two calls."""
    monkeypatch.setattr(signing_keys, "_UNKNOWN_KEY_SECONDS", 0)
    monkeypatch.setattr(signing_keys, "_NO_KEYS_SECONDS", 0)


async def test_known_keys_are_fetched_once(serving: Issuer) -> None:
    keys = SigningKeys(serving.url)
    async with keys.kept_current():
        for _ in range(100):
            assert await keys.find("rsa", "RS256")
    assert serving.requests["/jwks"] == 1


async def test_unknown_keys_are_looked_for_once_a_minute_by_all_callers_together(serving: Issuer) -> None:
    keys, found = SigningKeys(serving.url), list[Any]()

    async def find(kid: str) -> None:
        found.append(await keys.find(kid, "RS256"))

    async with keys.kept_current():
        assert await keys.find("rsa", "RS256")
        async with anyio.create_task_group() as group:
            for number in range(100):
                group.start_soon(find, f"invented-{number}")
        assert await keys.find("rsa", "RS256")
    assert found == [None] * 100
    assert serving.requests["/jwks"] == 2


async def test_a_rotated_key_is_found_and_the_removed_one_is_not(serving: Issuer, no_pauses: None) -> None:
    keys = SigningKeys(serving.url)
    async with keys.kept_current():
        assert await keys.find("rsa", "RS256")
        serving.listed.clear()
        serving.add_key("next", rsa_key())
        assert await keys.find("next", "RS256")
        assert await keys.find("rsa", "RS256") is None


@pytest.mark.parametrize(
    "listed", [[], [{"kty": "EC", "crv": "P-384", "kid": "rsa", "alg": "ES384", "x": "", "y": ""}]]
)
async def test_keys_that_are_all_withdrawn_are_not_valid_any_more(
    listed: list[Any], serving: Issuer, no_pauses: None, caplog: pytest.LogCaptureFixture
) -> None:
    keys = SigningKeys(serving.url)
    async with keys.kept_current():
        assert await keys.find("rsa", "RS256")
        serving.listed[:] = listed
        assert await keys.find("next", "RS256") is None
        assert await keys.find("rsa", "RS256") is None
    assert f"{serving.url} lists no key with a kid for RS256, ES256, EdDSA" in caplog.text


@pytest.mark.parametrize("document", [b'{"message": "maintenance"}', b'{"keys": {}}', b"{}"])
async def test_what_is_no_list_of_keys_withdraws_none(document: bytes, serving: Issuer, no_pauses: None) -> None:
    keys = SigningKeys(serving.url)
    async with keys.kept_current():
        assert await keys.find("rsa", "RS256")
        serving.raw["/jwks"] = document
        with pytest.raises(Refusal):
            await keys.find("next", "RS256")
        assert await keys.find("rsa", "RS256")


async def test_two_keys_may_have_one_id(serving: Issuer) -> None:
    serving.add_key("rsa", ec.generate_private_key(ec.SECP256R1()))
    keys = SigningKeys(serving.url)
    for algorithm in ("RS256", "ES256"):
        key = await keys.find("rsa", algorithm)
        assert key is not None
        assert key.algorithm_name == algorithm


async def test_keys_are_refreshed_regularly(serving: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing_keys, "_REFRESH_SECONDS", 0.01)
    monkeypatch.setattr(signing_keys, "_UNKNOWN_KEY_SECONDS", 0)
    keys = SigningKeys(serving.url)
    async with keys.kept_current():
        assert await keys.find("rsa", "RS256")
        serving.listed.clear()
        serving.add_key("next", rsa_key())
        with anyio.fail_after(30):
            while await keys.find("rsa", "RS256"):
                await anyio.lowlevel.checkpoint()


async def test_known_keys_stay_valid_while_the_authorization_server_is_down(serving: Issuer, no_pauses: None) -> None:
    keys = SigningKeys(serving.url)
    async with keys.kept_current():
        assert await keys.find("rsa", "RS256")
        serving.is_down = True
        with pytest.raises(Refusal) as refused:
            await keys.find("next", "RS256")  # whether it exists cannot be known
        assert refused.value.status == 503
        assert await keys.find("rsa", "RS256")
        serving.is_down = False
        assert await keys.find("next", "RS256") is None


async def test_keys_are_forgotten_when_they_could_not_be_fetched_for_a_day(
    serving: Issuer, no_pauses: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, now = SigningKeys(serving.url), [1e6]
    monkeypatch.setattr(signing_keys, "monotonic", lambda: now[0])
    assert await keys.find("rsa", "RS256")
    serving.is_down = True
    for hours, known in [(23, True), (2, False)]:
        now[0] += hours * 3600
        with pytest.raises(Refusal):
            await keys.find("next", "RS256")
        assert (await refused_or_found(keys) is not None) == known


async def refused_or_found(keys: SigningKeys) -> Any:
    try:
        return await keys.find("rsa", "RS256")
    except Refusal:
        return None


HOSTILE = {
    "nested": b"[" * 100_000,
    "large": b'{"keys": "' + b"x" * (2 << 20) + b'"}',
    "no JSON": b"<html>",
    "not UTF-8": b'{"keys": "\xff"}',
    "a list": b"[]",
    "a number as keys": b'{"keys": 7}',
    "curves as lists": b'{"keys": [{"kty": "EC", "crv": ["P-256"], "kid": "bad"}, {"kty": ["EC"], "kid": "bad"}]}',
    "ids of all kinds": b'{"keys": [{"kty": "RSA", "kid": ["bad"]}, {"kty": "RSA", "kid": 1e400, "n": "x", "e": {}}]}',
}


@pytest.mark.parametrize("path", ["/jwks", "/.well-known/openid-configuration"])
@pytest.mark.parametrize("document", [*HOSTILE.values()], ids=[*HOSTILE])
async def test_no_document_of_the_authorization_server_ends_this_one(
    document: bytes, path: str, serving: Issuer, no_pauses: None
) -> None:
    serving.raw[path] = document
    keys = SigningKeys(serving.url)
    async with keys.kept_current():
        with suppress(Refusal):
            assert await keys.find("rsa", "RS256") is None
        serving.raw.clear()
        assert await keys.find("rsa", "RS256")


async def test_a_bad_key_costs_only_itself(serving: Issuer) -> None:
    serving.listed[:0] = [{"kty": "EC", "crv": ["P-256"], "kid": "bad"}, 7, {"kty": {}, "kid": []}]
    assert await SigningKeys(serving.url).find("rsa", "RS256")


async def test_without_any_key_callers_are_asked_to_wait(serving: Issuer) -> None:
    serving.is_down = True
    keys = SigningKeys(serving.url)
    for _ in range(100):
        with pytest.raises(Refusal) as refused:
            await keys.find("rsa", "RS256")
        assert refused.value.status == 503
        assert 1 <= int(refused.value.headers["Retry-After"]) <= 5
    assert serving.requests["/.well-known/openid-configuration"] == 1


async def test_keys_are_found_as_soon_as_the_authorization_server_is_up(serving: Issuer, no_pauses: None) -> None:
    serving.is_down = True
    keys = SigningKeys(serving.url)
    with pytest.raises(Refusal):
        await keys.find("rsa", "RS256")
    serving.is_down = False
    assert await keys.find("rsa", "RS256")


async def test_an_issuer_that_cannot_be_reached_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    url = f"http://127.0.0.1:{support.free_port()}"
    with pytest.raises(Refusal):
        await SigningKeys(url).find("rsa", "RS256")
    assert f"The keys of {url} cannot be fetched: the connection was refused" in caplog.text


async def test_metadata_of_rfc_8414_is_found_too(serving: Issuer) -> None:
    serving.url += "/tenant"
    at = "/.well-known/oauth-authorization-server/tenant"
    serving.documents = {at: {"issuer": serving.url, "jwks_uri": f"{serving.url}/jwks"}}
    assert await SigningKeys(serving.url).find("rsa", "RS256")


@pytest.mark.parametrize(("metadata", "reason"), [
    ({"issuer": "ISSUER/"}, "--oidc-issuer must be exactly that"),
    ({}, "--oidc-issuer must be exactly that"),
    ({"issuer": "ISSUER"}, "no jwks_uri with https"),
    ({"issuer": "ISSUER", "jwks_uri": "http://keys.example.com"}, "no jwks_uri with https"),
    ({"issuer": "ISSUER", "jwks_uri": "file:///etc/passwd"}, "no jwks_uri with https"),
    ({"issuer": "ISSUER", "jwks_uri": "ISSUER/none"}, "the status at ISSUER/none is 404"),
    ({"issuer": "ISSUER", "jwks_uri": "ISSUER/list"}, "is not a JSON object"),
    (None, "the status at ISSUER/.well-known/openid-configuration is 404, and the status at "
           "ISSUER/.well-known/oauth-authorization-server is 404"),
])  # fmt: skip
async def test_an_issuer_with_a_mistake_is_explained_to_the_operator(
    metadata: dict[str, str] | None, reason: str, serving: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    serving.documents = {"/list": [1]}
    if metadata is not None:
        given = {name: value.replace("ISSUER", serving.url) for name, value in metadata.items()}
        serving.documents["/.well-known/openid-configuration"] = given
    with pytest.raises(Refusal):
        await SigningKeys(serving.url).find("rsa", "RS256")
    assert reason.replace("ISSUER", serving.url) in caplog.text
