"""MCP over Streamable HTTP: who may call, how much, and what operators see of it."""
