"""The `setup` command: configures MCP clients to start this server, or no longer to.

What will change is shown first, and nothing is changed without a yes. Then the server is started as the client's
configuration says, and its tools are listed.
"""

from __future__ import annotations

import re
import shlex
import sys
from argparse import Action, Namespace
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import anyio

from ...tools.calls.services import Unavailable
from ..api_key import login_command
from ..login.kept_key import find_used_key
from ..settings import Settings, SettingsError
from . import commands, files
from .catalog import BY_ID, CLIENTS, Client, Machine
from .configuration import Configuration
from .differences import difference
from .errors import ClientError
from .launch import Launch, installed_launch
from .snippets import snippet
from .verify import Verified, verify

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_KEY_SECONDS = 10
"""How long the system's key store may take, which can ask the user to unlock it."""


class Request(NamedTuple):
    """What the command line asks for."""

    name: str
    launch: Launch
    project: bool
    remove: bool
    yes: bool


class _Plan(NamedTuple):
    """How one client's configuration is changed: by its own command, or else by replacing the file."""

    configuration: Configuration
    after: bytes | None = None
    command: Sequence[str] | None = None
    is_needed: bool = True


def run_setup(options: Namespace, server_options: Iterable[Action], in_client: Settings) -> int:
    """The exit status: 0, or 1 when something that was asked for was not done.

    Args:
        server_options: what a server can be started with; those that are given get into the entry.
        in_client: the settings of a server that a client starts with these options.

    Raises:
        SettingsError: the command line is wrong.
    """
    if (reconfigure := getattr(sys.stdout, "reconfigure", None)) is not None:
        reconfigure(errors="backslashreplace")  # a configuration can have what a terminal cannot show
    machine = Machine.this()
    request = _request(options, server_options)
    if options.print:
        for client in _named(options.clients) or CLIENTS:
            print(snippet(client, machine, request.name, request.launch, project=request.project), end="\n\n")
        return 0
    clients = _named(options.clients) or [client for client in CLIENTS if client.is_editable and client.is_on(machine)]
    if not clients:
        print("No MCP client was found here. Name one to set it up all the same:", *_ids(), file=sys.stderr)
        return 1
    setup = _Setup(request, machine)
    failed = [client for client in clients if not setup.run(client)]
    if not request.remove and len(failed) < len(clients):
        _print_hints(options, in_client)
    return int(bool(failed))


def _request(options: Namespace, server_options: Iterable[Action]) -> Request:
    if not _NAME.fullmatch(options.name):
        raise SettingsError("--name must begin with a letter and have only letters, digits, - and _, at most 64.")
    for folder in options.files or ():
        if not Path(folder).expanduser().is_dir():
            hint = "Name clients before --files." if folder in BY_ID else "Create it, or name another one."
            raise SettingsError(f"--files must name folders; {folder} is not a folder. {hint}")
    launch = Launch("decthings-mcp") if options.remove else installed_launch(server_options, options)
    return Request(options.name, launch, options.project, options.remove, options.yes)


def _named(ids: Sequence[str]) -> list[Client]:
    if unknown := [name for name in ids if name not in BY_ID]:
        raise SettingsError(f"Unknown clients: {', '.join(unknown)}. Available: {', '.join(BY_ID)}.")
    return [BY_ID[name] for name in dict.fromkeys(ids)]


def _ids() -> Iterator[str]:
    return (client.id for client in CLIENTS if client.is_editable)


class _Setup:
    """Goes through the clients one by one. What fails for one is reported, and the next one follows."""

    def __init__(self, request: Request, machine: Machine) -> None:
        self._request, self._machine = request, machine
        self._verified: dict[str, Verified] = {}

    def run(self, client: Client) -> bool:
        """Whether the client is now as was asked for."""
        print(f"{client.title}")
        try:
            if not client.is_editable:
                raise ClientError(f"setup cannot configure it. `decthings-mcp setup --print {client.id}` shows how to.")
            plan = self._plan(client)
            if not plan.is_needed:
                _say("It has no such entry." if self._request.remove else "It is configured like this already.")
            elif not self._carry_out(plan):
                return False
            return self._request.remove or self._works(client)
        except ClientError as error:
            _say(str(error))
            return False

    def _plan(self, client: Client) -> _Plan:
        request, machine = self._request, self._machine
        configuration = Configuration.load(client, machine, project=request.project)
        exists = request.name in configuration.servers()
        if request.remove:
            command = commands.command_to_remove(client, machine, request.name, project=request.project)
            if not exists or command:
                return _Plan(configuration, command=command, is_needed=exists)
            return _Plan(configuration, configuration.without_entry(request.name))
        if configuration.says(request.name, request.launch):
            return _Plan(configuration, is_needed=False)
        if not exists:  # the clients' commands cannot change an entry, and removing it would lose what was added to it
            command = commands.command_to_add(client, machine, request.name, request.launch, project=request.project)
            if command:
                return _Plan(configuration, command=command)
        return _Plan(configuration, configuration.with_entry(request.name, request.launch))

    def _carry_out(self, plan: _Plan) -> bool:
        path = plan.configuration.path
        if plan.command:
            _say(f"{path} will be changed by its own command:", f"  {shlex.join(plan.command)}")
        else:
            _say(f"{path} will be {'deleted' if plan.after is None else 'changed' if path.exists() else 'created'}:")
            _say(*(f"  {line}" for line in difference(plan.configuration, plan.after)))
        if not self._is_agreed():
            return False
        if plan.command:
            self._run_command(plan.configuration, plan.command)
        else:
            self._replace_file(plan.configuration, plan.after)
        return True

    def _is_agreed(self) -> bool:
        if self._request.yes:
            return True
        if sys.stdin is None or not sys.stdin.isatty():  # pyright: ignore[reportUnnecessaryComparison]
            _say("Nothing was changed: there is no terminal to ask you in. Repeat the command with --yes to agree.")
            return False
        try:
            reply = input("  Do it? [y/N] ")
        except EOFError:
            reply = ""
        if reply.strip().lower() in ("y", "yes"):
            return True
        _say("Nothing was changed.")
        return False

    def _run_command(self, configuration: Configuration, command: Sequence[str]) -> None:
        request = self._request
        if configuration.data is not None:
            files.back_up(configuration.path, configuration.data)
        cwd = self._machine.cwd if request.project else self._machine.home
        try:
            commands.run(command, cwd)
            written = Configuration.load(configuration.client, self._machine, project=request.project)
        except ClientError as error:
            raise ClientError(f"{error} {_backup_hint(configuration)}".strip()) from error
        if request.remove == (request.name in written.servers()) or not (
            request.remove or written.says(request.name, request.launch)
        ):
            raise ClientError(
                f"Its command ended well, but {written.path} does not say so. {_backup_hint(configuration)}"
            )
        _say("Done.")

    def _replace_file(self, configuration: Configuration, after: bytes | None) -> None:
        keep = configuration.needs_backup(self._request.name)
        files.replace(configuration.path, configuration.data, after, keep=keep)
        if self._request.remove and not keep:
            files.delete_backup(configuration.path)
        _say(f"Done. {_backup_hint(configuration)}" if keep and configuration.data is not None else "Done.")

    def _works(self, client: Client) -> bool:
        configuration = Configuration.load(client, self._machine, project=self._request.project)
        launch = configuration.launch(self._request.name)
        if launch is None:
            raise ClientError(f"{configuration.path} has no entry that starts this server.")
        key = repr(launch)
        if key not in self._verified:
            self._verified[key] = verify(launch, self._machine.environ, self._machine.home)
        verified = self._verified[key]
        if verified.problem is not None:
            raise ClientError(f"The server does not work when it is started as configured: {verified.problem}.")
        _say(f"Started as configured, the server lists {len(verified.tools)} tools ({verified.seconds:.1f} s).")
        _say(*([client.next_step] if client.next_step else []))
        if configuration.is_switched_off(self._request.name):
            _say(f"It is switched off in {client.title}, which starts it only when you switch it on there.")
        return True


def _backup_hint(configuration: Configuration) -> str:
    backup = files.backup_name(configuration.path)
    return f"What it was before is in {backup}." if backup.exists() else ""


def _print_hints(options: Namespace, in_client: Settings) -> None:
    """What the entry lacks, so that the first call does not have to say so."""
    if not in_client.sandbox:
        key = anyio.run(find_used_key, in_client, _KEY_SECONDS)
        if isinstance(key, Unavailable):
            print(f"\n{key.message} To keep one on this machine: {login_command(in_client.profile)}")
    if not options.files:
        print(
            "\nNo folder was named, so files come only from the folder that a client starts the server in. "
            "To name one: decthings-mcp setup --files DIR"
        )


def _say(*lines: str) -> None:
    for line in lines:
        print(f"  {line}")
