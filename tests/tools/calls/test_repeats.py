"""What is sent again after a fault, and what is said of it, with all the time that a call has."""

import re
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from simulated_decthings import FINE, ME, ORGANIZATION, STRANGER, Decthings, Simulation, Weather, intermediary
from support import CODE, CREATE

LOST = {
    "closed": Weather(kept=0),
    "reset": Weather(kept=0.5, resets=True),
    "cut short": Weather(kept=0.99),
    "silence": Weather(responds_after=None),
    "bad gateway": Weather(says=intermediary("502 Bad Gateway")),
    "busy": Weather(says=intermediary("503 Unavailable", "Retry-After: 0")),
    "timeout": Weather(says=intermediary("408 Request Timeout")),
}
"""Decthings acts, and its response is lost."""
UNSENT = {"cut": Weather(cut=0.01, acts_after=None), "refused": Weather(connects="refused")}


@pytest.fixture
def simulation(tmp_path: Path) -> Generator[Simulation]:
    (tmp_path / "m.bin").write_bytes(bytes(3 << 20))
    simulation = Simulation(tmp_path)
    yield simulation
    simulation.close()


def seconds_of(simulation: Simulation) -> float:
    """The last call's."""
    return simulation.ended - simulation.started


def other(**changes: Any) -> dict[str, Any]:
    """Arguments of create_model."""
    return {**CREATE, **changes}


def outcome_of(result: dict[str, Any]) -> str:
    """Which an error explains in sentences."""
    assert result.get("error", {"message": "."})["message"].endswith(".")
    return result.get("error", result)["outcome"]


def existing(simulation: Simulation, name: str = "n", description: str = "d", owner: dict[str, str] = ME) -> str:
    return simulation.act(lambda decthings: decthings.add(name, description, owner)).id


@pytest.mark.parametrize("fault", [*LOST.values()], ids=[*LOST])
@pytest.mark.parametrize("lasts", [False, True])
def test_a_snapshot_is_asked_for_once(lasts: bool, fault: Weather, simulation: Simulation) -> None:
    model_id = existing(simulation)
    result = simulation.call("snapshot_model", [fault], fault if lasts else FINE, modelId=model_id, snapshotName="v")
    assert simulation.sent("snapshotModel") == 1
    (snapshot,) = simulation.decthings.models[model_id].snapshots
    assert outcome_of(result) == ("unknown" if lasts else "exists")
    assert lasts or result["result"]["snapshotId"] == snapshot["id"]


def test_a_snapshot_that_was_not_asked_for_completely_is_not_asked_for_again(simulation: Simulation) -> None:
    fault = replace(LOST["closed"], acts_after=None, responds_after=0.0, says=b"")
    result = simulation.call("snapshot_model", [fault], modelId=existing(simulation), snapshotName="v")
    assert (outcome_of(result), simulation.sent("snapshotModel")) == ("unknown", 1)
    assert result["error"]["lookUp"]["answers"] == 3


@pytest.mark.parametrize("fault", [*LOST.values()], ids=[*LOST])
def test_a_creation_whose_response_is_lost_is_found_and_not_sent_again(fault: Weather, simulation: Simulation) -> None:
    result = simulation.call("create_model", [fault], **CREATE)
    (model,) = simulation.decthings.models.values()
    assert (outcome_of(result), result["result"]) == ("exists", {"modelId": model.id, "isNowCreating": False})
    assert (simulation.sent("createModel"), simulation.sent("getModels")) == (1, 1)
    assert (result["lookUp"]["answers"], result["lookUp"]["seconds"]) == (1, 1.5)


@pytest.mark.parametrize("fault", [*LOST.values()], ids=[*LOST])
def test_a_creation_that_never_arrived_is_sent_again(fault: Weather, simulation: Simulation) -> None:
    says = fault.says or b""
    responds = fault.responds_after if fault.says else (None if fault.responds_after is None else 0.0)
    result = simulation.call(
        "create_model", [replace(fault, acts_after=None, responds_after=responds, says=says, kept=1.0)], **CREATE
    )
    (model,) = simulation.decthings.models.values()
    assert (outcome_of(result), result["result"]["modelId"]) == ("created", model.id)
    assert simulation.sent("createModel") == 2
    assert seconds_of(simulation) < 44


@pytest.mark.parametrize("fault", [*UNSENT.values()], ids=[*UNSENT])
def test_an_upload_that_was_broken_off_is_sent_again(fault: Weather, simulation: Simulation) -> None:
    options = {"type": "upload", "format": "future", "data": {"path": "m.bin"}}
    result = simulation.call("create_model", [fault], **other(options=options))
    assert (outcome_of(result), simulation.sent("createModel"), simulation.network.tries) == ("created", 1, 2)
    lasting = simulation.call("create_model", lasting=fault, **other(name="m", options=options))
    assert (outcome_of(lasting), lasting["error"]["retryable"]) == ("not_created", True)
    assert simulation.network.tries in (3, 6)


def test_a_long_upload_whose_response_is_lost_twice_is_still_looked_up(simulation: Simulation) -> None:
    options = {"type": "upload", "format": "future", "data": {"path": "m.bin"}}
    never = replace(LOST["closed"], acts_after=None, says=b"")
    weather = [never, FINE, FINE, FINE, replace(LOST["closed"], sends_in=60.0)]
    result = simulation.call("create_model", weather, **other(options=options))
    (model,) = simulation.decthings.models.values()
    assert (outcome_of(result), result["result"]["modelId"]) == ("exists", model.id)
    assert simulation.sent("createModel") == 2


def test_a_creation_is_repeated_a_few_times_within_the_time_of_the_call(simulation: Simulation) -> None:
    result = simulation.call("create_model", lasting=replace(LOST["closed"], acts_after=None, says=b""), **CREATE)
    assert outcome_of(result) == "unknown"
    assert simulation.sent("createModel") == 5  # a sixth would leave no time to look for its outcome
    assert 25 < seconds_of(simulation) < 44
    assert "same call again" in result["nextStep"]


def test_what_an_intermediary_refuses_is_not_looked_up(simulation: Simulation) -> None:
    for status in (307, 401, 403, 404, 405, 413):
        refusal = Weather(acts_after=None, says=intermediary(f"{status} x"))
        result = simulation.call("create_model", [refusal], **CREATE)
        assert (outcome_of(result), result["error"]["httpStatus"], simulation.network.tries) == (
            "not_created",
            status,
            1,
        )
    damaged = Weather(acts_after=None, says=intermediary("400 Bad Request"))
    assert outcome_of(simulation.call("create_model", [damaged], **CREATE)) == "created"
    assert (simulation.network.tries, simulation.sent("getModels")) == (2, 0)


def test_an_error_of_decthings_after_a_lost_response_decides_nothing(simulation: Simulation) -> None:
    lost = replace(LOST["closed"], acts_after=None, says=b"")
    result = simulation.call("create_model", [lost, *[FINE] * 3, Weather(error="quota_exceeded")], **CREATE)
    assert outcome_of(result) == "unknown"
    assert result["error"]["code"] == "no_response"


def test_an_error_of_decthings_after_a_request_that_was_broken_off_is_the_result(simulation: Simulation) -> None:
    options = {"type": "upload", "format": "future", "data": {"path": "m.bin"}}
    weather = [UNSENT["cut"], Weather(error="quota_exceeded")]
    result = simulation.call("create_model", weather, **other(options=options))
    assert (outcome_of(result), result["error"]["code"]) == ("not_created", "quota_exceeded")


@pytest.mark.parametrize(
    ("seconds", "outcome"), [(30, "unknown"), (59, "unknown"), (64, "not_created"), (3600, "not_created")]
)
@pytest.mark.parametrize("in_seconds", [False, True])
@pytest.mark.parametrize("skew", [-29, 29])
def test_another_model_of_the_name_is_certainly_older_after_a_minute(
    skew: int, in_seconds: bool, seconds: int, outcome: str, simulation: Simulation
) -> None:
    simulation.decthings.in_seconds = in_seconds
    simulation.decthings.date_skew = simulation.decthings.clock_skew = skew
    model_id = existing(simulation, description="other")
    simulation.passes(seconds)
    result = simulation.call("create_model", [LOST["bad gateway"]], **CREATE)
    assert outcome_of(result) == outcome
    found = result["error"]["lookUp"]["existing"]
    assert (found["modelId"], found["differs"]) == (model_id, ["description"])
    assert simulation.sent("createModel") == 1


def test_the_age_of_a_model_is_that_at_the_request(simulation: Simulation) -> None:
    existing(simulation, description="other")
    simulation.passes(50)
    result = simulation.call("create_model", [LOST["silence"]], **CREATE)
    assert (outcome_of(result), seconds_of(simulation) > 20) == ("unknown", True)


@pytest.mark.parametrize("missing", ["date", "createdAt"])
def test_a_model_of_an_unknown_age_proves_nothing(missing: str, simulation: Simulation) -> None:
    simulation.decthings.tells_date, simulation.decthings.tells_created_at = missing != "date", missing != "createdAt"
    existing(simulation, description="other")
    simulation.passes(3600)
    assert outcome_of(simulation.call("create_model", [LOST["bad gateway"]], **CREATE)) == "unknown"
    model_id = existing(simulation, name="m")
    simulation.passes(3600)
    result = simulation.call("create_model", [LOST["bad gateway"]], **other(name="m"))
    assert (outcome_of(result), result["result"]["modelId"]) == ("exists", model_id)


def test_a_model_that_was_there_before_is_the_wanted_one_if_it_is_as_requested(simulation: Simulation) -> None:
    model_id = existing(simulation)
    simulation.passes(3600)
    result = simulation.call("create_model", [LOST["bad gateway"]], **CREATE)
    assert (outcome_of(result), result["error"]["code"]) == ("exists", "name_already_used")
    assert result["result"]["modelId"] == result["error"]["lookUp"]["existing"]["modelId"] == model_id


def test_an_explanation_that_does_not_come_is_not_waited_for_long(simulation: Simulation) -> None:
    existing(simulation)
    silence = Weather(acts_after=None, responds_after=None)
    result = simulation.call("create_model", [FINE, silence], **CREATE)
    assert (outcome_of(result), result["error"]["code"]) == ("not_created", "name_already_used")
    assert "existing" not in result["error"]
    assert seconds_of(simulation) == 8


def test_what_was_lost_stays_lost_when_a_repeat_is_broken_off(simulation: Simulation) -> None:
    options = {"type": "upload", "format": "future", "data": {"path": "m.bin"}}
    late = replace(LOST["bad gateway"], acts_after=60, responds_after=0.0)
    weather = [late, *[FINE] * 3, UNSENT["cut"], *[FINE] * 3]
    result = simulation.call("create_model", weather, Weather(error="quota_exceeded"), **other(options=options))
    assert outcome_of(result) == "unknown"
    assert simulation.decthings.holder("n") is not None


def test_time_for_a_last_look_is_left_when_a_repeat_gets_no_response(simulation: Simulation) -> None:
    never = replace(LOST["closed"], acts_after=None, says=b"")
    silence = Weather(acts_after=None, responds_after=None)
    weather = [never, *[FINE] * 3, silence, *[FINE] * 3, LOST["silence"]]
    result = simulation.call("create_model", weather, **CREATE)
    (model,) = simulation.decthings.models.values()
    assert (outcome_of(result), result["result"]["modelId"]) == ("exists", model.id)
    assert seconds_of(simulation) < 44


def test_a_model_that_was_deleted_just_before_is_not_taken_for_the_new_one(simulation: Simulation) -> None:
    simulation.decthings.lag = 1.2
    model_id = existing(simulation)
    simulation.passes(100)
    assert outcome_of(simulation.call("delete_model", modelId=model_id, confirmName="n")) == "done"
    result = simulation.call("create_model", [LOST["closed"]], **CREATE)
    (model,) = simulation.decthings.models.values()
    assert (outcome_of(result), result["result"]["modelId"]) == ("exists", model.id)


@pytest.mark.parametrize("owner", [STRANGER, ORGANIZATION])
def test_a_model_of_others_with_the_name_is_not_the_wanted_one(owner: dict[str, str], simulation: Simulation) -> None:
    theirs = existing(simulation, owner=owner)
    result = simulation.call("create_model", [replace(LOST["bad gateway"], acts_after=None)], **CREATE)
    assert (outcome_of(result), simulation.sent("createModel")) == ("created", 2)
    assert result["result"]["modelId"] != theirs


def test_a_model_of_an_organization_is_found_by_its_whole_name(simulation: Simulation) -> None:
    theirs = existing(simulation, name="acme/n", owner=ORGANIZATION)
    lost = replace(LOST["bad gateway"], acts_after=None)
    result = simulation.call("create_model", [lost], **other(name="acme/n"))
    assert (outcome_of(result), result["result"]["modelId"]) == ("exists", theirs)


@pytest.mark.parametrize("fault", [*LOST.values()], ids=[*LOST])
@pytest.mark.parametrize("acts", [True, False])
def test_an_update_ends_as_done(acts: bool, fault: Weather, simulation: Simulation) -> None:
    model_id = existing(simulation)
    if not acts:
        responds = None if fault.responds_after is None else 0.0
        fault = replace(fault, acts_after=None, responds_after=responds, says=fault.says or b"", kept=1.0)
    result = simulation.call("update_model", [fault], modelId=model_id, description="new")
    assert outcome_of(result) == "done"
    assert simulation.decthings.models[model_id].description == "new"
    assert simulation.sent("updateModel") == (1 if acts else 2)


@pytest.mark.parametrize("fault", [*LOST.values()], ids=[*LOST])
@pytest.mark.parametrize("acts", [True, False])
def test_a_deletion_ends_as_done(acts: bool, fault: Weather, simulation: Simulation) -> None:
    model_id = existing(simulation)
    if not acts:
        responds = None if fault.responds_after is None else 0.0
        fault = replace(fault, acts_after=None, responds_after=responds, says=fault.says or b"", kept=1.0)
    result = simulation.call("delete_model", [FINE, fault], modelId=model_id, confirmName="n")
    assert (outcome_of(result), simulation.decthings.models) == ("done", {})
    assert simulation.sent("deleteModel") == (1 if acts else 2)


def test_a_call_whose_response_is_lost_ends_before_clients_give_up(simulation: Simulation) -> None:
    model_id = existing(simulation)
    calls: list[tuple[str, dict[str, Any]]] = [
        ("create_model", other(name="m")),
        ("update_model", {"modelId": model_id, "description": "x"}),
        ("snapshot_model", {"modelId": model_id, "snapshotName": "v"}),
    ]
    for tool, arguments in calls:
        result = simulation.call(tool, lasting=Weather(acts_after=None, responds_after=None), **arguments)
        assert outcome_of(result) == "unknown"
        assert result["error"]["lookUp"]["answers"] == 0
        assert re.search(r"did not respond to the lookup either, for \d{1,2} s\.$", result["error"]["message"])
        assert seconds_of(simulation) < 44


@pytest.mark.parametrize(("call_seconds", "ends_after"), [(10, 3.5), (6, 2.1)])
def test_a_lookup_takes_a_third_of_the_call_at_most(call_seconds: float, ends_after: float, tmp_path: Path) -> None:
    simulation = Simulation(tmp_path, call_seconds=call_seconds)
    model_id, silence = existing(simulation), Weather(acts_after=None, responds_after=None)
    result = simulation.call("snapshot_model", [LOST["bad gateway"]], silence, modelId=model_id, snapshotName="v")
    simulation.close()
    assert (outcome_of(result), simulation.sent("getModels")) == ("unknown", 1)
    assert seconds_of(simulation) == pytest.approx(ends_after)


def test_a_lookup_ends_before_the_time_of_the_call_is_over(simulation: Simulation) -> None:
    never, silence = replace(LOST["bad gateway"], acts_after=None), Weather(acts_after=None, responds_after=None)
    result = simulation.call("create_model", [never, *[FINE] * 3] * 2, silence, **CREATE)
    assert (outcome_of(result), simulation.sent("createModel")) == ("unknown", 3)
    assert seconds_of(simulation) == pytest.approx(0.98 * 44)


def test_a_repeat_that_takes_too_long_is_given_up_in_time_for_a_last_look(simulation: Simulation) -> None:
    never, silence = replace(LOST["bad gateway"], acts_after=None), Weather(acts_after=None, responds_after=None)
    weather = [*[never, *[FINE] * 3] * 4, silence]
    result = simulation.call("create_model", weather, **CREATE)
    assert (outcome_of(result), simulation.sent("createModel")) == ("unknown", 5)
    assert result["error"]["message"].startswith("Decthings did not respond in time. The lookup by its name")
    assert seconds_of(simulation) < 44


def test_the_seconds_of_a_lookup_are_rounded(simulation: Simulation) -> None:
    result = simulation.call("create_model", [LOST["closed"], Weather(responds_after=0.26)], **CREATE)
    assert result["lookUp"]["seconds"] == 1.8


def test_a_lookup_goes_on_after_a_failure_of_its_own(simulation: Simulation) -> None:
    weather = [LOST["closed"], LOST["silence"], LOST["bad gateway"]]
    result = simulation.call("create_model", weather, **CREATE)
    assert (outcome_of(result), result["lookUp"]["answers"]) == ("exists", 1)
    assert seconds_of(simulation) < 10


def test_a_model_that_others_delete_meanwhile_is_not_found(simulation: Simulation) -> None:
    model_id = existing(simulation)

    def delete(decthings: Decthings) -> None:
        del decthings.models[model_id]
        decthings.changed()

    fault = replace(LOST["closed"], after=delete)
    result = simulation.call("update_model", [fault], modelId=model_id, description="new")
    assert outcome_of(result) == "unknown"
    assert simulation.sent("updateModel") == 2


def test_an_error_names_the_status_of_the_response_that_was_lost(simulation: Simulation) -> None:
    fault = replace(LOST["bad gateway"], acts_after=None)
    error = simulation.call("create_model", lasting=fault, **other(options=CODE))["error"]
    assert (error["code"], error["httpStatus"], error["retryable"]) == ("invalid_response", 502, True)


def test_a_model_that_was_found_and_is_being_created_is_to_be_waited_for(simulation: Simulation) -> None:
    simulation.act(lambda decthings: decthings.add("n", "d", seconds=300))
    result = simulation.call("create_model", [replace(LOST["bad gateway"], acts_after=None)], **CREATE)
    assert (outcome_of(result), result["result"]["isNowCreating"]) == ("exists", True)
    assert "wait_for_model" in result["nextStep"]


WRITES: dict[str, dict[str, Any]] = {
    "create_model": CREATE,
    "update_model": {"description": "x"},
    "delete_model": {"confirmName": "m"},
    "snapshot_model": {"snapshotName": "v"},
}


def cancel(
    simulation: Simulation, tool: str, fault: Weather, caplog: pytest.LogCaptureFixture,
    *, seconds: float = 40, then: Weather = FINE,
) -> list[str]:  # fmt: skip
    """The log of a call that the client cancels after a second, so many seconds later."""
    model_id = existing(simulation, name="m")
    arguments = WRITES[tool] if tool == "create_model" else {"modelId": model_id, **WRITES[tool]}
    looks = [FINE] if tool == "delete_model" else []
    simulation.network.weather, simulation.network.lasting, simulation.decthings.ask = [*looks, fault], then, 1

    async def call() -> None:
        with anyio.move_on_after(1):
            await simulation.chat(tool, **arguments)

    simulation.run(call())
    simulation.passes(seconds)
    return [record.getMessage() for record in caplog.records if record.name.startswith("decthings_mcp.tools")]


@pytest.mark.parametrize("tool", WRITES)
def test_a_cancelled_call_that_was_done_is_logged_as_done(
    tool: str, simulation: Simulation, caplog: pytest.LogCaptureFixture
) -> None:
    (line,) = cancel(simulation, tool, Weather(responds_after=30), caplog)
    assert simulation.decthings.done_by(1) != []
    subject = " of 'n'" if tool == "create_model" else ""
    assert line.startswith(f"{tool}{subject} was cancelled and done all the same: {{'seconds': 0")


def test_a_server_that_ends_has_time_for_one_look_at_a_cancelled_call(
    simulation: Simulation, caplog: pytest.LogCaptureFixture
) -> None:
    (line,) = cancel(simulation, "create_model", Weather(responds_after=30), caplog, seconds=0.1)
    assert "was cancelled and done all the same" in line


def test_a_look_at_a_cancelled_call_is_given_up_after_a_third_of_the_time_of_a_call(
    simulation: Simulation, caplog: pytest.LogCaptureFixture
) -> None:
    silence = Weather(acts_after=None, responds_after=None)
    (line,) = cancel(simulation, "create_model", silence, caplog, seconds=0.35 * 44 + 0.1, then=silence)
    assert "Decthings did not respond to the lookup either, for 15 s." in line


def test_a_server_that_ends_says_which_cancelled_call_it_could_not_look_at(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    simulation, silence = Simulation(tmp_path), Weather(acts_after=None, responds_after=None)
    assert cancel(simulation, "create_model", silence, caplog, seconds=0.1, then=silence) == []
    simulation.close()
    messages = [record.getMessage() for record in caplog.records]
    assert "create_model of 'n' was cancelled after all of it was sent: it may have been done" in messages


@pytest.mark.parametrize("tool", ["create_model", "update_model", "snapshot_model"])
def test_a_cancelled_call_that_was_not_sent_is_logged_as_not_done(
    tool: str, simulation: Simulation, caplog: pytest.LogCaptureFixture
) -> None:
    (line,) = cancel(simulation, tool, Weather(connects="timeout"), caplog)
    assert line.startswith(tool)
    assert "was cancelled before Decthings took it: nothing was done" in line


@pytest.mark.parametrize("tool", WRITES)
def test_a_cancelled_call_that_cannot_be_found_is_logged_as_unknown(
    tool: str, simulation: Simulation, caplog: pytest.LogCaptureFixture
) -> None:
    (line,) = cancel(simulation, tool, Weather(acts_after=None, responds_after=30, says=b""), caplog)
    assert simulation.decthings.done_by(1) == []
    assert line.startswith(tool)
    assert "was cancelled. All of it was sent." in line


@pytest.mark.parametrize(("refusal", "tries", "seconds"), [
    (Weather(error="server_overloaded"), 9, 18.225),  # 0.225 s, and each time twice as long, up to 3.75 s
    (Weather(acts_after=None, says=intermediary("429 Too Many Requests", "Retry-After: 7")), 3, 14),
    (Weather(acts_after=None, says=intermediary("429 Too Many Requests", "Retry-After: 10")), 3, 20),
])  # fmt: skip
def test_a_call_that_is_refused_for_load_is_repeated_less_and_less_often(
    refusal: Weather, tries: int, seconds: float, simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mean(least: float, most: float) -> float:
        return (least + most) / 2

    monkeypatch.setattr("random.uniform", mean)
    result = simulation.call("create_model", lasting=refusal, **CREATE)
    assert (outcome_of(result), simulation.network.tries) == ("not_created", tries)
    assert seconds_of(simulation) == pytest.approx(seconds)


@pytest.mark.parametrize(("connects", "reason"), [("timeout", "the connection timed out"), ("refused", "ConnectError")])
def test_why_no_connection_was_made_is_named(connects: str, reason: str, simulation: Simulation) -> None:
    error = simulation.call("create_model", lasting=Weather(connects=connects), **CREATE)["error"]
    assert (error["code"], error["outcome"]) == ("connection_failed", "not_created")
    assert error["message"] == f"Could not connect to Decthings: {reason}."
