"""For every client on this machine: is this server configured there, and does what it starts work."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from .catalog import CLIENTS, Client, Machine
from .configuration import Configuration
from .errors import ClientError
from .verify import SECONDS, Verified, verify


class ClientStatus(NamedTuple):
    client: Client
    file: Path | None
    """The configuration; the project's, where that has the entry."""
    name: str | None = None
    """Of the entry that starts this server; None when it is not configured."""
    verified: Verified | None = None
    """What starting it as the client does came to."""
    switched_off: bool = False
    """Whether the entry says that the client does not start the server."""
    problem: str | None = None
    """Why nothing can be said: the configuration cannot be read."""


def client_statuses(machine: Machine | None = None, seconds: float = SECONDS) -> list[ClientStatus]:
    """The status of every client found, in the order of the catalog. What several clients start alike is started once.

    It starts processes, so it takes about a second for each different entry, and at most `seconds`. It blocks: in a
    server it belongs into a thread.
    """
    machine = machine or Machine.this()
    started: dict[str, Verified] = {}
    return [
        status
        for client in CLIENTS
        if client.is_editable and client.is_on(machine)
        for status in _statuses(client, machine, started, seconds)
    ]


def _statuses(client: Client, machine: Machine, started: dict[str, Verified], seconds: float) -> list[ClientStatus]:
    found: list[ClientStatus] = []
    user = client.file(machine, project=False)
    for project in (False, True):
        path = client.file(machine, project=project)
        if path is None or (project and (path == user or not path.exists())):
            continue
        try:
            configuration = Configuration.load(client, machine, project=project)
            for name, launch in configuration.own_entries():
                if (key := repr(launch)) not in started:
                    started[key] = verify(launch, machine.environ, machine.home, seconds)
                switched_off = configuration.is_switched_off(name)
                found.append(ClientStatus(client, path, name, started[key], switched_off))
        except ClientError as error:
            found.append(ClientStatus(client, path, problem=str(error)))
    return found or [ClientStatus(client, user)]
