"""Replies before the server is loaded are those of the SDK."""

import anyio
import pytest
from decthings_mcp.server.early_replies import replies as prepared
from decthings_mcp.server.early_replies.generate import server_responses
from decthings_mcp.server.early_replies.installed import installed_versions
from decthings_mcp.server.early_replies.session import Session
from hypothesis import given, settings
from sessions import sessions


def load() -> prepared.PreparedResults:
    versions = installed_versions()
    assert versions is not None
    found = prepared.load(versions)
    assert found is not None
    return found


@given(sessions())
@settings(max_examples=30)
def test_early_replies_and_the_state_they_leave_are_those_of_the_server(lines: list[str]) -> None:
    check_session(lines)


@pytest.mark.slow
@pytest.mark.timeout(600)  # many cases in one test
@given(sessions())
@settings(max_examples=400)
def test_early_replies_to_many_sessions_are_those_of_the_server(lines: list[str]) -> None:
    check_session(lines)


def check_session(lines: list[str]) -> None:
    session = Session(load())
    own = [session.reply_to(line) for line in lines]
    replies = [reply for reply in own if reply is not None]
    assert own == [*replies, *[None] * (len(own) - len(replies))]
    expected = anyio.run(server_responses, lines)
    assert replies == expected[: len(replies)]
    # A server that sees the lines of the handshake alone is in the same state.
    rest = lines[len(replies) :]
    replayed = anyio.run(server_responses, [*session.handshake_lines, *rest])
    assert replayed[len(session.handshake_lines) :] == expected[len(replies) :]
    if session.handshake_lines:
        assert replayed[0] == session.handshake_response
