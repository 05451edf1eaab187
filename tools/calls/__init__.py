"""One call of a tool: the services it uses, its limits, and what becomes of it when something breaks."""
