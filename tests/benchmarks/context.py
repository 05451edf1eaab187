"""The tokens that tools/list takes of a model's context (o200k), for each tool and in all.

python tests/benchmarks/context.py
"""

from __future__ import annotations

import json
from typing import Any

import bpe_openai
from decthings_mcp.tools.catalog import TOOLS


def tokens(text: str) -> int:
    return len(bpe_openai.get_encoding("o200k_base").encode(text))


def rows() -> list[dict[str, Any]]:
    """Name, description and inputSchema: what clients hand on to the model."""
    return [
        {"tool": tool.name, "tokens": tokens(tool.name + tool.description + _compact(tool.input_schema))}
        for tool in TOOLS
    ]


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def main() -> None:
    found = rows()
    for row in found:
        print(f"{row['tool']:20} {row['tokens']:6,}")
    print(f"{'in all':20} {sum(row['tokens'] for row in found):6,}")


if __name__ == "__main__":
    main()
