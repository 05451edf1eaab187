"""Starting a server as a client would, and listing its tools."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, NamedTuple

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from .launch import Launch

SECONDS = 30


class Verified(NamedTuple):
    tools: tuple[str, ...] = ()
    seconds: float = 0
    """From the start to the list of tools."""
    problem: str | None = None
    """Why it does not work, as a sentence."""


def verify(launch: Launch, environ: Mapping[str, str], cwd: Path, seconds: float = SECONDS) -> Verified:
    """Starts the server with few variables, as graphical clients do, and lists its tools."""
    return anyio.run(_verify, launch, environ, cwd, seconds)


async def _verify(launch: Launch, environ: Mapping[str, str], cwd: Path, seconds: float) -> Verified:
    parameters = StdioServerParameters(
        command=launch.command, args=list(launch.args), env={**_reduced(environ), **launch.env}, cwd=cwd
    )
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        try:
            with anyio.fail_after(seconds):
                async with Client(stdio_client(parameters, log)) as client:
                    tools = (await client.list_tools()).tools
        except TimeoutError:
            return Verified(problem=f"it did not list its tools within {seconds:g} seconds")
        except OSError as error:
            return Verified(problem=f"{launch.command} cannot be started: {error.strerror}")
        except Exception:  # whatever the SDK raises when the process ends
            return Verified(problem=_last_line(log) or "it ended without listing its tools")
    return Verified(tuple(tool.name for tool in tools), time.perf_counter() - start)


def _reduced(environ: Mapping[str, str]) -> dict[str, str]:
    """What the SDK does not pass on by itself, and every client does."""
    return {name: value for name, value in environ.items() if name.startswith("XDG_") or name in ("LANG", "TMPDIR")}


def _last_line(log: IO[str]) -> str:
    log.seek(0)
    lines = log.read().strip().splitlines()
    return lines[-1].removeprefix("decthings-mcp: ").rstrip(".") if lines else ""
