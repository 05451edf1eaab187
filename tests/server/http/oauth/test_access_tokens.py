"""Which access tokens are accepted, and what a caller is told of those that are not."""

import hashlib
import hmac
import json
import re
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, NamedTuple

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from decthings_mcp.server.cli import parser
from decthings_mcp.server.http.oauth.resource_server import ResourceServer
from decthings_mcp.server.http.oauth.settings import OAuthSettings
from decthings_mcp.server.http.refusal import Refusal
from http_support import HttpServer, bearer, post, token_file
from jwt.utils import base64url_encode
from oauth_support import Issuer, issuer, oauth_server, oidc, public_jwk, rsa_key, signed_in

RESOURCE = "https://mcp.example.com/mcp"
OWN_AUDIENCE = "11111111-2222-3333-4444-555555555555"


def now() -> int:
    return int(time.time())


class Running(NamedTuple):
    issuer: Issuer
    server: HttpServer

    def token(self, **given: Any) -> str:
        """A good token, but for what is given; times are seconds from now."""
        times = {name: now() + given[name] for name in ("exp", "nbf", "iat") if isinstance(given.get(name), int)}
        return self.issuer.token(**{"audience": self.server.url, "scope": "openid models", **given, **times})

    def refusal(self, token: str) -> tuple[int, str, str]:
        """The status, and the error and its description in the challenge."""
        response = post(self.server.url, "tools/list", signed_in(token))
        challenge = response.headers.get("www-authenticate", "")
        fields = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        if response.status_code != 200:
            assert fields["resource_metadata"] == f"{self.server.root}/.well-known/oauth-protected-resource/mcp"
            assert fields["scope"] == "models"
            assert fields["error_description"] in response.json()["error"]["message"]
        return response.status_code, fields.get("error", ""), fields.get("error_description", "")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running]:
    cwd = tmp_path_factory.mktemp("oauth")
    tokens = ("--token-file", str(token_file(cwd)))
    with issuer() as serving:
        serving.add_key("ec", ec.generate_private_key(ec.SECP256R1()))
        serving.add_key("ed", ed25519.Ed25519PrivateKey.generate())
        serving.add_key("any", rsa_key())  # without alg, as Entra ID has it
        serving.add_key("p384", ec.generate_private_key(ec.SECP384R1()))
        serving.add_key("short", rsa_key(1024))
        serving.keys["pss"] = rsa_key()
        serving.listed += [
            public_jwk(serving.keys["pss"], "pss", alg="PS256"),
            {**public_jwk(serving.keys["pss"], "encrypts"), "use": "enc"},
            {"kty": "oct", "kid": "shared", "alg": "HS256", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"},
            {"kty": "RSA", "kid": "broken", "n": "!"},
            {"kty": "RSA", "e": "AQAB"},
            "no key",
        ]
        options = ("--oidc-audience", OWN_AUDIENCE, "--oidc-scope", "models", *tokens)
        with oauth_server(serving.url, cwd, *options) as server:
            yield Running(serving, server)


@pytest.mark.parametrize("given", [
    {},
    {"kid": "ec", "algorithm": "ES256"},
    {"kid": "ed", "algorithm": "EdDSA"},
    {"kid": "any"},
    {"audience": OWN_AUDIENCE},
    {"audience": ["https://other.example.com", OWN_AUDIENCE]},
    {"scope": "models"},
    {"scope": None, "scp": ["openid", "models"]},
    {"scope": None, "scp": "models other"},
    {"exp": -5},
    {"nbf": 5},
    {"iat": None},
])  # fmt: skip
def test_a_token_is_accepted_with(given: dict[str, Any], running: Running) -> None:
    assert running.refusal(running.token(**given)) == (200, "", "")


@pytest.mark.parametrize(("given", "description"), [
    ({"audience": "https://other.example.com/mcp"}, "is for another audience"),
    ({"audience": []}, "lacks a claim"),
    ({"audience": None}, "lacks a claim"),
    ({"iss": "https://other.example.com"}, "is from another issuer"),
    ({"iss": "ISSUER/"}, "is from another issuer"),
    ({"iss": None}, "lacks a claim"),
    ({"exp": -3600}, "has expired"),
    ({"exp": None}, "lacks a claim"),
    ({"exp": "soon"}, "is not valid"),
    ({"nbf": 3600}, "is not valid yet"),
    ({"iat": 3600}, "is not valid yet"),
    ({"kid": "rsa", "algorithm": "RS512"}, "algorithm that is not accepted"),
    ({"kid": "rsa", "algorithm": "PS256"}, "algorithm that is not accepted"),
    ({"kid": "p384", "algorithm": "ES384"}, "algorithm that is not accepted"),
    ({"kid": "p384", "algorithm": "ES256"}, "unknown key"),
    ({"kid": "pss"}, "unknown key"),
    ({"kid": "short"}, "is not valid"),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")
def test_a_token_is_refused_with(given: dict[str, Any], description: str, running: Running) -> None:
    if given.get("iss"):
        given = {"iss": given["iss"].replace("ISSUER", running.issuer.url)}
    if given.get("algorithm") == "ES256":  # PyJWT makes no such token
        token = with_header(running.token(kid="p384", algorithm="ES384"), {"alg": "ES256", "kid": "p384"})
    else:
        token = running.token(**given)
    status, error, told = running.refusal(token)
    assert (status, error) == (401, "invalid_token")
    assert description in told


def with_header(token: str, header: dict[str, Any]) -> str:
    return ".".join([encoded(header), *token.split(".")[1:]])


def encoded(value: Any) -> str:
    return base64url_encode(json.dumps(value).encode()).decode()


def public_pem(running: Running) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return running.issuer.keys["rsa"].public_key().public_bytes(serialization.Encoding.PEM, form)


def test_a_forged_token_is_refused(running: Running) -> None:
    good = running.token()
    header, claims, signature = good.split(".")
    admin = encoded({**jwt.decode(good, options={"verify_signature": False}), "sub": "admin"})
    other = jwt.encode({"sub": "admin"}, rsa_key(), "RS256", headers={"kid": "rsa"})
    forged = {
        f"{header}.{admin}.{signature}": "is not valid",
        other: "is not valid",
        f"{encoded({'alg': 'none', 'kid': 'rsa'})}.{claims}.": "algorithm",
        f"{header}.{claims}.": "is not valid",
        hmac_signed(running, public_pem(running), "rsa"): "algorithm",  # the public key as a shared secret
        hmac_signed(running, b"secret-secret-secret-secret-secret", "shared"): "algorithm",
        with_header(good, {"alg": "RS256", "kid": "ec"}): "unknown key",
        with_header(good, {"alg": "RS256", "kid": "encrypts"}): "unknown key",
        with_header(good, {"alg": "RS256"}): "unknown key",
        with_header(good, {"alg": "RS256", "kid": 7}): "neither a signed JWT nor",
        with_header(good, {"alg": "RS256", "kid": "rsa", "crit": ["exp"]}): "neither a signed JWT nor",
        with_header(good, {"alg": ["RS256"], "kid": "rsa"}): "algorithm",
        with_header(good, {"alg": "RS256", "jwk": public_jwk(rsa_key(), "mine"), "kid": "mine"}): "unknown key",
        f"{encoded([])}.{claims}.{signature}": "neither a signed JWT nor",
        f"{'[' * 5000}.{claims}.{signature}": "neither a signed JWT nor",
        base64url_encode(b"[" * 9000).decode() + "..": "neither a signed JWT nor",
        "..": "neither a signed JWT nor",
        "not-a-jwt": "neither a signed JWT nor",
        f"{good}.{signature}.{signature}": "neither a signed JWT nor",
    }
    for token, description in forged.items():
        status, error, told = running.refusal(token)
        assert (status, error) == (401, "invalid_token"), token[:40]
        assert description in told, token[:40]


def hmac_signed(running: Running, secret: bytes, kid: str) -> str:
    """Without PyJWT, which refuses to sign with a public key."""
    claims = running.token().split(".")[1]
    signed = f"{encoded({'alg': 'HS256', 'typ': 'JWT', 'kid': kid})}.{claims}"
    return f"{signed}.{base64url_encode(hmac.new(secret, signed.encode(), hashlib.sha256).digest()).decode()}"


@pytest.mark.parametrize("scope", [{"scope": "openid"}, {"scope": None}, {"scope": ["models"]}, {"scope": "models2"}])
def test_a_token_without_the_scope_gets_403_and_the_scope_to_ask_for(scope: dict[str, Any], running: Running) -> None:
    status, error, description = running.refusal(running.token(**scope))
    assert (status, error) == (403, "insufficient_scope")
    assert "models" in description


@pytest.mark.parametrize("subject", [None, 5, [], "", "x" * 256, "a\nb", "a\u202eb"])
def test_a_token_without_a_name_gets_403_and_no_sign_in(subject: Any, running: Running) -> None:
    response = post(running.server.url, "tools/list", signed_in(running.token(sub=subject)))
    assert response.status_code == 403
    assert "--oidc-name-claim" in response.json()["error"]["message"]
    assert "www-authenticate" not in response.headers


def test_a_request_without_a_token_learns_where_to_sign_in_and_of_no_error(running: Running) -> None:
    for headers in ({}, {"Authorization": "Basic eA=="}, {"Authorization": "Bearer"}):
        response = post(running.server.url, "tools/list", headers)
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == (
            f'Bearer resource_metadata="{running.server.root}/.well-known/oauth-protected-resource/mcp", scope="models"'
        )


def test_tokens_of_the_token_file_stay_valid(running: Running) -> None:
    assert post(running.server.url, "tools/list", bearer("bert")).status_code == 200
    assert running.server.logged("caller", "bert")["status"] == 200


def test_the_log_names_the_audience_that_a_token_had_and_the_caller(running: Running) -> None:
    running.refusal(running.token(audience="https://mistaken.example.com"))
    running.refusal(running.token(audience=None))
    running.refusal(running.token(sub="auth0|5f7c8ec7"))
    assert running.server.logged("caller", "auth0|5f7c8ec7")["status"] == 200
    log = "".join(running.server.lines)
    assert "its claim aud is 'https://mistaken.example.com'" in log
    assert "it has no claim aud" in log


@pytest.mark.slow
def test_while_the_authorization_server_is_down_its_known_keys_stay_valid(tmp_path: Path) -> None:
    with issuer() as serving, oauth_server(serving.url, tmp_path) as server:
        here = Running(serving, server)
        assert post(server.url, "tools/list", signed_in(here.token())).status_code == 200
        serving.is_down = True
        serving.keys["next"] = rsa_key()
        for _ in range(2):
            assert post(server.url, "tools/list", signed_in(here.token())).status_code == 200
            response = post(server.url, "tools/list", signed_in(here.token(kid="next")))
            assert response.status_code == 503
            assert 1 <= int(response.headers["retry-after"]) <= 60
            assert "nothing was done" in response.json()["error"]["message"]
            assert "www-authenticate" not in response.headers  # signing in again does not help
        assert serving.requests["/.well-known/openid-configuration"] == 2


PROVIDERS: dict[str, Any] = json.loads((Path(__file__).parents[3] / "data" / "access_tokens.json").read_text("utf-8"))


@pytest.mark.anyio
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_tokens_of_a_provider_are_accepted_as_configured(provider: str) -> None:
    shape = PROVIDERS[provider]
    with issuer() as serving:
        own = serving.serve_as(shape["issuerPath"])
        serving.listed = [{**serving.listed[0], **shape["jwk"]}]
        for absent in shape["jwkWithout"]:
            del serving.listed[0][absent]
        given = [option.replace("RESOURCE", RESOURCE) for option in shape["options"]]
        options = parser().parse_args(["--http", *oidc(own, RESOURCE, *given)])
        settings = OAuthSettings.load(options)
        assert settings is not None
        claims = json.loads(json.dumps(shape["claims"]).replace("ISSUER", own).replace("RESOURCE", RESOURCE))
        times = {"iat": now(), "nbf": now(), "exp": now() + 300}
        server = ResourceServer(settings)
        async with server.running():
            headers = {**shape["header"], "kid": "rsa"}
            token = jwt.encode({**claims, **times}, serving.keys["rsa"], "RS256", headers)
            assert await server.caller_of(token) == shape["name"]
            no_scope = {name: value for name, value in claims.items() if name not in ("scp", "scope")}
            with pytest.raises(Refusal) as refused:
                await server.caller_of(jwt.encode({**no_scope, **times}, serving.keys["rsa"], "RS256", headers))
    assert refused.value.status == 403
