"""What an assistant can do, one module a tool."""
