"""Looks up the key that `decthings-mcp login` keeps, when a call needs it."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, wait
from functools import partial

import anyio
import anyio.to_thread
from pydantic import SecretStr

from ...tools.calls.services import Unavailable
from ...tools.results.api_errors import KEYS_AND_CHATS
from ..api_key import KeptKey, KeyProblem, Secret, checked_key, login_command
from ..settings import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .key_store import FoundKey

_log = logging.getLogger(__name__)

_FOR_REMOTE_CALLERS = Unavailable(
    "This server has no usable Decthings API key, so it cannot call Decthings.",
    "Ask the operator of this server to run decthings-mcp check on its machine. Never put a key into the chat.",
)


class KeptKeyLookup:
    """Reads the key store in a thread, since it can ask the user to unlock it, and blocks meanwhile.

    Args:
        seconds: how long a call waits. The reading goes on, and the next call waits for it again.
        remote_callers: whether the users are on other machines, so that they learn nothing of this one.
    """

    def __init__(self, kept: KeptKey, seconds: float, *, remote_callers: bool = False) -> None:
        self._kept = kept
        self._remote_callers = remote_callers
        self._seconds = seconds
        self._reading: Future[FoundKey | None] | None = None

    async def __call__(self) -> SecretStr | Unavailable:
        found = await self.find()
        if isinstance(found, Unavailable) and self._remote_callers:
            _log.warning("%s %s", *found)
            return _FOR_REMOTE_CALLERS
        return found if isinstance(found, Unavailable) else SecretStr(found.key.value)

    async def find(self) -> FoundKey | Unavailable:
        """The key with the place where it is kept."""
        reading = self._reading = self._reading or _start(partial(_find, self._kept.profile))
        await anyio.to_thread.run_sync(partial(wait, [reading], self._seconds), abandon_on_cancel=True)
        if not reading.done():
            return self._unavailable(f"the system's key store did not respond within {self._seconds:.3g} seconds")
        self._reading = None
        from .key_store import KeyStoreError

        try:
            found = reading.result()
        except KeyStoreError as error:
            return self._unavailable(str(error))
        if found is None:
            return Unavailable(*self._kept.absent())
        if isinstance(checked_key(found.key.value), KeyProblem):
            return self._unavailable(f"what is in {found.place} is not a key")
        return found

    def _unavailable(self, reason: str) -> Unavailable:
        return Unavailable(
            f"The Decthings API key that is kept on this machine cannot be read: {reason}.",
            "Ask the user to unlock the system's key store, or to run this in a terminal to keep the key again: "
            f"{login_command(self._kept.profile)} - then make the same call again. {KEYS_AND_CHATS}",
        )


async def find_used_key(settings: Settings, seconds: float) -> tuple[SecretStr, str] | Unavailable:
    """The key that the server uses with these settings and the place that it comes from, or why there is none."""
    if isinstance(settings.api_key, KeyProblem):
        return Unavailable(*settings.api_key)
    if isinstance(settings.api_key, Secret):
        return SecretStr(settings.api_key.value), settings.key_source
    found = await KeptKeyLookup(settings.api_key, seconds).find()
    return found if isinstance(found, Unavailable) else (SecretStr(found.key.value), found.place)


def _find(profile: str) -> FoundKey | None:
    from .key_store import find_key  # with its packages, only where a kept key is needed

    return find_key(profile)


def _start(read: partial[FoundKey | None]) -> Future[FoundKey | None]:
    """Start reading in a thread that does not keep the process from ending."""
    future: Future[FoundKey | None] = Future()

    def run() -> None:
        try:
            future.set_result(read())
        except BaseException as error:  # raised where the result is read
            future.set_exception(error)

    threading.Thread(target=run, name="key store", daemon=True).start()
    return future
