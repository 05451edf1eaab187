"""The command check."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from functools import partial

import anyio

from ..settings import Settings
from .checks import CHECKS, CheckFunction
from .clients import check_clients
from .run import report_on

COMMAND_CHECKS: tuple[CheckFunction, ...] = (check_clients,)
"""Those that only the command makes, since they take long or start programs."""


def run_check(settings: Settings, options: Namespace) -> int:
    """Print the report, and write it to the file of --report. Returns the exit status: 0, 1 (warnings) or 2 (bad)."""
    report = anyio.run(partial(report_on, settings, [*CHECKS, *COMMAND_CHECKS], is_server=False))
    print(report.as_json() if options.json else report.as_text(), flush=True)
    if options.report is not None:
        shown = report.for_a_bug_report()
        text = f"{shown.as_json() if options.json else shown.as_text()}\n"
        try:
            with options.report.expanduser().open("x", encoding="utf-8") as file:
                file.write(text)
        except (OSError, RuntimeError) as error:
            reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "no home folder"
            print(f"decthings-mcp: {options.report} cannot be written: {reason}.", file=sys.stderr)
            return 2
        print(f"The report is in {options.report}. It contains no key and no password.", file=sys.stderr)
    return report.exit_status
