"""Which command lines are served before they are read in full."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import support
from conversations import handshake
from decthings_mcp.server.cli import parser
from decthings_mcp.server.early_replies import options
from decthings_mcp.server.early_replies import replies as prepared
from decthings_mcp.server.settings import TOOL_NAMES, Settings
from hypothesis import given, settings
from hypothesis import strategies as st


def tools() -> dict[str, bool]:
    found = prepared.load()
    assert found is not None
    return found.tools


def _option(name: str, value: str, joined: bool) -> list[str]:
    return [f"{name}={value}"] if joined else [name, value]


OPTIONS = st.one_of(
    st.sampled_from(["--sandbox", "--read-only", "--unchecked-uploads", "--http", "call", "--sandbox=1", "--", ""]).map(
        lambda flag: [flag]
    ),
    st.builds(
        _option,
        st.sampled_from(["--files", "--sandbox-data", "--api-url", "--api-key-file", "--retry-seconds", "--tools",
                         "--timeout", "--log-level", "--port"]),
        st.sampled_from(["", ".", "-x", "~", "~nobody-of-that-name", "/no/such", "5", "31", "-1", "x", "warning",
                         "debug",
                         "find_models", "find_models, create_model", "no_such", "connect=5", "https://a.b/v0",
                         "https://a b", "https://", "http://a/v0", "http://127.0.0.1:80/v0", "http://127.0.0.1:0/v0",
                         "http://127.0.0.1:99999/v0", "https://u@a/v0", "https://a/v0?q", "https://[::1]/v0"]),
        st.booleans(),
    ),
)  # fmt: skip
VARIABLES = st.dictionaries(
    st.sampled_from(["DECTHINGS_API_URL", "DECTHINGS_FILES", "DECTHINGS_RETRY_SECONDS", "DECTHINGS_TIMEOUT",
                     "DECTHINGS_API_KEY", "DECTHINGS_API_KEY_FILE", "DECTHINGS_UNCHECKED_UPLOADS"]),
    st.sampled_from(["", "5", "31", "x", "/no/such", ".", "https://a/v0", "http://a/v0", "connect=5", " "]),
    max_size=2,
)  # fmt: skip


@given(st.lists(OPTIONS, max_size=3), VARIABLES)
@settings(max_examples=1000)
def test_options_that_pass_the_front_are_right(chunks: list[list[str]], variables: dict[str, str]) -> None:
    argv = [word for chunk in chunks for word in chunk]
    offered = options.offered_tools(argv, variables, tools())
    if offered is None:
        return
    read = Settings.load(parser().parse_args(argv), variables, Path.cwd())
    assert read.warnings == []
    assert offered == [name for name in TOOL_NAMES if read.offers(name, reads_only=tools()[name])]


@pytest.mark.parametrize(
    ("argv", "passes"),
    [([], True), (["--sandbox", "--files", "."], True), (["--api-url", "https://api.decthings.com/v0"], True),
     (["--http"], False), (["--log-level", "debug"], False), (["call", "find_models"], False)],
)  # fmt: skip
def test_usual_options_pass_the_front(argv: Sequence[str], passes: bool) -> None:
    assert (options.offered_tools(argv, {}, tools()) is not None) == passes


def test_a_wrong_option_is_told_before_anything_is_answered(tmp_path: Path) -> None:
    for wrong in (["--files", "none"], ["--tools", "none"], ["--retry-seconds", "x"], ["--none"]):
        told = subprocess.run(
            support.server_command(*wrong), input=handshake() + "\n", cwd=tmp_path, env=support.environment(),
            text=True, capture_output=True, timeout=20, check=False,
        )  # fmt: skip
        assert (told.stdout, told.returncode) == ("", 2)
        assert told.stderr
