"""An engine that is killed and restarted: it must return the same outputs as before."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from ..engine import Engine
from ..learn.retrain import finish_job
from ..messages import Input, Output, RetrainFinished


class MortalEngine:
    """An engine, its latest snapshot, and its inputs and outputs since then.

    `made` makes a new engine without state. `is_same` is whether each engine made after a crash
    decided as the one before it.

    >>> from headrace.messages import Event
    >>> mortal = MortalEngine(Engine)
    >>> mortal.feed([Event(id="a", at=0.0, features={"x": 1})])
    []
    >>> mortal.crash(), mortal.engine.report.events.observed_n
    ((1, True), 1)
    """

    def __init__(self, made: Callable[[], Engine]) -> None:
        self.engine = made()
        self.is_same = True
        self._made = made
        self._blob: bytes | None = None
        self._since: list[Input] = []
        self._said: list[bytes] = []

    def feed(self, inputs: Sequence[Input]) -> list[Output]:
        """Feed these inputs to the engine and return its outputs."""
        outputs = self.engine.feed(inputs)
        self._since += inputs
        self._said += _encode_outputs(outputs)
        return outputs

    def save(self) -> None:
        """Take a snapshot, from which the engine after the next crash goes on."""
        self._blob, self._since, self._said = self.engine.snapshot(), [], []

    def crash(self) -> tuple[int, bool]:
        """Crash after all was sent and nothing committed: feed the last snapshot the inputs again.

        Returns how many inputs these are, and whether the outputs were the same.
        """
        self.engine = self._made()
        if self._blob is not None:
            self.engine.restore(self._blob)
        outputs: list[bytes] = []
        pending: list[Input] = []
        for message in self._since:
            if isinstance(message, RetrainFinished):
                outputs += _encode_outputs(self.engine.feed(pending))
                pending = [self._run_again(message)]
            else:
                pending.append(message)
        outputs += _encode_outputs(self.engine.feed(pending))
        is_same = outputs == self._said
        self.is_same &= is_same
        return len(self._since), is_same

    def _run_again(self, finished: RetrainFinished) -> RetrainFinished:
        """Run a retraining again, since a journal keeps no models; return its result."""
        job = self.engine.trainer.retrainings.job(finished.job_id)
        if finished.error is not None or job is None:
            return finished
        return finish_job(job, finished.at)


def _encode_outputs(outputs: Sequence[Output]) -> list[bytes]:
    return [msgspec.json.encode(output) for output in outputs]
