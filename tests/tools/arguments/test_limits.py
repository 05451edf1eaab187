"""Arguments that are made to be expensive cost no more than their size, and hold up no other call."""

import json
import math
import sys
import threading
import tracemalloc
from collections.abc import Callable, Generator
from typing import Any

import anyio
import pytest
from create_model_arguments import DATASET, arguments, from_snapshot, with_params, with_tensor
from decthings_mcp.tools.arguments import limits, reader
from decthings_mcp.tools.create_model.tool import CREATE_MODEL
from decthings_mcp.tools.results.errors import InvalidArguments
from hypothesis import given, settings
from hypothesis import strategies as st
from support import CODE, Chat


def _with_data(type_: str) -> Callable[[list[Any]], dict[str, Any]]:
    return lambda items: with_tensor({"type": type_, "shape": [len(items)], "data": items})


PLACES: dict[str, Callable[[list[Any]], dict[str, Any]]] = {
    "tags": lambda items: arguments({**CODE, "tags": items}),
    "tags in one string": lambda items: arguments({**CODE, "tags": json.dumps(items)}),
    "definitions": lambda items: arguments({**CODE, "parameterDefinitions": {"train": items}}),
    "annotations": lambda items: arguments({**CODE, "parameterDefinitions": {"train": [
        {"name": "x", "rules": {"shape": [], "allowedTypes": items[i : i + 50], "annotations": items[i : i + 50]}}
        for i in range(0, len(items), 50)]}}),
    "params": lambda items: with_params(*items),
    "tensors": lambda items: with_params({"name": "p", "data": {"type": "data", "data": items}}),
    "tensors of many params": lambda items: with_params(*({"name": "p", "data": [item]} for item in items)),
    "shape": lambda items: with_tensor({"type": "f32", "shape": items, "data": ["1"]}),
    "files": lambda items: from_snapshot({"method": "upload", "name": "s", "data": items}),
    "unknown fields": lambda items: arguments({**CODE, **{f"x{i}": item for i, item in enumerate(items)}}),
    "unknown fields of tags": lambda items: arguments({**CODE, "tags": [
        {f"x{i}": item for item in items[i : i + 50]} for i in range(0, len(items), 50)]}),
    **{f"{type_} elements": _with_data(type_) for type_ in ("f32", "i64", "boolean", "string", "binary", "image")},
}  # fmt: skip
"""Where a list of many items can be."""

DEEP: Any = json.loads("[" * 200 + "]" * 200)

ITEMS: list[Any] = [
    None, True, 1, 2**64, 1.5, "", "1", "x", "é", "\ud800", "{}", "[[]]", '{"tag": 1}', "none", "data:image/png,",
    "file:", [], {}, [1], [[]], ["x"], DEEP, {"x": 1}, {"tag": "t", "value": "v"}, {"key": "k", "data": {"base64": ""}},
    {"name": "x"}, {"name": "x", "rules": {"shape": ["x"], "allowedTypes": ["x"]}}, {"Path": "x"}, DATASET,
    {"name": "p", "data": {"type": "data", "data": [{"type": "f32", "shape": [1], "data": ["x"]}]}},
    {"name": "p", "data": {"type": "dataset", "datasetId": "none", "datasetKey": "none", "data": []}},
    {"type": "f32", "shape": [1], "data": [[1]]}, {"type": "f64", "shape": [2**63] * 255, "data": []},
]  # fmt: skip


def hostile(place: str, items: list[Any], count: int) -> dict[str, Any]:
    """Arguments with `count` items in one place, no two of them one object."""
    repeated = (items * count)[:count]
    return json.loads(json.dumps(PLACES[place](repeated)))


def problems_of(given: dict[str, Any]) -> list[Any]:
    try:
        CREATE_MODEL.checked(given)
    except InvalidArguments as error:
        return list(error.details["problems"])
    return []


def peak_bytes(given: dict[str, Any]) -> int:
    tracemalloc.start()
    try:
        problems_of(given)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def function_calls(given: dict[str, Any]) -> int:
    """How many functions are called while arguments are checked, those in C included."""
    calls = 0

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        problems_of(given)
    finally:
        sys.setprofile(None)
    return calls


@pytest.fixture(scope="module", autouse=True)
def no_time_limit() -> Generator[None]:
    """Work is counted here, not seconds: tracing takes many times as long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "SECONDS", math.inf)
        yield


places = st.sampled_from(sorted(PLACES))
items = st.lists(st.sampled_from(ITEMS), min_size=1, max_size=4)


@given(places, items)
@settings(max_examples=30)
def test_hostile_arguments_have_at_most_twenty_problems_and_bounded_memory(place: str, items: list[Any]) -> None:
    arguments = hostile(place, items, 2_000)
    problems = problems_of(arguments)
    assert len(problems) <= 20
    assert len(json.dumps(problems)) < 40_000
    assert peak_bytes(arguments) < 40 * len(json.dumps(arguments)) + (4 << 20)


@given(places, items)
@settings(max_examples=25)
def test_checking_twice_the_items_takes_about_twice_the_work(place: str, items: list[Any]) -> None:
    small, large = (function_calls(hostile(place, items, count)) for count in (1_000, 2_000))
    assert large <= 2.2 * small + 20_000


@pytest.mark.parametrize("element", ["1" * 1_000_000 + "x", "0." + "1" * 1_000_000 + "x", "1e" + "1" * 1_000_000 + "x"])
def test_a_long_number_with_a_wrong_end_is_refused(element: str) -> None:
    (problem,) = problems_of(with_tensor({"type": "f64", "shape": [1], "data": [element]}))
    assert "does not fit f64" in problem["problem"]


def test_a_shape_whose_product_is_too_long_to_print_is_refused() -> None:
    (problem,) = problems_of(with_tensor({"type": "f64", "shape": [2**63] * 255, "data": []}))
    assert problem["problem"].endswith("...] of 255 dimensions, which needs more than 2^64 elements, but 0 are given")
    assert len(problem["problem"]) < 300


def test_the_number_of_elements_that_do_not_fit_is_said_up_to_twenty() -> None:
    for count, said in ((1, ")"), (3, ", nor do 2 later elements"), (9_999, ", nor do at least 19 later elements")):
        (problem,) = problems_of(_with_data("u8")(["x"] * count))
        assert problem["problem"].endswith(said)


def test_a_problem_after_many_right_items_has_its_place() -> None:
    tag = {"tag": "t", "value": "v"}
    (problem,) = problems_of(arguments({**CODE, "tags": [tag] * 1_000 + [{"tag": "t"}]}))
    assert problem["path"] == "options.tags[1000].value"
    elements = ["1"] * 50_000 + ["x"]
    (problem,) = problems_of(_with_data("u8")(elements))
    assert problem["path"].endswith(".data[50000]")


@pytest.mark.anyio
async def test_other_calls_are_answered_while_large_arguments_are_checked(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    others_answered = threading.Event()

    def wait() -> None:
        if threading.current_thread() is not threading.main_thread():
            assert others_answered.wait(60)

    monkeypatch.setattr(reader, "require_time", wait)
    answers: list[Any] = []

    async def call_large() -> None:
        answers.append(await chat.create(hostile("tags", [{}], 100_000)))

    async with anyio.create_task_group() as group:
        group.start_soon(call_large)
        answers += [await chat.create(arguments({**CODE, "language": "x"})) for _ in range(3)]
        others_answered.set()
    assert [len(answer["error"]["problems"]) for answer in answers] == [1, 1, 1, 20]


@pytest.mark.anyio
async def test_arguments_that_take_too_long_to_check_are_refused(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SECONDS", -1.0)
    for count in (10, 100_000):
        answer = await chat.create(hostile("tags", [{"tag": "t", "value": "v"}], count))
        assert (answer["error"]["code"], answer["error"]["outcome"]) == ("arguments_too_large", "not_created")
        assert "file" in answer["nextStep"]
