"""Where the process starts: light, so that a signal during the imports ends it quietly too."""

from __future__ import annotations

import os
import signal
import sys


def _end(number: int, _: object) -> None:
    os._exit(128 + number)


def main() -> int:
    signal.signal(signal.SIGTERM, _end)
    try:
        from .cli import run

        status = run(sys.argv[1:])
        if sys.stdout is not None:  # pyright: ignore[reportUnnecessaryComparison] - it is when it was closed
            sys.stdout.flush()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        os._exit(1)  # the interpreter would complain once more when it flushes a stdout that nobody reads
    return status


if __name__ == "__main__":
    sys.exit(main())
