"""One evaluation on Decthings: started, looked up when its response is lost, waited for, cancelled.

It costs the user, so it is never started twice. What Decthings lists before and after tells which one is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import anyio

from ..calls.call import Call
from ..calls.outcomes import OutcomeLookup
from ..calls.time_limits import FINAL_CHECK_SHARE, WAIT_SHARE
from ..decthings import DecthingsClient, NoResponse, RequestInterrupted, SendProgress, types
from ..decthings.evaluations import EvaluationResult, Evaluations
from ..results.text import sanitize

_PAUSES = (0.0, 0.5, 1.0, 2.0)
"""Seconds before each look at the evaluations: none before the first, since one that goes on is listed."""
_SEVERAL = (
    "Tell the user. evaluate_model with modelId and one of the ids in lookUp.started as evaluationId shows that "
    "evaluation. Evaluating again runs the model again, which the user pays for."
)
_NONE = (
    "Tell the user. The model may not have run. Evaluating again runs it, which the user pays for, perhaps a second "
    "time."
)


@dataclass(frozen=True)
class Evaluation:
    """`result` is None while it goes on. `id` is None for one that ended at once: its response does not name it."""

    result: EvaluationResult | None
    id: str | None = None


class Evaluator:
    """Evaluations of one model within one call, which ends `until`."""

    def __init__(self, call: Call, model_id: str, started: float) -> None:
        self._call = call
        self._model_id = model_id
        self._until = started + call.services.call_seconds * WAIT_SHARE
        self._known = set[str]()

    @property
    def seconds_left(self) -> float:
        return max(self._until - monotonic(), 0.5)

    async def evaluate(self, params: types.EvaluateParams) -> Evaluation:
        """Run the model.

        Raises:
            DecthingsError: it did not run.
            LostResponse: the response was lost, and so is the evaluation.
        """
        self._known = (await self._call.read(lambda client: client.get_evaluations(self._model_id))).ids()
        return await self._reporting(
            lambda: self._call.write(
                lambda client, sending: self._send(client, sending, params), self._find, may_repeat=False
            )
        )

    async def _reporting(self, work: Any) -> Any:
        return await self._call.progress.while_waiting(self.seconds_left, work, ends_itself=True)

    async def _send(self, client: DecthingsClient, sending: SendProgress, params: types.EvaluateParams) -> Evaluation:
        seconds = self.seconds_left
        with anyio.move_on_after(seconds):
            return Evaluation(await client.evaluate(params, seconds + 5, sending))
        if not sending.complete:
            raise RequestInterrupted(f"The inputs could not be sent within {seconds:.0f} s.")
        raise NoResponse(f"The evaluation did not end within {seconds:.0f} s.")

    async def _find(self, lookup: OutcomeLookup) -> Evaluation:
        """The evaluation that this call has started, by what Decthings lists.

        Raises:
            LostResponse: it lists none, or several.
        """
        lookup.pauses = _PAUSES
        async for listed in lookup.reads(lambda client: client.get_evaluations(self._model_id)):
            started = sorted(listed.ids() - self._known)
            if len(started) == 1:
                return await self._result_of(started[0], listed, lookup.until - monotonic())
            if started:
                lookup.found = {"started": [sanitize(id_, 100) for id_ in started[:10]]}
                raise lookup.unknown(f"{len(started)} evaluations of this model have started since.", _SEVERAL)
        raise lookup.unknown("Decthings lists no evaluation that started since.", _NONE)

    async def _result_of(self, id_: str, listed: Evaluations, seconds: float) -> Evaluation:
        has_ended = any(item["id"] == id_ for item in listed.finished)
        share = self._call.services.call_seconds * FINAL_CHECK_SHARE
        return await self._wait(id_, min(share if has_ended else self.seconds_left, max(seconds, 0.0)))

    async def _wait(self, id_: str, seconds: float) -> Evaluation:
        client = await self._call.services.require_client()
        with anyio.move_on_after(seconds):
            return Evaluation(await client.get_finished_evaluation_result(self._model_id, id_, seconds + 5), id_)
        return Evaluation(None, id_)

    async def wait(self, id_: str) -> Evaluation:
        """The result of an earlier evaluation, as soon as it has ended.

        Raises:
            DecthingsError
        """
        return await self._reporting(lambda: self._call.read(lambda _: self._wait(id_, self.seconds_left)))

    async def cancel(self, id_: str) -> None:
        """Cancel an evaluation.

        Raises:
            DecthingsError, LostResponse
        """
        await self._call.write(
            lambda client, sending: client.cancel_evaluation(self._model_id, id_, sending),
            lambda lookup: self._verify_cancelled(lookup, id_),
            may_repeat=True,
        )

    async def _verify_cancelled(self, lookup: OutcomeLookup, id_: str) -> None:
        async for listed in lookup.reads(lambda client: client.get_evaluations(self._model_id)):
            if _is_absent(id_, listed.running):
                return
        raise lookup.unknown("The evaluation is still listed as running.", "Make the same call again.", may_repeat=True)


def _is_absent(id_: str, items: Sequence[dict[str, Any]]) -> bool:
    return all(item["id"] != id_ for item in items)
