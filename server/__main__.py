"""Where the process starts: light, so that an interrupt during the imports ends it quietly too."""

from __future__ import annotations

import sys


def main() -> int:
    try:
        from .cli import run

        return run(sys.argv[1:])
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
