"""The error codes of the API, each with what it means and what to do next, whichever tool met it.

The messages follow words like "Nothing was created: ".
"""

from __future__ import annotations

from typing import NamedTuple


class Advice(NamedTuple):
    """`retryable`: the same call, unchanged, can succeed later; `retry_after` in so many seconds."""

    message: str
    next_step: str
    retryable: bool = False
    retry_after: int | None = None


ADVICE = {
    "name_already_used": Advice(
        "the account already has a model of this name.",
        "If that model is the wanted one, use it (find_models shows it). Otherwise ask the person for another name and "
        "call again with it.",
    ),
    "organization_not_found": Advice(
        "the organization that the name stands under does not exist.",
        "Check the spelling of the organization with the person, or give the name without one.",
    ),
    "access_denied": Advice(
        "this account may not use a model, a dataset or an organization that was named.",
        "Ask the person to get access to it, or to name another one.",
    ),
    "model_not_found": Advice(
        "modelId is not the id of a model that this account can see.",
        "Look the model up with find_models: modelId has to be its id, not its name.",
    ),
    "snapshot_not_found": Advice(
        "snapshotId is not the id of a snapshot of that model.",
        "Look at the snapshots of the model with find_models; snapshot_model takes a new one.",
    ),
    "quota_exceeded": Advice(
        "the account has reached a limit of its plan.",
        "Tell the person. It takes fewer models, a smaller launcherSpec, or a larger quota at Decthings.",
    ),
    "server_overloaded": Advice(
        "Decthings has no capacity at the moment.",
        "Wait a minute, then make the same call again.",
        retryable=True,
        retry_after=60,
    ),
    "invalid_executable_file": Advice(
        "the source model's program is not one that Decthings can run.",
        "Ask the person to build the source model again and to take a new snapshot, or name another source.",
    ),
    "read_executable_file_failed": Advice(
        "Decthings could not read the source model's program.",
        "Ask the person whether the source model was built and has its program file, or name another source.",
    ),
    "bad_credentials": Advice(
        "Decthings does not accept the API key that this server was given.",
        "Ask the person to put a valid key into the configuration: DECTHINGS_API_KEY or DECTHINGS_API_KEY_FILE of the "
        "server, which has to be restarted then, or the header Decthings-Api-Key where the server takes it from there. "
        "Never put a key into the chat.",
    ),
    "too_many_requests": Advice(
        "too many requests came from this account.",
        "Wait a minute, then make the same call again.",
        retryable=True,
        retry_after=60,
    ),
    "payment_required": Advice(
        "Decthings asks for a payment first.",
        "Tell the person to look at the billing page of their Decthings account.",
    ),
    "unknown": Advice(
        "Decthings failed and does not say why.",
        "Make the same call once more; if it fails again, tell the person.",
        retryable=True,
    ),
    "dataset_not_found": Advice(
        "datasetId is not the id of a dataset that this account can see.",
        "Look the dataset up with find_datasets: datasetId has to be its id, not its name.",
    ),
    "dataset_key_not_found": Advice(
        "the dataset has no key of the name in datasetKey.",
        "Look at the keys of the dataset with find_datasets, and correct datasetKey.",
    ),
    "invalid_parameter": Advice(
        "Decthings does not accept one of the parameters.",
        "Change the parameter in parameterName as reason says, and call again.",
    ),
}

OTHER = Advice(
    "Decthings answered with an error that this server does not know.",
    "Go by the code and its fields. If they do not tell what to change, tell the person.",
)
