"""The commands that clients have of their own to add and remove servers. They follow their own format."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .catalog import Client, Machine
from .errors import ClientError
from .launch import Launch, to_entry

_SECONDS = 60


def command_to_add(client: Client, machine: Machine, name: str, launch: Launch, *, project: bool) -> list[str] | None:
    """The command line; None when there is no such command here."""
    words: Mapping[str, Sequence[str]] = {
        "COMMAND": [launch.command],
        "ARGS": launch.args,
        "JSON": [json.dumps({"name": name, **to_entry(launch, client.shape, client.extra)}, ensure_ascii=False)],
    }
    return _filled_in(client, machine, client.add, words, name, project=project)


def command_to_remove(client: Client, machine: Machine, name: str, *, project: bool) -> list[str] | None:
    """The command line; None when there is no such command here."""
    return _filled_in(client, machine, client.remove, {}, name, project=project)


def _filled_in(
    client: Client,
    machine: Machine,
    template: str | None,
    words: Mapping[str, Sequence[str]],
    name: str,
    *,
    project: bool,
) -> list[str] | None:
    program = client.program and machine.program(client.program)
    if not template or not program or (project and "SCOPE" not in template):
        return None
    filled = {"NAME": [name], "SCOPE": ["project" if project else "user"], **words}
    return [program, *(word for part in template.split() for word in filled.get(part, [part]))]


def run(command: Sequence[str], cwd: Path) -> None:
    """Runs a client's command.

    Raises:
        ClientError: it failed; with the last line that it wrote.
    """
    try:
        done = subprocess.run(  # noqa: S603 - the user's own client, with our arguments
            command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ClientError(f"Its command did not end within {_SECONDS} seconds.") from error
    except OSError as error:
        raise ClientError(f"Its command cannot be started: {error.strerror}.") from error
    if done.returncode != 0:
        text = (done.stderr.strip() or done.stdout.strip()).decode(errors="replace")
        written = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).splitlines()
        raise ClientError(
            f"Its command failed with status {done.returncode}: {written[-1] if written else 'no message'}"
        )
