"""MCP over stdin and stdout. `connection` and `lines` are light: early replies need them before the SDK is loaded."""
