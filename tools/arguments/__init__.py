"""Tool arguments: the published schemas, and how arguments are read and validated."""
