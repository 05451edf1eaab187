"""What the server does on the network besides speaking to Decthings: proxies, certificates, headers."""

import datetime
import ipaddress
import json
import socket
import ssl
import sys
import threading
from pathlib import Path

import httpx
import pytest
import support
import truststore
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from decthings_mcp.server import certificates
from support import CREATE, Chat, Upstream
from support import run_server as run


@pytest.mark.anyio
async def test_a_request_says_who_sends_it_and_carries_the_key_once(chat: Chat, upstream: Upstream) -> None:
    await chat.create(CREATE)
    (request,) = upstream.requests
    assert request.headers["user-agent"] == "decthings-mcp/0.1.0"
    assert request.headers["authorization"] == f"Bearer {support.KEY}"
    assert request.headers["accept-encoding"] == "identity"
    assert support.KEY.encode() not in request.body


@pytest.mark.slow
def test_the_proxy_of_the_system_is_used(tmp_path: Path) -> None:
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def refuse() -> None:
            connection, _ = listening.accept()
            with connection:
                asked.append(connection.recv(1000))
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=refuse, daemon=True).start()
        proxy = f"http://127.0.0.1:{listening.getsockname()[1]}"
        url = "https://decthings.invalid/v0"
        variables = {"DECTHINGS_API_KEY": "k-secret", "https_proxy": proxy, "HTTPS_PROXY": proxy}
        arguments = ["--retry-seconds", "0", "--api-url", url, "call", "create_model", json.dumps(CREATE)]
        finished = run(*arguments, cwd=tmp_path, **variables)
    assert asked[0].startswith(b"CONNECT decthings.invalid:443")
    assert b"k-secret" not in asked[0]
    error = json.loads(finished.stdout)["error"]
    assert (error["code"], error["outcome"]) == ("connection_failed", "not_created")


def certificate(folder: Path) -> Path:
    """Self-signed, for 127.0.0.1, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "certificate.pem"
    path.write_bytes(built.public_bytes(encoding) + private)
    return path


@pytest.mark.slow
def test_a_malformed_tls_record_after_the_request_is_a_lost_response(tmp_path: Path) -> None:
    def garble(connection: socket.socket, _: support.Request) -> None:
        with socket.socket(fileno=connection.detach()) as raw:
            raw.sendall(b"not TLS" * 10)

    path = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    with support.upstream(garble, context) as upstream:
        arguments = ["--api-url", upstream.url, "--timeout", "call=3", "call", "create_model", json.dumps(CREATE)]
        finished = run(*arguments, cwd=tmp_path, DECTHINGS_API_KEY="k", SSL_CERT_FILE=str(path))
    error = json.loads(finished.stdout)["error"]
    assert (error["code"], error["outcome"], error["lookUp"]["answers"]) == ("no_response", "unknown", 0)
    assert finished.stderr == ""


@pytest.mark.slow
@pytest.mark.parametrize("trusted", [True, False])
def test_certificates_come_from_ssl_cert_file(trusted: bool, tmp_path: Path) -> None:
    path = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    with support.upstream(support.created(), context) as upstream:
        arguments = ["--api-url", upstream.url, "call", "create_model", json.dumps(CREATE)]
        variables = {"SSL_CERT_FILE": str(path)} if trusted else {}
        finished = run(*arguments, cwd=tmp_path, DECTHINGS_API_KEY="k", **variables)
    answer = json.loads(finished.stdout)
    assert ("result" in answer) == trusted
    assert trusted or (answer["error"]["code"], answer["error"]["outcome"]) == ("connection_failed", "not_created")


def system_with(monkeypatch: pytest.MonkeyPatch, file: Path | None, folder: Path | None) -> None:
    """Makes OpenSSL's default store that of the file and the folder."""
    paths = ssl.get_default_verify_paths()
    given = {"cafile": file and str(file), "capath": folder and str(folder)}
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths._replace(**given))
    monkeypatch.setattr(certificates, "_FILES", ())
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


def trusts(url: str) -> bool:
    """Whether a client with the certificates of this server connects."""
    try:
        httpx.post(url, verify=certificates.load_certificates(), trust_env=False)
    except httpx.ConnectError as error:
        return "CERTIFICATE_VERIFY_FAILED" not in str(error)
    return True


def test_certificates_come_from_the_system_unless_others_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = certificate(tmp_path)
    (tmp_path / "none").mkdir()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    with support.upstream(support.created(), context) as upstream:
        system_with(monkeypatch, path, tmp_path / "none")
        assert trusts(upstream.url)
        monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
        assert not trusts(upstream.url)
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        assert trusts(upstream.url)
        system_with(monkeypatch, None, tmp_path / "none")
        assert not trusts(upstream.url)


def test_a_system_without_certificates_has_those_of_certifi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (None, tmp_path):
        system_with(monkeypatch, None, folder)
        assert certificates.load_certificates().cert_store_stats()["x509_ca"] > 50


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_where_the_system_checks_certificates_itself_it_is_asked(
    platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    assert isinstance(certificates.load_certificates(), truststore.SSLContext)
