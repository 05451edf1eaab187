"""Files written from the code, kept in the repository so that a review sees what changed."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
"""The checkout, wherever the package is installed."""


def assert_up_to_date(path: Path, text: str) -> None:
    """Fails when the file has another text; with UPDATE=1 in the environment it writes the file."""
    if os.environ.get("UPDATE") == "1":
        path.write_bytes(text.encode())
    elif not path.exists() or path.read_bytes() != text.encode():
        test = os.environ["PYTEST_CURRENT_TEST"].partition("::")[0]
        name = path.relative_to(ROOT).as_posix()
        pytest.fail(f"{name} is out of date. Write it with: UPDATE=1 .venv/bin/pytest {test}", pytrace=False)
