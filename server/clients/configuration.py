"""One client's configuration file, and the entry of this server in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple, cast

from . import files, json_files
from .catalog import Client, Machine
from .errors import ClientError, ConfigurationConflict, UnreadableConfiguration
from .launch import Launch, from_entry, to_entry


class Configuration(NamedTuple):
    client: Client
    path: Path
    data: bytes | None
    """What the file contains; None when there is none."""

    @classmethod
    def load(cls, client: Client, machine: Machine, *, project: bool = False) -> Configuration:
        """
        Raises:
            ClientError: the client has no such file, or it cannot be read.
        """
        path = client.file(machine, project=project)
        if path is None:
            raise ClientError(f"{client.title} has no configuration of a project. Leave --project out.")
        configuration = cls(client, path, files.read(path))
        configuration.servers()
        return configuration

    def servers(self) -> Mapping[str, Any]:
        """The entries of all servers by name.

        Raises:
            ClientError: the file is not in its format.
        """
        table = self._parse(self.text)
        for key in self.client.servers:
            inner: object = table.get(key, {})
            if not isinstance(inner, dict):
                raise ConfigurationConflict(f'{self.path} was left as it is: "{key}" is not a table of servers in it.')
            table = cast(dict[str, Any], inner)
        return table

    def everything(self) -> Mapping[str, Any]:
        """All that the file contains."""
        return self._parse(self.text)

    @property
    def text(self) -> str:
        try:
            return (self.data or b"").decode()
        except UnicodeDecodeError as error:
            raise UnreadableConfiguration(f"{self.path} was left as it is: It is not UTF-8.") from error

    def launch(self, name: str) -> Launch | None:
        """What the entry starts; None when there is no entry, or one for a remote server."""
        return from_entry(self.servers().get(name))

    def is_switched_off(self, name: str) -> bool:
        """Whether the entry says that the client does not start the server."""
        entry: object = self.servers().get(name)
        members = cast(dict[str, object], entry) if isinstance(entry, dict) else {}
        return members.get("disabled") is True or members.get("enabled") is False

    def says(self, name: str, launch: Launch) -> bool:
        """Whether the entry starts the same program with the same arguments; variables are the user's."""
        return _program(self.launch(name)) == _program(launch)

    def own_entries(self) -> Iterator[tuple[str, Launch]]:
        """The entries that start this server, whatever their names are."""
        for name, entry in self.servers().items():
            launch = from_entry(entry)
            if launch and any("decthings-mcp" in word or "decthings_mcp" in word for word in launch[0:1] + launch.args):
                yield name, launch

    def with_entry(self, name: str, launch: Launch) -> bytes:
        """What the file contains when the entry is added, or says this launch. Its other members stay.

        Raises:
            ClientError: there is no place for it.
        """
        present: object = self.servers().get(name)
        if not isinstance(present, dict) or from_entry(cast(object, present)) is None:
            entry = to_entry(launch, self.client.shape, self.client.extra)
            return self._checked(self._edited("put", self.text, self._keys(name), entry), name, launch)
        text = self.text
        members = cast(dict[str, object], present)
        inside = ("transport",) if "transport" in members else ()
        for key, value in to_entry(launch, "list" if isinstance(members.get("command"), list) else "flat", {}).items():
            text = self._edited("put", text, (*self._keys(name), *inside, key), value)
        return self._checked(text, name, launch)

    def without_entry(self, name: str) -> bytes | None:
        """What the file contains when the entry is removed: what it was before where only the entry was added, and
        None when there was no file.

        Raises:
            ClientError: the file is not in its format.
        """
        entry, backup = self.servers()[name], files.read_backup(self.path)
        if backup is not None and self._only_adds(backup, name, entry):
            return backup
        if self._only_adds(None, name, entry):
            return None
        return self._checked(self._edited("drop", self.text, self._keys(name)), name, None)

    def needs_backup(self, name: str) -> bool:
        """Whether a change would lose something: not when the present backup and the entry are all that is there."""
        if name not in self.servers():
            return True
        return not self._only_adds(files.read_backup(self.path), name, self.servers()[name])

    def _only_adds(self, before: bytes | None, name: str, entry: object) -> bool:
        """Whether the file is another one with nothing but the entry added."""
        try:
            earlier = self._replace(data=before)
            with_entry = self._edited("put", earlier.text, self._keys(name), entry).encode()
            return name not in earlier.servers() and self.data == with_entry
        except ClientError:
            return False

    def _edited(self, edit: Literal["put", "drop"], text: str, *arguments: object) -> str:
        try:
            return getattr(self._format(), edit)(text, *arguments)
        except ConfigurationConflict as error:
            raise ConfigurationConflict(f"{self.path} was left as it is: {error}") from error

    def _checked(self, text: str, name: str, launch: Launch | None) -> bytes:
        """The new text, after reading it as the client will: the entry is as wanted, and all else as it was."""
        before = self._parse(self.text)
        try:
            after = self._format().parse(text)
        except UnreadableConfiguration:
            after: dict[str, Any] = {}
        written = from_entry(self._take(after, name))
        self._take(before, name)
        if before != after or _program(written) != _program(launch):
            raise ConfigurationConflict(
                f"{self.path} was left as it is: its servers are in a form that setup cannot edit."
            )
        return text.encode()

    def _take(self, data: dict[str, Any], name: str) -> object:
        """Takes the entry out of the data, and tables that are left empty."""
        tables = [data]
        for key in self.client.servers:
            tables.append(cast(dict[str, Any], tables[-1].get(key, {})))
        entry = tables[-1].pop(name, None)
        for table, key in zip(reversed(tables[:-1]), reversed(self.client.servers), strict=True):
            if not table.get(key, True):
                del table[key]
        return entry

    def _keys(self, name: str) -> tuple[str, ...]:
        return (*self.client.servers, name)

    def _parse(self, text: str) -> dict[str, Any]:
        try:
            return self._format().parse(text)
        except UnreadableConfiguration as error:
            raise UnreadableConfiguration(f"{self.path} was left as it is: {error}") from error

    def _format(self) -> ModuleType:
        if self.client.format == "json":
            return json_files
        from . import toml_files

        return toml_files


def _program(launch: Launch | None) -> tuple[object, ...]:
    return (launch.command, *launch.args) if launch else ()
