"""What a client learns about where to sign in, and which options of sign-in are refused."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from decthings_mcp.server.cli import parser
from decthings_mcp.server.http.access import Credentials
from decthings_mcp.server.http.app import create_app
from decthings_mcp.server.http.serve import uvicorn_config
from decthings_mcp.server.http.settings import HttpSettings
from decthings_mcp.server.settings import Settings, SettingsError
from oauth_support import oidc

ISSUER, RESOURCE = "https://login.example.com", "https://mcp.example.com/mcp"
WELL_KNOWN = "/.well-known/oauth-protected-resource"


def settings_of(*options: str, tmp_path: Path) -> tuple[Settings, HttpSettings]:
    parsed = parser().parse_args(["--http", "--sandbox", "--sandbox-data", str(tmp_path), *options])
    settings = Settings.load(parsed, {}, None)
    return settings, HttpSettings.load(parsed, settings)


async def get(path: str, *options: str, tmp_path: Path, **headers: str) -> httpx.Response:
    app: Any = create_app(*settings_of(*options, tmp_path=tmp_path), Credentials())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://mcp.example.com") as client:
        return await client.get(path, headers=headers)


@pytest.mark.anyio
@pytest.mark.parametrize("issuer", [ISSUER, f"{ISSUER}/", f"{ISSUER}/tenant/v2.0", "http://127.0.0.1:8080/realms/r"])
@pytest.mark.parametrize("resource", ["https://mcp.example.com", "https://mcp.example.com/", RESOURCE])
async def test_identifiers_are_published_letter_by_letter(issuer: str, resource: str, tmp_path: Path) -> None:
    own_path = WELL_KNOWN + ("/mcp" if resource == RESOURCE else "")
    for path in {own_path, WELL_KNOWN}:
        response = await get(path, *oidc(issuer, resource), tmp_path=tmp_path)
        assert response.status_code == 200
        published = response.json()
        assert published["resource"] == resource
        assert published["authorization_servers"] == [issuer]
        assert published["bearer_methods_supported"] == ["header"]
        assert "scopes_supported" not in published


@pytest.mark.anyio
async def test_the_scope_to_ask_for_is_published(tmp_path: Path) -> None:
    options = [*oidc(ISSUER, RESOURCE), "--oidc-scope", "api://1/models"]
    response = await get(f"{WELL_KNOWN}/mcp", *options, tmp_path=tmp_path)
    assert response.json()["scopes_supported"] == ["api://1/models"]


@pytest.mark.anyio
async def test_metadata_is_for_any_web_page_and_for_the_names_of_this_server(tmp_path: Path) -> None:
    options = oidc(ISSUER, RESOURCE)
    for_page = await get(WELL_KNOWN, *options, tmp_path=tmp_path, Origin="https://inspector.example.com")
    assert for_page.headers["access-control-allow-origin"] == "*"
    upper = await get(WELL_KNOWN, *options, tmp_path=tmp_path, Host="MCP.Example.com:443")
    assert (for_page.status_code, upper.status_code) == (200, 200)
    rebound = await get(WELL_KNOWN, *options, tmp_path=tmp_path, Host="evil.example.com")
    assert rebound.status_code == 421


@pytest.mark.anyio
async def test_a_web_page_that_may_call_can_read_where_to_sign_in(tmp_path: Path) -> None:
    options = [*oidc(ISSUER, RESOURCE), "--allowed-origin", "https://app.example.com"]
    response = await get("/mcp", *options, tmp_path=tmp_path, Origin="https://app.example.com")
    assert response.status_code == 401
    assert f'resource_metadata="https://mcp.example.com{WELL_KNOWN}/mcp"' in response.headers["www-authenticate"]
    assert "WWW-Authenticate" in response.headers["access-control-expose-headers"]


@pytest.mark.anyio
async def test_without_sign_in_there_is_no_metadata(tmp_path: Path) -> None:
    assert (await get(WELL_KNOWN, "--allowed-host", "mcp.example.com", "--tenancy", "single",
                      "--token-file", "t", tmp_path=tmp_path)).status_code == 404  # fmt: skip


@pytest.mark.parametrize(("options", "reason"), [
    (["--oidc-issuer", ISSUER], "needs --oidc-audience"),
    (["--oidc-audience", RESOURCE], "need --oidc-issuer"),
    (["--oidc-scope", "models"], "need --oidc-issuer"),
    (["--oidc-name-claim", "email"], "need --oidc-issuer"),
    (oidc("http://login.example.com", RESOURCE), "--oidc-issuer must be an https URL"),
    (oidc("login.example.com", RESOURCE), "--oidc-issuer must be an https URL"),
    (oidc(f"{ISSUER}?tenant=1", RESOURCE), "--oidc-issuer must be an https URL"),
    (oidc("https://user:secret@login.example.com", RESOURCE), "--oidc-issuer must be an https URL"),
    (oidc("https://login.example.com:x", RESOURCE), "--oidc-issuer must be an https URL"),
    (oidc("https://", RESOURCE), "--oidc-issuer must be an https URL"),
    (oidc(f'{ISSUER}/"', RESOURCE), "--oidc-issuer must be an https URL"),
    (oidc(ISSUER, "api://1"), "The first --oidc-audience must be an https URL"),
    (oidc(ISSUER, f"{RESOURCE}#a"), "The first --oidc-audience must be an https URL"),
    (oidc(ISSUER, RESOURCE, "--oidc-audience", ""), "--oidc-audience must not be empty"),
    (oidc(ISSUER, RESOURCE, "--oidc-scope", "a b"), "one name without spaces"),
    (oidc(ISSUER, RESOURCE, "--oidc-scope", ""), "one name without spaces"),
    (oidc(ISSUER, RESOURCE, "--oidc-scope", 'a"'), "one name without spaces"),
    (oidc("https://Login.Example.com", RESOURCE), "in its normal form: 'https://login.example.com'"),
    (oidc(ISSUER, "https://mcp.example.com:443/mcp"), "in its normal form: 'https://mcp.example.com/mcp'"),
])  # fmt: skip
def test_options_of_sign_in_that_cannot_work_are_refused(options: list[str], reason: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        uvicorn_config(*settings_of(*options, tmp_path=tmp_path))
    assert reason in str(refused.value)


def test_sign_in_makes_a_server_safe_for_others_to_reach(tmp_path: Path) -> None:
    _, http = settings_of("--host", "0.0.0.0", *oidc(ISSUER, RESOURCE), tmp_path=tmp_path)  # noqa: S104 - all of them
    assert "mcp.example.com" in http.hosts
    _, http = settings_of(*oidc(ISSUER, "http://[::1]:8000/mcp"), tmp_path=tmp_path)
    assert "[::1]:*" in http.hosts


def test_what_checks_access_tokens_is_only_imported_for_sign_in() -> None:
    code = "import sys, decthings_mcp.server.http.serve; sys.exit('jwt' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
