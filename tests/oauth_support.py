"""An authorization server of the tests: its metadata, its keys and its tokens, on loopback."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import support
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from http_support import HttpServer, sandbox_server
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def _first_key() -> rsa.RSAPrivateKey:
    """For all issuers, since it takes long to generate one."""
    return rsa_key()


def public_jwk(key: PrivateKey, kid: str, **members: Any) -> dict[str, Any]:
    kind = {rsa.RSAPrivateKey: RSAAlgorithm, ec.EllipticCurvePrivateKey: ECAlgorithm}
    algorithm: Any = next((kind[cls] for cls in kind if isinstance(key, cls)), OKPAlgorithm)
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig", **members}


class Issuer:
    """Its fields can be changed while it serves."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.keys: dict[str, PrivateKey] = {"rsa": _first_key()}
        self.documents: dict[str, Any] = {
            "/.well-known/openid-configuration": {"issuer": url, "jwks_uri": f"{url}/jwks"},
        }
        self.listed: list[Any] = [public_jwk(self.keys["rsa"], "rsa", alg="RS256")]
        self.raw: dict[str, bytes] = {}
        """What is served instead of a document, by its path."""
        self.is_down = False
        self.requests = Counter[str]()

    def serve_as(self, path: str) -> str:
        """Its issuer identifier with this path, where its metadata is served from now on."""
        self.url = f"{self.url}{path}"
        at = f"{path.removesuffix('/')}/.well-known/openid-configuration"
        self.documents = {at: {"issuer": self.url, "jwks_uri": f"{self.url.removesuffix('/')}/jwks"}}
        return self.url

    def add_key(self, kid: str, key: PrivateKey, **members: Any) -> None:
        self.keys[kid] = key
        self.listed.append(public_jwk(key, kid, **members))

    def document(self, path: str) -> Any:
        return {"keys": self.listed} if path.endswith("/jwks") else self.documents.get(path)

    def token(self, audience: Any, kid: str = "rsa", algorithm: str = "RS256", **claims: Any) -> str:
        """An access token that is valid for a minute; a claim that is None is left out."""
        now = int(time.time())
        given = {"iss": self.url, "aud": audience, "sub": "anna", "iat": now, "exp": now + 60, **claims}
        kept = {name: value for name, value in given.items() if value is not None}
        return jwt.encode(kept, self.keys[kid], algorithm, headers={"kid": kid})


@contextmanager
def issuer() -> Generator[Issuer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            serving.requests[self.path] += 1
            document = None if serving.is_down else serving.document(self.path)
            body = serving.raw.get(self.path) or json.dumps(document).encode()
            self.send_response(503 if serving.is_down else 404 if document is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = Issuer(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield serving
        server.shutdown()
        thread.join()


def oidc(issuer_url: str, resource: str, *further: str) -> list[str]:
    """The options of a server whose callers sign in there."""
    return ["--oidc-issuer", issuer_url, "--oidc-audience", resource, *further]


@contextmanager
def oauth_server(issuer_url: str, cwd: Path, *options: str) -> Generator[HttpServer]:
    """With the sandbox behind it. Its URL is its audience, so its port is chosen before it starts."""
    port = support.free_port()
    resource = f"http://127.0.0.1:{port}/mcp"
    given = ["--port", str(port), "--calls-per-second", "10000", *oidc(issuer_url, resource), *options]
    with sandbox_server(*given, cwd=cwd) as server:
        assert server.url == resource
        yield server


def signed_in(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
