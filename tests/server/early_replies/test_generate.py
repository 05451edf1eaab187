"""The prepared results are those of the server."""

from __future__ import annotations

from pathlib import Path

from decthings_mcp.server.early_replies import replies as prepared
from decthings_mcp.server.early_replies.generate import document


def test_the_prepared_results_are_those_of_the_server() -> None:
    """After a change: python -m decthings_mcp.server.early_replies.generate"""
    assert Path(prepared.FILE).read_text(encoding="utf-8") == document()
