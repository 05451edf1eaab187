"""All tools, in the order in which they are listed. Reading ones first: some clients try the first one."""

from __future__ import annotations

from .create_model.tool import CREATE_MODEL
from .delete_model import DELETE_MODEL
from .evaluate_model.tool import EVALUATE_MODEL
from .find_datasets import FIND_DATASETS
from .find_models import FIND_MODELS
from .inspect_model_file import INSPECT_MODEL_FILE
from .snapshot_model import SNAPSHOT_MODEL
from .update_model import UPDATE_MODEL
from .wait_for_model import WAIT_FOR_MODEL

TOOLS = (
    FIND_MODELS,
    FIND_DATASETS,
    INSPECT_MODEL_FILE,
    CREATE_MODEL,
    WAIT_FOR_MODEL,
    EVALUATE_MODEL,
    SNAPSHOT_MODEL,
    UPDATE_MODEL,
    DELETE_MODEL,
)

TOOL_NAMES = tuple(tool.name for tool in TOOLS)
