"""The command line of decthings-mcp. Light to import: what a command needs is imported when it runs."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import get_args

from .folders import FilesParser
from .http.names import MAX_PORT
from .http.settings import HttpSettings, Tenancy
from .importing import FastImports, relax_gc
from .settings import LOG_LEVELS, Settings, SettingsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from mcp.server import MCPServer

_DEFAULTS = Settings()


def run(argv: Sequence[str]) -> int:
    """The exit status: 0, 1 when a call failed, 2 when the command line or the settings are wrong."""
    try:
        options = parser().parse_args(argv)
        settings = Settings.load(options, os.environ, _working_folder())
        return options.run(settings, options)
    except SettingsError as error:
        print(f"decthings-mcp: {error}", file=sys.stderr)
        return 2


def _working_folder() -> Path | None:
    try:
        return Path.cwd()
    except FileNotFoundError:  # deleted in the meantime
        return None


def _serve(settings: Settings, options: argparse.Namespace) -> int:
    if options.http:
        return _serve_http(settings, options)
    from .early_replies.serve import serve

    return serve(settings, lambda: _load_server(settings))


def _load_server(settings: Settings) -> MCPServer[Any]:
    from concurrent.futures import ThreadPoolExecutor

    # Loading the trusted certificates takes a while, without the interpreter: imports go on meanwhile.
    with FastImports(), ThreadPoolExecutor(1) as executor:
        from .certificates import load_certificates

        certificates = None if settings.sandbox else executor.submit(load_certificates)
        import_module(".stdio.serve", __package__)  # it is needed next
        from .app import create_server
    _prepare(settings)
    server = create_server(settings, load_certificates=certificates.result if certificates else load_certificates)
    relax_gc()
    return server


def _prepare(settings: Settings) -> None:
    """Does what every command needs: configures the log, and checks that the chosen tools exist."""
    import logging

    from .logs import configure_logging

    configure_logging(settings.log_level, settings.secret_key)
    for warning in settings.warnings:
        logging.getLogger(__name__).warning(warning)
    if settings.tools:
        from ..tools.catalog import TOOL_NAMES

        settings.check_tools(TOOL_NAMES)


def _serve_http(settings: Settings, options: argparse.Namespace) -> int:
    _prepare(settings)
    from .http.serve import serve_http

    return serve_http(settings, HttpSettings.load(options, settings))


def _call(settings: Settings, options: argparse.Namespace) -> int:
    _prepare(settings)
    from .call import call_tool

    return call_tool(settings, options.tool, options.arguments)


def _demo(settings: Settings, _: argparse.Namespace) -> int:
    _prepare(settings)
    from .demo import run_demo

    return run_demo(settings)


def _sandbox(settings: Settings, options: argparse.Namespace) -> int:
    _prepare(settings)
    from .sandbox import serve_sandbox

    return serve_sandbox(settings.sandbox_folder, options.port)


def _login(settings: Settings, options: argparse.Namespace) -> int:
    _prepare(settings)
    from .login.commands import run_login

    return run_login(settings, options)


def _logout(settings: Settings, _: argparse.Namespace) -> int:
    _prepare(settings)
    from .login.commands import run_logout

    return run_logout(settings)


def _setup(_: Settings, options: argparse.Namespace) -> int:
    from .clients.setup import run_setup

    server_options = _shared_options(None)._actions  # pyright: ignore[reportPrivateUsage] - there is no public way
    in_client = Settings.load(options, {}, None)  # graphical clients see no variables of this shell
    return run_setup(options, server_options, in_client)


def _check(settings: Settings, options: argparse.Namespace) -> int:
    _prepare(settings._replace(warnings=()))  # they are in the report
    from .check.command import run_check

    return run_check(settings, options)


def parser() -> argparse.ArgumentParser:
    parser = FilesParser(
        prog="decthings-mcp",
        allow_abbrev=False,  # else --api-key would pass for --api-key-file
        parents=[_shared_options(None)],
        description="MCP server that creates Decthings models from a chat. Without a command it serves stdio.",
        epilog="Environment: DECTHINGS_API_KEY, DECTHINGS_API_KEY_FILE, DECTHINGS_API_URL, DECTHINGS_FILES "
        f"(folders separated by {os.pathsep!r}), DECTHINGS_RETRY_SECONDS, DECTHINGS_TIMEOUT (connect=5,response=20), "
        "DECTHINGS_UNCHECKED_UPLOADS.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    parser.set_defaults(run=_serve, for_sandbox=False)
    _add_http_options(parser)
    _add_commands(parser)
    return parser


def _add_commands(parser: FilesParser) -> None:
    shared: dict[str, Any] = {
        "parents": [_shared_options(argparse.SUPPRESS)],  # else a command would reset the options before it
        "allow_abbrev": False,
    }
    commands = parser.add_subparsers(metavar="COMMAND")
    parser.commands = commands.choices
    call = commands.add_parser(
        "call", **shared, several_folders=False, help="call one tool and print its structured result"
    )
    call.add_argument("tool", metavar="TOOL")
    call.add_argument("arguments", metavar="JSON", nargs="?", default="{}", help="a JSON object, @FILE, or - for stdin")
    call.set_defaults(run=_call)
    demo = commands.add_parser("demo", **shared, help="create a model in each of the four ways, in the sandbox")
    demo.set_defaults(run=_demo, for_sandbox=True)
    sandbox = commands.add_parser("sandbox", **shared, help="serve the embedded Decthings on 127.0.0.1")
    sandbox.add_argument(
        "--port", type=_port, default=8787, help="the port to listen on; 0 takes a free one (default: %(default)s)"
    )
    sandbox.set_defaults(run=_sandbox, for_sandbox=True)
    login = commands.add_parser("login", **shared, help="ask for the API key, try it and keep it for the servers")
    login.add_argument("--status", action="store_true", help="say where the key comes from, and whether it works")
    login.add_argument("--unchecked", action="store_true", help="keep the key without trying it")
    login.set_defaults(run=_login)
    logout = commands.add_parser("logout", **shared, help="remove the key that login has kept")
    logout.set_defaults(run=_logout)
    check = commands.add_parser("check", **shared, help="say whether all is well, and what to do where it is not")
    check.add_argument("--json", action="store_true", help="print JSON")
    check.add_argument("--report", type=Path, metavar="FILE", help="write a file for a bug report, without secrets")
    check.set_defaults(run=_check)
    _add_setup(commands.add_parser("setup", **shared, help="configure MCP clients to start this server"))


def _add_setup(setup: argparse.ArgumentParser) -> None:
    setup.description = (
        "Configures MCP clients to start this server with the options that are given here. What will change is shown "
        "first; nothing is changed without a yes."
    )
    add = setup.add_argument
    add("clients", metavar="CLIENT", nargs="*", help="a client, such as cursor (default: all that are found here)")
    add("--name", default="decthings", help="the name of the entry (default: %(default)s)")
    add("--project", action="store_true", help="change the configuration of the project in this folder, not the user's")
    add("--remove", action="store_true", help="remove the entry")
    add("--print", action="store_true", help="print the configuration instead, for more clients, and change nothing")
    add("--yes", action="store_true", help="do not ask")
    setup.set_defaults(run=_setup)


def _add_http_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("Streamable HTTP")
    add = group.add_argument
    add("--http", action="store_true", help="serve Streamable HTTP instead of stdio")
    add("--host", help="the address to listen on (default: %(default)s)")
    add("--port", type=_port, help="the port to listen on; 0 takes a free one (default: %(default)s)")
    add("--path", help="the path of the MCP endpoint (default: %(default)s)")
    add(
        "--workers",
        type=int,
        metavar="N",
        help="the number of processes; more than one implies --stateless (default: %(default)s)",
    )
    _add_caller_options(add)
    add(
        "--state-key-file",
        type=Path,
        metavar="FILE",
        help="the file of a secret that all replicas share, so that each takes the upload links of any, also after a "
        "restart",
    )
    add("--stateless", action="store_true", help="keep no sessions, so that every request can go to any replica")
    add("--metrics-port", type=_port, metavar="PORT", help="the port to serve Prometheus metrics on")
    add("--metrics-host", help="the address to serve Prometheus metrics on (default: %(default)s)")
    parser.set_defaults(**{name: value for name, value in HttpSettings()._asdict().items() if value != ()})


def _add_caller_options(add: Callable[..., Any]) -> None:
    add(
        "--tenancy",
        choices=get_args(Tenancy),
        help="whose account is used: that of the server's key, or that of a key that each request carries, or that "
        "--keys has for its caller (default: %(default)s)",
    )
    add("--token-file", type=Path, metavar="FILE", help="the file with a name and a token of one caller on each line")
    add(
        "--keys",
        dest="keys_file",
        type=Path,
        metavar="FILE",
        help="with --tenancy per-caller: the file with the name and the Decthings key of one caller on each line",
    )
    _add_oidc_options(add)
    add(
        "--allowed-host",
        dest="allowed_hosts",
        action="append",
        metavar="NAME",
        help="a name by which clients reach this server; repeatable",
    )
    add(
        "--allowed-origin",
        dest="allowed_origins",
        action="append",
        metavar="URL",
        help="the origin of web pages that may call; repeatable",
    )
    add(
        "--trusted-proxy",
        dest="trusted_proxies",
        action="append",
        metavar="ADDRESS",
        help="a proxy whose X-Forwarded-For is believed; repeatable",
    )
    add(
        "--calls-per-second",
        type=float,
        metavar="N",
        help="the number of calls that one caller may make in a second (default: %(default)s)",
    )
    add(
        "--uploads-at-a-time",
        type=int,
        metavar="N",
        help="the number of uploads that one caller may have in progress (default: %(default)s)",
    )
    add(
        "--largest-upload",
        type=int,
        metavar="MIB",
        help="the largest file that an upload link takes, in MiB (default: %(default)s)",
    )
    add(
        "--public-url",
        metavar="URL",
        help="where people reach this server, for upload links (default: where the caller reaches it)",
    )


def _add_oidc_options(add: Callable[..., Any]) -> None:
    add("--oidc-issuer", metavar="URL", help="the authorization server at which callers sign in")
    add(
        "--oidc-audience",
        dest="oidc_audiences",
        action="append",
        metavar="URL",
        help="the URL of this server, for which access tokens must be issued; further ones are accepted too",
    )
    add("--oidc-scope", metavar="NAME", help="the scope that access tokens must have")
    add("--oidc-name-claim", metavar="NAME", help="the claim that has the caller's name (default: sub)")


def _shared_options(default: str | None) -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False, argument_default=default)
    add = options.add_argument
    off, times = default or False, _DEFAULTS.timeouts
    add("--sandbox", action="store_true", default=off, help="use the embedded Decthings: no account, no network")
    add(
        "--sandbox-data",
        type=Path,
        metavar="DIR",
        help="the folder of the sandbox's models (default: decthings-mcp/sandbox in this user's data folder)",
    )
    add("--api-key-file", type=Path, metavar="FILE", help="the file with the Decthings API key")
    add("--profile", metavar="NAME", help="whose key is used of those that login keeps (default: default)")
    add("--api-url", metavar="URL", help="the URL of the Decthings API, with its version")
    add("--files", action="append", metavar="DIR", help="a folder that uploads may come from; more may follow it")
    add("--outputs", metavar="DIR", help="a folder that evaluate_model writes large outputs of models to")
    add(
        "--retry-seconds",
        metavar="N",
        help=f"how long a refused call is retried (default: {_DEFAULTS.retry_seconds:g})",
    )
    add(
        "--timeout",
        action="append",
        metavar="NAME=SECONDS",
        help=f"how long Decthings may take to connect (default: connect={times.connect}), to accept what is sent "
        f"(send={times.send}) and to respond (response={times.response}), and how long a whole call without an "
        f"upload may take (call={_DEFAULTS.call_seconds:g}); repeatable",
    )
    add("--tools", metavar="NAMES", help="the tools to offer, separated by commas (default: all)")
    add("--read-only", action="store_true", default=off, help="offer only the tools that change nothing")
    add(
        "--unchecked-uploads",
        action="store_true",
        default=off,
        help="do not check that a file to upload is a model file",
    )
    add(
        "--log-level",
        type=str.upper,
        choices=LOG_LEVELS,
        help=f"the level of the log on stderr (default: {_DEFAULTS.log_level})",
    )
    return options


def _port(given: str) -> int:
    port = int(given) if given.isascii() and given.isdecimal() and len(given) <= len(str(MAX_PORT)) else -1
    if not 0 <= port <= MAX_PORT:
        raise argparse.ArgumentTypeError(f"must be 0 to {MAX_PORT}")
    return port


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"decthings-mcp {version('decthings-mcp')}")
        parser.exit()
