"""The prepared results are those of the server, and when they are used."""

import json
from pathlib import Path

import pytest
from decthings_mcp.server.early_replies import replies as prepared
from decthings_mcp.server.early_replies.generate import document
from generated import ROOT, assert_up_to_date


def test_results_generated_with_another_sdk_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = json.loads(Path(prepared.FILE).read_text(encoding="utf-8"))
    made["generatedWith"]["mcp"] = "2.3.99"
    (tmp_path / "other.json").write_text(json.dumps(made))
    monkeypatch.setattr(prepared, "FILE", str(tmp_path / "other.json"))
    assert prepared.load() is None


def test_the_prepared_results_are_those_of_the_server() -> None:
    assert_up_to_date(ROOT / "server" / "early_replies" / "prepared.json", document())
