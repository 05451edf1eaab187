"""The process: reads settings, assembles the MCP server and serves it."""
