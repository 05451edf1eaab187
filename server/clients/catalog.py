"""The clients: where each keeps its configuration, in which form, and which command of its own changes it.

Facts are from the clients' documentation and from running them (docs/clients.md says which). In paths, {home} is the
home folder, {app} where the system keeps data of applications, {config} the XDG configuration folder or, on Windows,
the same as {app}; a folder that a client's own variable names is in _MOVABLE.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ..settings import SettingsError
from .launch import Shape

_MOVABLE = {
    "claude": ("CLAUDE_CONFIG_DIR", "{home}"),
    "codex": ("CODEX_HOME", "{home}/.codex"),
    "copilot": ("COPILOT_HOME", "{home}/.copilot"),
}
"""By the name in a path: the variable that moves the folder, and where it is without."""


class Machine(NamedTuple):
    """Where things are for this user."""

    system: Literal["linux", "darwin", "windows"]
    home: Path
    environ: Mapping[str, str]
    cwd: Path

    @classmethod
    def this(cls) -> Machine:
        """
        Raises:
            SettingsError: the working folder was deleted.
        """
        system = {"darwin": "darwin", "win32": "windows"}.get(sys.platform, "linux")
        try:
            cwd = Path.cwd()
        except FileNotFoundError as error:
            raise SettingsError("The working folder does not exist any more.") from error
        return cls(system, Path(os.path.expanduser("~")), os.environ, cwd)  # type: ignore[arg-type]  # noqa: PTH111

    def path(self, template: str) -> Path:
        if not template.startswith("{"):
            return self.cwd / template
        folders = self._folders()
        for name, (variable, usual) in _MOVABLE.items():
            folders[name] = Path(self.environ.get(variable) or usual.format(**folders))
        return Path(template.format(**folders))

    def program(self, name: str) -> str | None:
        """A client's program. A batch file counts as none: it would read our arguments a second time."""
        found = shutil.which(name, path=self.environ.get("PATH"))
        return None if found is None or found.lower().endswith((".cmd", ".bat")) else found

    def _folders(self) -> dict[str, Path]:
        config = Path(self.environ.get("XDG_CONFIG_HOME") or self.home / ".config")
        app = {
            "linux": config,
            "darwin": self.home / "Library/Application Support",
            "windows": Path(self.environ.get("APPDATA") or self.home / "AppData/Roaming"),
        }[self.system]
        return {"home": self.home, "app": app, "config": app if self.system == "windows" else config}


class Client(NamedTuple):
    id: str
    title: str
    user: tuple[str, ...] = ()
    """The user's configuration: the first that exists, else the first."""
    servers: tuple[str, ...] = ("mcpServers",)
    """The keys down to the table of servers."""
    project: tuple[str, ...] = ()
    """The project's configuration, as `user`. Without one the client has none."""
    windows: tuple[str, ...] = ()
    """In place of `user` on Windows, where it is another."""
    format: Literal["json", "toml", "yaml"] = "json"
    shape: Shape = "flat"
    extra: Mapping[str, Any] = {}
    """Members of an entry that the client wants besides."""
    markers: tuple[str, ...] = ()
    """Files or folders that show that the client is installed."""
    program: str | None = None
    add: str | None = None
    """The words of the client's own command: NAME, SCOPE, COMMAND, ARGS and JSON are filled in. Only with SCOPE can it
    write the project's configuration."""
    remove: str | None = None
    next_step: str = ""
    """What the user does so that the client notices."""

    @property
    def is_editable(self) -> bool:
        """Whether `setup` configures it; the others it only prints."""
        return bool(self.markers or self.program)

    def file(self, machine: Machine, *, project: bool) -> Path | None:
        """The configuration; None when the client has no such file."""
        user = self.windows if machine.system == "windows" and self.windows else self.user
        paths = [machine.path(template) for template in (self.project if project else user)]
        return next((path for path in paths if path.exists()), paths[0] if paths else None)

    def is_on(self, machine: Machine) -> bool:
        return any(machine.path(marker).exists() for marker in self.markers) or bool(
            self.program and shutil.which(self.program, path=machine.environ.get("PATH"))
        )


_CODE = "{app}/Code/User"
_CLINE = f"{_CODE}/globalStorage/saoudrizwan.claude-dev"

CLIENTS: Sequence[Client] = (
    Client(
        "claude-desktop", "Claude Desktop", ("{app}/Claude/claude_desktop_config.json",), markers=("{app}/Claude",),
        next_step="Quit and restart Claude Desktop.",
    ),
    Client(
        "claude-code", "Claude Code", ("{claude}/.claude.json",), project=(".mcp.json",), extra={"type": "stdio"},
        markers=("{claude}/.claude.json",), program="claude", add="mcp add -s SCOPE NAME -- COMMAND ARGS",
        remove="mcp remove -s SCOPE NAME", next_step="Start a new session of Claude Code.",
    ),
    Client(
        "vscode", "VS Code", (f"{_CODE}/mcp.json",), ("servers",), project=(".vscode/mcp.json",),
        extra={"type": "stdio"}, markers=(_CODE,), program="code", add="--add-mcp JSON",
        next_step="Choose Start above the entry in mcp.json, or use it in a chat.",
    ),
    Client(
        "cursor", "Cursor", ("{home}/.cursor/mcp.json",), project=(".cursor/mcp.json",), markers=("{home}/.cursor",),
        next_step="Switch the server on in Cursor's MCP settings if it is off.",
    ),
    Client(
        "windsurf", "Windsurf", ("{home}/.codeium/windsurf/mcp_config.json",), markers=("{home}/.codeium/windsurf",),
        next_step="Choose Refresh in Windsurf's list of MCP servers.",
    ),
    Client(
        "zed", "Zed", ("{config}/zed/settings.json",), ("context_servers",), project=(".zed/settings.json",),
        windows=("{app}/Zed/settings.json",), markers=("{config}/zed", "{app}/Zed"),
    ),
    Client(
        "codex", "Codex", ("{codex}/config.toml",), ("mcp_servers",), project=(".codex/config.toml",), format="toml",
        markers=("{codex}",), program="codex", next_step="Start a new session of Codex.",
    ),
    Client(
        "gemini", "Gemini CLI", ("{home}/.gemini/settings.json",), project=(".gemini/settings.json",),
        markers=("{home}/.gemini/settings.json",), program="gemini", add="mcp add -s SCOPE NAME COMMAND -- ARGS",
        remove="mcp remove -s SCOPE NAME", next_step="Start Gemini CLI in a folder that it trusts.",
    ),
    Client(
        "copilot", "Copilot CLI", ("{copilot}/mcp-config.json",), project=(".mcp.json",),
        extra={"type": "local", "tools": ["*"]}, markers=("{copilot}",), program="copilot",
        add="mcp add NAME -- COMMAND ARGS", remove="mcp remove NAME",
        next_step="Start a new session of Copilot CLI.",
    ),
    Client(
        "opencode", "opencode", ("{config}/opencode/opencode.json", "{config}/opencode/opencode.jsonc"), ("mcp",),
        project=("opencode.json", "opencode.jsonc"), windows=("{home}/.config/opencode/opencode.json",), shape="list",
        extra={"type": "local"}, markers=("{config}/opencode",), program="opencode",
        add="mcp add NAME -- COMMAND ARGS", next_step="Start a new session of opencode.",
    ),
    Client(
        "cline", "Cline in VS Code", (f"{_CLINE}/settings/cline_mcp_settings.json",), markers=(_CLINE,),
    ),
    Client(
        "cline-cli", "Cline CLI", ("{home}/.cline/data/settings/cline_mcp_settings.json",), shape="transport",
        extra={"type": "stdio"}, markers=("{home}/.cline",), program="cline",
        add="mcp add --yes NAME -- COMMAND ARGS", remove="mcp uninstall NAME",
    ),
    Client(
        "goose", "Goose", ("{config}/goose/config.yaml",), ("extensions",), project=(".goose/config.yaml",),
        windows=("{app}/Block/goose/config/config.yaml",), format="yaml",
    ),
    Client(
        "continue", "Continue", ("{home}/.continue/config.yaml",), project=(".continue/mcpServers/decthings.yaml",),
        format="yaml",
    ),
    Client("lm-studio", "LM Studio", ("{home}/.lmstudio/mcp.json",)),
    Client(
        "jetbrains", "JetBrains AI Assistant and Junie", ("{home}/.junie/mcp/mcp.json",),
        project=(".junie/mcp/mcp.json",),
    ),
    Client("warp", "Warp", ("{home}/.warp/.mcp.json",), project=(".warp/.mcp.json",)),
)  # fmt: skip

BY_ID = {client.id: client for client in CLIENTS}
