"""MCP over Streamable HTTP: authentication, limits, and monitoring for operators."""
