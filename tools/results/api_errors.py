"""The error codes of the Decthings API, with a message and a next step for each.

The messages follow a prefix like "Nothing was created: ".
"""

from __future__ import annotations

from typing import NamedTuple

KEYS_AND_CHATS = (
    "A key in the chat is of no use here, and others may read it: if there is one, ask the user to replace it at "
    "Decthings by a new one."
)


class Advice(NamedTuple):
    """What to report for an error. `retryable`: the unchanged call can succeed later, after `retry_after` seconds."""

    message: str
    next_step: str
    retryable: bool = False
    retry_after: int | None = None


A_MINUTE = 60
"""Seconds to wait where nobody says how many."""


def wait_and_repeat(seconds: int) -> str:
    return f"Wait {seconds} seconds, then make the same call again."


ADVICE = {
    "name_already_used": Advice(
        "the account already has a model of this name.",
        "If the user wants that model, use it (find_models shows it). Otherwise ask the user for another name and call "
        "again with that name.",
    ),
    "organization_not_found": Advice(
        "the organization in the name does not exist.",
        "Check the spelling of the organization with the user, or give the name without an organization.",
    ),
    "access_denied": Advice(
        "this account has no access to a model, a dataset or an organization in the arguments.",
        "Ask the user to get access to it, or which other one to use.",
    ),
    "model_not_found": Advice(
        "modelId is not the id of a model that this account can see.",
        "Look the model up with find_models: modelId must be its id, not its name.",
    ),
    "snapshot_not_found": Advice(
        "snapshotId is not the id of a snapshot of that model.",
        "Look at the snapshots of the model with find_models; snapshot_model takes a new one.",
    ),
    "quota_exceeded": Advice(
        "the account has reached a limit of its plan.",
        "Tell the user. Delete models, use a smaller launcherSpec, or ask Decthings for a larger quota.",
    ),
    "server_overloaded": Advice(
        "Decthings has no capacity at the moment.",
        wait_and_repeat(A_MINUTE),
        retryable=True,
        retry_after=A_MINUTE,
    ),
    "invalid_executable_file": Advice(
        "Decthings cannot run the source model's program.",
        "Ask the user to build the source model again and take a new snapshot, or use another source.",
    ),
    "read_executable_file_failed": Advice(
        "Decthings could not read the source model's program.",
        "Ask the user whether the source model was built and has its program file, or use another source.",
    ),
    "bad_credentials": Advice(
        "Decthings does not accept the API key of this server.",
        "Ask the user to replace the key: with decthings-mcp login in a terminal, if it was kept by that, or in the "
        "configuration, DECTHINGS_API_KEY or DECTHINGS_API_KEY_FILE of the server, which must then be restarted, or in "
        "the header Decthings-Api-Key if the server takes keys from there. "
        f"{KEYS_AND_CHATS}",
    ),
    "too_many_requests": Advice(
        "this account has sent too many requests.",
        wait_and_repeat(A_MINUTE),
        retryable=True,
        retry_after=A_MINUTE,
    ),
    "payment_required": Advice(
        "Decthings requires a payment first.",
        "Tell the user to look at the billing page of their Decthings account.",
    ),
    "unknown": Advice(
        "Decthings failed and gave no reason.",
        "Make the same call once more; if it fails again, tell the user.",
        retryable=True,
    ),
    "dataset_not_found": Advice(
        "datasetId is not the id of a dataset that this account can see.",
        "Look the dataset up with find_datasets: datasetId must be its id, not its name.",
    ),
    "dataset_key_not_found": Advice(
        "the dataset has no key with the name in datasetKey.",
        "Look at the keys of the dataset with find_datasets, and correct datasetKey.",
    ),
    "evaluation_not_found": Advice(
        "the model has no evaluation with the id in evaluationId, or not any more: results are kept for a few minutes.",
        "Tell the user. Evaluating again runs the model again, which they pay for.",
    ),
    "model_to_mount_no_longer_exists": Advice(
        "a model that this one is built on no longer exists.",
        "Tell the user: the model must be created again from a source that exists.",
    ),
    "invalid_parameter": Advice(
        "Decthings does not accept one of the parameters.",
        "Change the parameter in parameterName as reason says, and call again.",
    ),
}

OTHER = Advice(
    "Decthings returned an error that this server does not know.",
    "Use code and the other fields to decide what to change. If that is not clear, tell the user.",
)
