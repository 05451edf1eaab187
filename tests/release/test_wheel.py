"""The wheel and the sdist, built, checked, and installed as a user would."""

import json
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
import stdio_support
import support
from generated import ROOT

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
CALL = json.dumps({"name": "n", "description": "d", "options": {"type": "code", "language": "go"}})
pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    environment = support.environment(PYTHONWARNINGS="", **variables)  # others' programs warn
    finished = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, text=True, capture_output=True, timeout=100, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)
    return folder


def wheel_of(built: Path) -> Path:
    (wheel,) = built.glob("*.whl")
    return wheel


def test_the_wheel_has_every_file_of_both_packages(built: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "server", "tools"], cwd=ROOT, text=True, capture_output=True, check=True
    ).stdout.splitlines()
    expected = {f"decthings_mcp/{name}" for name in listed}
    with zipfile.ZipFile(wheel_of(built)) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == expected


def test_the_sdist_has_no_tests(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml"} <= names
    assert [name for name in names if name.startswith(("tests", "."))] == []


def test_a_package_index_takes_them(built: Path) -> None:
    scripts = Path(sys.executable).parent
    assert "PASSED" in run(scripts / "twine", "check", "--strict", *built.iterdir(), cwd=built)
    run(scripts / "check-wheel-contents", wheel_of(built), cwd=built)


def test_the_installed_wheel_works_with_the_newest_dependencies(built: Path, tmp_path: Path) -> None:
    """As a user installs it: without our constraints. The second start has early replies, whatever was installed."""
    venv.create(tmp_path / "venv", with_pip=False)
    programs = tmp_path / "venv" / "bin"
    run(sys.executable, "-m", "pip", "--python", programs / "python", "install", "-q", wheel_of(built), cwd=tmp_path)
    command = programs / "decthings-mcp"
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": "", "XDG_DATA_HOME": ""}
    assert run(command, "--version", cwd=tmp_path).split()[1] == VERSION
    assert "isNowCreating" in run(
        programs / "decthings-mcp", "call", "--sandbox", "create_model", CALL, cwd=tmp_path, **home
    )
    with subprocess.Popen(
        [command], cwd=tmp_path, env=support.environment(**home), text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as running:  # fmt: skip
        assert stdio_support.connect(running)["serverInfo"]["version"] == VERSION
        running.communicate()
    assert stdio_support.show_modules(tmp_path, str(programs / "python"), **home).stdout
