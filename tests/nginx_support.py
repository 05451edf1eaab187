"""A real nginx with deploy/nginx.conf, in front of servers of a test."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import support
from deploy_support import NGINX_CONF, REPLICAS

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


@dataclass
class Gateway:
    url: str
    folder: Path

    @property
    def root(self) -> str:
        return self.url.removesuffix("/mcp")

    def logs(self) -> str:
        return "".join(path.read_text() for path in self.folder.glob("*.log"))

    def access_log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "access.log").read_text().splitlines()]


def nginx_conf(folder: Path, port: int, replicas: list[int], text: str = NGINX_CONF) -> Path:
    """The file itself, with addresses of this machine, and logs that can be read."""
    for old, new in [
        ("listen 8080;", f"listen 127.0.0.1:{port};"),
        ("/tmp/nginx", f"{folder}/nginx"),  # noqa: S108 - of the file
        ("/dev/stdout", f"{folder}/access.log"),
        ("error_log stderr error;", f"error_log {folder}/error.log error;"),
        *((f"{name}:8000", f"127.0.0.1:{replica}") for name, replica in zip(REPLICAS, replicas, strict=True)),
    ]:
        assert old in text
        text = text.replace(old, new)
    path = folder / "nginx.conf"
    path.write_text(text)
    return path


def nginx_command(path: Path, *arguments: str) -> list[str]:
    as_owner = "user root; " if os.getuid() == 0 else ""  # whose folders these are
    return [NGINX or "nginx", "-p", str(path.parent), "-c", str(path), "-g", f"{as_owner}daemon off;", *arguments]


@contextmanager
def gateway(folder: Path, *replicas: int, conf: str = NGINX_CONF) -> Generator[Gateway]:
    port = support.free_port()
    command = nginx_command(nginx_conf(folder, port, list(replicas), conf))
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + 30
            while time.monotonic() < until:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.02)
            yield Gateway(f"http://127.0.0.1:{port}/mcp", folder)
        finally:
            process.terminate()
