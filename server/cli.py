"""The command line of decthings-mcp."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from .importing import FastImports, relax_gc
from .logs import configure_logging
from .settings import LOG_LEVELS, Settings, SettingsError, default_sandbox_data

if TYPE_CHECKING:
    from mcp.server import MCPServer


def run(argv: Sequence[str]) -> int:
    """The exit status: 0, 1 when a call failed, 2 when the command line or the settings are wrong."""
    loaded = _load(argv)
    if isinstance(loaded, int):
        return loaded
    settings, options = loaded
    return options.run(settings, options)


def load_server(argv: Sequence[str]) -> MCPServer[Any] | int:
    """What a command line that means stdio is served with, or the exit status when it is wrong."""
    loaded = _load(argv)
    return loaded if isinstance(loaded, int) else _server(loaded[0])


def _load(argv: Sequence[str]) -> tuple[Settings, argparse.Namespace] | int:
    options = parser().parse_args(argv)
    try:
        settings = Settings.load(options, os.environ, _working_folder())
    except SettingsError as error:
        print(f"decthings-mcp: {error}", file=sys.stderr)
        return 2
    configure_logging(settings.log_level, settings.secret_key)
    for warning in settings.warnings:
        logging.getLogger(__name__).warning(warning)
    return settings, options


def _working_folder() -> Path | None:
    try:
        return Path.cwd()
    except FileNotFoundError:  # deleted in the meantime
        return None


def _serve(settings: Settings, options: argparse.Namespace) -> int:
    if options.http:
        return _serve_http(settings, options)
    server = _server(settings)
    from .stdio.serve import serve_stdio

    return serve_stdio(server)


def _server(settings: Settings) -> MCPServer[Any]:
    # Loading what is trusted takes a while, and not the interpreter: that imports meanwhile.
    with ThreadPoolExecutor(1) as beside:
        trusted = None if settings.sandbox else beside.submit(httpx.create_ssl_context)
        with FastImports():
            import_module(".stdio.serve", __package__)  # it is needed next
            from .app import create_server
    server = create_server(settings, load_certificates=trusted.result if trusted else httpx.create_ssl_context)
    relax_gc()
    return server


def _serve_http(settings: Settings, options: argparse.Namespace) -> int:
    from .http.serve import serve_http
    from .http.settings import HttpSettings

    try:
        return serve_http(settings, HttpSettings.load(options, settings))
    except SettingsError as error:
        print(f"decthings-mcp: {error}", file=sys.stderr)
        return 2


def _call(settings: Settings, options: argparse.Namespace) -> int:
    from .call import call_tool

    return call_tool(settings, options.tool, options.arguments)


def _demo(settings: Settings, _: argparse.Namespace) -> int:
    from .demo import run_demo

    return run_demo(settings)


def _sandbox(settings: Settings, options: argparse.Namespace) -> int:
    from .sandbox import serve_sandbox

    return serve_sandbox(settings.sandbox_data, options.port)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="decthings-mcp",
        allow_abbrev=False,  # else --api-key would pass for --api-key-file
        parents=[_shared_options(None)],
        description="MCP server that creates Decthings models from a chat. Without a command it serves stdio.",
        epilog="Environment: DECTHINGS_API_KEY, DECTHINGS_API_KEY_FILE, DECTHINGS_API_URL, DECTHINGS_FILES "
        f"(folders separated by {os.pathsep!r}), DECTHINGS_RETRY_SECONDS, DECTHINGS_TIMEOUT (connect=5,answer=20), "
        "DECTHINGS_UNCHECKED_UPLOADS.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    parser.set_defaults(run=_serve, for_sandbox=False)
    _add_http_options(parser)
    shared: dict[str, Any] = {
        "parents": [_shared_options(argparse.SUPPRESS)],  # else a command would reset what stands before it
        "allow_abbrev": False,
    }
    commands = parser.add_subparsers(metavar="COMMAND")
    call = commands.add_parser("call", **shared, help="call one tool and print its structured answer")
    call.add_argument("tool", metavar="TOOL")
    call.add_argument("arguments", metavar="JSON", nargs="?", default="{}", help="a JSON object, @FILE, or - for stdin")
    call.set_defaults(run=_call)
    demo = commands.add_parser("demo", **shared, help="create a model in each of the four ways, in the sandbox")
    demo.set_defaults(run=_demo, for_sandbox=True)
    sandbox = commands.add_parser("sandbox", **shared, help="serve the embedded Decthings on 127.0.0.1")
    sandbox.add_argument("--port", type=int, default=8787, help="0 takes a free one (default: %(default)s)")
    sandbox.set_defaults(run=_sandbox, for_sandbox=True)
    return parser


def _add_http_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("Streamable HTTP")
    group.add_argument("--http", action="store_true", help="serve Streamable HTTP instead of stdio")
    group.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    group.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: %(default)s)")
    group.add_argument("--path", default="/mcp", help="of the MCP endpoint (default: %(default)s)")
    group.add_argument("--workers", type=int, default=1, metavar="N", help="processes; more than one: --stateless")
    group.add_argument(
        "--tenancy",
        choices=("single", "per-caller"),
        default="single",
        help="whose account: the server's key, or a key that each request brings in Decthings-Api-Key",
    )
    group.add_argument("--token-file", type=Path, metavar="FILE", help="a name and a token of each caller on a line")
    group.add_argument("--allowed-host", action="append", metavar="NAME", help="name clients use; repeatable")
    group.add_argument("--allowed-origin", action="append", metavar="URL", help="of web pages; repeatable")
    group.add_argument(
        "--trusted-proxy", action="append", metavar="ADDRESS", help="whose X-Forwarded-For is believed; repeatable"
    )
    group.add_argument("--calls-per-second", type=float, default=20, metavar="N", help="of one caller (default: 20)")
    group.add_argument("--uploads-at-a-time", type=int, default=4, metavar="N", help="of one caller (default: 4)")
    group.add_argument("--state-key-file", type=Path, metavar="FILE", help="a secret that all replicas share")
    group.add_argument(
        "--stateless", action="store_true", help="keep no sessions, so that every request can go to any replica"
    )
    group.add_argument("--metrics-port", type=int, metavar="PORT", help="serve Prometheus metrics there")
    group.add_argument("--metrics-host", default="127.0.0.1", help="address for them (default: %(default)s)")


def _shared_options(default: str | None) -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False, argument_default=default)
    off = default or False
    options.add_argument(
        "--sandbox",
        action="store_true",
        default=off,
        help="use the embedded Decthings: no account, no network",
    )
    options.add_argument(
        "--sandbox-data",
        type=Path,
        metavar="DIR",
        help=f"where it keeps its models (default: {default_sandbox_data()})",
    )
    options.add_argument("--api-key-file", type=Path, metavar="FILE", help="file that holds the Decthings API key")
    options.add_argument("--api-url", metavar="URL", help="the Decthings API with its version")
    options.add_argument(
        "--files",
        action="append",
        metavar="DIR",
        help="folder that uploads may come from; repeatable",
    )
    options.add_argument(
        "--retry-seconds", metavar="N", help="how long a refused call is repeated by itself (default: 20)"
    )
    options.add_argument(
        "--timeout",
        action="append",
        metavar="NAME=SECONDS",
        help="how long Decthings may take to connect (default: 5), to take what is sent (send: 20) and to answer "
        "(answer: 20), and how long a whole call may take that does not upload (call: 44); repeatable",
    )
    options.add_argument("--tools", metavar="NAMES", help="offer only these tools, separated by commas")
    options.add_argument(
        "--read-only", action="store_true", default=off, help="offer only the tools that change nothing"
    )
    options.add_argument(
        "--unchecked-uploads",
        action="store_true",
        default=off,
        help="do not look whether a model file is one",
    )
    options.add_argument(
        "--log-level", type=str.upper, choices=LOG_LEVELS, help="of the log on stderr (default: WARNING)"
    )
    return options


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"decthings-mcp {version('decthings-mcp')}")
        parser.exit()
