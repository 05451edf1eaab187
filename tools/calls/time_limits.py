"""How the time of a tool call is divided, so that the assistant gets a result before its client gives up."""

MAX_CALL_SECONDS = 44.0
"""Many clients drop a call after 60."""

DEFAULT_RETRY_SECONDS = 20.0
MAX_RETRY_SECONDS = 30.0
"""For how long a call that Decthings refuses for load is retried."""

REQUEST_SHARE = 0.64
"""For the request to Decthings, with its connection and its response."""

OUTCOME_LOOKUP_SHARE = 0.35
"""For looking up the outcome of a request whose response was lost."""

WAIT_SHARE = 0.86
"""For waiting for a model."""

FINAL_CHECK_SHARE = 0.12
"""For the look at the model after a wait, or after a repeated request."""

REPEAT_SHARE = 0.25
"""What must be left to send a request again whose response was lost."""
