"""Explains why a model did not give outputs. The codes are those of evaluate."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..decthings.json_codec import is_object
from ..results.creation_failures import bounded_details
from ..results.text import sanitize, sanitize_json


class _Failure(NamedTuple):
    sentence: str
    next_step: str


_FAILURES = {
    "cancelled": _Failure("it was cancelled", "Tell the user."),
    "server_overloaded": _Failure("Decthings had no capacity for it", "Wait a minute, then evaluate again."),
    "unknown": _Failure("Decthings gave no reason", "Tell the user; they may want to try once more."),
    "invalid_executable_file": _Failure(
        "Decthings cannot run the model's program or file",
        "Ask the user to check the file: compareWithFile shows whether it runs on this machine.",
    ),
    "read_executable_file_failed": _Failure(
        "the model's program could not be read", "Ask the user whether the model was built and has its program file."
    ),
    "launcher_terminated": _Failure("its machine was shut down", "Tell the user; they may want to try once more."),
    "max_duration_exceeded": _Failure(
        "it took longer than the model allows",
        "Use smaller inputs, or ask the user to raise the model's time limits or its launcher on Decthings.",
    ),
    "code_terminated": _Failure(
        "the model's own program ended", "Show the user the exit code or signal; the program must be corrected."
    ),
    "out_of_memory": _Failure(
        "the model ran out of memory",
        "Use smaller inputs, or ask the user to give the model a launcher with more memory on Decthings.",
    ),
    "exception": _Failure(
        "the model raised an exception",
        "Show the user exceptionDetails, which the model's program wrote. Correct the inputs if it names one; "
        "otherwise the model must be corrected.",
    ),
    "invalid_output": _Failure(
        "its outputs are not what its parameter definitions say",
        "Correct evaluateOutput with update_model, or ask the user to correct the program.",
    ),
}
_OTHER = _Failure("Decthings gave a reason that this server does not know", "Tell the user the code.")
_STAGES = {
    "codeStartup": "while its code was starting",
    "instantiateModel": "while it was being loaded",
    "evaluate": "while it was running",
}
_FIELDS = ("exitCode", "signal", "oom", "reason")


def explain_failure(failed: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Explain a failed evaluation.

    Args:
        failed: as Decthings sent it.

    Returns:
        Its fields, limited in size, with a sentence of ours in `message`; and the next step.
    """
    error = failed.get("error")
    cause: dict[str, Any] = error if is_object(error) else {}
    code = cause.get("code")
    known = "out_of_memory" if code == "code_terminated" and cause.get("oom") is True else code
    failure = _FAILURES.get(known, _OTHER) if isinstance(known, str) else _OTHER
    stage, details = cause.get("at"), cause.get("exceptionDetails", cause.get("details"))
    during = f" {_STAGES[stage]}" if isinstance(stage, str) and stage in _STAGES else ""
    fields = {
        "code": sanitize(code, 100) if isinstance(code, str) else "unknown",
        "message": f"The model gave no output: {failure.sentence}{during}.",
        **({"stage": sanitize(str(stage), 100)} if stage is not None else {}),
        **{name: sanitize_json(cause[name]) for name in _FIELDS if name in cause},
        **({"exceptionDetails": bounded_details(details)} if details is not None else {}),
    }
    return fields, failure.next_step
