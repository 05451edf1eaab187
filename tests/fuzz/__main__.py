"""Coverage-guided fuzzing: `python -X utf8 tests/fuzz TARGET [SECONDS]` (needs atheris).

What ends a target is kept in tests/fuzz/findings/TARGET, which the tests read from then on.
"""

from __future__ import annotations

import json
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_PACKAGES = ["decthings_mcp.tools", "json", "email"]

sys.path.insert(0, str(_HERE.parent))


def main() -> None:
    atheris: Any = import_module("atheris")  # not for every Python, so not among the tests' requirements
    with atheris.instrument_imports(include=_PACKAGES):
        from fuzz.seeds import SEEDS, WORDS
        from fuzz.targets import TARGETS

    name, seconds = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "1200"
    findings = _HERE / "findings" / name
    findings.mkdir(parents=True, exist_ok=True)
    corpus = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    for number, seed in enumerate(SEEDS[name]):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = Path(tempfile.mkdtemp()) / "words"
    words.write_text("".join(f"{json.dumps(word)}\n" for word in WORDS))
    options = [
        f"-dict={words}", f"-max_total_time={seconds}", "-timeout=5", "-rss_limit_mb=2048", "-max_len=4096",
        "-print_final_stats=1", f"-artifact_prefix={findings}/",
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *options, str(corpus), str(findings)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
