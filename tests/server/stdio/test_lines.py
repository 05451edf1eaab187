"""Lines as they are read from stdin."""

import io

from decthings_mcp.server.stdio.lines import Lines
from hypothesis import example, given
from hypothesis import strategies as st


@given(st.lists(st.binary(max_size=8) | st.sampled_from([b"\r", b"\n", b"\r\n", b"\xc3", b"\xa9", "\u2028".encode()])))
@example([b"a\r", b"\nb\r", b"c"])
def test_lines_are_those_of_a_text_stream(chunks: list[bytes]) -> None:
    stream = io.TextIOWrapper(io.BytesIO(b"".join(chunks)), encoding="utf-8", errors="replace")
    lines = Lines()
    divided = [line for chunk in chunks for line in lines.feed(chunk)] + lines.end()
    assert divided == [line.removesuffix("\n") for line in stream]
