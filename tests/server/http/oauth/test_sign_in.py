"""Official clients sign in at a certified authorization server, and call: discovery, registration, code with PKCE."""

import json
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import httpx2
import npm
import pytest
import support
from http_support import HttpServer, sandbox_server
from mcp import Client
from mcp.client.auth import OAuthClientProvider, TokenStorage
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from nginx_support import gateway, needs_nginx
from oauth_support import oidc
from pydantic import AnyUrl

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).parents[3] / "oauth_clients"
CALLBACK = "http://127.0.0.1:1/callback"  # nobody listens: the redirect is read, not followed


AUTHORIZATION_SERVER = ("oidc-provider", "9.13.3")
CLIENTS = [("@modelcontextprotocol/client", "2.4.0"), ("@modelcontextprotocol/sdk", "1.32.2")]
"""The official TypeScript clients: the current one, and the one of 2025-11-25."""


def command(script: str, package: tuple[str, str], *arguments: str) -> list[str]:
    """The command that runs a script with an npm package, which is installed if it is not there yet."""
    try:
        folder = npm.install(*package)
    except npm.Unavailable as problem:
        pytest.skip(str(problem))
    return [npm.node(), str(SCRIPTS / script), str(folder), *arguments]


@contextmanager
def authorization_server(audience: str) -> Generator[str]:
    """Its issuer identifier."""
    started = command("authorization_server.mjs", AUTHORIZATION_SERVER, audience)
    with subprocess.Popen(started, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield support.pipe(process.stdout).readline().strip()
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[HttpServer]:
    """Its callers sign in at an authorization server of their own."""
    port = support.free_port()
    resource = f"http://127.0.0.1:{port}/mcp"
    with authorization_server(resource) as issuer:
        options = oidc(issuer, resource, "--oidc-scope", "models", "--log-level", "DEBUG")
        with sandbox_server("--port", str(port), *options, cwd=tmp_path_factory.mktemp("sign-in")) as running:
            yield running


class Memory(TokenStorage):
    token: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.token

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.token = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class Person:
    """Follows the redirects of a sign-in, as a browser does."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked_for: dict[str, list[str]] = {}
        self._callback: dict[str, str] = {}

    async def open(self, url: str) -> None:
        self.asked_for = parse_qs(urlsplit(url).query)
        url += f"&login_hint={self.name}"
        async with httpx.AsyncClient(verify=support.NO_CERTIFICATES) as browser:
            while not url.startswith(CALLBACK):
                response = await browser.get(url)
                assert response.is_redirect, response.text
                url = str(response.next_request and response.next_request.url)
        self._callback = dict(httpx.URL(url).params)

    async def callback(self) -> AuthorizationCodeResult:
        return AuthorizationCodeResult(**self._callback)


@pytest.mark.anyio
@pytest.mark.parametrize(("mode", "revision"), [("legacy", "2025-11-25"), ("auto", "2026-07-28")])
async def test_the_python_client_signs_in(mode: str, revision: str, server: HttpServer) -> None:
    person, memory, url = Person("bert"), Memory(), server.url
    metadata = OAuthClientMetadata(client_name="test", redirect_uris=[AnyUrl(CALLBACK)])
    provider = OAuthClientProvider(url, metadata, memory, person.open, person.callback)
    async with (
        httpx2.AsyncClient(auth=provider, timeout=60, verify=support.NO_CERTIFICATES) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        assert client.protocol_version == revision
        result = await client.call_tool("create_model", {**support.CREATE, "name": mode})
    assert (result.structured_content or {})["outcome"] == "created"
    assert person.asked_for["code_challenge_method"] == ["S256"]
    assert person.asked_for["resource"] == [url]
    assert "models" in person.asked_for["scope"][0].split()
    assert server.logged("caller", "bert")["status"] in (200, 202)
    assert memory.token is not None
    assert memory.token.access_token not in "".join(server.lines)


def sign_in(package: tuple[str, str], url: str) -> dict[str, Any]:
    """What the TypeScript client prints."""
    started = command("client.mjs", package, package[0], url)
    ended = subprocess.run(started, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.mark.parametrize("package", CLIENTS)
def test_the_typescript_client_signs_in(package: tuple[str, str], server: HttpServer) -> None:
    printed = sign_in(package, server.url)
    assert printed["protocol"] in ("2026-07-28", None)  # the older client does not say
    assert printed["result"]["sandbox"]
    assert server.logged("caller", "anna")["status"] == 200
    assert printed["token"] not in "".join(server.lines)


@needs_nginx
def test_a_client_signs_in_behind_a_proxy(tmp_path: Path) -> None:
    port = support.free_port()
    (tmp_path / "nginx").mkdir()
    with gateway(tmp_path / "nginx", port, port, port) as proxy, authorization_server(proxy.url) as issuer:
        options = oidc(issuer, proxy.url, "--oidc-scope", "models", "--trusted-proxy", "127.0.0.1")
        with sandbox_server("--port", str(port), *options, cwd=tmp_path):
            assert sign_in(CLIENTS[0], proxy.url)["result"]["sandbox"]
