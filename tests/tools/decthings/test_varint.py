from __future__ import annotations

import pytest
from decthings_mcp.tools.decthings.errors import InvalidRequest
from decthings_mcp.tools.decthings.varint import MalformedFrame, decode_varint, encode_varint
from hypothesis import given
from hypothesis import strategies as st

BOUNDARIES = {
    0: "00", 252: "fc", 253: "fd00fd", 65535: "fdffff", 65536: "fe00010000", 4294967295: "feffffffff",
    4294967296: "ff0000000100000000", 2**64 - 1: "ffffffffffffffffff",
}  # fmt: skip


@pytest.mark.parametrize(("value", "written"), BOUNDARIES.items())
def test_every_boundary_is_written_in_the_shortest_form(value: int, written: str) -> None:
    assert encode_varint(value).hex() == written
    assert decode_varint(bytes.fromhex(written)) == (value, len(written) // 2)


@given(st.integers(0, 2**64 - 1), st.binary(max_size=3))
def test_varints_are_read_at_any_offset(value: int, before: bytes) -> None:
    data = before + encode_varint(value)
    assert decode_varint(data, len(before)) == (value, len(data))


def test_longer_forms_of_varints_are_read() -> None:
    assert decode_varint(bytes.fromhex("fd0001")) == (1, 3)
    assert decode_varint(bytes.fromhex("ff0000000000000001")) == (1, 9)


def test_integers_of_more_than_64_bits_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="64 bits"):
        encode_varint(2**64)


@pytest.mark.parametrize("data", ["", "fd", "fd00", "fe000000", "ff00000000000000"])
def test_a_length_that_is_cut_off_is_malformed(data: str) -> None:
    with pytest.raises(MalformedFrame):
        decode_varint(bytes.fromhex(data))
