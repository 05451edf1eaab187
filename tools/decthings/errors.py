"""What can go wrong between us and Decthings.

DecthingsError
├── NotSent                  Decthings did not get the whole request and cannot have acted on it
│   ├── InvalidRequest         it cannot be written as a frame
│   │   └── TensorError          a tensor's elements do not fit its type or shape
│   ├── BlobChanged            a file changed while it was being sent
│   ├── ConnectionFailed       no connection was made
│   ├── TooManyCalls           all connections were busy with other calls
│   └── RequestInterrupted        the connection broke before all of it was handed over
├── NoResponse               all of it was handed over, and no whole answer came back
├── InvalidResponse          an answer came back that is not one of Decthings'
└── ApiError                 Decthings answered with an error
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class DecthingsError(Exception):
    """Base of all errors here. The text is a sentence without secrets or payloads."""

    code: str
    may_have_acted: bool = False
    """Whether Decthings may have carried out the request all the same."""


class NotSent(DecthingsError):
    pass


class InvalidRequest(NotSent):
    code = "invalid_request"


class TensorError(InvalidRequest):
    """`index` is the position of the element in row-major order, None when the tensor as a whole is wrong."""

    def __init__(self, problem: str, index: int | None = None) -> None:
        super().__init__(problem if index is None else f"element {index}: {problem}")
        self.index = index


class BlobChanged(NotSent):
    code = "file_changed"


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
    """`status` is the HTTP status; `retry_after` the header of that name, in seconds, if there was one."""

    code = "invalid_response"

    def __init__(
        self, problem: str, *, may_have_acted: bool, status: int = 200, retry_after: float | None = None
    ) -> None:
        super().__init__(problem)
        self.may_have_acted = may_have_acted
        self.status = status
        self.retry_after = retry_after


class ApiError(DecthingsError):
    """`code` as Decthings gave it, known to the API page or not; `details` the other members of the error."""

    def __init__(self, code: str, details: Mapping[str, Any]) -> None:
        super().__init__(f"Decthings answered with the error {code!r}.")
        self.code = code
        self.details = details
