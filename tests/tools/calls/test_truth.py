"""Whatever happens on the way to Decthings and in it meanwhile, no result says anything untrue.

`DECTHINGS_RUNS=10000 .venv/bin/pytest -n0 tests/tools/calls/test_truth.py` plays more games than the suite does.
"""

import logging
import os
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import support
from hypothesis import HealthCheck, Phase, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from simulated_decthings import (
    FINE,
    ME,
    ORGANIZATION,
    STRANGER,
    Change,
    Decthings,
    Model,
    Simulation,
    Weather,
    intermediary,
)

RUNS = int(os.environ.get("DECTHINGS_RUNS", "150"))
PLAIN_NAMES = st.sampled_from(["a", "b"])
NAMES, DESCRIPTIONS = st.sampled_from(["a", "b", "acme/a"]), st.sampled_from(["d", "e"])
CHANGES = st.fixed_dictionaries({}, optional={"name": PLAIN_NAMES, "description": DESCRIPTIONS})
SHARES = st.sampled_from([0.0, 0.01, 0.3, 0.7, 0.99])
DELAYS = st.sampled_from([0.0, 0.2, 1.0, 3.0, 12.0, 19.0, 25.0, 43.0, 70.0])
CALL_SECONDS = 44.0

BROKEN = [
    b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    support.http_response(b"<html>", content_type="text/html"), support.http_response(b"\x02{}"),
    support.http_response(b'\x0f{"result":null}'),
    support.http_response(b""), support.http_response(b"\xff\xff"),
]  # fmt: skip
"""Responses that say nothing."""
OPEN = [
    intermediary(status, *headers)
    for status in ("500 Error", "502 Bad Gateway", "503 Unavailable", "504 Timeout", "408 Timeout", "599 Unknown")
    for headers in ((), ("Retry-After: 0",), ("Retry-After: 3",))
]
"""What intermediaries say whether they have passed a request on or not."""
REFUSALS = [intermediary(f"{status} x") for status in (307, 400, 401, 403, 404, 405, 413, 429)]
"""What they say only if they have not."""

acts_after = st.none() | DELAYS
faults = st.one_of(
    st.builds(Weather, connects=st.sampled_from(["refused", "timeout"])),
    st.builds(Weather, cut=SHARES, acts_after=st.none()),
    st.just(Weather(cut=1.0)),
    st.builds(Weather, acts_after=acts_after, responds_after=st.none()),
    st.builds(Weather, acts_after=acts_after, responds_after=DELAYS, says=st.sampled_from([*BROKEN, *OPEN])),
    st.builds(Weather, acts_after=st.none(), responds_after=DELAYS, says=st.sampled_from(REFUSALS)),
    st.builds(Weather, kept=SHARES, resets=st.booleans()),
    DELAYS.map(lambda seconds: Weather(acts_after=seconds, responds_after=seconds)),
    DELAYS.map(lambda seconds: Weather(responds_after=seconds)),
    st.sampled_from(["server_overloaded", "too_many_requests", "quota_exceeded", "unknown"]).map(
        lambda code: Weather(error=code)
    ),
)


def create(name: str, description: str, owner: dict[str, str]) -> Change:
    def change(decthings: Decthings) -> None:
        decthings.add(name, description, owner)

    return change


def change_named(name: str, kind: str, value: str) -> Change:
    """What another program does to the model of that name; not to one that the current call has just created."""

    def change(decthings: Decthings) -> None:
        model = decthings.holder(name)
        if model is None or (model.ask == decthings.ask and decthings.in_call):
            return
        if kind == "delete":
            del decthings.models[model.id]
        elif kind == "rename" and decthings.holder(value) is None:
            model.name = value
        elif kind == "describe":
            model.description = value
        elif kind == "snapshot":
            decthings.take_snapshot(model, value, None)
        decthings.changed()

    return change


others = st.one_of(
    st.builds(create, NAMES, DESCRIPTIONS, st.sampled_from([ME, STRANGER, ORGANIZATION])),
    st.builds(change_named, NAMES, st.sampled_from(["delete", "snapshot"]), st.just("v")),
    st.builds(change_named, PLAIN_NAMES, st.just("rename"), PLAIN_NAMES),
    st.builds(change_named, NAMES, st.just("describe"), DESCRIPTIONS),
)


def with_others(weather: Weather, before: Change | None, after: Change | None) -> Weather:
    return replace(weather, before=before, after=after)


maybe_others = st.one_of(st.none(), st.none(), others)
weather = st.builds(with_others, st.just(FINE) | faults, maybe_others, maybe_others)
forecasts = st.tuples(st.lists(weather, max_size=4), st.one_of(*[st.just(FINE)] * 3, faults))
"""What happens to the first requests of a call, and to all others."""


class Truth(RuleBasedStateMachine):
    """Calls of tools, one after the other, in any weather, while other programs change the same account."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        folder = Path(self.stack.enter_context(TemporaryDirectory()))
        (folder / "m.bin").write_bytes(bytes(200_000))
        self.simulation = Simulation(folder)
        self.decthings = self.simulation.decthings
        self.stack.callback(self.simulation.close)
        self.stack.callback(logging.disable, logging.NOTSET)
        logging.disable()

    def teardown(self) -> None:
        self.stack.close()

    @initialize(
        date=st.integers(-29, 29), clock=st.integers(-29, 29), seconds=st.booleans(),
        lag=st.sampled_from([0.0, 0.3, 1.2]),
    )  # fmt: skip
    def set_clocks(self, date: int, clock: int, seconds: bool, lag: float) -> None:
        self.decthings.date_skew, self.decthings.clock_skew = date, clock
        self.decthings.in_seconds, self.decthings.lag = seconds, lag
        for name, description, owner in [("b", "d", ME), ("a", "d", STRANGER), ("a", "e", ORGANIZATION)]:
            self.simulation.act(create(name, description, owner))

    def call(self, tool: str, forecast: tuple[list[Weather], Weather], **arguments: Any) -> dict[str, Any]:
        """The result. Then everything that is delayed arrives, and is listed."""
        result = self.simulation.call(tool, *forecast, **arguments)
        self.simulation.passes(2)
        event(f"{tool}: {result.get('error', result).get('outcome') or result.get('state')}")
        return result

    @property
    def acted(self) -> list[str]:
        """The methods that the last call has carried out, also after its end."""
        return self.decthings.done_by(self.decthings.ask)

    @rule(name=NAMES, description=DESCRIPTIONS, kind=st.sampled_from(["code", "file", "inline"]), forecast=forecasts)
    def create_model(self, name: str, description: str, kind: str, forecast: tuple[list[Weather], Weather]) -> None:
        data = {"path": "m.bin"} if kind == "file" else {"base64": "AAAA"}
        options = support.CODE if kind == "code" else {"type": "upload", "format": "future", "data": data}
        result = self.call("create_model", forecast, name=name, description=description, options=options)
        outcome = result.get("error", result)["outcome"]
        mine = [model for model in self.decthings.models.values() if model.ask == self.decthings.ask]
        assert self.acted.count("createModel") <= 1, "two models for one ask"
        if outcome == "created":
            assert self.simulation.done == ["createModel"]
            assert [model.id for model in mine] == [result["result"]["modelId"]]
        elif outcome == "exists":
            found = [
                state[model_id]
                for state in self.simulation.states
                if (model_id := result["result"]["modelId"]) in state
            ]
            assert any(
                (model.name, model.description, model.public) == (name, description, False) and model.owner != STRANGER
                for model in found
            )
        elif outcome == "not_created":
            assert self.simulation.done == []
            # What arrives late is refused, unless another program has freed the name meanwhile.
            assert self.acted == [] or self.name_was_taken(name)
        else:
            assert outcome == "unknown"
        if kind == "code":
            self.check_time()
        if self.is_single_fault(forecast):
            assert outcome in ("created", "exists") or self.name_was_taken(name)

    def name_was_taken(self, name: str) -> bool:
        return any(
            model.name == name and model.is_mine and model.ask != self.decthings.ask
            for state in self.simulation.states for model in state.values()
        )  # fmt: skip

    def is_single_fault(self, forecast: tuple[list[Weather], Weather]) -> bool:
        """Whether one fault was all that happened to the call, and a repeat can heal it."""
        faulty = [one for one in forecast[0] if not one.is_fine]
        disturbed = any(one.before or one.after for one in forecast[0])
        return (
            forecast[1] == FINE
            and len(faulty) == 1
            and not disturbed
            and faulty[0].error is None
            and (faulty[0].says not in REFUSALS or faulty[0].says == REFUSALS[1])
        )

    def check_time(self, extra: float = 0) -> None:
        assert self.simulation.ended - self.simulation.started < CALL_SECONDS + extra + 0.01

    def some_model(self, index: int) -> Model:
        models = list(self.decthings.models.values())
        return models[index % len(models)]

    def has_models(self) -> bool:
        return bool(self.decthings.models)

    @precondition(has_models)
    @rule(index=st.integers(0, 9), changes=CHANGES, forecast=forecasts)
    def update_model(self, index: int, changes: dict[str, str], forecast: tuple[list[Weather], Weather]) -> None:
        model = self.some_model(index)
        changes = changes or {"description": "f"}
        result = self.call("update_model", forecast, modelId=model.id, **changes)
        outcome = result.get("error", result)["outcome"]
        states = self.simulation.states_of(model.id)
        if outcome == "done":
            assert any(all(getattr(state, name) == value for name, value in changes.items()) for state in states)
        elif outcome == "not_done":
            assert self.acted == []
        else:
            assert outcome == "unknown"
        self.check_time()
        if self.is_single_fault(forecast) and model.is_mine:
            assert outcome == "done" or self.name_was_taken(changes.get("name", ""))

    @precondition(has_models)
    @rule(index=st.integers(0, 9), forecast=forecasts)
    def delete_model(self, index: int, forecast: tuple[list[Weather], Weather]) -> None:
        model = self.some_model(index)
        result = self.call("delete_model", forecast, modelId=model.id, confirmName=model.name)
        outcome = result.get("error", result)["outcome"]
        if outcome == "done":
            assert model.id not in self.simulation.states[-1]
        elif outcome == "not_done":
            assert self.acted == []
        else:
            assert outcome == "unknown"
        self.check_time()
        if self.is_single_fault(forecast) and model.is_mine and forecast[0][0] == FINE:  # the look before it
            assert outcome == "done"

    @precondition(has_models)
    @rule(index=st.integers(0, 9), name=st.sampled_from(["v", "w"]), forecast=forecasts)
    def snapshot_model(self, index: int, name: str, forecast: tuple[list[Weather], Weather]) -> None:
        model = self.some_model(index)
        result = self.call("snapshot_model", forecast, modelId=model.id, snapshotName=name)
        outcome = result.get("error", result)["outcome"]
        assert self.acted.count("snapshotModel") <= 1, "a second snapshot"
        taken = {
            one["id"]: one for state in self.simulation.states if model.id in state for one in state[model.id].snapshots
        }
        if outcome == "done":
            assert taken[result["result"]["snapshotId"]]["ask"] == self.decthings.ask
        elif outcome == "exists":
            snapshot = taken[result["result"]["snapshotId"]]
            assert snapshot["name"] == name
            assert snapshot["created"] > self.simulation.started - 120
        elif outcome == "not_done":
            assert self.acted == []
        else:
            assert outcome == "unknown"
        self.check_time()

    @precondition(has_models)
    @rule(index=st.integers(0, 9), forecast=forecasts)
    def wait_for_model(self, index: int, forecast: tuple[list[Weather], Weather]) -> None:
        model = self.some_model(index)
        result = self.call("wait_for_model", forecast, modelId=model.id)
        state = result.get("state")
        if state == "ready":
            assert not model.fails
            assert model.ready <= self.simulation.ended
        elif state == "failed":
            assert model.fails
            assert model.ready <= self.simulation.ended
        elif state == "creating":
            assert model.ready >= self.simulation.started - self.decthings.lag
        else:
            assert "error" in result
        self.check_time(1)

    @rule(name=NAMES, fails=st.booleans(), seconds=st.sampled_from([5.0, 40.0]))
    def create_slowly(self, name: str, fails: bool, seconds: float) -> None:
        self.simulation.act(lambda decthings: decthings.add(name, "d", seconds=seconds, fails=fails))

    @rule(change=others)
    def another_program_changes(self, change: Change) -> None:
        self.simulation.act(change)

    @rule(seconds=st.sampled_from([1.0, 20.0, 70.0, 200.0]))
    def time_passes(self, seconds: float) -> None:
        self.simulation.passes(seconds)


Truth.TestCase.settings = settings(
    max_examples=RUNS,
    stateful_step_count=10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.reuse, Phase.generate, Phase.shrink],
)
TestTruth = pytest.mark.timeout(0)(Truth.TestCase)
