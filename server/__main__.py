"""Where the process starts: light, so that a signal during the imports ends it quietly too."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn


def _end(number: int, _: object) -> None:
    os._exit(128 + number)


def main() -> int:
    signal.signal(signal.SIGTERM, _end)
    try:
        status = _run(sys.argv[1:])
        if sys.stdout is not None:  # pyright: ignore[reportUnnecessaryComparison] - it is when it was closed
            sys.stdout.flush()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        _end_unread()
    except BaseExceptionGroup as group:  # it may have passed through a task group
        if group.split(BrokenPipeError)[1] is not None:
            raise
        _end_unread()
    return status


def _run(argv: list[str]) -> int:
    from .early_replies.serve import serve_from_start

    status = serve_from_start(argv)
    if status is not None:
        return status
    from .importing import FastImports

    with FastImports():
        from .cli import run
    return run(argv)


def _end_unread() -> NoReturn:
    """Nobody reads stdout: the interpreter would complain once more when it flushes that."""
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
