"""Where the bundle starts: the server is in the wheel next to this file."""

import sys

from decthings_mcp.server.__main__ import main

sys.exit(main())
