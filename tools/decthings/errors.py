"""The errors of calls to Decthings.

DecthingsError
├── NotSent                  Decthings did not get the whole request and cannot have acted on it
│   ├── InvalidRequest         invalid_request: it cannot be encoded as a frame
│   │   └── TensorError          invalid_request: a tensor's elements do not fit its type or shape
│   ├── BlobChanged            file_changed: a file changed while it was being sent
│   ├── UploadInterrupted      upload_interrupted: a file that is passed on was not received completely
│   ├── ConnectionFailed       connection_failed: no connection was made
│   ├── TooManyCalls           too_many_calls: all connections were busy with other calls
│   └── RequestInterrupted     request_cut_short: the connection was lost before the whole request was sent
├── NoResponse               no_response: the request was sent, and no complete response was received
├── InvalidResponse          invalid_response: the response is not a valid response of Decthings
│   └── TooManyRequests        too_many_requests: the status 429, of Decthings or a proxy
└── ApiError                 the code that Decthings returned
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class DecthingsError(Exception):
    """Base of all errors here. The message is a sentence without secrets or payloads."""

    code: str
    may_have_acted: bool = False
    """Whether Decthings may have carried out the request nevertheless."""


class NotSent(DecthingsError):
    pass


class InvalidRequest(NotSent):
    code = "invalid_request"


class TensorError(InvalidRequest):
    """A tensor cannot be encoded. `index` is the element's position in row-major order, None for the whole tensor."""

    def __init__(self, problem: str, index: int | None = None) -> None:
        super().__init__(problem if index is None else f"element {index}: {problem}")
        self.index = index


class BlobChanged(NotSent):
    code = "file_changed"


class UploadInterrupted(NotSent):
    code = "upload_interrupted"


class ConnectionFailed(NotSent):
    code = "connection_failed"


class TooManyCalls(NotSent):
    code = "too_many_calls"


class RequestInterrupted(NotSent):
    code = "request_cut_short"


class NoResponse(DecthingsError):
    code = "no_response"
    may_have_acted = True


class InvalidResponse(DecthingsError):
    """No valid response. `status` is the HTTP status; `retry_after` the Retry-After header in seconds, if present."""

    code = "invalid_response"

    def __init__(
        self, problem: str, *, may_have_acted: bool, status: int = 200, retry_after: float | None = None
    ) -> None:
        super().__init__(problem)
        self.may_have_acted = may_have_acted
        self.status = status
        self.retry_after = retry_after


class TooManyRequests(InvalidResponse):
    code = "too_many_requests"
    """That of Decthings for the same thing."""


class ApiError(DecthingsError):
    """An error of Decthings: `code` as it was sent, documented or not; `details` are the other fields of the error."""

    def __init__(self, code: str, details: Mapping[str, Any]) -> None:
        super().__init__(f"Decthings returned the error {code!r}.")
        self.code = code
        self.details = details
