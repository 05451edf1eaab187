"""Replies before the server is loaded are those of the SDK."""

from __future__ import annotations

import anyio
from conversations import (
    answers_of_sdk,
)
from decthings_mcp.server.early_replies import replies as prepared
from decthings_mcp.server.early_replies.session import Session
from hypothesis import given, settings
from sessions import sessions


def load() -> prepared.Prepared:
    found = prepared.load()
    assert found is not None
    return found


@given(sessions())
@settings(max_examples=400)
def test_what_the_front_answers_and_what_it_leaves_are_those_of_the_sdk(lines: list[str]) -> None:
    session = Session(load())
    own = [session.answer(line) for line in lines]
    answered = [answer for answer in own if answer is not None]
    assert own == [*answered, *[None] * (len(own) - len(answered))]
    expected = anyio.run(answers_of_sdk, lines)
    assert answered == expected[: len(answered)]
    # Whoever is told of the replayed messages only is in the same state.
    rest = lines[len(answered) :]
    replayed = anyio.run(answers_of_sdk, [*session.replayed, *rest])
    assert replayed[len(session.replayed) :] == expected[len(answered) :]
    if session.replayed:
        assert replayed[0] == session.answer_to_replayed
