"""What a fuzzer feeds with bytes: one target for each door that bytes from outside come in by.

A target returns when the bytes were read or refused as they should be. Everything else it raises is a finding.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
from decthings_mcp.tools.calls.services import Services, Unavailable
from decthings_mcp.tools.catalog import TOOLS
from decthings_mcp.tools.create_model.request import RequestBuilder
from decthings_mcp.tools.create_model.tool import CREATE_MODEL
from decthings_mcp.tools.decthings import ApiError, InvalidRequest, InvalidResponse
from decthings_mcp.tools.decthings.blobs import size_of
from decthings_mcp.tools.decthings.evaluations import evaluation_result
from decthings_mcp.tools.decthings.json_codec import is_object
from decthings_mcp.tools.decthings.responses import read_reply, result_of
from decthings_mcp.tools.decthings.tensors import decode_tensors, encode_tensors, raw_elements
from decthings_mcp.tools.decthings.varint import MalformedFrame, encode_varint
from decthings_mcp.tools.decthings.wire import decode_response, detach_blobs, encode_head, encode_response
from decthings_mcp.tools.evaluate_model.definitions import InputDefinition
from decthings_mcp.tools.evaluate_model.failures import explain_failure
from decthings_mcp.tools.evaluate_model.inputs import InputReader
from decthings_mcp.tools.evaluate_model.summary import summarize
from decthings_mcp.tools.evaluate_model.tool import EVALUATE_MODEL
from decthings_mcp.tools.files.allowed import AllowedFiles
from decthings_mcp.tools.files.formats import check_model_file, describe
from decthings_mcp.tools.files.npy import NotNpy, read_npy, write_npy
from decthings_mcp.tools.files.onnx import read_onnx
from decthings_mcp.tools.files.structure import MalformedModel
from decthings_mcp.tools.files.tflite import read_tflite
from decthings_mcp.tools.inspect_model_file import parameter_definitions
from decthings_mcp.tools.results.errors import NotAModelFile, ToolFailure
from decthings_mcp.tools.results.tool_result import CHANGES, CREATES, READS, failure
from mcp_types import CallToolResult

_STATUSES = (200, 204, 302, 400, 404, 408, 429, 500, 502, 503)
_EFFECTS = (CREATES, CHANGES, READS)
_LOOP = asyncio.Runner()
_WITHOUT_FILES = Services(Unavailable("", ""), AllowedFiles([]))


def wire(data: bytes) -> None:
    """A response. The first byte picks its status, and whether the rest is its body or the JSON of a frame."""
    first, rest = data[0] if data else 0, data[1:]
    status = _STATUSES[first % len(_STATUSES)]
    body = encode_varint(len(rest)) + rest if first & 0x80 else rest
    with suppress(MalformedFrame):
        reply, blobs = decode_response(body)
        with suppress(InvalidRequest):  # half of a surrogate pair, which JSON can spell out and UTF-8 cannot
            assert decode_response(encode_response(reply, blobs)) == (reply, blobs)
        _evaluation(reply, blobs)
    headers = {"Content-Type": "application/octet-stream"}
    response = httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))
    try:
        reply, _ = _LOOP.run(read_reply(response, request_complete=True, with_outputs=False))
        assert isinstance(result_of(reply), dict)
    except (ApiError, InvalidResponse) as error:
        for effect in _EFFECTS:
            _check_answer(failure(error, effect))


def _evaluation(reply: dict[str, Any], blobs: list[bytes]) -> None:
    result = reply.get("result")
    with suppress(InvalidResponse):
        ended = evaluation_result(result if is_object(result) else {}, blobs, may_have_acted=True)
        shown = json.dumps([summarize(ended.outputs).outputs, explain_failure(ended.details)], allow_nan=False)
        assert len(shown) < 50_000


def tensors(data: bytes) -> None:
    with suppress(MalformedFrame):
        written = encode_tensors(decode_tensors(data))
        # Bytes, not tensors: a NaN is not equal to itself.
        assert isinstance(written, bytes)
        assert encode_tensors(decode_tensors(written)) == written


_DEFINITIONS = [
    InputDefinition("x", False, ["f32", "i64", "string", "image"], [-1, 2, -1]),
    InputDefinition("i", False, ["image", "binary", "u8"], []),
]


def _encode(providers: Any) -> None:
    _, blobs = detach_blobs({"params": providers})
    encode_head({}, list(map(size_of, blobs)))


def arguments(data: bytes) -> None:
    """Arguments of one of the tools, changed in a few places."""
    drawn = _Bytes(data)
    tool = drawn.one_of(TOOLS)
    given = json.loads(json.dumps(drawn.one_of(_CALLS)))
    for _ in range(drawn.below(6)):
        _change(given, drawn)
    try:
        checked, ignored = tool.checked(given)
        assert all(isinstance(name, str) for name in ignored)
        if tool is EVALUATE_MODEL:
            _encode(InputReader(_DEFINITIONS, _WITHOUT_FILES).providers(checked.get("params", [])))
        if tool is CREATE_MODEL:
            checked["options"] = _LOOP.run(RequestBuilder(_WITHOUT_FILES).resolve_options(checked["options"]))
            document, blobs = detach_blobs(checked)
            encode_head(document, list(map(size_of, blobs)))
    except (ToolFailure, InvalidRequest) as error:
        _check_answer(failure(error, CREATES))


def model_files(data: bytes) -> None:
    def read_at(offset: int, length: int) -> bytes:
        assert offset >= 0
        assert length >= 0
        return data[offset : offset + length]

    for read in (read_onnx, read_tflite):
        with suppress(MalformedModel):
            json.dumps(parameter_definitions(read(len(data), read_at))).encode()
    for format_ in ("onnx", "tflite"):
        with suppress(NotAModelFile):
            check_model_file(format_, len(data), read_at)
    describe(len(data), read_at).encode()


def npy(data: bytes) -> None:
    with suppress(NotNpy):
        tensor = read_npy(data)
        again = read_npy(write_npy(tensor))
        assert (again.type, again.shape, raw_elements(again)) == (tensor.type, tensor.shape, raw_elements(tensor))


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (wire, tensors, arguments, model_files, npy)
}


def _check_answer(answer: CallToolResult) -> None:
    """It can be sent, it is bounded, and it says what became of the call."""
    sent = json.dumps(answer.structured_content, ensure_ascii=False, allow_nan=False).encode()
    assert len(sent) < 10_000_000
    assert answer.structured_content is not None
    assert answer.structured_content["error"]["message"]
    answer.model_dump_json()


class _Bytes:
    """Decisions, a byte each; all of them 0 when the bytes are used up."""

    def __init__(self, data: bytes) -> None:
        self._left: Iterator[int] = iter(data)

    def below(self, limit: int) -> int:
        return next(self._left, 0) % limit

    def one_of(self, options: Any) -> Any:
        return options[self.below(len(options))]

    def text(self) -> str:
        raw = bytes(next(self._left, 0) for _ in range(self.below(12)))
        return raw.decode("utf-8", "surrogateescape")


def _change(value: Any, drawn: _Bytes) -> None:
    """Walk down to some member and replace, remove or add it."""
    while True:
        names: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value)))
        if names and drawn.below(4):
            name = drawn.one_of(names)
            if isinstance(value[name], (dict, list)):
                value = value[name]
                continue
            if drawn.below(4) == 0:
                del value[name]
            else:
                value[name] = _value(drawn, 3)
        elif isinstance(value, dict):
            value[drawn.one_of(_NAMES)] = _value(drawn, 3)
        else:
            value.append(_value(drawn, 3))
        return


def _value(drawn: _Bytes, depth: int) -> Any:
    kind = drawn.below(11 if depth else 9)
    if kind == 9:
        return [_value(drawn, depth - 1) for _ in range(drawn.below(4))]
    if kind == 10:
        return {drawn.one_of(_NAMES): _value(drawn, depth - 1) for _ in range(drawn.below(4))}
    if kind == 8:
        return json.dumps(_value(drawn, depth - 1)) if depth else "{"
    if kind == 7:
        return drawn.text()
    return drawn.one_of(_VALUES)


def _names_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, member in value.items():
            yield name
            yield from _names_in(member)
    if isinstance(value, list):
        for item in value:
            yield from _names_in(item)


def _recorded() -> list[dict[str, Any]]:
    """The recorded requests of createModel as an assistant would make them."""
    lines = (Path(__file__).parents[1] / "data" / "requests.jsonl").read_text().splitlines()
    requests = [json.loads(line, object_hook=_as_argument) for line in lines if len(line) < 5_000]
    return [r["semantic"]["params"] for r in requests if r["semantic"]["method"] == "createModel"]


def _as_argument(value: dict[str, Any]) -> dict[str, Any]:
    if "$bytes_sha256" in value:
        return {"base64": "AAAA"}
    if "$tensor" in value:
        tensor = value["$tensor"]
        return {"type": tensor["type"], "shape": tensor["shape"], "data": ["1", "2", "3"]}
    return value


_CALLS: list[dict[str, Any]] = [
    {},
    {"modelId": "m", "snapshotName": "s"},
    {"modelId": "m", "confirmName": "n", "timeoutSeconds": 5},
    {"modelId": "m", "name": "n", "tags": [{"tag": "a", "value": "b"}], "publicAccess": True},
    {"path": "model.onnx"},
    {"modelId": "m", "params": [{"name": "x", "data": ["1", "2"]}], "labels": ["a"], "compareWithFile": "model.onnx"},
    {"modelId": "m", "params": [{"name": "i", "type": "image", "shape": [], "data": ["file:a"]}], "evaluationId": "e"},
    {
        "modelId": "m",
        "params": [{"name": "x", "data": {"type": "data", "data": [{"type": "u8", "shape": [1], "data": [1]}]}}],
    },
    {"searchName": "a", "names": ["b"], "limit": 5, "sort": "name", "detail": True},
    *_recorded(),
]
_NAMES = sorted({name for call in _CALLS for name in _names_in(call)} | {"path", "base64", "tensors", "", "\ud800"})
_VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 255, 2**63, 2**64, 10**400, 0.5, 1e308, float("nan"), float("inf"), "", "null", "true",
    "1", "-1", "1e999", "file:a", "data:image/png;base64,AAAA", "data:,", "base64,", "\ud800", "\x00", "\u202e",
    "create", "copy", "upload", "code", "fromExisting", "basedOnModelSnapshot", "f32", "i64", "u8", "string", "boolean",
    "binary", "image", "python", "go", "onnx", "tflite", "dataset", "data", "[1, 2", "{}", "[]", "9" * 5000, "[" * 5000,
]  # fmt: skip
