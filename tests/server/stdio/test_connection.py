"""The client's pipes, as the parent process hands them over."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from pathlib import Path

import pytest
import support
from stdio_support import handshake


def inherit_many_descriptors() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 4096), most))
    for _ in range(1100):
        os.set_inheritable(os.dup(2), True)


@pytest.mark.slow
@pytest.mark.parametrize("early_replies", ["0", "1"])
def test_a_server_with_more_than_a_thousand_inherited_descriptors_responds(early_replies: str, tmp_path: Path) -> None:
    finished = subprocess.run(
        support.server_command(), input=handshake() + "\n", cwd=tmp_path, text=True, capture_output=True,
        env=support.environment(DECTHINGS_MCP_EARLY_REPLIES=early_replies), preexec_fn=inherit_many_descriptors,
        close_fds=False, timeout=60, check=False,
    )  # fmt: skip
    assert (finished.returncode, finished.stderr) == (0, "")
    assert json.loads(finished.stdout.splitlines()[0])["result"]["serverInfo"]["name"] == "decthings"
