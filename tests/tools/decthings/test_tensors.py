from __future__ import annotations

import math
import struct
from contextlib import suppress
from typing import Any

import pytest
from decthings_mcp.tools.decthings import TENSOR_TYPES, Blob, Media, Tensor, TensorError
from decthings_mcp.tools.decthings.tensors import decode_tensors, encode_tensors, integer_range
from decthings_mcp.tools.decthings.varint import MalformedFrame
from hypothesis import given
from hypothesis import strategies as st


def written(*tensors: Tensor) -> bytes:
    blob: Blob = encode_tensors(tensors)
    assert isinstance(blob, bytes)
    return blob


@pytest.mark.parametrize(("tensor", "expected"), [
    (Tensor("u8", [], [1]), "07 00 01"),
    (Tensor("f32", [2], [1.0, 2.0]), "01 01 02 0000803f 00000040"),
    (Tensor("string", [], ["å"]), "0b 00 03 02 c3a5"),
    (Tensor("audio", [], [Media("wav", b"D")]), "0f 00 06 05 03 776176 44"),
    (Tensor("string", [0], []), "0b 01 00 00"),
    (Tensor("boolean", [2], [True, False]), "0d 01 02 01 00"),
    (Tensor("binary", [1], [b"\x00\xff"]), "0c 01 01 03 02 00ff"),
    (Tensor("image", [1], [Media("", b"")]), "0e 01 01 02 01 00"),
    (Tensor("f64", [3, 0, 2], []), "02 03 03 00 02"),
    (Tensor("u8", [253], [0] * 253), "07 01 fd00fd" + "00" * 253),
])  # fmt: skip
def test_tensors_are_laid_out_as_in_the_reference(tensor: Tensor, expected: str) -> None:
    assert written(tensor) == bytes.fromhex(expected)
    assert decode_tensors(written(tensor)) == [tensor]


def test_type_codes_follow_the_reference() -> None:
    codes = {type_: written(Tensor(type_, [0], []))[0] for type_ in TENSOR_TYPES}
    assert (codes["f32"], codes["u64"], codes["string"], codes["binary"], codes["boolean"]) == (1, 10, 11, 12, 13)
    assert (codes["image"], codes["audio"], codes["video"]) == (14, 15, 16)


@pytest.mark.parametrize("type_", ["i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"])
def test_integers_are_exact_up_to_the_limits_of_their_type_and_refused_beyond(type_: Any) -> None:
    least, greatest = integer_range(type_)
    values = [least, 0, greatest]
    data = written(Tensor(type_, [3], values))
    width = (len(data) - 3) // 3
    expected = b"".join(v.to_bytes(width, "little", signed=least < 0) for v in values)
    assert data[3:] == expected
    for value in (least - 1, greatest + 1):
        with pytest.raises(TensorError, match=f"element 1: .*{least} to {greatest}"):
            written(Tensor(type_, [2], [0, value]))


@pytest.mark.parametrize(("tensor", "index"), [
    (Tensor("u8", [3], [1, 2, 300]), 2),
    (Tensor("i32", [2], [1.5, 1]), 0),
    (Tensor("i32", [2], [1, True]), 1),
    (Tensor("boolean", [2], [True, 1]), 1),
    (Tensor("f32", [2], [0.0, 1e39]), 1),
    (Tensor("f64", [1], [10**400]), 0),
    (Tensor("f32", [1], ["1"]), 0),
    (Tensor("string", [2], ["", "\ud800"]), 1),
    (Tensor("image", [1], [Media("x" * 256, b"")]), 0),
])  # fmt: skip
def test_an_element_that_does_not_fit_is_refused_with_its_position(tensor: Tensor, index: int) -> None:
    with pytest.raises(TensorError) as caught:
        written(tensor)
    assert caught.value.index == index
    assert str(caught.value).startswith(f"element {index}: ")


@pytest.mark.parametrize(
    "tensor", [Tensor("u8", [2], [1]), Tensor("u8", [], []), Tensor("u8", [-1], []), Tensor("u8", [1] * 256, [1])]
)
def test_a_shape_that_does_not_fit_is_refused(tensor: Tensor) -> None:
    with pytest.raises(TensorError) as caught:
        written(tensor)
    assert caught.value.index is None


def test_nan_and_infinities_keep_their_bits() -> None:
    data = written(Tensor("f64", [4], [math.nan, math.inf, -math.inf, -0.0]))
    assert data[3:] == struct.pack("<4d", math.nan, math.inf, -math.inf, -0.0)
    nan, *others = decode_tensors(data)[0].elements
    assert math.isnan(nan)
    assert others == [math.inf, -math.inf, 0.0]


def test_several_tensors_are_concatenated() -> None:
    tensors = [Tensor("u8", [], [1]), Tensor("string", [2], ["", "abc"]), Tensor("f32", [1], [0.5])]
    assert written() == b""
    assert decode_tensors(written(*tensors)) == tensors


_ELEMENTS: dict[str, st.SearchStrategy[Any]] = {
    "f32": st.floats(width=32, allow_nan=False),
    "f64": st.floats(allow_nan=False),
    "string": st.text(st.characters(exclude_categories=["Cs"])),
    "binary": st.binary(),
    "boolean": st.booleans(),
    **dict.fromkeys(
        ("image", "audio", "video"), st.builds(Media, st.text(st.characters(codec="utf-8"), max_size=60), st.binary())
    ),
}


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    type_ = draw(st.sampled_from(TENSOR_TYPES))
    shape = draw(st.lists(st.integers(0, 3), max_size=4))
    count = math.prod(shape)
    element = _ELEMENTS[type_] if type_ in _ELEMENTS else st.integers(*integer_range(type_))
    return Tensor(type_, shape, draw(st.lists(element, min_size=count, max_size=count)))


@given(st.lists(tensors(), max_size=3))
def test_every_tensor_survives_the_way_there_and_back(given_tensors: list[Tensor]) -> None:
    assert decode_tensors(written(*given_tensors)) == given_tensors


@given(st.lists(tensors(), min_size=1, max_size=2), st.data())
def test_damaged_bytes_are_malformed_or_another_tensor(given_tensors: list[Tensor], data: st.DataObject) -> None:
    whole = bytearray(written(*given_tensors))
    position = data.draw(st.integers(0, len(whole) - 1))
    whole[position] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    with suppress(MalformedFrame):
        decode_tensors(bytes(whole[:cut]))


@pytest.mark.parametrize("data", [
    "07", "00 00", "11 00", "07 01 02 01", "01 01 fe7fffffff 00", "0b 01 02 02 00", "0b 01 01 ff7fffffffffffffff 00",
    "0b 00 02 00 00", "0b 00 02 01 ff", "0e 00 02 01 05", "0e 00 01 00", "0c 01 02 03 01 aa 05",
])  # fmt: skip
def test_malformed_tensors_are_refused(data: str) -> None:
    with pytest.raises(MalformedFrame):
        decode_tensors(bytes.fromhex(data))
