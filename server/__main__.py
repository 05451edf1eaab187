"""Where the process starts: light, so that a signal during the imports ends it quietly too."""

from __future__ import annotations

import errno
import os
import signal
import sys
from typing import NoReturn

_CANNOT_BE_WRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def _exit_on_signal(number: int, _: object) -> None:
    os._exit(128 + number)


def main() -> int:
    signal.signal(signal.SIGTERM, _exit_on_signal)
    try:
        from .cli import run

        status = run(sys.argv[1:])
        if sys.stdout is not None:  # pyright: ignore[reportUnnecessaryComparison] - it is when it was closed
            sys.stdout.flush()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        _exit_unread()
    except OSError as error:
        if error.errno not in _CANNOT_BE_WRITTEN:
            raise
        if sys.stderr is not None:  # pyright: ignore[reportUnnecessaryComparison]
            sys.stderr.write(f"decthings-mcp: The output cannot be written: {os.strerror(error.errno)}.\n")
            sys.stderr.flush()
        _exit_unread()
    except BaseExceptionGroup as group:  # it may have passed through a task group
        if group.split(BrokenPipeError)[1] is not None:
            raise
        _exit_unread()
    return status


def _exit_unread() -> NoReturn:
    """Ends without flushing stdout, which is full or read by nobody: the interpreter would report that once more."""
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
