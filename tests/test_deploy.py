"""The files of deploy/ and what docs/http.md says, against the real server, a real nginx and the official schemas."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from argparse import Namespace
from collections.abc import Generator
from configparser import ConfigParser
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import kubernetes_validate
import pytest
import support
import yaml
from decthings_mcp.server import http as serving
from decthings_mcp.server.access import Access, Tokens
from decthings_mcp.server.cli import parser
from decthings_mcp.server.http_settings import HttpSettings
from decthings_mcp.server.metrics import Metrics
from decthings_mcp.server.settings import Settings, SettingsError
from http_support import TOKENS, HttpServer, http_server, post, sandbox_server, token_file
from starlette.datastructures import Headers

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DOCS = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")
NGINX_CONF = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
REPLICAS = sorted(name for name in SERVICES if name != "nginx")
MANIFESTS: dict[str, dict[str, Any]] = {
    manifest["kind"]: manifest for manifest in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text("utf-8"))
}
POD: dict[str, Any] = MANIFESTS["Deployment"]["spec"]["template"]["spec"]
CONTAINER: dict[str, Any] = POD["containers"][0]

GRACE = serving._GRACE_SECONDS  # pyright: ignore[reportPrivateUsage]


def instructions() -> list[tuple[str, str]]:
    """Of the Dockerfile, with continued lines joined."""
    lines = [
        line
        for line in (DEPLOY / "Dockerfile").read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(name.upper(), value.strip()) for name, _, value in (line.partition(" ") for line in joined.splitlines())]


DOCKERFILE = instructions()
FINAL = DOCKERFILE[max(i for i, (name, _) in enumerate(DOCKERFILE) if name == "FROM") :]


def last(name: str) -> str:
    """What holds of an instruction in the image."""
    return [value for instruction, value in FINAL if instruction == name][-1]


def exec_form(text: str) -> list[str]:
    command: list[str] = json.loads(text)
    assert all(isinstance(word, str) for word in command)
    return command


ENTRYPOINT = exec_form(last("ENTRYPOINT"))


def load(arguments: list[str], folder: Path) -> tuple[Namespace, HttpSettings]:
    """As the server does at its start, with files that exist in place of those that are named."""
    options = parser().parse_args(arguments)
    if options.token_file is not None:
        options.token_file = token_file(folder)
    for name, content in [("state_key_file", "0123456789abcdef" * 4), ("api_key_file", "key")]:
        if getattr(options, name) is not None:
            path = folder / name
            path.write_text(f"{content}\n")
            path.chmod(0o600)
            setattr(options, name, path)
    settings = Settings.load(options, {}, None)
    assert not settings.warnings
    http = HttpSettings.load(options, settings)
    if http.token_file is not None:
        Tokens(http.token_file)
    assert options.http
    return options, http


# The image


def test_the_image_serves_with_the_command_it_comes_with(tmp_path: Path) -> None:
    program, *first = ENTRYPOINT
    assert program in PROJECT["project"]["scripts"]
    _, http = load([*first, *exec_form(last("CMD"))], tmp_path)
    assert not http.is_on_loopback
    assert f"{http.port}" in last("EXPOSE").split()


def test_the_image_runs_as_a_user_who_is_not_root_whatever_the_host_calls_it() -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last("USER"))
    after = [name for name, _ in FINAL[[name for name, _ in FINAL].index("USER") :]]
    assert not {"RUN", "COPY", "ADD"} & set(after)


def test_what_the_image_starts_is_compiled_before_its_file_system_is_read_only() -> None:
    assert "PYTHONDONTWRITEBYTECODE=1" in last("ENV").split()
    compiled = [value for name, value in DOCKERFILE if name == "RUN" and "compileall" in value]
    assert any("/opt/decthings-mcp/lib" in value for value in compiled)
    assert any("/usr/local/lib/python3.13" in value for value in compiled)
    assert len({value for name, value in DOCKERFILE if name == "FROM" and ":3.13-slim" in value}) == 2


def test_what_the_image_is_built_from_is_in_the_build_context() -> None:
    copied = {
        source
        for name, value in DOCKERFILE
        if name == "COPY" and "--from" not in value
        for source in value.split()[:-1]
    }
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    assert copied == {line[1:] for line in ignored if line.startswith("!")}
    assert all((ROOT / source).exists() for source in copied)
    project = PROJECT["project"]
    folders = set(PROJECT["tool"]["setuptools"]["package-dir"].values())
    assert {project["readme"], *project["license-files"], *folders, "pyproject.toml"} <= copied
    (extras,) = re.findall(r"'\.\[(.*?)\]'", " ".join(value for _, value in DOCKERFILE))
    assert set(extras.split(",")) <= set(project["optional-dependencies"])


@pytest.fixture(scope="module")
def callers_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[HttpServer]:
    arguments = ("--tenancy", "per-caller", "--allowed-host", "mcp.example.com")
    with http_server(*arguments, cwd=tmp_path_factory.mktemp("callers")) as server:
        yield server


def test_the_health_check_tells_a_server_that_serves_from_none(callers_server: HttpServer, closed_port: int) -> None:
    command = exec_form(last("HEALTHCHECK").partition("CMD")[2].strip())
    assert command[0] == "python"
    assert str(parser().parse_args([]).port) in command[-1]

    def check(port: int) -> int:
        own = [sys.executable, *command[1:-1], command[-1].replace("8000", str(port))]
        proxies = {"http_proxy": f"http://127.0.0.1:{closed_port}"}  # which is none of its business
        return subprocess.run(own, env=support.environment(**proxies), stderr=subprocess.DEVNULL, timeout=30).returncode

    assert check(int(callers_server.root.rpartition(":")[2])) == 0
    assert check(closed_port) != 0


@pytest.fixture
def closed_port() -> Generator[int]:
    """Where nobody listens, nor will."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


# Compose


def compose_errors(path: Path) -> str:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout if done.returncode else ""


def test_the_compose_file_is_one(tmp_path: Path) -> None:
    assert compose_errors(DEPLOY / "compose.yaml") == ""
    wrong = {**COMPOSE, "services": {**SERVICES, "nginx": {**SERVICES["nginx"], "stop_grace": "20s"}}}
    (tmp_path / "compose.yaml").write_text(yaml.safe_dump(wrong))
    assert "stop_grace" in compose_errors(tmp_path / "compose.yaml")


@pytest.mark.parametrize("name", REPLICAS)
def test_a_replica_of_compose_serves_with_what_all_replicas_share(name: str, tmp_path: Path) -> None:
    service = SERVICES[name]
    options, http = load([*ENTRYPOINT[1:], *service["command"]], tmp_path)
    assert http.stateless
    assert parser().parse_args(service["command"]).state_key_file == Path("/run/secrets") / service["secrets"][0]
    assert service["secrets"] == list(COMPOSE["secrets"])
    assert http.trusted_proxies == [SERVICES["nginx"]["networks"]["replicas"]["ipv4_address"]]
    assert options.allowed_host == ["localhost"]
    assert f"{http.metrics_port}" in last("EXPOSE").split()


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_of_compose_may_do_little_and_has_time_to_end(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "user" in service or "build" in service  # the image's own user is not root
    assert [mount.partition(":")[0] for mount in service["tmpfs"]] == ["/tmp"]  # noqa: S108 - in the container
    assert "healthcheck" in service
    assert int(service["stop_grace_period"].removesuffix("s")) > GRACE


def test_only_nginx_is_reached_from_outside_and_waits_for_all_replicas() -> None:
    assert [name for name in SERVICES if "ports" in SERVICES[name]] == ["nginx"]
    (published,) = SERVICES["nginx"]["ports"]
    assert published.startswith("127.0.0.1:")  # there is no TLS
    assert published.rpartition(":")[2] in re.findall(r"^ +listen (\d+);", NGINX_CONF, re.MULTILINE)
    assert sorted(SERVICES["nginx"]["depends_on"]) == REPLICAS
    addresses = [SERVICES[name]["networks"]["replicas"]["ipv4_address"] for name in SERVICES]
    assert len(set(addresses)) == len(SERVICES)


# Kubernetes


@pytest.mark.parametrize("version", ["1.30", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("kind", MANIFESTS)
def test_kubernetes_knows_all_that_the_manifests_say(kind: str, version: str) -> None:
    kubernetes_validate.validate(MANIFESTS[kind], version, strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**MANIFESTS[kind], "specs": {}}, version, strict=True)


def test_the_kinds_that_keep_the_service_up_are_there_and_mean_the_same_pods() -> None:
    assert sorted(MANIFESTS) == ["Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Service"]
    deployment = MANIFESTS["Deployment"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert MANIFESTS["Service"]["spec"]["selector"] == labels
    assert MANIFESTS["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    for spread in POD["topologySpreadConstraints"]:
        assert spread["labelSelector"]["matchLabels"] == labels
    scaled = MANIFESTS["HorizontalPodAutoscaler"]["spec"]
    assert scaled["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert scaled["minReplicas"] == deployment["spec"]["replicas"] == 3
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_a_pod_serves_with_what_all_replicas_share(tmp_path: Path) -> None:
    _, http = load([*ENTRYPOINT[1:], *CONTAINER["args"]], tmp_path)
    assert http.stateless
    ports = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    assert ports == {"http": http.port, "metrics": http.metrics_port}
    assert MANIFESTS["Service"]["spec"]["ports"][0]["targetPort"] in ports
    key_file: Path = parser().parse_args(CONTAINER["args"]).state_key_file
    mounts = {mount["mountPath"]: mount["name"] for mount in CONTAINER["volumeMounts"]}
    (secret,) = [volume["secret"] for volume in POD["volumes"] if volume["name"] == mounts[str(key_file.parent)]]
    command = f"kubectl create secret generic {secret['secretName']} --from-literal={key_file.name}="
    assert command in DOCS


def test_a_pod_may_do_little_and_has_time_to_end() -> None:
    user, _ = map(int, last("USER").split(":"))
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["runAsUser"] == user
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert POD["automountServiceAccountToken"] is False
    security = CONTAINER["securityContext"]
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert {"requests", "limits"} <= set(CONTAINER["resources"])
    pause = CONTAINER["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert POD["terminationGracePeriodSeconds"] > pause + GRACE


@pytest.mark.parametrize("probe", ["startupProbe", "livenessProbe", "readinessProbe"])
def test_a_probe_is_answered_though_it_names_the_pods_address(probe: str, callers_server: HttpServer) -> None:
    asked = CONTAINER[probe]["httpGet"]
    assert asked["port"] == "http"
    answer = httpx.get(callers_server.root + asked["path"], headers={"Host": "10.1.2.3:8000"})
    assert answer.status_code == 200
    assert post(callers_server.url, "tools/list", {"Host": "10.1.2.3:8000"}).status_code != 200


# nginx


@dataclass
class Gateway:
    url: str
    folder: Path

    def logs(self) -> str:
        return "".join(path.read_text() for path in self.folder.glob("*.log"))

    def access_log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "access.log").read_text().splitlines()]


def nginx_conf(folder: Path, port: int, replicas: list[int], text: str = NGINX_CONF) -> Path:
    """The file itself, with addresses of this machine, and logs that can be read."""
    for old, new in [
        ("listen 8080;", f"listen 127.0.0.1:{port};"),
        ("/tmp/nginx", f"{folder}/nginx"),  # noqa: S108 - of the file
        ("/dev/stdout", f"{folder}/access.log"),
        ("error_log stderr error;", f"error_log {folder}/error.log error;"),
        *((f"{name}:8000", f"127.0.0.1:{replica}") for name, replica in zip(REPLICAS, replicas, strict=True)),
    ]:
        assert old in text
        text = text.replace(old, new)
    path = folder / "nginx.conf"
    path.write_text(text)
    return path


def nginx_command(path: Path, *arguments: str) -> list[str]:
    as_owner = "user root; " if os.getuid() == 0 else ""  # whose folders these are
    return [NGINX or "nginx", "-p", str(path.parent), "-c", str(path), "-g", f"{as_owner}daemon off;", *arguments]


@contextmanager
def gateway(folder: Path, *replicas: int, conf: str = NGINX_CONF) -> Generator[Gateway]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = nginx_command(nginx_conf(folder, port, list(replicas), conf))
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + 30
            while time.monotonic() < until:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.02)
            yield Gateway(f"http://127.0.0.1:{port}/mcp", folder)
        finally:
            process.terminate()


@pytest.fixture
def replicas() -> Generator[list[support.Upstream]]:
    """Three that answer."""
    with ExitStack() as stack:
        answer = support.http(b"{}", "200 OK", "application/json")
        yield [stack.enter_context(support.upstream(answer)) for _ in range(3)]


def port_of(replica: support.Upstream) -> int:
    return int(replica.url.split(":")[2].partition("/")[0])


def asked(replicas: list[support.Upstream]) -> int:
    return sum(len(replica.requests) for replica in replicas)


HANG_UP = b"HTTP/1.1 200 OK\r\nConnection: close"
"""In the middle of the answer, as a process that dies over a call."""


needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


@needs_nginx
def test_nginx_understands_the_file(tmp_path: Path) -> None:
    path = nginx_conf(tmp_path, 8080, [1, 2, 3])
    done = subprocess.run(nginx_command(path, "-t"), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr
    path.write_text(path.read_text().replace("least_conn", "least_con"))
    assert subprocess.run(nginx_command(path, "-t"), capture_output=True, timeout=60).returncode != 0


@needs_nginx
def test_a_post_that_reached_a_replica_is_sent_to_no_other(replicas: list[support.Upstream], tmp_path: Path) -> None:
    with gateway(tmp_path, *map(port_of, replicas)) as nginx:
        for name in ("a", "b", "c"):
            assert post(nginx.url, "tools/list", {"Decthings-Api-Key": name}).status_code == 200  # kept connections
        for replica in replicas:
            replica.reply = HANG_UP
        before = asked(replicas)
        for i in range(3):
            answer = post(nginx.url, "tools/list", {"Decthings-Api-Key": "k"})
            assert answer.status_code == 502
            assert "not known" in answer.json()["error"]["message"]
            assert asked(replicas) <= before + 1 + i


@needs_nginx
def test_a_post_passes_over_replicas_that_take_no_connection(
    replicas: list[support.Upstream], closed_port: int, tmp_path: Path
) -> None:
    with gateway(tmp_path, closed_port, closed_port, port_of(replicas[2])) as nginx:
        for _ in range(6):
            assert post(nginx.url, "tools/list", {"Decthings-Api-Key": "k"}).status_code == 200
        assert len(replicas[2].requests) == 6
        assert max(len(line["replica"].split(", ")) for line in nginx.access_log()) > 1


@needs_nginx
def test_replicas_hear_who_asks_for_which_name_with_which_key(replicas: list[support.Upstream], tmp_path: Path) -> None:
    secrets = {"Decthings-Api-Key": "canary-key", "Authorization": "Bearer canary-token"}
    with gateway(tmp_path, *map(port_of, replicas)) as nginx:
        answer = post(nginx.url, "tools/list", {**secrets, "Host": "mcp.example.com"})
        refused = post(f"{nginx.url}?key=canary-query", "tools/list", secrets)
        large = httpx.post(f"{nginx.url}?key=canary-query", content=b" " * (6 << 20), headers=secrets)
        too_large = httpx.post(nginx.url, content=b" " * (6 << 20), headers=secrets)
        elsewhere = httpx.get(nginx.url.replace("/mcp", "/canary"), headers=secrets)
        logs = nginx.logs()
    assert answer.status_code == 200
    (request,) = [request for replica in replicas for request in replica.requests]
    assert request.headers["host"] == "mcp.example.com"
    assert request.headers["x-forwarded-for"] == "127.0.0.1"
    assert request.headers["decthings-api-key"] == "canary-key"
    assert request.headers["authorization"] == "Bearer canary-token"
    assert request.headers["mcp-method"] == "tools/list"
    assert "close" not in request.headers.get("connection", "")
    assert (refused.status_code, large.status_code) == (400, 400)
    assert "headers" in refused.json()["error"]["message"]
    assert too_large.status_code == 413
    assert elsewhere.status_code == 404
    assert "/mcp" in logs
    for canary in ("canary-key", "canary-token", "canary-query"):
        assert canary not in logs


@needs_nginx
@pytest.mark.parametrize("header", ["Decthings-Api-Key", "Authorization"])
def test_calls_are_counted_by_caller(header: str, replicas: list[support.Upstream], tmp_path: Path) -> None:
    conf = NGINX_CONF.replace("$http_decthings_api_key", f"$http_{header.lower().replace('-', '_')}")
    with gateway(tmp_path, *map(port_of, replicas), conf=conf) as nginx, httpx.Client() as client:
        answers = [client.post(nginx.url, headers={header: "busy"}) for _ in range(200)]
        other = client.post(nginx.url, headers={header: "quiet"})
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert refused[0].headers["Retry-After"] == "1"
    assert "nothing was done" in refused[0].json()["error"]["message"]
    assert sum(answer.status_code == 200 for answer in answers) == asked(replicas) - 1 >= 40
    assert other.status_code == 200


@needs_nginx
def test_events_come_through_one_by_one(replicas: list[support.Upstream], tmp_path: Path) -> None:
    def stream(connection: socket.socket, _: support.Request) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        connection.sendall(b"data: 1\n\n")
        connection.recv(1)  # the stream goes on until nginx hangs up, as it does when its client has

    for replica in replicas:
        replica.reply = stream
    headers = {"Decthings-Api-Key": "k"}
    with (
        gateway(tmp_path, *map(port_of, replicas)) as nginx,
        httpx.stream("POST", nginx.url, headers=headers, content=b"{}", timeout=10) as answer,
    ):
        assert next(answer.iter_raw()) == b"data: 1\n\n"


@needs_nginx
def test_replicas_behind_nginx_serve_mcp_and_know_who_calls(tmp_path: Path) -> None:
    with ExitStack() as stack:
        arguments = ("--allowed-host", "mcp.example.com", "--trusted-proxy", "127.0.0.1", "--stateless")
        servers = [stack.enter_context(sandbox_server(*arguments, cwd=tmp_path)) for _ in range(3)]
        folder = tmp_path / "gateway"
        folder.mkdir()
        nginx = stack.enter_context(gateway(folder, *(int(server.root.rpartition(":")[2]) for server in servers)))
        headers = {"Host": "mcp.example.com", "X-Forwarded-For": "192.0.2.7"}
        answers = [post(nginx.url, "tools/list", headers) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 6
        assert post(nginx.url, "tools/list", {"Host": "evil.example"}).status_code == 421
        assert httpx.get(nginx.url.replace("/mcp", "/healthz")).json() == {"status": "ok"}
        used = {line["replica"] for line in nginx.access_log() if line["status"] == 200}
    assert len(used) == 3
    lines = [line for server in servers for line in server.access_log() if line["status"] == 200]
    assert {line["client"] for line in lines} == {"192.0.2.7"}


def test_nginx_is_never_told_to_repeat_calls_that_may_have_done_something() -> None:
    directives = [line.split("#")[0] for line in NGINX_CONF.splitlines()]
    (named,) = re.findall(r"proxy_next_upstream ([^;]*);", "\n".join(directives))
    assert set(named.split()) <= {"error", "timeout"}
    (seconds,) = re.findall(r"proxy_read_timeout (\d{2,})s;", "\n".join(directives))
    assert int(seconds) > 60
    (idle,) = re.findall(r"upstream replicas \{.*?keepalive_timeout (\d+)s;", NGINX_CONF, re.DOTALL)
    assert int(idle) < serving._IDLE_SECONDS  # pyright: ignore[reportPrivateUsage]


def test_nginx_asks_the_replicas_of_compose() -> None:
    servers = re.findall(r"^ +server ([\w-]+):(\d+)", NGINX_CONF, re.MULTILINE)
    assert servers == [(name, str(parser().parse_args([]).port)) for name in REPLICAS]
    mounted = {source: target for source, target, _ in (m.split(":") for m in SERVICES["nginx"]["volumes"])}
    assert mounted["./nginx.conf"] in SERVICES["nginx"]["entrypoint"]


# docs/http.md


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCS, re.DOTALL)


CLIENTS: list[dict[str, Any]] = [
    (snippet.get("mcpServers") or snippet["servers"])["decthings"] for snippet in map(json.loads, blocks("json"))
]
SERVER_COMMANDS = [
    line.removeprefix("decthings-mcp ") for line in "".join(blocks("sh")).splitlines() if line.startswith("decthings-")
]


def unit() -> ConfigParser:
    (text,) = blocks("ini")
    read = ConfigParser(strict=False, interpolation=None)
    read.read_string(text)
    return read


def claude_code() -> dict[str, Any]:
    (line,) = [line for line in "".join(blocks("sh")).splitlines() if line.startswith("claude mcp add ")]
    words = shlex.split(line)
    name, _, value = words[words.index("--header") + 1].partition(": ")
    url = next(word for word in words if word.startswith("https:"))
    return {"type": words[words.index("--transport") + 1], "url": url, "headers": {name: value}}


def test_every_kind_of_client_and_both_tenancies_are_shown() -> None:
    assert len(CLIENTS) == 2
    shown = {header for client in [*CLIENTS, claude_code()] for header in client["headers"]}
    assert shown == {"Authorization", "Decthings-Api-Key"}
    assert len(DOCS.splitlines()) < 150


@pytest.mark.parametrize("client", [*CLIENTS, claude_code()])
def test_what_a_client_is_told_to_send_lets_it_in(
    client: dict[str, Any], callers_server: HttpServer, tmp_path: Path
) -> None:
    assert client.get("type", "http") == "http"
    assert client["url"] == "https://mcp.example.com/mcp"
    (header,) = client["headers"].items()
    name, value = header
    secret = TOKENS["anna"] if name == "Authorization" else "key"
    sent = {name: re.sub(r"TOKEN|\$\{.*?\}", secret, value), "Host": "mcp.example.com"}
    assert secret in sent[name]
    if name == "Decthings-Api-Key":
        assert post(callers_server.url, "tools/list", sent).status_code == 200
        assert post(callers_server.url, "tools/list", {"Host": "mcp.example.com"}).status_code == 401
        return
    tokens = ("--token-file", str(token_file(tmp_path)), "--allowed-host", "mcp.example.com")
    with sandbox_server(*tokens, cwd=tmp_path) as server:
        assert post(server.url, "tools/list", sent).status_code == 200
        assert post(server.url, "tools/list", {"Host": "mcp.example.com"}).status_code == 401


def test_the_tokens_that_are_shown_are_ones(tmp_path: Path) -> None:
    (text,) = blocks("text")
    path = tmp_path / "tokens"
    path.write_text(text)
    access = Access(HttpSettings(token_file=path), Tokens(path))
    pairs = [line.split() for line in text.splitlines() if not line.startswith("#")]
    for name, token in pairs:
        admitted = access.admit(Headers({"authorization": f"Bearer {token}"}), b"")
        assert getattr(admitted, "name", admitted) == name


@pytest.mark.parametrize("command", SERVER_COMMANDS)
def test_a_command_that_is_shown_starts_a_server(command: str, tmp_path: Path) -> None:
    _, http = load(shlex.split(command), tmp_path)
    assert "mcp.example.com" in http.hosts


def test_the_unit_starts_a_server_that_has_time_to_end(tmp_path: Path) -> None:
    service = unit()["Service"]
    program, *arguments = shlex.split(service["ExecStart"])
    assert program.rpartition("/")[2] == ENTRYPOINT[0]
    _, http = load(arguments, tmp_path)
    assert http.token_file is not None
    assert http.is_on_loopback
    assert int(service["TimeoutStopSec"]) > GRACE
    credentials = set(re.findall(r"LoadCredential=([\w-]+):", blocks("ini")[0]))
    assert credentials == set(re.findall(r"%d/([\w-]+)", service["ExecStart"]))


def test_every_option_that_is_named_exists() -> None:
    named = set(re.findall(r"`(--[a-z-]+)", DOCS))
    known = set(re.findall(r"--[a-z-]+", parser().format_usage()))
    assert named <= known
    own = set(re.findall(r"^  (--[a-z-]+)", parser().format_help().partition("Streamable HTTP:")[2], re.MULTILINE))
    assert {"--http", "--state-key-file"} <= own <= set(re.findall(r"--[a-z-]+", DOCS))


def test_an_option_that_lets_anybody_in_would_be_noticed(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        load(["--http", "--host", "0.0.0.0"], tmp_path)  # noqa: S104 - to be refused
    with pytest.raises(SystemExit):
        load(["--http", "--no-such-option"], tmp_path)


def test_every_metric_is_listed() -> None:
    listed = DOCS.partition("**Metrics**")[2].partition("\n- **")[0]
    for metric in Metrics().registry.collect():
        name = metric.name.removeprefix("decthings_mcp_") + ("_total" if metric.type == "counter" else "")
        assert f"`{name}`" in listed


def test_every_field_of_the_access_log_is_listed(callers_server: HttpServer) -> None:
    listed = DOCS.partition("each request:")[2].partition("No keys")[0]
    assert post(callers_server.url, "tools/call", {"Decthings-Api-Key": "k"}, name="find_models").status_code != 500
    until = time.monotonic() + 10
    while not (lines := [line for line in callers_server.access_log() if "name" in line]) and time.monotonic() < until:
        time.sleep(0.01)
    assert re.findall(r"`(.*?)`", listed) == list(lines[-1])


def test_the_commands_for_containers_name_files_that_are_there() -> None:
    files = re.findall(r"(?<!> )deploy/[\w.-]+", "\n".join(blocks("sh")))
    assert {"deploy/Dockerfile", "deploy/compose.yaml", "deploy/kubernetes.yaml"} <= set(files)
    assert all((ROOT / file).is_file() for file in files)
    made = re.findall(r"> (deploy/[\w.-]+)", "\n".join(blocks("sh")))
    assert made == [f"deploy/{secret['file'].removeprefix('./')}" for secret in COMPOSE["secrets"].values()]
