"""The image that deploy/Dockerfile makes: what it holds, and how it starts."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import support
from decthings_mcp.server.cli import parser
from deploy_support import DOCKERFILE, ENTRYPOINT, FINAL, ROOT, exec_form, last, load
from http_support import HttpServer

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


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


def test_programs_of_the_image_are_compiled_when_it_is_built() -> None:
    assert "PYTHONDONTWRITEBYTECODE=1" in last("ENV").split()
    compiled = [value for name, value in DOCKERFILE if name == "RUN" and "compileall" in value]
    assert any("/opt/decthings-mcp/lib" in value for value in compiled)
    assert any("/usr/local/lib/python3.13" in value for value in compiled)
    assert len({value for name, value in DOCKERFILE if name == "FROM" and ":3.13-slim" in value}) == 2


def test_sources_of_the_image_are_in_the_build_context() -> None:
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
