"""Work that goes on after its call has ended: looking up the outcome of a call that was cancelled."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskGroup

_GRACE_SECONDS_AT_SHUTDOWN = 0.4
"""For what is still in progress when the server shuts down."""


class Background:
    """Runs work that no cancellation of a call ends; when the server shuts down, it has a moment left."""

    def __init__(self, tasks: TaskGroup) -> None:
        self._tasks = tasks
        self._scopes: set[anyio.CancelScope] = set()

    def start(self, work: Callable[[], Awaitable[None]]) -> None:
        scope = anyio.CancelScope(shield=True)
        self._scopes.add(scope)
        self._tasks.start_soon(self._run, work, scope)

    async def _run(self, work: Callable[[], Awaitable[None]], scope: anyio.CancelScope) -> None:
        with scope:
            await work()
        self._scopes.discard(scope)

    def cancel_after_grace(self) -> None:
        for scope in self._scopes:
            scope.deadline = min(scope.deadline, anyio.current_time() + _GRACE_SECONDS_AT_SHUTDOWN)


@asynccontextmanager
async def open_background() -> AsyncGenerator[Background]:
    async with anyio.create_task_group() as tasks:
        background = Background(tasks)
        try:
            yield background
        finally:
            background.cancel_after_grace()
