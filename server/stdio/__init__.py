"""MCP over stdin and stdout. `connection` and `lines` stay light: early replies need them before the SDK is loaded."""
