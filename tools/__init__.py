"""The MCP tools, one module a tool, with the prompts and resources next to them."""
