"""Why the creation of an initial state failed, in plain words. Codes are those of waitForModelToBeCreated."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..decthings.json_codec import is_object
from .text import sanitize, sanitize_json

_MAX_DETAILS = 4_000


class _Failure(NamedTuple):
    sentence: str
    next_step: str


_FAILURES = {
    "cancelled": _Failure(
        "it was cancelled, for example because the model was deleted.", "Ask the person whether to create it again."
    ),
    "server_overloaded": _Failure("Decthings had no capacity for it.", "Wait a minute, then create the model again."),
    "unknown": _Failure(
        "Decthings does not say why.", "Create the model once more; if it fails again, tell the person."
    ),
    "invalid_executable_file": _Failure(
        "the program of the source model is not one that Decthings can run.",
        "Ask the person to build the source model again and to take a new snapshot of it.",
    ),
    "read_executable_file_failed": _Failure(
        "the program of the source model could not be read.",
        "Ask the person whether the source model was built, and to take a new snapshot of it.",
    ),
    "launcher_terminated": _Failure(
        "the machine it ran on was shut down.", "Create the model again, perhaps with another launcherSpec."
    ),
    "max_duration_exceeded": _Failure(
        "it took longer than the model allows.",
        "Create it with a larger launcherSpec or less data, or ask the person to raise the model's time limits.",
    ),
    "code_terminated": _Failure(
        "the model's own program ended.", "Show the person the exit code or signal; the program has to be corrected."
    ),
    "out_of_memory": _Failure(
        "the model's own program ran out of memory.", "Create it with more memoryMebibytes in launcherSpec."
    ),
    "exception": _Failure(
        "the model's own program raised an exception.",
        "Show the person the exception; the program or the params of the initial state have to be corrected.",
    ),
}
_OTHER = _Failure("Decthings gives a reason that this server does not know.", "Tell the person the code.")
_NAME_IS_TAKEN = " The failed model keeps its name: ask the person to have it deleted first, or for another name."
_STAGES = {
    "createLauncher": "while or after its machine was starting",
    "codeStartup": "while its code was starting",
    "createState": "while its state was being created",
}


def explain_failure(failed: Any) -> tuple[dict[str, Any], str]:
    """
    Args:
        failed: `createModelFailed` as Decthings sent it.

    Returns:
        What was said, bounded, with a sentence in `message`; and what to do next.
    """
    error = _member(failed, "error")
    cause = _member(error, "details") if error.get("code") == "create_state_error" else error
    code = cause.get("code")
    known = "out_of_memory" if code == "code_terminated" and cause.get("oom") is True else code
    failure = _FAILURES.get(known, _OTHER) if isinstance(known, str) else _OTHER
    details = cause.get("exceptionDetails")
    told: dict[str, Any] = {
        "code": sanitize(code, 100) if isinstance(code, str) else None,
        "stage": sanitize(str(stage), 100) if (stage := _stage(error, cause)) else None,
        **{name: sanitize_json(cause[name]) for name in ("exitCode", "signal", "oom") if name in cause},
        **({"exceptionDetails": _bounded(details)} if details is not None else {}),
        "durations": sanitize_json(error.get("createInitialStateDurations")),
    }
    place = _STAGES.get(told["stage"] or "")
    sentence = f"{failure.sentence.rstrip('.')}, {place}." if place else failure.sentence
    told["message"] = f"The creation of the model failed: {sentence}"
    return {name: value for name, value in told.items() if value is not None}, failure.next_step + _NAME_IS_TAKEN


def _stage(error: dict[str, Any], cause: dict[str, Any]) -> Any:
    """What Decthings names, or else the one whose duration is the last that is known."""
    if "at" in cause:
        return cause["at"]
    durations = _member(error, "createInitialStateDurations")
    return next((stage for stage in ("createState", "codeStartup", "createLauncher") if stage in durations), None)


def _bounded(details: Any) -> Any:
    """The first and the last part: what a program says last is often what it died of."""
    if not isinstance(details, str):
        return sanitize_json(details)
    half = _MAX_DETAILS // 2
    text = details if len(details) <= _MAX_DETAILS else f"{details[:half]}\n…\n{details[-half:]}"
    return sanitize(text, len(text))


def _member(value: Any, name: str) -> dict[str, Any]:
    member = value.get(name) if is_object(value) else None
    return member if is_object(member) else {}
