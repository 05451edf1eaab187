"""How the time of a tool call is divided, so that the assistant hears something before its client gives up."""

LONGEST_CALL = 44.0
"""Seconds. Many clients drop a call after 60."""

REQUEST_SHARE = 0.64
"""For the request to Decthings, with its connection and its answer."""

OUTCOME_LOOKUP_SHARE = 0.35
"""For looking up what became of a request whose answer was lost."""

WAIT_SHARE = 0.86
"""For waiting for a model."""

FINAL_CHECK_SHARE = 0.12
"""For the look at the model after the wait."""
