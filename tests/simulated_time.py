"""Time that passes only when nothing else can happen: waits of minutes take none, and end in the same order always."""

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Executor, Future
from contextlib import ExitStack, contextmanager
from selectors import DefaultSelector, SelectorKey
from typing import Any, TypeVar
from unittest.mock import patch

T = TypeVar("T")


class _Selector(DefaultSelector):
    """Lets the time pass instead of waiting."""

    now = 1_000.0
    """Not zero, as the clocks of machines are not."""

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everything waits for something that never happens"
            self.now += max(timeout, 0)
        return ready


class SimulatedLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


class _InlineExecutor(Executor):
    """In place of threads, which would take real time."""

    def __init__(self, *_: object) -> None:
        pass

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future = Future[T]()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


async def _run_inline(function: Callable[..., T], *args: Any, **_: Any) -> T:
    return function(*args)


@contextmanager
def simulated_time() -> Generator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """A function that runs coroutines, one after the other, in simulated time; the tools have the same time."""
    loop = SimulatedLoop()
    with ExitStack() as stack:
        stack.enter_context(patch("anyio.to_thread.run_sync", _run_inline))
        stack.enter_context(patch("decthings_mcp.tools.files.upload.ThreadPoolExecutor", _InlineExecutor))
        tools = [module for name, module in sys.modules.items() if name.startswith("decthings_mcp.tools")]
        for module in [tool for tool in tools if getattr(tool, "monotonic", None) is time.monotonic]:
            stack.enter_context(patch.object(module, "monotonic", loop.time))
        runner = stack.enter_context(asyncio.Runner(loop_factory=lambda: loop))
        yield runner.run
