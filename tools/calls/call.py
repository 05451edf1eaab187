"""One call of a tool, as its handler sees it: the services it uses, and how it calls Decthings."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from time import monotonic
from typing import Any, TypeVar

import anyio
from mcp.server.mcpserver import Context

from ..decthings import DecthingsClient, SendProgress
from .outcomes import Verify
from .progress import Progress
from .retries import retry
from .services import services_of
from .writes import Write

T = TypeVar("T")


class Call:
    """`evidence` is what an outcome lookup found, when the result of a write had to be looked up."""

    def __init__(self, tool: str, context: Context[Any, Any]) -> None:
        self.tool = tool
        self.context = context
        self.services = services_of(context)
        self.progress = Progress(context.report_progress)
        self.evidence: dict[str, Any] | None = None
        self._client: DecthingsClient | None = None
        self._sending = SendProgress()
        self._seconds_left = self.services.call_seconds
        self._scope: anyio.CancelScope | None = None

    @property
    def may_have_acted(self) -> bool:
        """Whether a request that writes was handed over in full, and was not refused."""
        return self._sending.may_have_acted

    async def client(self) -> DecthingsClient:
        """The client of this call, the same from its first use on.

        Raises:
            NotConfigured: there is no API key, or it cannot be used.
        """
        self._client = self._client or await self.services.require_client()
        return self._client

    async def read(self, method: Callable[[DecthingsClient], Awaitable[T]]) -> T:
        """The result of a method that only reads: any failure of the connection is retried.

        Raises:
            NotConfigured, DecthingsError
        """
        client = await self.client()
        return await retry(
            lambda: method(client), self.services.retry_seconds, idempotent=True, on_retry=self.progress.report_retry
        )

    async def write(
        self,
        method: Callable[[DecthingsClient, SendProgress], Awaitable[T]],
        verify: Verify[T],
        *,
        may_repeat: bool,
        subject: str = "",
    ) -> T:
        """The result of a method that writes. When the response is lost, `verify` looks for what became of it.

        Args:
            may_repeat: whether the same request, sent again, does no harm.
            subject: follows the name of the tool in the log.

        Raises:
            NotConfigured
            DecthingsError: nothing was done.
            LostResponse: the response was lost, and nothing was done or that could not be found out.
        """
        left = self._seconds_left if self._scope is None else self._scope.deadline - anyio.current_time()
        name, deadline = f"{self.tool}{subject}", monotonic() + left
        write = Write(
            name, await self.client(), self.services, self.progress, self._sending, method, verify, may_repeat, deadline
        )
        result, self.evidence = await write.run()
        return result

    @contextmanager
    def time_limit(self) -> Generator[None]:
        """Ends what is within once the call has used up its time. What lies between two uses does not count.

        Raises:
            TimeoutError
        """
        started = monotonic()
        with anyio.CancelScope(deadline=anyio.current_time() + self._seconds_left) as self._scope:
            yield
        if self._scope.cancelled_caught:
            raise TimeoutError
        if self._scope.deadline < math.inf:
            self._seconds_left -= monotonic() - started

    def lift_time_limit(self) -> None:
        """For what takes as long as it makes progress: reading files, and an upload."""
        if self._scope is not None:
            self._scope.deadline = math.inf

    def restart_time_limit(self) -> None:
        if self._scope is not None:
            self._scope.deadline = anyio.current_time() + self._seconds_left
