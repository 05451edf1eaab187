"""The error codes of the API page, each with what it means here and what to do next."""

from __future__ import annotations

from typing import NamedTuple


class Advice(NamedTuple):
    """`retryable`: the same call, unchanged, can succeed later."""

    message: str
    next_step: str
    retryable: bool = False


ADVICE = {
    "name_already_used": Advice(
        "Nothing was created: the account already has a model of this name.",
        "If that model is the wanted one, use it. Otherwise ask the person for another name and call again with it.",
    ),
    "organization_not_found": Advice(
        "Nothing was created: the organization that the name stands under does not exist.",
        "Check the spelling of the organization with the person, or give the name without one.",
    ),
    "access_denied": Advice(
        "Nothing was created: this account may not use a model, a dataset or an organization that was named.",
        "Ask the person to get access to it, or to name another one.",
    ),
    "model_not_found": Advice(
        "Nothing was created: options.modelId is not the id of a model that this account can see.",
        "Check options.modelId with the person: it has to be the id, not the name.",
    ),
    "snapshot_not_found": Advice(
        "Nothing was created: options.snapshotId is not the id of a snapshot of that model.",
        "Check options.snapshotId with the person: it has to be the id of a snapshot of the model in modelId.",
    ),
    "quota_exceeded": Advice(
        "Nothing was created: the account has reached a limit of its plan.",
        "Tell the person. It takes fewer models, a smaller launcherSpec, or a larger quota at Decthings.",
    ),
    "server_overloaded": Advice(
        "Nothing was created: Decthings has no capacity at the moment.",
        "Wait a minute, then make the same call again.",
        retryable=True,
    ),
    "invalid_executable_file": Advice(
        "Nothing was created: the source model's program is not one that Decthings can run.",
        "Ask the person to build the source model again and to take a new snapshot, or name another source.",
    ),
    "read_executable_file_failed": Advice(
        "Nothing was created: Decthings could not read the source model's program.",
        "Ask the person whether the source model was built and has its program file, or name another source.",
    ),
    "bad_credentials": Advice(
        "Nothing was created: Decthings does not accept the API key of this server.",
        "Ask the person to put a valid key into the server's configuration (DECTHINGS_API_KEY or "
        "DECTHINGS_API_KEY_FILE) and to restart it. Never put a key into the chat.",
    ),
    "too_many_requests": Advice(
        "Nothing was created: too many requests came from this account.",
        "Wait a minute, then make the same call again.",
        retryable=True,
    ),
    "payment_required": Advice(
        "Nothing was created: Decthings asks for a payment first.",
        "Tell the person to look at the billing page of their Decthings account.",
    ),
    "unknown": Advice(
        "Nothing was created: Decthings failed and does not say why.",
        "Make the same call once more; if it fails again, tell the person.",
        retryable=True,
    ),
    "dataset_not_found": Advice(
        "Nothing was created: datasetId is not the id of a dataset that this account can see.",
        "Check the datasetId in options.initialState.params with the person: the id, not the name.",
    ),
    "dataset_key_not_found": Advice(
        "Nothing was created: the dataset has no key of the name in datasetKey.",
        "Ask the person for the keys of that dataset, and correct datasetKey.",
    ),
    "invalid_parameter": Advice(
        "Nothing was created: Decthings does not accept one of the parameters.",
        "Change the parameter in parameterName as reason says, and call again.",
    ),
}

OTHER = Advice(
    "Nothing was created: Decthings answered with an error that this server does not know.",
    "Go by the code and its fields. If they do not tell what to change, tell the person.",
)
