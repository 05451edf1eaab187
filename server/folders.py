"""The folders that files may come from, and the option --files that names them. Light, as all settings are."""

from __future__ import annotations

import argparse
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from .placeholders import filled_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_OPTION = "--files"


class FilesParser(argparse.ArgumentParser):
    """A parser that takes any number of folders after one --files, as configurations of clients have them.

    Args:
        several_folders: False for a command whose own arguments may follow a folder.
    """

    def __init__(self, *args: Any, several_folders: bool = True, **options: Any) -> None:
        super().__init__(*args, **options)
        self._several_folders = several_folders
        self.commands: Collection[str] = ()
        """The names that end the folders; the first folder may have one."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - for its overloads
        return super().parse_known_args(self._one_for_each(args) if self._several_folders else args, namespace)

    def _one_for_each(self, arguments: Sequence[str]) -> list[str]:
        """The arguments with `--files A --files B` for `--files A B`, and nothing for a bare `--files`."""
        result: list[str] = []
        option = previous = ""
        for index, argument in enumerate(arguments):
            if argument in self.commands and not self._takes_value(previous):
                return [*result, *arguments[index:]]
            if argument.startswith("-"):
                option = argument
            if argument != _OPTION:
                result += [_OPTION, argument] if option == _OPTION else [argument]
            previous = argument
        return result

    def _takes_value(self, argument: str) -> bool:
        action = self._option_string_actions.get(argument)
        return action is not None and action.nargs != 0


def chosen_folders(given: Sequence[str] | None, environ: Mapping[str, str], cwd: Path | None) -> list[Path]:
    """The folders that are named, usable or not; without any, the working folder.

    Args:
        given: the values of --files.
        cwd: the working folder; None when it is not offered.
    """
    named = given or filled_in(environ.get("DECTHINGS_FILES", "").split(os.pathsep))
    if not named:
        return [] if cwd is None or _is_private(cwd) else [cwd]
    return [_absolute(Path(os.path.expanduser(name))) for name in named]  # noqa: PTH111 - pathlib raises for an unknown user


def missing(folders: Iterable[Path]) -> list[Path]:
    """Those that do not exist, or are not folders."""
    return [folder for folder in folders if not os.path.isdir(folder)]  # noqa: PTH112 - Path's raises without permission


def _absolute(folder: Path) -> Path:
    try:
        return folder.absolute()
    except FileNotFoundError:  # the working folder was deleted
        return folder


def _is_private(cwd: Path) -> bool:
    """Whether it is a home folder, or contains homes as the root does: too much to open without being asked."""
    cwd = cwd.resolve()
    own = _resolved_homes([os.path.expanduser("~")])  # noqa: PTH111 - pathlib raises when there is none
    if cwd == Path(cwd.anchor) or any(home.is_relative_to(cwd) for home in own):
        return True
    if any(cwd.is_relative_to(home) for home in own) and _is_own(cwd):
        return False  # without a list of all users, which can take a directory service long
    return any(home.is_relative_to(cwd) for home in _homes_of_users())


def _is_own(folder: Path) -> bool:
    return os.name != "posix" or folder.stat().st_uid == os.getuid()


def _homes_of_users() -> list[Path]:
    if os.name != "posix":
        return []
    import pwd

    return _resolved_homes(user.pw_dir for user in pwd.getpwall() if user.pw_uid >= 1000 or user.pw_uid == os.getuid())


def _resolved_homes(names: Iterable[str]) -> list[Path]:
    """The homes, without those that stand for none: an account of a service can have the root."""
    homes = map(Path, names)
    return [home.resolve() for home in homes if home.is_absolute() and home != Path(home.anchor)]
