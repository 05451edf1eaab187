"""Explains why the creation of an initial state failed. The codes are those of waitForModelToBeCreated."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..decthings.json_codec import is_object
from .text import sanitize, sanitize_json

_MAX_DETAILS = 4_000


class _Failure(NamedTuple):
    """`first` is done before the model is created again, `then` is how."""

    sentence: str
    first: str = ""
    then: str = ""


_FAILURES = {
    "cancelled": _Failure(
        "it was cancelled, for example because the model was deleted.", "Ask the user whether to create it again."
    ),
    "server_overloaded": _Failure("Decthings had no capacity for it.", then="Wait a minute, then create it again."),
    "unknown": _Failure("Decthings gave no reason.", then="Create it once more; if that fails again, tell the user."),
    "invalid_executable_file": _Failure(
        "Decthings cannot run the program of the source model.",
        "Ask the user to build the source model again and take a new snapshot of it.",
    ),
    "read_executable_file_failed": _Failure(
        "the program of the source model could not be read.",
        "Ask the user whether the source model was built, and to take a new snapshot of it.",
    ),
    "launcher_terminated": _Failure(
        "its machine was shut down.", then="Create it again, perhaps with another launcherSpec."
    ),
    "max_duration_exceeded": _Failure(
        "it took longer than the model allows.",
        then="Create it again with a larger launcherSpec or less data, or ask the user to raise the model's "
        "time limits first.",
    ),
    "code_terminated": _Failure(
        "the model's own program ended.", "Show the user the exit code or signal; the program must be corrected."
    ),
    "out_of_memory": _Failure(
        "the model's own program ran out of memory.", then="Create it again with more memoryMebibytes in launcherSpec."
    ),
    "exception": _Failure(
        "the model's own program raised an exception.",
        "Show the user the exception; the program or the params of the initial state must be corrected.",
    ),
}
_OTHER = _Failure("Decthings gave a reason that this server does not know.", "Tell the user the code.")
_NAME_IS_TAKEN = (
    "While the failed model exists, it keeps its name: before creating it again, ask the user whether to delete it, "
    "or for another name."
)
_STAGES = {
    "createLauncher": "while or after its machine was starting",
    "codeStartup": "while its code was starting",
    "createState": "while its state was being created",
}


def explain_failure(failed: Any) -> tuple[dict[str, Any], str]:
    """Explain a failed creation.

    Args:
        failed: `createModelFailed` as Decthings sent it.

    Returns:
        Its fields, limited in size, with a sentence in `message`; and the next step.
    """
    error = _member(failed, "error")
    cause = _member(error, "details") if error.get("code") == "create_state_error" else error
    code = cause.get("code")
    known = "out_of_memory" if code == "code_terminated" and cause.get("oom") is True else code
    failure = _FAILURES.get(known, _OTHER) if isinstance(known, str) else _OTHER
    details = cause.get("exceptionDetails")
    result: dict[str, Any] = {
        "code": sanitize(code, 100) if isinstance(code, str) else None,
        "stage": sanitize(str(stage), 100) if (stage := _stage(error, cause)) else None,
        **{name: sanitize_json(cause[name]) for name in ("exitCode", "signal", "oom") if name in cause},
        **({"exceptionDetails": bounded_details(details)} if details is not None else {}),
        "durations": sanitize_json(error.get("createInitialStateDurations")),
    }
    during = _STAGES.get(result["stage"] or "")
    sentence = f"{failure.sentence.rstrip('.')}, {during}." if during else failure.sentence
    result["message"] = f"The creation of the model failed: {sentence}"
    steps = (failure.first, _NAME_IS_TAKEN, failure.then)
    return {name: value for name, value in result.items() if value is not None}, " ".join(filter(None, steps))


def _stage(error: dict[str, Any], cause: dict[str, Any]) -> Any:
    """The stage that Decthings names, or else the last stage with a duration."""
    if "at" in cause:
        return cause["at"]
    durations = _member(error, "createInitialStateDurations")
    return next((stage for stage in ("createState", "codeStartup", "createLauncher") if stage in durations), None)


def bounded_details(details: Any) -> Any:
    """Shorten a long text to its start and end: the last lines often show why a program failed."""
    if not isinstance(details, str):
        return sanitize_json(details)
    half = _MAX_DETAILS // 2
    text = details if len(details) <= _MAX_DETAILS else f"{details[:half]}\n…\n{details[-half:]}"
    return sanitize(text, len(text))


def _member(value: Any, name: str) -> dict[str, Any]:
    member = value.get(name) if is_object(value) else None
    return member if is_object(member) else {}
