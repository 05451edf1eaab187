"""Importing large packages quickly, with the garbage collector out of the way."""

from __future__ import annotations

import gc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

_DEFERRED = "defer_build"
_THRESHOLDS = (2_000, 10, 50)
"""With Python's own, a thousand calls in progress spent a third of the time on examining what they hold."""


class FastImports:
    """Imports without garbage collection, since what is imported stays, and with pydantic's models built when they
    are first used: of the hundreds that the SDK has, a connection needs a few dozen."""

    def __enter__(self) -> None:
        gc.disable()
        from pydantic import BaseModel

        BaseModel.model_config[_DEFERRED] = True

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        from pydantic import BaseModel

        del BaseModel.model_config[_DEFERRED]
        gc.freeze()  # else the collector would examine all of it as soon as it may
        gc.enable()


def relax_gc() -> None:
    """Exempts what is loaded from garbage collection, since it stays. Call it when all is loaded."""
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
