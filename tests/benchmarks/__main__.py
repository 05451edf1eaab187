"""All measurements, as one table and, with matplotlib, as plots.

python tests/benchmarks [ROUNDS] [FOLDER FOR benchmarks.md AND benchmarks.svg]
python tests/benchmarks calls|context|hostile|linear|scale|start|upload [ROUNDS]
"""

import os
import platform
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import calls
import context
import hostile
import linear
import scale
import start
import upload

Table = list[list[str]]

_WAYS = {"limit": "sendfile", "sha256": "sha256 alone", "curl": "curl -T", "ours": "decthings-mcp",
         "by link": "the same by link", "official": "official client"}  # fmt: skip
"""Of uploading."""
_MEASURED: dict[str, Callable[[int], list[dict[str, Any]]]] = {
    "start": start.rows, "calls": calls.rows, "upload": upload.rows, "linear": linear.rows, "scale": scale.rows,
    "context": context.rows, "hostile": hostile.rows,
}  # fmt: skip
"""Rows of what was measured in so many rounds."""


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _starts(rows: list[dict[str, Any]]) -> Table:
    ours, _, bare, with_key, posting, first, later = rows
    return [
        *(_start(name, ours, bare) for name in bare if name != "server"),
        _start("first call, s", with_key, posting),
        _start("tools/list, s", later, first),
    ]


def _start(name: str, ours: dict[str, Any], peer: dict[str, Any]) -> list[str]:
    ratio = f"{ours[name] / peer[name]:.2f}"
    return [f"start of {ours['server']}: {name}", _number(ours[name]), f"{peer['server']} {_number(peer[name])}", ratio]


def _calls(rows: list[dict[str, Any]]) -> Table:
    return [
        [
            f"{row['what']}: median, 99 %, ms",
            f"{_number(row['ours'])}, {_number(row['ours p99'])}",
            f"bare MCPServer with httpx {_number(row['bare'])}, {_number(row['bare p99'])}",
            f"{row['ours'] / row['bare']:.2f}, {row['ours p99'] / row['bare p99']:.2f}",
        ]
        for row in rows
    ]


def _uploads(rows: list[dict[str, Any]]) -> Table:
    table: Table = []
    for row in rows:
        for other in ("limit", "sha256", "curl", "official", "by link"):
            if other in row:
                ratio, next_to_it = f"{row['ours'] / row[other]:.2f}", f"{_WAYS[other]} {_number(row[other])}"
                table.append([f"{row['what']}, s", _number(row["ours"]), next_to_it, ratio])
        table.append([
            f"{row['what']}: MiB above rest", _number(row["ours MiB"]),
            f"official client {_number(row['official MiB'])}", f"{row['ours MiB'] / row['official MiB']:.3f}",
        ])  # fmt: skip
        table.append([f"{row['what']} by link: MiB above rest", _number(row["by link MiB"]), "", ""])
    return table


def _others(linears: list[dict[str, Any]], scales: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Table:
    return [
        *([f"{row['elements']:,} numbers inline ({row['bytes'] / 1e6:.2f} MB), ms", _number(row["ms"]), "", ""]
          for row in linears),
        *([f"{row['concurrency']} calls at a time over HTTP, {row['processes']} processes: calls/s, MiB",
           f"{_number(row['calls a second'])}, {_number(row['MiB'])}", "", ""] for row in scales),
        *([f"tokens of {row['tool']}", f"{row['tokens']:,}", "", ""] for row in tools),
        ["tokens in all", f"{sum(row['tokens'] for row in tools):,}", "", ""],
    ]  # fmt: skip


def _hostile(rows: list[dict[str, Any]]) -> Table:
    return [
        [f"{row['what']} ({row['MB']:.2f} MB, {row['outcome']}): others wait, ms; MiB above rest",
         f"{_number(row['others wait, ms'])}, {_number(row['MiB above rest'])}", "", ""]
        for row in rows
    ]  # fmt: skip


def _markdown(table: Table, rounds: int) -> str:
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    head = ["what", "ours", "next to it", "ratio"]
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *table)]
    return (
        "# Measurements\n\nMade by `python tests/benchmarks`: medians of "
        f"{rounds} alternating runs on one shared machine ({machine}), so trust the ratios to about a tenth. "
        "First calls: find_models on the sandbox next to a tool that does nothing, and create_model with a key next to "
        "the same request from a bare server. Other calls: create_model, and the same request.\n\n"
        "![The same as plots](benchmarks.svg)\n\n" + "\n".join(lines) + "\n"
    )


def _draw(folder: Path, starts: Any, uploads: Any, scales: Any) -> None:
    try:
        plots: Any = import_module("matplotlib.pyplot")
    except ImportError:
        print("without matplotlib nothing is drawn", file=sys.stderr)
        return
    figure, (first, second, third) = plots.subplots(1, 3, figsize=(13, 3.6))
    first.barh([row["server"] for row in starts], [row["tools/list, s"] for row in starts])
    first.set_title("start to tools/list, s")
    for name, label in _WAYS.items():
        if name in uploads[0]:
            second.plot([row["what"].split()[2] for row in uploads], [row[name] for row in uploads], "o-", label=label)
    second.set_title("upload, s by MiB")
    second.set_yscale("log")
    second.legend()
    for processes in sorted({row["processes"] for row in scales}):
        own = [row for row in scales if row["processes"] == processes]
        label = f"{processes} process{'es' if processes > 1 else ''}"
        third.plot([row["concurrency"] for row in own], [row["calls a second"] for row in own], "o-", label=label)
    third.set_title("HTTP: calls a second by calls at a time")
    third.set_xscale("log")
    third.set_ylim(bottom=0)
    third.legend()
    figure.tight_layout()
    figure.savefig(folder / "benchmarks.svg", metadata={"Date": None})


def main() -> None:
    if sys.argv[1:] and sys.argv[1] in _MEASURED:
        for row in _MEASURED[sys.argv[1]](int(sys.argv[2]) if len(sys.argv) > 2 else 5):
            print(*(f"{name} {value if isinstance(value, str) else _number(value)}" for name, value in row.items()))
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    rows = {name: measured(rounds) for name, measured in _MEASURED.items()}
    others = _others(rows["linear"], rows["scale"], rows["context"])
    text = _markdown(
        [
            *_starts(rows["start"]),
            *_calls(rows["calls"]),
            *_uploads(rows["upload"]),
            *others,
            *_hostile(rows["hostile"]),
        ],
        rounds,
    )
    print(text)
    if len(sys.argv) > 2:
        folder = Path(sys.argv[2])
        (folder / "benchmarks.md").write_text(text, encoding="utf-8")
        _draw(folder, rows["start"], rows["upload"], rows["scale"])


if __name__ == "__main__":
    main()
