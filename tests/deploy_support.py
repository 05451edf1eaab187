"""What the files of deploy/ and docs/http.md say, and options as the server reads them."""

import json
import re
from argparse import Namespace
from pathlib import Path
from typing import Any

import yaml
from decthings_mcp.server.cli import parser
from decthings_mcp.server.http import serve as serving
from decthings_mcp.server.http.access import Credentials
from decthings_mcp.server.http.settings import HttpSettings
from decthings_mcp.server.settings import Settings
from http_support import token_file

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
DOCS = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")
NGINX_CONF = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")

COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
REPLICAS = sorted(name for name in SERVICES if name != "nginx")

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


def options_of(arguments: list[str], folder: Path) -> Namespace:
    """With files that exist in place of those that are named."""
    options = parser().parse_args(arguments)
    if options.token_file is not None:
        options.token_file = token_file(folder)
    keys = [("keys_file", f"anna {'0123456789abcdef' * 2}"), ("api_key_file", "key")]
    for name, content in [("state_key_file", "0123456789abcdef" * 4), *keys]:
        if getattr(options, name) is not None:
            path = folder / name
            path.write_text(f"{content}\n")
            path.chmod(0o600)
            setattr(options, name, path)
    return options


def load(arguments: list[str], folder: Path) -> tuple[Namespace, HttpSettings]:
    """As the server does at its start."""
    options = options_of(arguments, folder)
    settings = Settings.load(options, {}, None)
    assert not settings.warnings
    http = HttpSettings.load(options, settings)
    Credentials.load(http)
    assert options.http
    return options, http
