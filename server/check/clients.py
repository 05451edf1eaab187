"""Whether the MCP clients on this machine are configured, and whether what they start works."""

from __future__ import annotations

from collections.abc import Iterator

from ...tools.results.text import sanitize, single_line
from ..clients.status import ClientStatus, client_statuses
from .checks import Situation
from .report import Check


def check_clients(_: Situation) -> Iterator[Check]:
    """A check for each client that is found. It starts each different entry once."""
    yield from dict.fromkeys(map(_explain, client_statuses()))  # a project's file can be the user's


def _explain(status: ClientStatus) -> Check:
    name, where = status.client.title, f" ({status.file})" if status.file else ""
    setup = f"decthings-mcp setup {status.client.id}"
    if status.problem is not None:
        return Check(name, "warning", _sentence(status.problem), "Correct that file; nothing was changed in it.")
    if status.name is None or status.verified is None:
        return Check(name, "good", "It is on this machine, and does not use this server.", f"To set it up: {setup}")
    if status.verified.problem is not None:
        problem = _sentence(f"What it starts does not work{where}: {status.verified.problem}")
        return Check(name, "bad", problem, f"To set it up again: {setup}")
    if status.switched_off:
        return Check(name, "warning", f"The server is switched off there{where}.", f"Switch it on in {name}.")
    tools, seconds = len(status.verified.tools), status.verified.seconds
    return Check(name, "good", f"What it starts lists {tools} tools, after {seconds:.1f} s{where}.")


def _sentence(text: str) -> str:
    return single_line(sanitize(text)).rstrip(".") + "."
