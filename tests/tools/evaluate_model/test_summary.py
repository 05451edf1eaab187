"""How outputs are shown and compared."""

import json
import math
from typing import Any

import pytest
from decthings_mcp.tools.decthings import Media, Tensor
from decthings_mcp.tools.decthings.evaluations import Output
from decthings_mcp.tools.evaluate_model.parity import compare
from decthings_mcp.tools.evaluate_model.summary import summarize
from hypothesis import given, settings
from hypothesis import strategies as st


def output(type_: Any, shape: list[int], elements: list[Any], name: str = "y") -> Output:
    return Output(name, [Tensor(type_, shape, elements)])


def test_a_label_comes_from_an_output_with_as_many_strings() -> None:
    labels = output("string", [3], ["a", "b", "c"], "names")
    scores = output("f32", [1, 3], [0.1, 0.2, 0.7], "scores")
    shown = summarize([labels, scores]).outputs[1]
    assert [entry["label"] for entry in shown["top"]] == ["c", "b", "a"]
    assert shown["values"] == [0.1, 0.2, 0.7]


def test_numbers_that_json_would_change_are_strings() -> None:
    (shown,) = summarize([output("i64", [3], [2**53 + 1, -(2**63), 5])]).outputs
    assert shown["values"] == ["9007199254740993", "-9223372036854775808", 5]
    (shown,) = summarize([output("f64", [3], [math.nan, math.inf, 0.5])]).outputs
    assert shown["values"] == ["NaN", "Infinity", 0.5]


ELEMENTS: dict[Any, st.SearchStrategy[Any]] = {
    "f32": st.floats(width=32), "f64": st.floats(), "i64": st.integers(-(2**63), 2**63 - 1),
    "string": st.text(max_size=300), "boolean": st.booleans(), "binary": st.binary(max_size=9),
    "image": st.builds(Media, st.text(max_size=9), st.binary(max_size=9)),
}  # fmt: skip


@st.composite
def outputs(draw: st.DrawFn) -> Output:
    type_ = draw(st.sampled_from(list(ELEMENTS)))
    elements = draw(st.lists(ELEMENTS[type_], max_size=5)) * draw(st.sampled_from([1, 1, 90]))
    count = draw(st.sampled_from([1, 1, 0, 30]))
    return Output(draw(st.text(max_size=300)), [Tensor(type_, [len(elements)], elements)] * count)


@given(st.lists(outputs(), max_size=60), st.lists(st.text(max_size=200), max_size=5))
@settings(max_examples=40)
def test_whatever_the_outputs_are_they_are_shown_in_bounds(given_outputs: list[Output], labels: list[str]) -> None:
    shown = json.dumps(summarize(given_outputs, labels).outputs, allow_nan=False)
    assert len(shown) <= 4_000


@pytest.mark.parametrize(("one", "other", "same"), [
    (output("f32", [2], [1.0, math.nan]), output("f32", [2], [1.0 + 5e-4, math.nan]), True),
    (output("f32", [2], [1.0, 2.0]), output("f32", [2], [1.0, 2.1]), False),
    (output("f32", [1], [math.inf]), output("f32", [1], [math.inf]), True),
    (output("f32", [1], [math.inf]), output("f32", [1], [-math.inf]), False),
    (output("f32", [1], [math.nan]), output("f32", [1], [1.0]), False),
    (output("f32", [1], [1e30]), output("f32", [1], [math.inf]), False),
    (output("f64", [1], [1.0]), output("f64", [1], [1.0 + 1e-4]), False),
    (output("u8", [1], [1]), output("u8", [1], [2]), False),
    (output("string", [1], ["a"]), output("string", [1], ["b"]), False),
    (output("f32", [2], [1.0, 2.0]), output("f32", [2, 1], [1.0, 2.0]), False),
    (output("f32", [1], [1.0]), output("f64", [1], [1.0]), False),
    (output("f32", [1], [1.0]), output("f32", [1], [1.0], "z"), False),
    (Output("y", []), output("f32", [1], [1.0]), False),
])  # fmt: skip
def test_a_comparison_says_whether_all_is_the_same(one: Output, other: Output, same: bool) -> None:
    comparison = compare([one], [other])
    assert comparison["same"] is same
    json.dumps(comparison, allow_nan=False)


def test_the_largest_difference_is_said_with_its_place() -> None:
    one = output("f32", [2, 2], [0.0, 1.0, 2.0, 3.0])
    comparison = compare([one], [output("f32", [2, 2], [0.0, 1.5, 2.0, 1.0])])
    (found,) = comparison["outputs"]
    assert comparison["largestDifference"] == 2.0
    assert (found["at"], found["onDecthings"], found["inFile"], found["differing"]) == ({"index": [1, 1]}, 3.0, 1.0, 2)
