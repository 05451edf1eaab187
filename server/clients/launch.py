"""How a client starts a server: a command, its arguments and variables, and what that looks like in a configuration."""

from __future__ import annotations

import os
import sys
import sysconfig
from argparse import Action, Namespace, _AppendAction, _StoreTrueAction  # pyright: ignore[reportPrivateUsage]
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from ..settings import SettingsError

Shape = Literal["flat", "list", "transport"]
"""An entry has `command` and `args`; or all of it in a list `command`; or the first form within `transport`."""

_TEMPORARY = {"archive-v0", "builds-v0", "environments-v2"}
"""Folders in uv's cache: `uvx` runs a program there, until the cache is cleaned."""


class Launch(NamedTuple):
    command: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = {}


UVX = Launch("uvx", ("decthings-mcp",))
"""Works where nothing is installed, which is what a link on a web page needs. It starts four times as slowly."""


def installed_launch(server_options: Iterable[Action], given: Namespace) -> Launch:
    """The installed program, by its absolute path, with the options of the server that were given.

    Raises:
        SettingsError: the program is in a temporary place, or a path that was given cannot be written in JSON.
    """
    if not _TEMPORARY.isdisjoint(Path(sys.prefix).parts):
        raise SettingsError(
            "This program runs in a temporary environment, which clients cannot rely on. "
            "Install it first, with `uv tool install decthings-mcp` or `pipx install decthings-mcp`."
        )
    command, *args = [*_program(), *(arg for option in server_options for arg in _arguments(option, given))]
    try:
        "".join([command, *args]).encode()
    except UnicodeEncodeError as error:
        raise SettingsError("A path has bytes that are not UTF-8, which no configuration can contain.") from error
    return Launch(command, tuple(args))


def _program() -> list[str]:
    name = "decthings-mcp.exe" if os.name == "nt" else "decthings-mcp"
    installed = Path(sysconfig.get_path("scripts"), name)
    started = Path(os.path.abspath(sys.argv[0]))  # noqa: PTH100 - a link of `uv tool` or pipx outlives an upgrade
    for script in (started, installed):
        if script.stem == "decthings-mcp" and script.is_file():
            return [str(script)]
    return [sys.executable, "-m", "decthings_mcp.server"]


def _arguments(option: Action, given: Namespace) -> list[str]:
    """The words of one option, as they were given, with absolute paths: clients start servers in any folder."""
    value = getattr(given, option.dest, None)
    if value is None or value is False:
        return []
    flag = option.option_strings[-1]
    if isinstance(option, _StoreTrueAction):
        return [flag]
    is_path = option.metavar in ("DIR", "FILE")
    given_values = cast(list[object], value) if isinstance(value, list) else [value]
    values = [_absolute(str(one)) if is_path else str(one) for one in given_values]
    if isinstance(option, _AppendAction) and option.nargs is None:
        return [word for one in values for word in (flag, one)]
    return [flag, *values]


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111 - as the shell would name it, with links


def to_entry(launch: Launch, shape: Shape, extra: Mapping[str, Any]) -> dict[str, Any]:
    """What is written into a configuration.

    Args:
        extra: members that the client wants besides, such as {"type": "stdio"}.
    """
    if shape == "list":
        return {**extra, "command": [launch.command, *launch.args]}
    flat = {**extra, "command": launch.command, "args": list(launch.args)}
    return {"transport": flat} if shape == "transport" else flat


def from_entry(entry: object) -> Launch | None:
    """The launch that an entry of any client says; None when it starts no program, as for a remote server."""
    members = _members(entry)
    members = _members(members.get("transport")) or members
    command, args = members.get("command"), _strings(members.get("args") or [])
    words = _strings(cast(object, command) if isinstance(command, list) else [command])
    if not words or args is None:
        return None
    variables = _members(members.get("env") or members.get("environment"))
    return Launch(words[0], (*words[1:], *args), {name: str(value) for name, value in variables.items()})


def _members(value: object) -> dict[str, object]:
    return cast(dict[str, object], value) if isinstance(value, dict) else {}


def _strings(value: object) -> list[str] | None:
    items = cast(list[object], value) if isinstance(value, list) else [None]
    return [item for item in items if isinstance(item, str)] if all(isinstance(item, str) for item in items) else None
