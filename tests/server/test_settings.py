"""Where settings come from, and which are refused."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from decthings_mcp.server.api_key import KeptKey, KeyProblem, Secret
from decthings_mcp.server.cli import parser
from decthings_mcp.server.settings import Settings, SettingsError


def load(*arguments: str, cwd: Path = Path("/srv/models"), **environ: str) -> Settings:
    return Settings.load(parser().parse_args(arguments), environ, cwd)


def key_of(settings: Settings) -> str:
    assert isinstance(settings.api_key, Secret)
    return settings.api_key.value


def reason(settings: Settings) -> str:
    key = settings.api_key
    problem = key.absent() if isinstance(key, KeptKey) else key
    assert isinstance(problem, KeyProblem)
    assert "DECTHINGS_API_KEY" in problem.next_step
    return problem.message


def test_the_key_comes_from_the_environment_trimmed_and_stays_secret() -> None:
    settings = load(DECTHINGS_API_KEY=" k-1\n")
    assert key_of(settings) == "k-1"
    assert "k-1" not in f"{settings}{settings!r}{settings.api_key}"


def test_outputs_go_to_a_folder_of_this_machine_only(tmp_path: Path) -> None:
    assert load("--outputs", str(tmp_path)).outputs == tmp_path
    assert load().outputs is load("--outputs", "${user_config.outputs}").outputs is None
    with pytest.raises(SettingsError, match="callers over HTTP are on others"):
        load("--http", "--outputs", str(tmp_path))


def test_a_key_file_is_read_trimmed_and_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "auth.txt"
    path.write_bytes("\ufeffk-2\r\n".encode())
    path.chmod(0o600)
    assert key_of(load(DECTHINGS_API_KEY_FILE=str(path))) == "k-2"
    settings = load("--api-key-file", str(path), DECTHINGS_API_KEY="k-1")
    assert key_of(settings) == "k-2"
    assert settings.warnings == []


@pytest.mark.parametrize("name", ["../default", "a/b", ".", "-a", "a b", "a.", "é", "a" * 65])
def test_names_that_are_no_profiles_are_refused(name: str) -> None:
    for given in ({"DECTHINGS_PROFILE": name}, {"DECTHINGS_PROFILE": "a"}):
        with pytest.raises(SettingsError, match="name of a profile"):
            load(
                *([] if name in given.values() else [f"--profile={name}"]), DECTHINGS_PROFILE=given["DECTHINGS_PROFILE"]
            )


def test_a_profile_is_named_by_the_option_or_the_environment() -> None:
    assert load("--profile", "Work").profile == load(DECTHINGS_PROFILE=" work ").profile == "work"
    assert load("--profile", "", DECTHINGS_PROFILE="${user_config.profile}") == load()
    (warning,) = load("--profile", "work", DECTHINGS_API_KEY="k-1").warnings
    assert "work is not used, since the API key comes from DECTHINGS_API_KEY" in warning


def test_a_key_file_that_all_can_read_is_warned_about(tmp_path: Path) -> None:
    path = tmp_path / "auth.txt"
    path.write_text("k-2")
    path.chmod(0o644)
    (warning,) = load(DECTHINGS_API_KEY_FILE=str(path)).warnings
    assert "chmod 600" in warning
    assert "k-2" not in warning


@pytest.mark.parametrize("key", ["", " \n"])
def test_without_a_key_the_reason_is_that_there_is_none(key: str) -> None:
    assert "has no Decthings API key" in reason(load(DECTHINGS_API_KEY=key))


def test_an_empty_or_missing_key_file_is_told(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch(0o600)
    assert "is empty" in reason(load(DECTHINGS_API_KEY_FILE=str(empty)))
    assert "No such file" in reason(load(DECTHINGS_API_KEY_FILE=str(tmp_path / "none")))
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xfd")
    assert "not a text file" in reason(load(DECTHINGS_API_KEY_FILE=str(tmp_path / "binary")))


@pytest.mark.parametrize("key", ["${DECTHINGS_API_KEY}", "${input:key}", "two words", "a\x00b", "schlüssel"])
def test_a_key_that_cannot_be_one_is_not_used_and_not_told(key: str) -> None:
    told = reason(load(DECTHINGS_API_KEY=key))
    assert key not in told
    assert "${" in told or "white space" in told


def test_times_are_named_one_by_one() -> None:
    settings = load("--timeout", "connect=2", "--timeout", "call=22")
    assert (settings.timeouts.connect, settings.timeouts.response, settings.call_seconds) == (2, 20, 22)
    assert settings.timeouts.request < 22
    assert load(DECTHINGS_TIMEOUT="send=3.5, answer=4").timeouts.send == 3.5
    assert load("--timeout", "send=3", DECTHINGS_TIMEOUT="send=9").timeouts.send == 3


@pytest.mark.parametrize(
    "given", ["5", "connect", "connect=", "connect=0", "call=60", "lunch=5", "answer=nan", "send=-1"]
)
def test_a_time_that_cannot_be_used_is_told_with_those_that_can(given: str) -> None:
    with pytest.raises(SettingsError, match=r"connect \(0.1 to 30\), send"):
        load("--timeout", given)


@pytest.mark.parametrize(
    ("url", "used"),
    [
        ("https://api.example.com/v0/", "https://api.example.com/v0"),
        ("http://127.0.0.1:8787/v0", "http://127.0.0.1:8787/v0"),
        ("http://localhost/v0", "http://localhost/v0"),
        ("http://[::1]:1/v0", "http://[::1]:1/v0"),
    ],
)
def test_the_api_url_can_be_given(url: str, used: str) -> None:
    assert load(DECTHINGS_API_URL=url).api_url == used
    assert load("--api-url", url, DECTHINGS_API_URL="https://other.example").api_url == used


def test_the_default_api_url_has_the_version() -> None:
    assert load().api_url == "https://api.decthings.com/v0"


@pytest.mark.parametrize(
    "url",
    ["http://api.decthings.com/v0", "http://127.0.0.1.example.com/v0", "ftp://x", "api.decthings.com/v0", "https://",
     "https://user:secret@api.decthings.com/v0", "https://x/v0?key=secret", "https://x:port/v0", "http://[::1/v0",
     "https://a b/v0", "https://x:65536/v0", "https://x:00655350/v0"],
)  # fmt: skip
def test_an_api_url_that_would_lose_the_key_is_refused(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(DECTHINGS_API_URL=url)
    assert "secret" not in str(caught.value)


def test_folders_come_from_the_options_the_environment_or_where_it_was_started(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.mkdir()
    b.mkdir()
    variable = os.pathsep.join([str(b), str(a)])
    assert load("--files", str(a), "--files", str(b), DECTHINGS_FILES=str(b)).files == [a, b]
    assert load(DECTHINGS_FILES=variable).files == [b, a]
    assert load(cwd=a).files == [a]


def test_several_folders_may_follow_one_option() -> None:
    folders = [Path("/a"), Path("/call"), Path("/c")]
    assert load("--files", "/a", "/call", "--sandbox", "--files", "/c").files == folders
    assert load("--files", "/a", "/call", "/c", "--read-only").files == folders
    assert load("demo", "--files", "/a", "/call", "/c").files == folders


def test_a_command_ends_the_folders(tmp_path: Path) -> None:
    (tmp_path / "call").mkdir()
    for folders in (["call"], ["call", "/b"]):
        options = parser().parse_args(["--files", *folders, "call", "--files", "/c", "find_models", "{}"])
        assert (options.tool, options.arguments) == ("find_models", "{}")
    assert parser().parse_args(["--api-url", "call", "--files", "/a", "call", "find_models"]).api_url == "call"


@pytest.mark.parametrize("unfilled", [[], [""], ["${user_config.folders}"], ["", "${workspaceFolder}"]])
def test_folders_that_a_client_did_not_fill_in_are_not_given(unfilled: list[str], tmp_path: Path) -> None:
    assert load("--files", *unfilled, "--sandbox", cwd=tmp_path).files == [tmp_path]
    assert load("--files", *unfilled, DECTHINGS_FILES="/b", cwd=tmp_path).files == [Path("/b")]
    assert load(DECTHINGS_FILES=os.pathsep.join(unfilled), cwd=tmp_path).files == [tmp_path]


def test_other_values_that_a_client_did_not_fill_in_are_not_given() -> None:
    unfilled = "${user_config.x}"
    options = ["--api-url", "--api-key-file", "--retry-seconds", "--timeout"]
    names = ["API_URL", "API_KEY_FILE", "RETRY_SECONDS", "TIMEOUT", "UNCHECKED_UPLOADS"]
    variables: dict[str, Any] = {f"DECTHINGS_{name}": unfilled for name in names}
    settings = load(*(word for option in options for word in (option, unfilled)))
    assert settings == load(**variables) == load()


def test_folders_that_do_not_exist_are_logged_over_http(tmp_path: Path) -> None:
    (warning,) = load("--http", "--files", str(tmp_path), str(tmp_path / "none")).warnings
    assert "none is not a folder" in warning or "none: it is not a folder" in warning
    assert load("--files", str(tmp_path / "none")).warnings == []


@pytest.mark.parametrize("cwd", ["/", "~", "~/.."])
def test_a_home_folder_or_the_root_is_not_opened_unasked(cwd: str) -> None:
    assert load(cwd=Path(cwd.replace("~", os.environ["HOME"]))).files == []


def test_a_folder_in_the_own_home_is_opened_without_listing_all_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("pwd.getpwall", None)
    (tmp_path / "models").mkdir()
    assert load(cwd=tmp_path / "models").files == [tmp_path / "models"]


def test_a_folder_of_homes_of_others_is_not_opened_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = SimpleNamespace(pw_dir=str(tmp_path / "homes" / "other"), pw_uid=1000)
    monkeypatch.setattr("pwd.getpwall", lambda: [other])
    (tmp_path / "homes").mkdir()
    assert load(cwd=tmp_path / "homes").files == []
    assert load(cwd=tmp_path).files == []


def test_uploads_are_checked_unless_that_is_switched_off() -> None:
    assert load().check_uploads
    assert load(DECTHINGS_UNCHECKED_UPLOADS="0").check_uploads
    assert not load(DECTHINGS_UNCHECKED_UPLOADS="1").check_uploads
    assert not load("--unchecked-uploads").check_uploads


def test_options_may_stand_before_and_behind_a_command(tmp_path: Path) -> None:
    command: Any
    for command in (["--sandbox", "call", "create_model"], ["call", "--sandbox", "create_model"]):
        assert load(*command, cwd=tmp_path).sandbox
