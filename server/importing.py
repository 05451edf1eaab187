"""Importing much, quickly, and what the garbage collector has to do with it."""

from __future__ import annotations

import gc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

_DEFERRED = "defer_build"
_THRESHOLDS = (2_000, 10, 50)
"""With Python's own, a thousand calls under way spent a third of the time on looking through what they hold."""


class FastImports:
    """While it is entered, the garbage collector rests, since what is imported stays, and pydantic's models are
    built when they are first used: of the hundreds that the SDK has, a connection needs a few dozen."""

    def __enter__(self) -> None:
        gc.disable()
        from pydantic import BaseModel

        BaseModel.model_config[_DEFERRED] = True

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        from pydantic import BaseModel

        del BaseModel.model_config[_DEFERRED]
        gc.freeze()  # else the collector would look at all of it as soon as it may
        gc.enable()


def relax_gc() -> None:
    """To be called when all is loaded: that stays, so the collector need not look at it again."""
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
