"""Early replies for versions of packages that the released ones were not generated with."""

import json
import os
import shutil
import stat
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import platformdirs.macos
import platformdirs.unix
import pytest
import stdio_support
from decthings_mcp.server.early_replies import cache, installed, replies, writer
from decthings_mcp.server.early_replies.generate import document
from decthings_mcp.server.early_replies.writer import CacheWriter
from stdio_support import INITIALIZED, WITHOUT_EARLY_REPLIES, converse, handshake, request, show_modules

LINES = [handshake(), INITIALIZED, request(2, "tools/list"), request(3, "resources/list")]


@dataclass
class Installation:
    """The packages of the tests, but for a version of the SDK that is not released."""

    cwd: Path
    variables: dict[str, str]

    @property
    def folder(self) -> Path:
        """The cache."""
        return Path(self.variables["XDG_CACHE_HOME"], "decthings-mcp", "early-replies")

    @property
    def file(self) -> Path:
        (file,) = self.folder.iterdir()
        return file

    def converse(self) -> stdio_support.Transcript:
        return converse(LINES, self.cwd, variables=self.variables)

    def replies_early(self) -> bool:
        return bool(show_modules(self.cwd, **self.variables).stdout)


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    packages, cwd = tmp_path / "packages", tmp_path / "cwd"
    cwd.mkdir()
    (packages / "mcp-2.3.99.dist-info").mkdir(parents=True)
    spec = find_spec("mcp")
    assert spec is not None
    assert spec.origin is not None
    (packages / "mcp").symlink_to(Path(spec.origin).parent)
    shutil.copy(
        next(Path(spec.origin).parents[1].glob("mcp-*.dist-info")) / "METADATA", packages / "mcp-2.3.99.dist-info"
    )
    return Installation(cwd, {"PYTHONPATH": str(packages), "XDG_CACHE_HOME": str(tmp_path / "cache")})


@pytest.mark.slow
def test_the_second_start_with_other_versions_replies_early_and_equally(installation: Installation) -> None:
    assert not installation.replies_early()
    first = installation.converse()
    assert installation.replies_early()
    assert installation.converse() == first
    assert converse(LINES, installation.cwd, variables={**installation.variables, **WITHOUT_EARLY_REPLIES}) == first
    assert (first.status, first.log) == (0, [])


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "decthings-mcp" / "early-replies"


def key_of_this_installation() -> list[str]:
    versions = installed.installed_versions()
    assert versions is not None
    return installed.replies_key(versions)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def damage(file: Path) -> None:
    """As JSON it is valid."""
    file.write_bytes(file.read_bytes().replace(b"Decthings", b"Docthings"))


def belong_to_other_versions(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b'"mcp ', b'"mcp 9', 1))


def link(file: Path) -> None:
    file.symlink_to(file.rename(file.parents[2] / "elsewhere"))


def block(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def let_all_write(file: Path) -> None:
    file.chmod(0o666)


def let_the_group_write(file: Path) -> None:
    file.chmod(0o620)


def give_away(file: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(file, 12345, 12345)


@pytest.mark.parametrize(
    "spoil", [truncate, damage, belong_to_other_versions, link, block, let_all_write, let_the_group_write, give_away]
)
def test_a_file_that_cannot_be_trusted_is_replaced(spoil: Callable[[Path], None], own_cache: Path) -> None:
    key = key_of_this_installation()
    CacheWriter(key).finish()
    (file,) = own_cache.iterdir()
    spoil(file)
    assert cache.read(key) is None
    CacheWriter(key).finish()
    assert cache.read(key) == json.loads(document())
    assert stat.S_IMODE(file.lstat().st_mode) == 0o600


def test_a_folder_that_others_can_write_to_is_not_used(own_cache: Path) -> None:
    key = key_of_this_installation()
    CacheWriter(key).finish()
    own_cache.chmod(0o777)
    assert cache.read(key) is None
    (file,) = own_cache.iterdir()
    file.unlink()
    CacheWriter(key).finish()
    assert list(own_cache.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("home", ["/dev/null", "/proc"])
def test_a_cache_that_cannot_be_written_does_no_harm(home: str, installation: Installation) -> None:
    expected = installation.converse()
    installation.variables["XDG_CACHE_HOME"] = home
    assert installation.converse() == expected
    assert not installation.replies_early()


@pytest.mark.slow
def test_two_servers_can_write_at_the_same_time(installation: Installation) -> None:
    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            stdio_support.support.server_command(), cwd=installation.cwd, text=True, stdin=subprocess.PIPE,
            env=stdio_support.support.environment(**installation.variables), stdout=subprocess.PIPE,
        )  # fmt: skip

    with start() as one, start() as other:
        for running in (one, other):
            stdio_support.connect(running)
        for running in (one, other):
            assert running.stdin is not None
            running.stdin.close()
        assert (one.wait(60), other.wait(60)) == (0, 0)
    assert installation.file.suffix == ".json"
    assert installation.replies_early()


def test_a_server_that_goes_on_serving_writes_too(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_IDLE_SECONDS", 0)
    key = key_of_this_installation()
    CacheWriter(key)
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join()
    assert cache.read(key) == json.loads(document())


def test_an_update_while_the_server_runs_is_noticed(own_cache: Path) -> None:
    CacheWriter(["other versions"]).finish()
    assert not own_cache.exists()


def test_replies_of_ten_sets_of_versions_are_kept(own_cache: Path) -> None:
    own_cache.mkdir(parents=True, mode=0o700)
    for number in range(12):
        (own_cache / f"{number}.json").touch()
        os.utime(own_cache / f"{number}.json", (number, number))
    CacheWriter(key_of_this_installation()).finish()
    assert len(list(own_cache.iterdir())) == 10
    assert not (own_cache / "2.json").exists()
    assert (own_cache / "3.json").exists()


def test_results_generated_with_another_sdk_are_not_used(own_cache: Path) -> None:
    versions = {**json.loads(Path(replies.FILE).read_text(encoding="utf-8"))["generatedWith"]}
    assert replies.load(versions) is not None
    assert replies.load({**versions, "pydantic": "2.99.0"}) is None


def test_replies_of_an_editable_installation_depend_on_its_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("server/early_replies/installed.py", "tools/catalog.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(installed, "__file__", str(tmp_path / "server/early_replies/installed.py"))
    before = installed.replies_key({})
    (tmp_path / "tools/note.txt").touch()
    assert installed.replies_key({}) == before
    (tmp_path / "tools/catalog.py").write_text("# changed\n")
    assert installed.replies_key({}) != before


def test_two_versions_of_a_package_are_not_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    for version in ("1", "2"):
        (tmp_path / f"pydantic-{version}.dist-info").mkdir()
    (tmp_path / "pydantic").mkdir()
    assert installed.installed_versions() is None


@pytest.mark.parametrize("given", ["", "relative", "/elsewhere"])
@pytest.mark.parametrize(("system", "there"), [("linux", platformdirs.unix.Unix), ("darwin", platformdirs.macos.MacOS)])
def test_the_folder_is_that_of_platformdirs(
    given: str, system: str, there: type[platformdirs.unix.Unix | platformdirs.macos.MacOS],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("XDG_CACHE_HOME", given)
    monkeypatch.setattr(cache.sys, "platform", system)
    assert cache.folder() == str(Path(there("decthings-mcp", appauthor=False).user_cache_dir) / "early-replies")
