"""Whether a file is the model that it is called."""

import os
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from decthings_mcp.tools.files import protobuf
from decthings_mcp.tools.files.formats import check_model_file
from decthings_mcp.tools.files.onnx import is_onnx
from decthings_mcp.tools.results.errors import NotAModelFile
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

TFLITE = b"\x1c\0\0\0TFL3" + bytes(40)


def reader(data: bytes) -> tuple[int, Callable[[int, int], bytes]]:
    return len(data), lambda offset, length: data[offset : offset + length]


def check(format_: str, data: bytes) -> None:
    check_model_file(format_, *reader(data))


def test_real_models_pass(onnx_file: bytes) -> None:
    check("onnx", onnx_file)
    check("tflite", TFLITE)
    check("a format of tomorrow", b"anything")


def test_an_onnx_model_with_every_field_passes() -> None:
    weights = helper.make_tensor("w", TensorProto.FLOAT, [1000], [0.5] * 1000)
    graph = helper.make_graph([], "g", [], [], [weights], doc_string="d")
    function = helper.make_function("d", "f", [], [], [], [])
    about = {"producer_name": "p", "producer_version": "1", "domain": "d", "model_version": 7, "doc_string": "d"}
    model = helper.make_model(graph, functions=[function], **about)
    helper.set_model_props(model, {"k": "v", "k2": "v"})
    check("onnx", model.SerializeToString())


FOUND = {
    "The file is empty": ("onnx", b""),
    "looks like text": ("onnx", b"-----\nthese are my notes"),
    "a key or a certificate": ("onnx", b"-----BEGIN OPENSSH PRIVATE KEY-----\n"),
    "looks like tflite": ("onnx", TFLITE),
    "a ZIP archive": ("tflite", b"PK\x03\x04" + bytes(20)),
    "an HDF5 file": ("tflite", b"\x89HDF\r\n"),
    "Git LFS pointer": ("onnx", b"version https://git-lfs.github.com/spec/v1\n"),
    "something else": ("onnx", b"\0\1\2\3"),
    "looks like something": ("tflite", b"\xff\xff\xff\xffTFL3"),
}


@pytest.mark.parametrize(("expected", "given_file"), FOUND.items(), ids=FOUND)
def test_a_file_of_another_kind_is_named(expected: str, given_file: tuple[str, bytes]) -> None:
    with pytest.raises(NotAModelFile, match=expected):
        check(*given_file)


def test_a_model_whose_weights_are_in_another_file_is_refused(tmp_path: Path) -> None:
    weights = helper.make_tensor("w", TensorProto.FLOAT, [1000], bytes(4000), raw=True)
    model = helper.make_model(helper.make_graph([], "g", [], [], [weights]))
    location = "weights.data"
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location=location, size_threshold=0)
    with pytest.raises(NotAModelFile, match=r"file, 'weights\.data'") as caught:
        check("onnx", (tmp_path / "m.onnx").read_bytes())
    assert "save_as_external_data=False" in caught.value.next_step


def test_the_time_of_a_check_is_that_of_the_whole_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many weights, each of few fields: what is after the time is up is not read."""
    weights = [helper.make_tensor(f"w{n}", TensorProto.FLOAT, [1] * 400, [0.5]) for n in range(10)]
    outside = TensorProto(name="x", data_location=TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value="weights.data")
    model = helper.make_model(helper.make_graph([], "g", [], [], [*weights, outside])).SerializeToString()
    with pytest.raises(NotAModelFile, match=r"weights\.data"):
        check("onnx", model)
    monkeypatch.setattr(protobuf, "_SECONDS", 0)
    check("onnx", model)


def test_a_private_key_is_refused_whatever_it_is_called() -> None:
    with pytest.raises(NotAModelFile, match="a key or a certificate"):
        check("raw", b"-----BEGIN OPENSSH PRIVATE KEY-----")


def test_the_other_format_is_named_as_the_next_step(onnx_file: bytes) -> None:
    with pytest.raises(NotAModelFile, match="looks like onnx") as caught:
        check("tflite", onnx_file)
    assert caught.value.next_step == 'Use format "onnx" for it.'


def test_a_truncated_onnx_model_is_refused(onnx_file: bytes) -> None:
    opset_import = onnx_file.rindex(b"B\x02\x10")
    for length in {*range(len(onnx_file))} - {opset_import}:  # where the graph ends, another field could
        assert not is_onnx(*reader(onnx_file[:length]))


def test_a_field_without_end_and_endless_fields_are_no_model() -> None:
    assert not is_onnx(*reader(b"\x3a" + b"\xff" * 9 + b"\x01"))
    assert not is_onnx(*reader(b"\x80" * 20))
    assert not is_onnx(*reader(b"\x08\x01" * 100_001))


@given(st.binary(max_size=200))
def test_is_onnx_decides_any_bytes(data: bytes) -> None:
    assert is_onnx(*reader(data)) in (True, False)


def test_random_bytes_are_no_model() -> None:
    assert not any(is_onnx(*reader(os.urandom(1000))) for _ in range(200))
