"""Links that add this server to a client with one click, for web pages."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from urllib.parse import quote, urlencode

from .catalog import BY_ID
from .launch import UVX, Launch, to_entry


def links(launch: Launch = UVX, name: str = "decthings") -> dict[str, str]:
    """The links by the id of the client."""
    return {client: build(launch, name) for client, build in _BUILDERS.items()}


def _vscode(launch: Launch, name: str) -> str:
    # Markdown on GitHub leaves out vscode: links, so a page of Microsoft's forwards to it.
    config = json.dumps(to_entry(launch, "flat", BY_ID["vscode"].extra), separators=(",", ":"))
    return f"https://vscode.dev/redirect/mcp/install?{urlencode({'name': name, 'config': config}, quote_via=quote)}"


def _with_base64(page: str) -> Callable[[Launch, str], str]:
    def link(launch: Launch, name: str) -> str:
        config = json.dumps(to_entry(launch, "flat", {}), separators=(",", ":"))
        return f"{page}?{urlencode({'name': name, 'config': b64encode(config.encode()).decode()})}"

    return link


def _goose(launch: Launch, name: str) -> str:
    """Goose takes only uvx, npx and a few others as the command of a link."""
    words = [("cmd", launch.command), *(("arg", word) for word in launch.args)]
    about = [("id", name), ("name", "Decthings"), ("description", "Create machine learning models on Decthings")]
    return f"goose://extension?{urlencode([*words, *about], quote_via=quote)}"


_BUILDERS: Mapping[str, Callable[[Launch, str], str]] = {
    "vscode": _vscode,
    "cursor": _with_base64("https://cursor.com/en/install-mcp"),
    "lm-studio": _with_base64("https://lmstudio.ai/install-mcp"),
    "goose": _goose,
}
