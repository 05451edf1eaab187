"""What `setup --print` shows: the configuration of a client to copy, its own command, and its link."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

from .catalog import Client, Machine
from .commands import command_to_add
from .launch import UVX, Launch, to_entry
from .links import links


def snippet(client: Client, machine: Machine, name: str, launch: Launch, *, project: bool = False) -> str:
    """Instructions for one client, as text."""
    return "\n".join(_lines(client, machine, name, launch, project=project))


def _lines(client: Client, machine: Machine, name: str, launch: Launch, *, project: bool) -> Iterator[str]:
    path = client.file(machine, project=project)
    yield f"# {client.title}"
    if path is None:
        yield "It has no configuration of a project."
        return
    yield (
        f"In {path}:"
        if client.id != "jetbrains"
        else f"In Settings > Tools > AI Assistant > MCP, or for Junie in {path}:"
    )
    yield ""
    yield configuration(client, name, launch)
    if command := command_to_add(client, machine, name, launch, project=project):
        yield f"\nOr run: {shlex.join([client.program or command[0], *command[1:]])}"
    # Goose takes links to published packages only.
    if link := links(UVX if client.id == "goose" else launch, name).get(client.id):
        yield f"\nOr open this link:\n{link}"


def configuration(client: Client, name: str, launch: Launch) -> str:
    """A whole configuration with nothing but the entry, in the client's format."""
    entry = to_entry(launch, client.shape, client.extra)
    if client.format == "yaml":
        return _yaml(client, name, launch)
    if client.format == "toml":
        from .toml_files import put

        return put("", [*client.servers, name], entry).rstrip()
    document: dict[str, Any] = {name: entry}
    for key in reversed(client.servers):
        document = {key: document}
    return json.dumps(document, indent=2, ensure_ascii=False)


def _yaml(client: Client, name: str, launch: Launch) -> str:
    """Strings and lists are written as in JSON, which YAML includes."""
    command, args = json.dumps(launch.command), json.dumps(list(launch.args))
    if client.id == "goose":
        return (
            f"extensions:\n  {name}:\n    enabled: true\n    type: stdio\n    name: {name}\n    cmd: {command}\n"
            f"    args: {args}\n    envs: {{}}\n    timeout: 300"
        )
    return f"mcpServers:\n  - name: {name}\n    command: {command}\n    args: {args}"
