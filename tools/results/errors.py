"""Why a tool did not do what it was asked, apart from the errors of Decthings and of the way there.

ToolFailure
├── InvalidArguments            invalid_arguments
├── ArgumentsTooLarge           arguments_too_large: to check them in time
├── NotConfigured               not_configured
├── UserDeclined                declined: the user was asked and did not agree
├── NameMismatch                name_differs
├── ModelExists                 name_already_used, by the model that was asked for
├── FileError
│   ├── FileNotAllowed            file_not_allowed
│   ├── FileNotFound              file_not_found
│   ├── FileNotReadable           file_not_readable
│   └── NotAModelFile             not_a_model_file
├── ModelNotReady               model_not_ready
├── RunnerMissing               runner_missing: the package that runs model files on this machine
├── FileDidNotRun               file_did_not_run: on this machine, for a comparison
├── CallTimeout                 took_too_long
├── TooManyUploads              too_many_uploads: of one caller, over HTTP
├── NoUploadLink                no_upload_link: files are local, or the arguments are too long for a link
├── LostResponse                no_response or invalid_response, with what a lookup found
└── InternalError               internal_error: a fault of this server

The errors of the way to Decthings, with their codes, are in `decthings.errors`; Decthings' own are in `api_errors`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Problem = dict[str, Any]
"""`path` in the arguments, `problem`; where they help, `allowed` (values) and `nearest` (the one meant)."""


class ToolFailure(Exception):
    """`next_step` is what the assistant does now; `details` are further fields of the error.

    `outcome` is in place of the usual one of the tool; `result` is what a success would have returned, if it is known.
    """

    code: str
    may_have_acted: bool = False
    retryable: bool = False
    outcome: str | None = None
    result: Mapping[str, Any] | None = None

    def __init__(self, message: str, next_step: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.next_step = next_step
        self.details = details or {}


class InvalidArguments(ToolFailure):
    code = "invalid_arguments"

    def __init__(self, problems: Sequence[Problem], summary: str) -> None:
        super().__init__(
            summary,
            "Correct what is listed and call again; ask the user for values you do not know.",
            {"problems": problems},
        )


class ArgumentsTooLarge(ToolFailure):
    code = "arguments_too_large"

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"The arguments are too large: they could not be checked within {seconds:g} seconds. Nothing was sent.",
            "Put the data into a file and give its path, or make several smaller calls.",
        )


class NotConfigured(ToolFailure):
    code = "not_configured"


class UserDeclined(ToolFailure):
    code = "declined"

    def __init__(self) -> None:
        super().__init__("The user was asked and did not agree.", "Do not try again. Ask what they want instead.")


class NameMismatch(ToolFailure):
    code = "name_differs"

    def __init__(self) -> None:
        super().__init__(
            "confirmName is not the name of the model with that modelId.",
            "Look the model up with find_models. Where its name differs from the one that the user gave, ask which "
            "model is meant.",
        )


class ModelExists(ToolFailure):
    """Decthings refuses a second model of the name, and the first one is as requested."""

    code = "name_already_used"
    outcome = "exists"

    def __init__(
        self, message: str, next_step: str, details: Mapping[str, Any], result: Mapping[str, Any] | None
    ) -> None:
        super().__init__(message, next_step, details)
        self.result = result


class FileError(ToolFailure):
    pass


class FileNotAllowed(FileError):
    code = "file_not_allowed"


class FileNotFound(FileError):
    code = "file_not_found"


class FileNotReadable(FileError):
    code = "file_not_readable"


class NotAModelFile(FileError):
    code = "not_a_model_file"


class ModelNotReady(ToolFailure):
    code = "model_not_ready"
    retryable = True

    def __init__(self) -> None:
        super().__init__(
            "The initial state of the model is still being created.",
            "Call wait_for_model, then make the same call again.",
        )


class RunnerMissing(ToolFailure):
    code = "runner_missing"

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"This server cannot run the file for a comparison: {package} is not installed. Nothing was evaluated.",
            f"Ask the user to install '{extra}' in place of decthings-mcp and to restart the server, or call without "
            "compareWithFile.",
        )


class FileDidNotRun(ToolFailure):
    """`details` is text of the runtime, which a hostile file can have a part in."""

    code = "file_did_not_run"

    def __init__(self, name: str, reason: str, details: str) -> None:
        super().__init__(
            f"{name} could not be run on this machine: {reason}. Nothing was evaluated on Decthings.",
            "Correct the inputs if runtimeMessage names one; otherwise tell the user, or call without compareWithFile.",
            {"runtimeMessage": details},
        )


class LostResponse(ToolFailure):
    """A call whose response was lost, after its outcome was looked up. `code` is that of the loss.

    `may_repeat`: the same request, sent again, can settle it.
    """

    def __init__(
        self,
        code: str,
        message: str,
        next_step: str,
        details: Mapping[str, Any],
        *,
        may_have_acted: bool = False,
        may_repeat: bool = False,
    ) -> None:
        super().__init__(message, next_step, details)
        self.code = code
        self.may_have_acted = self.retryable = may_have_acted
        self.may_repeat = may_repeat


class CallTimeout(ToolFailure):
    code = "took_too_long"
    retryable = True

    def __init__(self, *, may_have_acted: bool) -> None:
        self.may_have_acted = may_have_acted
        super().__init__(
            "Decthings did not respond within the time limit of a call.", "Make the same call again later."
        )


class TooManyUploads(ToolFailure):
    code = "too_many_uploads"
    retryable = True

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"{limit} uploads of this caller are in progress, as many as this server allows. Nothing was sent.",
            "Wait until one of them has ended, then make the same call again.",
            {"retryAfterSeconds": 10},
        )


class NoUploadLink(ToolFailure):
    code = "no_upload_link"


class InternalError(ToolFailure):
    code = "internal_error"

    def __init__(self, *, may_have_acted: bool) -> None:
        self.may_have_acted = may_have_acted
        super().__init__(
            "Internal error in this MCP server; see its stderr log.",
            "Tell the user. Repeating the call is safe, and may fail in the same way.",
        )
