"""A file that passes through is judged as one on the disk is, and is complete only when it is right."""

from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from typing import Any

import pytest
from decthings_mcp.tools.decthings import UploadInterrupted
from decthings_mcp.tools.files.formats import check_model_file
from decthings_mcp.tools.files.streamed import StreamedFile
from decthings_mcp.tools.results.errors import NotAModelFile
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto
from upload_support import onnx_model

pytestmark = pytest.mark.anyio

MODEL = onnx_model(3)


def external(data: bytes) -> bytes:
    """The same with its weights in another file, after much that is inside."""
    model = ModelProto.FromString(data)
    weights = model.graph.initializer.add()
    weights.name, weights.data_type, weights.data_location = "v", TensorProto.FLOAT, TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", "weights.bin"
    return model.SerializeToString()


FILES: dict[str, bytes] = {
    "a model": MODEL,
    "weights elsewhere": external(MODEL),
    "without its end": MODEL[:-1],
    "with a foreign field at its end": MODEL + b"\x82\x7d\x00",
    "empty": b"",
    "an archive": b"PK\x03\x04" + bytes(2 << 20),
    "a key": b"-----BEGIN PRIVATE KEY-----",
    "a TFLite file": b"\x1c\0\0\0TFL3" + bytes(1000),
}


async def in_chunks(data: bytes, length: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), length):
        yield data[start : start + length]


async def sent(data: bytes, format_: str | None, chunk: int = 65536, size: int | None = None) -> tuple[int, str]:
    """How much of it got through before the end or an error, and its hash or the error."""
    through = 0
    with StreamedFile(len(data) if size is None else size, in_chunks(data, chunk), format_) as file:
        try:
            await file.start()
            async for part in file.chunks():
                through += len(part)
        except NotAModelFile as error:
            return through, str(error)
        return through, file.sha256


def judged(data: bytes, format_: str) -> str:
    """The same of a file on the disk."""
    try:
        check_model_file(format_, len(data), lambda offset, length: data[offset : offset + length])
    except NotAModelFile as error:
        return str(error)
    return sha256(data).hexdigest()


@pytest.mark.parametrize("format_", ["onnx", "tflite", "another"])
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("chunk", [1000, 65536, 1 << 20])
async def test_a_stream_is_judged_as_a_file_is(name: str, format_: str, chunk: int) -> None:
    data, expected = FILES[name], judged(FILES[name], format_)
    through, verdict = await sent(data, format_, chunk)
    assert verdict == expected
    is_right = expected == sha256(data).hexdigest()
    assert (through == len(data)) == (is_right or not data)


async def test_what_clearly_is_no_model_is_refused_before_any_of_it_is_passed_on() -> None:
    assert (await sent(FILES["an archive"], "onnx"))[0] == 0


async def test_weights_elsewhere_are_found_before_the_last_chunk() -> None:
    through, _ = await sent(FILES["weights elsewhere"], "onnx")
    assert 0 < through < len(FILES["weights elsewhere"])


@given(st.data())
def test_damaged_models_are_judged_alike(onnx_file: bytes, data: st.DataObject) -> None:
    import anyio

    at = data.draw(st.integers(0, len(onnx_file) - 1))
    damaged = onnx_file[:at] + bytes([data.draw(st.integers(0, 255))]) + onnx_file[at + 1 :]
    call: Callable[..., Any] = sent
    assert anyio.run(call, damaged, "onnx", 7)[1] == judged(damaged, "onnx")


async def test_a_file_can_be_passed_on_once() -> None:
    with StreamedFile(len(MODEL), in_chunks(MODEL, 65536), "onnx") as file:
        await file.start()
        assert sum([len(part) async for part in file.chunks()]) == len(MODEL)
        with pytest.raises(UploadInterrupted, match="cannot be sent again"):
            await anext(file.chunks())


async def test_a_stream_that_ends_early_is_no_file() -> None:
    with pytest.raises(UploadInterrupted, match="before the whole file"):
        await sent(MODEL[:-1], None, size=len(MODEL))
