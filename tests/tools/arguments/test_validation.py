"""Every problem of the arguments is reported with its path, and nothing is sent."""

import math
import re
from typing import Any

import pytest
from create_model_arguments import arguments, from_snapshot, with_params, with_tensor
from decthings_mcp.tools.arguments import limits
from decthings_mcp.tools.decthings.tensors import TENSOR_TYPES
from support import CODE, Chat, Upstream

pytestmark = pytest.mark.anyio


def problem(path: str, about: str, **more: Any) -> dict[str, Any]:
    return {"path": path, "problem": about, **more}


LANGUAGES = ["go", "javascript", "typescript", "python", "rust"]

OPTIONS = [
    "type", "language", "preset", "wasm", "format", "data", "modelId", "snapshotId", "initialState", "tags",
    "parameterDefinitions",
]  # fmt: skip

TYPES = ["code", "upload", "basedOnModelSnapshot", "fromExisting"]

WRONG: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "nothing": ({},
        [problem("name", "is missing; it is required"),
         problem("description", "is missing; it is required: what the model does"),
         problem("options", "is missing; it is required, with type")]),
    "a name that looks like a tag": ({**arguments(CODE), "<x>": "payload"},
        [problem("<x>", "is not a known name", allowed=["name", "description", "publicAccess", "options"])]),
    "a format that is missing": (arguments({"type": "upload", "data": {"base64": "AA=="}}),
        [problem("options.format", 'is missing; type "upload" needs it: onnx or tflite, for upload')]),
    "a type of elements that there is not": (
        arguments({**CODE, "parameterDefinitions": {"evaluateInput": [
            {"name": "x", "rules": {"shape": [], "allowedTypes": ["F32"]}}]}}),
        [problem("options.parameterDefinitions.evaluateInput[0].rules.allowedTypes[0]", "is not a possible value",
                 allowed=list(TENSOR_TYPES), nearest="f32")]),
    "too many state files": (
        from_snapshot({"method": "upload", "name": "s", "data": [
            {"key": str(i), "data": {"base64": "AA=="}} for i in range(256)]}),
        [problem("options.initialState.data", "has 256 files, and one call carries at most 255")]),
    "too many inline parameters": (with_params(*[{"name": str(i), "data": []} for i in range(256)]),
        [problem("options.initialState.params", "has 256 inline parameters, and one call carries at most 255")]),
    "a URL for a file": (
        arguments({"type": "upload", "format": "onnx", "data": {"path": "https://example.com/m.onnx"}}),
        [problem("options.data", "is a URL, and this server downloads nothing; "
                                 "give the path of a file on the server's machine")]),
    "a word in another case": (arguments({"type": "code", "language": "Python"}),
        [problem("options.language", "is not a possible value", allowed=LANGUAGES, nearest="python")]),
    "a name in another case": (arguments({"type": "fromExisting", "modelID": "m"}),
        [problem("options.modelId", 'is missing; type "fromExisting" needs it: the source\'s id'),
         problem("options.modelID", "is not a known name",
                 allowed=["type", "modelId", "snapshotId", "tags"], nearest="modelId")]),
    "no type": (arguments({"tags": []}), [problem("options.type", "is missing; it is required", allowed=TYPES)]),
    "an unknown type": (arguments({"type": "from_existing"}),
        [problem("options.type", "is not a possible value", allowed=TYPES, nearest="fromExisting")]),
    "a type that is not a string": (arguments({"type": 7}),
        [problem("options.type", "must be a string, not an integer", allowed=TYPES)]),
    "another type's text": (arguments({**CODE, "format": "onnx"}),
        [problem("options.format", 'does not belong to type "code", only to "upload": leave it out, or change type')]),
    "several at once": (
        {"name": 7, "description": "d", "publicAccess": "maybe",
         "options": {**CODE, "language": 1, "tags": [{"tag": "t"}]}},
        [problem("name", "must be a string, not an integer"),
         problem("publicAccess", "must be a boolean, not a string"),
         problem("options.tags[0].value", "is missing; it is required"),
         problem("options.language", "must be a string, not an integer", allowed=LANGUAGES)]),
    "options that are not an object": (arguments("code"),
        [problem("options", "must be an object, not a string", allowed=OPTIONS)]),
    "a member in two places": (arguments({**CODE}, language="rust"),
        [problem("language", "is not a known name", allowed=["name", "description", "publicAccess", "options"])]),
    "an element that does not fit": (with_tensor({"type": "u8", "shape": [3], "data": ["1", "2", "300"]}),
        [problem("options.initialState.params[0].data.data[0].data[2]", "does not fit u8 (an integer from 0 to 255)")]),
    "a shape that does not fit": (with_tensor({"type": "u8", "shape": [2, 2], "data": ["1"]}),
        [problem("options.initialState.params[0].data.data[0]",
                 "has the shape [2, 2], which needs 4 elements, but 1 are given")]),
    "a repeated key": (
        from_snapshot({"method": "upload", "name": "s", "data": [
            {"key": "k", "data": {"base64": "AA=="}}, {"key": "k", "data": {"base64": "AA=="}}]}),
        [problem("options.initialState.data[1]", "has the same key as an earlier file")]),
    "a link next to another file": (
        from_snapshot({"method": "upload", "name": "s", "data": [
            {"key": "k", "data": {"base64": "AA=="}}, {"key": "l", "data": {"upload": True}}]}),
        [problem("options.initialState.data[1].data", 'can be {"upload": true} only where it is the only file')]),
    "both path and base64": (arguments({"type": "upload", "format": "onnx", "data": {"path": "p", "base64": "AA=="}}),
        [problem("options.data", "needs exactly one of path and base64", allowed=["path", "base64"])]),
    "invalid base64": (arguments({"type": "upload", "format": "onnx", "data": {"base64": "A A="}}),
        [problem("options.data", "is not valid base64 (padded, without line breaks); " "the path of a file is safer")]),
    "a launcher that is missing": (from_snapshot({"method": "create", "name": "s", "params": []}),
        [problem("options.initialState.launcherSpec",
                 'is missing; method "create" needs it, with cpus and memoryMebibytes')]),
    "a fraction for an integer": (
        from_snapshot({"method": "create", "name": "s", "params": [],
                       "launcherSpec": {"cpus": 1, "memoryMebibytes": 1.5}}),
        [problem("options.initialState.launcherSpec.memoryMebibytes",
                 "must be an integer, not a number with a fraction")]),
    "too much base64": (arguments({"type": "upload", "format": "onnx", "data": {"base64": "AAAA" * 90000}}),
        [problem("options.data", "is more than the 256 KiB that can be given inline; give the path of a file, or "
                                 '{"upload": true} for a link where the user uploads it')]),
}  # fmt: skip


@pytest.mark.parametrize(("given", "problems"), WRONG.values(), ids=WRONG)
async def test_every_problem_is_reported_and_nothing_sent(
    given: dict[str, Any], problems: list[dict[str, Any]], chat: Chat, upstream: Upstream
) -> None:
    answer = await chat.create(given)
    error = answer["error"]
    assert error["problems"] == problems
    assert (error["code"], error["outcome"], error["retryable"]) == ("invalid_arguments", "not_created", False)
    assert upstream.connections == 0


NEAREST = {
    "f16": "f32", "float16": "f32", "half": "f32", "float": "f32", "double": "f64", "int": "i64", "uint8": "u8",
    "bool": "boolean", "str": "string", "F32": "f32", "i46": "i64", "f8": None, "complex64": None, "u7": None,
}  # fmt: skip
"""By meaning, or by spelling within a kind."""


@pytest.mark.parametrize(("given", "nearest"), NEAREST.items())
async def test_the_nearest_element_type_is_of_the_same_kind(given: str, nearest: str | None, chat: Chat) -> None:
    tensor = {"type": given, "shape": [], "data": ["1"]}
    (found,) = (await chat.create(with_tensor(tensor)))["error"]["problems"]
    assert found.get("nearest") == nearest


@pytest.mark.parametrize(
    ("given", "nearest"), [("js", "javascript"), ("ts", "typescript"), ("py", "python"), ("golang", "go"), ("c", None)]
)
async def test_the_nearest_language_is_the_one_meant(given: str, nearest: str | None, chat: Chat) -> None:
    (found,) = (await chat.create(arguments({"type": "code", "language": given})))["error"]["problems"]
    assert found.get("nearest") == nearest


async def test_checking_stops_after_twenty_problems_and_the_message_says_so(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SECONDS", math.inf)
    for count in (10, 30, 500_000):
        answer = await chat.create(arguments({**CODE, "tags": [{}] * count}))
        assert len(answer["error"]["problems"]) == 20
        found = re.match("At least ([0-9]+) arguments are wrong;", answer["error"]["message"])
        assert found
        assert 20 <= int(found[1]) <= 2 * min(count, 100)


async def test_an_unpaired_surrogate_is_reported_with_its_path(chat: Chat, upstream: Upstream) -> None:
    given = arguments({**CODE, "tags": [{"tag": "t", "value": "\udfff"}]}, name="\ud800")
    problems = (await chat.create(given))["error"]["problems"]
    assert [problem["path"] for problem in problems] == ["name", "options.tags[0].value"]
    assert all("surrogate" in problem["problem"] for problem in problems)
    assert upstream.connections == 0
