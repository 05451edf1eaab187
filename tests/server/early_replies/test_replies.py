"""The prepared results are those of the server."""

from decthings_mcp.server.early_replies.generate import document
from generated import ROOT, assert_up_to_date


def test_the_prepared_results_are_those_of_the_server() -> None:
    assert_up_to_date(ROOT / "server" / "early_replies" / "prepared.json", document())
