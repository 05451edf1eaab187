"""MCP clients on this machine: where each keeps its configuration, what it says of this server, and changing that."""
