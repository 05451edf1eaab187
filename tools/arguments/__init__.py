"""What an assistant sends: the schemas it is shown, and how its arguments are read and checked."""
