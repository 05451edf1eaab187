"""The wheel and the sdist, built, checked, and installed as a user would."""

import json
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import stdio_support
import support
from generated import ROOT
from release_support import run

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
CALL = json.dumps({"name": "n", "description": "d", "options": {"type": "code", "language": "go"}})
pytestmark = pytest.mark.slow


def test_the_wheel_has_every_file_of_both_packages(wheel: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "server", "tools"], cwd=ROOT, text=True, capture_output=True, check=True
    ).stdout.splitlines()
    expected = {f"decthings_mcp/{name}" for name in listed}
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == expected


def test_the_sdist_has_no_tests(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml"} <= names
    assert [name for name in names if name.startswith(("tests", "."))] == []


def test_a_package_index_takes_them(built: Path, wheel: Path) -> None:
    scripts = Path(sys.executable).parent
    assert "PASSED" in run(scripts / "twine", "check", "--strict", *built.iterdir(), cwd=built)
    run(scripts / "check-wheel-contents", wheel, cwd=built)


def test_the_installed_wheel_works_with_the_newest_dependencies(wheel: Path, tmp_path: Path) -> None:
    """As a user installs it: without our constraints. The second start has early replies, whatever was installed."""
    folders = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin")}
    uv = Path(sys.executable).with_name("uv")
    run(uv, "tool", "install", "--quiet", "--python", sys.executable, wheel, cwd=tmp_path, **folders)
    command, python = tmp_path / "bin" / "decthings-mcp", tmp_path / "tools" / "decthings-mcp" / "bin" / "python"
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": "", "XDG_DATA_HOME": ""}
    assert run(command, "--version", cwd=tmp_path).split()[1] == VERSION
    assert "isNowCreating" in run(command, "call", "--sandbox", "create_model", CALL, cwd=tmp_path, **home)
    with subprocess.Popen(
        [command], cwd=tmp_path, env=support.environment(**home), text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as running:  # fmt: skip
        assert stdio_support.connect(running)["serverInfo"]["version"] == VERSION
        running.communicate()
    assert stdio_support.show_modules(tmp_path, str(python), **home).stdout
