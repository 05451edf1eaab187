"""The file of --token-file: what may be in it, and what happens when it changes."""

import logging
import os
from collections import Counter
from pathlib import Path

import pytest
from decthings_mcp.server.http import named_secrets
from decthings_mcp.server.http.access import Access, Credentials
from decthings_mcp.server.http.named_secrets import Tokens
from decthings_mcp.server.http.refusal import Refusal
from decthings_mcp.server.http.settings import HttpSettings
from decthings_mcp.server.settings import SettingsError
from decthings_mcp.tools.calls.services import Caller
from http_support import TOKENS, token_file
from starlette.datastructures import Headers


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    now = Counter(seconds=1000)
    monkeypatch.setattr(named_secrets, "monotonic", lambda: now["seconds"])
    return now


@pytest.mark.parametrize("line", [
    "anna", "anna token-of-anna-0123456789 more", "anna 123456789012345", "anna tökenöfanna0123456789",
])  # fmt: skip
def test_a_line_that_is_no_name_and_token_is_refused(line: str, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(f"bert {TOKENS['bert']}\n{line}\n")
    with pytest.raises(SettingsError, match=r"a name and a token on each line, .*; line 2 has not.* 16 characters"):
        Tokens(tmp_path / "tokens")


def test_a_token_of_sixteen_characters_is_long_enough(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("  anna\t1234567890123456  \n\n# bert 0000000000000000\n#carl 1111111111111111\n")
    tokens = Tokens(tmp_path / "tokens")
    assert [tokens.caller_of(token) for token in ("1234567890123456", "0" * 16, "1" * 16, "")] == [
        "anna", None, None, None,
    ]  # fmt: skip


def test_bytes_that_are_no_text_do_not_stop_the_other_callers(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_bytes(b"# \xe9\nanna " + TOKENS["anna"].encode() + b"\n")
    assert Tokens(tmp_path / "tokens").caller_of(TOKENS["anna"]) == "anna"


def test_a_token_file_must_exist_and_name_somebody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="cannot be read: FileNotFoundError"):
        Tokens(tmp_path / "none")
    (tmp_path / "tokens").write_text("\n# nobody\n")
    with pytest.raises(SettingsError, match="lists no callers"):
        Tokens(tmp_path / "tokens")
    monkeypatch.setenv("HOME", str(tmp_path))
    token_file(tmp_path)
    assert Tokens(Path("~/tokens")).caller_of(TOKENS["bert"]) == "bert"


def test_a_changed_token_file_is_read_within_a_second_and_logged(
    tmp_path: Path, clock: Counter[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    path = token_file(tmp_path)
    tokens = Tokens(path)
    clock["seconds"] += 5
    assert tokens.caller_of(TOKENS["anna"]) == "anna"
    assert caplog.messages == []
    path.write_text("carl token-of-carl-0123456789\n")
    assert tokens.caller_of("token-of-carl-0123456789") is None  # looked at in this second already
    clock["seconds"] += 1
    assert tokens.caller_of("token-of-carl-0123456789") == "carl"
    assert tokens.caller_of(TOKENS["anna"]) is None
    clock["seconds"] += 1
    assert tokens.caller_of("token-of-carl-0123456789") == "carl"
    path.unlink()
    clock["seconds"] += 1
    assert tokens.caller_of("token-of-carl-0123456789") == "carl"
    path.write_text("carl\n")
    clock["seconds"] += 1
    assert tokens.caller_of("token-of-carl-0123456789") == "carl"
    *messages, last = caplog.messages
    assert "line 1 has not" in last
    assert messages == [
        "The file of --token-file has changed; its lines now: 1",
        "The file of --token-file cannot be used (FileNotFoundError); its previous content stays valid",
    ]


def with_token(token: str) -> Headers:
    return Headers({"authorization": f"Bearer {token}"})


@pytest.mark.anyio
async def test_a_token_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"anna {TOKENS['anna']}\n", encoding="utf-8-sig")
    access = Access(HttpSettings(token_file=path), Credentials(Tokens(path)))
    assert (await access.authenticate(with_token(TOKENS["anna"]), b"")).name == "anna"


@pytest.mark.anyio
async def test_a_token_file_is_read_again_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("decthings_mcp.server.http.named_secrets._RELOAD_SECONDS", 0)
    path = token_file(tmp_path)
    access = Access(HttpSettings(token_file=path), Credentials(Tokens(path)))
    carl = with_token("token-of-carl-0123456789")
    with pytest.raises(Refusal):
        await access.authenticate(carl, b"")
    path.write_text("carl token-of-carl-0123456789\n")
    assert await access.authenticate(carl, b"") == Caller("carl")
    with pytest.raises(Refusal):
        await access.authenticate(with_token(TOKENS["anna"]), b"")
    path.write_text("broken\n")  # the previous tokens stay valid
    assert await access.authenticate(carl, b"") == Caller("carl")
    path.unlink()
    assert await access.authenticate(carl, b"") == Caller("carl")
    os.mkfifo(path)  # reading it would stop everything
    assert await access.authenticate(carl, b"") == Caller("carl")
    path.unlink()
    path.write_text("# nobody any more\n")
    with pytest.raises(Refusal):
        await access.authenticate(carl, b"")
