"""What was found: a check for each thing that can be wrong, as text, as JSON, and without anything secret."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

Status = Literal["good", "warning", "bad"]
_SEVERITY: tuple[Status, ...] = ("good", "warning", "bad")
_VERDICTS = {
    "good": "All is well.",
    "warning": "It works, with the warnings above.",
    "bad": "It does not work yet: see what is bad above.",
}


class Check(NamedTuple):
    name: str
    status: Status
    detail: str
    """What was found, as one or more sentences."""
    next_step: str = ""
    """What to do; empty when all is good."""
    personal: str = ""
    """A sentence that belongs to the detail, but not in a bug report."""


class Report(NamedTuple):
    checks: Sequence[Check]

    @property
    def status(self) -> Status:
        return _SEVERITY[max((_SEVERITY.index(check.status) for check in self.checks), default=0)]

    @property
    def exit_status(self) -> int:
        """0, 1 with warnings, 2 when something is bad."""
        return _SEVERITY.index(self.status)

    def for_a_bug_report(self) -> Report:
        return Report([check._replace(personal="") for check in self.checks])

    def as_text(self) -> str:
        width = max(len(check.name) for check in self.checks)
        lines: list[str] = []
        for check in self.checks:
            lines.append(f"{check.status:<8} {check.name:<{width}}  {_without_home(_found(check))}")
            if check.next_step:
                lines.append(f"{'':<8} {'':<{width}}  -> {_without_home(check.next_step)}")
        return "\n".join([*lines, "", _VERDICTS[self.status]])

    def as_json(self) -> str:
        checks = [_as_object(check) for check in self.checks]
        return json.dumps({"status": self.status, "checks": checks}, ensure_ascii=False, indent=1)


def _as_object(check: Check) -> dict[str, Any]:
    found = {"name": check.name, "status": check.status, "detail": _without_home(_found(check))}
    return {**found, "nextStep": _without_home(check.next_step)} if check.next_step else found


def _found(check: Check) -> str:
    return f"{check.detail} {check.personal}".strip()


def _without_home(text: str) -> str:
    """The text with ~ for the home folder, whose name is often that of a person."""
    try:
        home = Path.home()
    except RuntimeError:  # there is none
        return text
    return text if home == Path(home.anchor) else text.replace(str(home), "~")
