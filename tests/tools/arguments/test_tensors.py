"""Tensors as arguments: every type reaches the wire, and what cannot is reported with its path."""

import base64
from pathlib import Path
from typing import Any

import pytest
from create_model_arguments import with_tensor
from decthings_mcp.tools.decthings.tensors import Media, decode_tensors
from support import Chat, Upstream

pytestmark = pytest.mark.anyio


async def test_tensor_elements_of_all_types_reach_the_wire(chat: Chat, upstream: Upstream, tmp_path: Path) -> None:
    (tmp_path / "cat.JPEG").write_bytes(b"cat")
    png = "data:image/png;base64," + base64.b64encode(b"dog").decode()
    cases: dict[str, tuple[list[Any], list[Any]]] = {
        "i64": (["-9223372036854775808", 9223372036854775807, "3.0"], [-(2**63), 2**63 - 1, 3]),
        "u64": (["18446744073709551615"], [2**64 - 1]),
        "f32": (["1.5", "-Infinity", "1e3", "inf"], [1.5, float("-inf"), 1000.0, float("inf")]),
        "boolean": (["true", "FALSE", 1, "0", True], [True, False, True, False, True]),
        "string": (["", "åäö", "true"], ["", "åäö", "true"]),
        "binary": (["file:cat.JPEG", {"base64": "AA=="}, "AA=="], [b"cat", b"\0", b"\0"]),
        "image": (["file:cat.JPEG", png, {"base64": "AA==", "format": "bmp"}, {"path": "cat.JPEG", "format": "jpg"}],
                  [("jpg", b"cat"), ("png", b"dog"), ("bmp", b"\0"), ("jpg", b"cat")]),
        "audio": ([{"base64": "data:audio/x-wav;base64,AA=="}], [("wav", b"\0")]),
    }  # fmt: skip
    link = f"file://{tmp_path}/cat.JPEG"
    cases["video"] = ([link, link.replace("//", "//localhost", 1), {"path": link}], [("jpg", b"cat")] * 3)
    for type_, (given, expected) in cases.items():
        await chat.create(with_tensor({"type": type_, "shape": [len(given)], "data": given}))
        (tensor,) = decode_tensors(upstream.last_call()[1][0])
        elements = [(e.format, e.data) if isinstance(e, Media) else e for e in tensor.elements]
        assert (tensor.type, elements) == (type_, expected)


SINGLE_PROBLEMS: list[tuple[Any, str]] = [
    ({"type": "f32", "shape": [1], "data": ["1e39"]}, "does not fit f32"),
    ({"type": "f64", "shape": [1], "data": ["1_0"]}, "does not fit f64"),
    ({"type": "f64", "shape": [1], "data": [True]}, "does not fit f64"),
    ({"type": "i32", "shape": [1], "data": ["1.5"]}, "does not fit i32"),
    ({"type": "i32", "shape": [1], "data": [1.5]}, "does not fit i32"),
    ({"type": "boolean", "shape": [1], "data": ["yes"]}, "does not fit boolean"),
    ({"type": "string", "shape": [1], "data": [1]}, "does not fit string (a string)"),
    ({"type": "f64", "shape": [1], "data": ["1e400"]}, "does not fit f64"),
    ({"type": "f32", "shape": [1], "data": [1e39]}, "does not fit f32"),
    ({"type": "i32", "shape": [4], "data": ["1.5", "x", "2", "y"]}, "nor do 2 later elements"),
    ({"type": "u8", "shape": [1] * 256, "data": ["1"]}, "has 256 dimensions"),
    ({"type": "u8", "shape": [0, 2**70], "data": []}, "64 bits"),
    ({"type": "image", "shape": [1], "data": ["data:text/plain,x"]}, "has no format"),
    ({"type": "image", "shape": [1], "data": [{"base64": "AA==", "format": "x" * 256}]}, "at most 255 bytes"),
    ({"type": "binary", "shape": [1], "data": ["models/a"]}, 'must be "file:PATH" or "data:;base64,..."'),
    ({"type": "binary", "shape": [1], "data": ["key="]}, 'must be "file:PATH" or "data:;base64,..."'),
    ({"type": "binary", "shape": [1], "data": ["data:,AA=="]}, 'if they are base64, write "data:;base64,..."'),
    ({"type": "binary", "shape": [1], "data": [{"base64": "data:text/plain,hello"}]}, 'without ";base64"'),
    ({"type": "f32", "shape": [1], "data": ["infinite"]}, '(a number, "inf", "-inf" or "nan")'),
    ({"type": "i32", "shape": [2], "data": ["1.5", "x"]}, "nor does 1 later element"),
    ({"type": "binary", "shape": [1], "data": [1]}, 'must be {"path"'),
    ({"type": "binary", "shape": [1], "data": [{"Path": "x"}]}, "unknown field; probably path is meant"),
    ({"type": "binary", "shape": [1], "data": [{"path": 1}]}, "needs a string for path"),
    ({"type": "binary", "shape": [1], "data": ["file:a\0b"]}, "is not the path of a file"),
    ({"type": "image", "shape": [1], "data": ["file:cat"]}, "has no format"),
    ({"type": "image", "shape": [1], "data": [{"base64": "AA==", "format": 1}]},
     "needs a string of at most 255 bytes for format"),
    ({"type": "u8", "shape": [-1], "data": []}, "negative dimension"),
    ({"type": "u8", "shape": [1, 2], "data": [[1], [2]]}, "nested arrays that do not fit"),
    ({"type": "f16", "shape": [], "data": ["1"]}, "is not a possible value"),
]  # fmt: skip


@pytest.mark.parametrize(("tensor", "expected"), SINGLE_PROBLEMS)
async def test_a_tensor_that_cannot_be_sent_is_reported(tensor: Any, expected: str, chat: Chat) -> None:
    (found,) = (await chat.create(with_tensor(tensor)))["error"]["problems"]
    assert expected in found["problem"]
    assert found["path"].startswith("options.initialState.params[0].data.data[0]")
