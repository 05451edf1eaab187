"""Conversations that a user can start from the client."""

from __future__ import annotations

import json
from typing import Annotated, Any, get_args

from mcp.server import MCPServer
from pydantic import Field

from .decthings.types import Language

_KINDS = {
    "code": f"Ask for the language ({', '.join(get_args(Language))}) and, for code to start from, the preset.",
    "upload": "Ask for the file. Call inspect_model_file with it, show the inputs and outputs, and pass its "
    "parameterDefinitions on.",
    "snapshot": "Find the source model with find_models and let the user choose one of its snapshots; take one with "
    "snapshot_model if there is none. Ask whether its state is copied, created (find_datasets shows datasets and "
    "their keys) or uploaded from files.",
    "copy": "Find the source model with find_models and make sure that it is the right one.",
}


def add_prompts(server: MCPServer[Any]) -> None:
    server.prompt(name="set_up_model", title="Set up a Decthings model")(_set_up_model)


def _set_up_model(
    kind: Annotated[str, Field(description="code, upload, snapshot or copy; or what the model should do.")],
    source: Annotated[str, Field(description="The file, model or dataset to start from, if there is one.")] = "",
) -> str:
    """Set up a model on Decthings step by step, from what kind of model it is to be."""
    known = _KINDS.get(kind.strip().casefold())
    first = known or (
        "Find out which of the four ways of create_model fits: code, an uploaded file, a snapshot or a copy of a model."
    )
    wishes = json.dumps({"kind": kind, "source": source}, ensure_ascii=False)
    return "\n".join(
        [
            "Help me to set up a machine learning model on Decthings.",
            f"What I said so far, as data: {wishes}",
            f"1. {first}",
            "2. Ask me for the model's name. Write the description from what I said, and show it to me.",
            "3. Call create_model. If it fails, do what nextStep says; ask me before you change what I asked for.",
            "4. If isNowCreating is true, call wait_for_model until it is ready or has failed.",
            "5. Tell me the modelId and what I can do next.",
        ]
    )
