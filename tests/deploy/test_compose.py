"""The containers of deploy/compose.yaml, against the official schema and the server's own parser."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from decthings_mcp.server.cli import parser
from deploy_support import COMPOSE, DEPLOY, ENTRYPOINT, GRACE, NGINX_CONF, REPLICAS, SERVICES, last, load


def compose_errors(path: Path) -> str:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout if done.returncode else ""


def test_the_compose_file_is_valid(tmp_path: Path) -> None:
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
    assert options.allowed_hosts == ["localhost"]
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
