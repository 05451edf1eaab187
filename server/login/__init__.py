"""The API key that `decthings-mcp login` keeps on this machine: where it is, how a call finds it, and the commands."""
