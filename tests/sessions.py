"""Generated sessions: plain ones, unusual ones, and what is no message at all."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st
from stdio_support import INITIALIZED, envelope, handshake, notification, request

LISTS = ("tools/list", "prompts/list", "resources/list", "resources/templates/list")
VERSIONS = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
CALL: dict[str, Any] = {"name": "find_models", "arguments": {}}

_PING = request(1, "ping")
_IDS = st.one_of(st.integers(0, 5), st.sampled_from(["a", "", "é", "1", '"', "\x7f", "\x00"]), st.just(2**70))
_METAS = st.sampled_from([{}, {"progressToken": 1}, {"progressToken": "p"}, {"progressToken": True}, {"x": 1}])
_PARAMS = st.sampled_from([..., None, {}, [], {"cursor": None}, {"cursor": "c"}, {"other": 1}, 7, {"_meta": None}])
_NAMES = st.sampled_from(
    ["listChanged", "list_changed", "form", "url", "tools", "context", "list", "cancel", "requests", "sampling",
     "createMessage", "elicitation", "create", "any"]
)  # fmt: skip
_PLAIN: st.SearchStrategy[Any] = st.sampled_from([None, True, 0, 1.5, "true", "x", {}, []])
_VALUES = st.recursive(_PLAIN, lambda inner: st.dictionaries(_NAMES, inner, max_size=3), max_leaves=4)
_CAPABILITIES = st.dictionaries(
    st.sampled_from(["roots", "sampling", "elicitation", "experimental", "extensions", "tasks", "other"]),
    _VALUES,
    max_size=3,
)
_NAMED = st.sampled_from([{"name": "t", "version": "1"}, {"name": "t", "version": "1", "title": "T"}, {"name": "t"}])
_MORE = st.dictionaries(
    st.sampled_from(["version", "icons", "website_url", "websiteUrl", "title", "any"]), _VALUES, max_size=1
)
_ODD = st.sampled_from(
    ["", "{", "[]", "null", '"x"', "not JSON", "\ufeff{}", f"  {_PING} \t", _PING.replace("2.0", "1.0"),
     INITIALIZED, INITIALIZED.replace("}", ',"params":{}}'), notification("no/such"),
     notification("notifications/cancelled", params={"requestId": 1}), '{"jsonrpc":"2.0","id":1,"result":{}}',
     _PING[:-1] + ',"id":2}', _PING[:-1] + ',"other":2}', _PING.replace("ping", "p\\u0069ng"),
     *(_PING.replace("1", number) for number in ("1.0", "-0", "null", "NaN", "1e1", "01", "true", '"\\ud800"')),
     request(1, "ping", {"_meta": {"deep": json.loads("[" * 150 + "]" * 150)}}),
     request(3, "tools/call", CALL), request(3, "tools/call", {**CALL, **envelope()})]
)  # fmt: skip


@st.composite
def _infos(draw: st.DrawFn) -> dict[str, Any]:
    return {**draw(_NAMED), **draw(_MORE)}


@st.composite
def _handshakes(draw: st.DrawFn) -> str:
    version = draw(st.sampled_from([*VERSIONS, "1999-01-01", "2026-07-28", ""]))
    return handshake(draw(_IDS), version, capabilities=draw(_CAPABILITIES), clientInfo=draw(_infos()))


@st.composite
def _envelopes(draw: st.DrawFn) -> dict[str, Any]:
    meta = envelope(draw(st.sampled_from(["2026-07-28", "2026-07-28", "2025-11-25", "2030-01-01"])))["_meta"]
    meta["io.modelcontextprotocol/clientCapabilities"] = draw(_CAPABILITIES)
    if draw(st.booleans()):
        meta["io.modelcontextprotocol/clientInfo"] = draw(_infos())
    return {"_meta": {**meta, **draw(_METAS)}}


@st.composite
def _requests(draw: st.DrawFn) -> str:
    method = draw(st.sampled_from([*LISTS, *LISTS, "ping", "server/discover", "initialize", "no/such", "prompts/get"]))
    wrapped = st.builds(_with_meta, _METAS)
    return request(draw(_IDS), method, draw(_PARAMS | wrapped | _envelopes()))


def _with_meta(meta: dict[str, Any]) -> dict[str, Any]:
    return {"_meta": meta}


@st.composite
def sessions(draw: st.DrawFn) -> list[str]:
    """Lines."""
    opening = [[], [handshake()], [handshake(), INITIALIZED], [request(1, "server/discover", envelope())]]
    others = st.lists(_handshakes() | _requests() | _requests() | _ODD, max_size=6)
    return [*draw(st.sampled_from(opening)), *draw(others)]
