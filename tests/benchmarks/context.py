"""The tokens that tools/list takes of a model's context (o200k), for each tool and in all."""

from __future__ import annotations

import json
from typing import Any

import bpe_openai
from decthings_mcp.tools.catalog import TOOLS


def rows(_: int) -> list[dict[str, Any]]:
    """Name, description and inputSchema: what clients hand on to the model."""
    encoding, found = bpe_openai.get_encoding("o200k_base"), list[dict[str, Any]]()
    for tool in TOOLS:
        schema = json.dumps(tool.input_schema, ensure_ascii=False, separators=(",", ":"))
        found.append({"tool": tool.name, "tokens": len(encoding.encode(tool.name + tool.description + schema))})
    return found
