"""Key stores as a user may have them: put this folder on PYTHONPATH and name one in PYTHON_KEYRING_BACKEND."""

import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked


class Locked(KeyringBackend):
    """Refuses everything."""

    priority = 9  # pyright: ignore[reportAssignmentType, reportUnannotatedClassAttribute]

    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise KeyringLocked(f"{service} {username} {password}")


class AsksTheUser(KeyringBackend):
    """Waits until somebody writes a key to the pipe that KEY_STORE_PIPE names."""

    priority = 9  # pyright: ignore[reportAssignmentType, reportUnannotatedClassAttribute]

    def get_password(self, service: str, username: str) -> str | None:
        return Path(os.environ["KEY_STORE_PIPE"]).read_text()

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError
