"""The fuzz targets without a fuzzer: on seeds, on what was found, and on what hypothesis makes up."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz.seeds import SEEDS
from fuzz.targets import TARGETS
from hypothesis import given
from hypothesis import strategies as st

FINDINGS = Path(__file__).parent / "fuzz" / "findings"


def inputs(name: str) -> list[bytes]:
    return [*SEEDS[name], *(path.read_bytes() for path in sorted((FINDINGS / name).glob("*")))]


@pytest.mark.parametrize(("name", "data"), [(name, data) for name in TARGETS for data in inputs(name)])
def test_a_seed_or_a_finding_is_read_or_refused(name: str, data: bytes) -> None:
    TARGETS[name](data)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
@given(data=st.binary(max_size=200), seed=st.integers(0), at=st.integers(0))
def test_a_changed_seed_is_read_or_refused(name: str, data: bytes, seed: int, at: int) -> None:
    whole = SEEDS[name][seed % len(SEEDS[name])]
    at %= len(whole) + 1
    TARGETS[name](whole[:at] + data + whole[at + len(data) :])
