#!/usr/bin/env python3
"""What a release is made of, from the facts in pyproject.toml: its version, and the owner of its repository.

.ci/release.py facts                     writes them to the files that repeat them
.ci/release.py readme                    makes the README's links absolute, as package indexes need them
.ci/release.py server-json BUNDLE HOST   prints server.json with a release's bundle and image registry
"""
# ruff: noqa: S603, T201 - it starts programs of its own choice, and talks to a person

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import npm

MCPB = ("@anthropic-ai/mcpb", "2.1.2")
_PYTHON_OF_BUNDLES = "3.13"
"""The newest Python may still be without the wheels of a dependency."""

ROOT = Path(__file__).parents[1]


class Facts(NamedTuple):
    name: str
    version: str
    description: str
    repository: str

    @property
    def owner(self) -> str:
        return self.repository.split("/")[-2]

    @property
    def registry_name(self) -> str:
        """The name in the MCP registry."""
        return f"io.github.{self.owner}/{self.name}"


def read_facts() -> Facts:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return Facts(project["name"], project["version"], project["description"], project["urls"]["Repository"])


def with_facts() -> dict[str, str]:
    """The text of each file that repeats facts, by path."""
    facts = read_facts()
    return {path: write(facts, (ROOT / path).read_text(encoding="utf-8")) for path, write in _WRITERS.items()}


def _server_json(facts: Facts, text: str) -> str:
    document = json.loads(text)
    document |= {"name": facts.registry_name, "version": facts.version, "description": facts.description}
    document["repository"]["url"] = facts.repository
    pypi, image = document["packages"]
    pypi |= {"identifier": facts.name, "version": facts.version}
    image["identifier"] = f"{facts.owner}/{facts.name}:{facts.version}"
    return _json(document)


def _readme(facts: Facts, text: str) -> str:
    text = re.sub(r"<!-- mcp-name: .*? -->", f"<!-- mcp-name: {facts.registry_name} -->", text)
    text = re.sub(r"\(https://github\.com/[^)]*/releases\)", f"({facts.repository}/releases)", text)
    return re.sub(r"(marketplace add) \S+", rf"\1 {facts.owner}/{facts.name}", text)


def _dockerfile(facts: Facts, text: str) -> str:
    text = re.sub(r'(io\.modelcontextprotocol\.server\.name)=".*?"', rf'\1="{facts.registry_name}"', text)
    return re.sub(r'(org\.opencontainers\.image\.source)=".*?"', rf'\1="{facts.repository}"', text)


def _manifest(facts: Facts, text: str) -> str:
    document = json.loads(text)
    document |= {"name": facts.name, "version": facts.version, "description": facts.description}
    document["author"]["name"] = facts.owner
    document["repository"]["url"] = facts.repository
    return _json(document)


def _plugin(facts: Facts, text: str) -> str:
    document = json.loads(text)
    document |= {"version": facts.version, "repository": facts.repository}
    document["author"]["name"] = facts.owner
    document["mcpServers"]["decthings"]["args"][0] = f"{facts.name}@{facts.version}"
    return _json(document)


def _marketplace(facts: Facts, text: str) -> str:
    document = json.loads(text)
    document["name"] = facts.name
    document["owner"]["name"] = facts.owner
    return _json(document)


def _json(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


_WRITERS: dict[str, Callable[[Facts, str], str]] = {
    "server.json": _server_json,
    ".claude-plugin/marketplace.json": _marketplace,
    "plugin/.claude-plugin/plugin.json": _plugin,
    "deploy/mcpb/manifest.json": _manifest,
    "README.md": _readme,
    "deploy/Dockerfile": _dockerfile,
}


def readme_for_indexes() -> str:
    """The README with links to the repository, at the version's tag."""
    facts = read_facts()
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    def absolute(link: re.Match[str]) -> str:
        view = "raw" if link[1].startswith("!") else "blob"
        return f"{link[1]}({facts.repository}/{view}/v{facts.version}/{link[2]})"

    return re.sub(r"(!?\[[^\]]*\])\((?![a-z+]+:|#)([^)]+)\)", absolute, text)


def server_json_with(bundle: Path, image_registry: str) -> str:
    """server.json with the bundle, whose hash is only known once it is built, and the registry of the image."""
    facts = read_facts()
    document = json.loads((ROOT / "server.json").read_text(encoding="utf-8"))
    _, image = document["packages"]
    image["identifier"] = f"{image_registry}/{image['identifier']}"
    document["packages"].append({
        "registryType": "mcpb",
        "identifier": f"{facts.repository}/releases/download/v{facts.version}/{bundle.name}",
        "fileSha256": hashlib.sha256(bundle.read_bytes()).hexdigest(),
        "transport": {"type": "stdio"},
    })  # fmt: skip
    return _json(document)


def mcpb_folder() -> Path:
    """Of the official tool for bundles."""
    package, version = MCPB
    return npm.install(package, version) / "node_modules" / package


def mcpb(*arguments: str | Path) -> None:
    """Runs it."""
    program = mcpb_folder() / "dist" / "cli" / "cli.js"
    subprocess.run([npm.node(), str(program), *map(str, arguments)], check=True, stdout=sys.stderr)


def pack_bundle(wheel: Path, bundle: Path) -> None:
    """Packs the wheel with what uv needs to install it, with the versions of the dependencies that are tested."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "deploy" / "mcpb", folder, dirs_exist_ok=True)
        for file in (wheel, ROOT / "LICENSE", ROOT / "README.md"):
            shutil.copy(file, folder)
        Path(folder, "pyproject.toml").write_text(_pyproject_of_bundle(wheel), encoding="utf-8")
        Path(folder, ".python-version").write_text(f"{_PYTHON_OF_BUNDLES}\n", encoding="utf-8")
        mcpb("validate", Path(folder, "manifest.json"))
        mcpb("pack", folder, bundle)


def _pyproject_of_bundle(wheel: Path) -> str:
    facts = read_facts()
    tested = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    return f"""[project]
name = "{facts.name}-bundle"
version = "{facts.version}"
requires-python = ">=3.11,<3.15"
dependencies = ["{facts.name}"]

[tool.uv]
package = false
constraint-dependencies = {json.dumps(tested)}

[tool.uv.sources]
{facts.name} = {{ path = "{wheel.name}" }}
"""


def main(arguments: list[str]) -> None:
    match arguments:
        case ["facts"]:
            for path, text in with_facts().items():
                (ROOT / path).write_text(text, encoding="utf-8")
        case ["readme"]:
            (ROOT / "README.md").write_text(readme_for_indexes(), encoding="utf-8")
        case ["bundle", wheel, bundle]:
            pack_bundle(Path(wheel), Path(bundle))
        case ["server-json", bundle, image_registry]:
            print(server_json_with(Path(bundle), image_registry), end="")
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
