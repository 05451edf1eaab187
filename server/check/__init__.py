"""Does it work? The command `check` and the resource decthings://check."""
