"""NumPy's files, against NumPy."""

import io
from typing import Any

import numpy as np
import pytest
from decthings_mcp.tools.decthings import Tensor
from decthings_mcp.tools.decthings.tensors import numeric_view
from decthings_mcp.tools.files.npy import NotNpy, read_npy, write_npy


def saved(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


ARRAYS = {
    "f32": np.array([[1.5, np.inf]], np.float32), "f64": np.array(0.1), "i8": np.array([-1], np.int8),
    "i16": np.array([-1], np.int16), "i32": np.array([[-1]], np.int32), "i64": np.array([2**62]),
    "u8": np.array([255], np.uint8), "u16": np.array([1], np.uint16), "u32": np.array([1], np.uint32),
    "u64": np.array([2**64 - 1], np.uint64), "boolean": np.array([True, False]),
}  # fmt: skip


@pytest.mark.parametrize("type_", ARRAYS)
def test_arrays_of_numpy_are_read_and_written(type_: Any) -> None:
    array: Any = ARRAYS[type_]
    tensor = read_npy(saved(array))
    assert (tensor.type, list(tensor.shape), list(tensor.elements)) == (
        type_,
        list(array.shape),
        array.flatten().tolist(),
    )
    copied = np.load(io.BytesIO(write_npy(tensor)))
    assert copied.dtype == array.dtype
    assert np.array_equal(copied, array)


@pytest.mark.parametrize(("data", "reason"), [
    (b"\x89PNG is no array", "is not a .npy file"),
    (saved(np.zeros(4))[:-1], "31 bytes of data, not 32"),
    (saved(np.zeros(4))[:40], "incomplete"),
    (saved(np.zeros((2, 2)).T), "Fortran order"),
    (saved(np.zeros(2, ">f4")), "which Decthings does not have"),
    (saved(np.zeros(2, np.complex64)), "which Decthings does not have"),
    (saved(np.zeros(2, [("a", "f4")])), "something else than plain numbers"),
    (saved(np.zeros(4)).replace(b"(4,)", b"(-4)"), "damaged header"),
    (saved(np.zeros(4)).replace(b"'descr'", b"[descr]"), "damaged header"),
    (saved(np.zeros(4)).replace(b"(4,)", b"9**9"), "damaged header"),
    (saved(np.zeros(4)).replace(b"(4,)", b"(" + b"9" * 20 + b",)"), "damaged header|of data, not"),
    (saved(np.zeros(4)).replace(b"{", b"{{}: 1, "), "damaged header|incomplete"),
])  # fmt: skip
def test_other_files_are_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(NotNpy, match=reason):
        read_npy(data)


def test_the_header_is_aligned_as_numpy_does_it() -> None:
    data = write_npy(Tensor("u8", [3], numeric_view("u8", b"abc")))
    assert (len(data) - 3) % 64 == 0
