"""An engine that is killed and begins again: it has to say what it said before."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from ..engine import Engine
from ..learn.retrain import finish
from ..messages import Input, Output, RetrainFinished


class MortalEngine:
    """An engine, its latest snapshot, and what it was fed and said since then.

    `made` makes one that knows nothing. `is_same` is whether every one that was made after a crash
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
        """What the engine says of these inputs."""
        outputs = self.engine.feed(inputs)
        self._since += inputs
        self._said += _lines(outputs)
        return outputs

    def save(self) -> None:
        """Take a snapshot, from which the next one goes on."""
        self._blob, self._since, self._said = self.engine.snapshot(), [], []

    def crash(self) -> tuple[int, bool]:
        """All was sent and nothing committed: an older snapshot takes the same inputs once more.

        How many these are, and whether it said the same.
        """
        self.engine = self._made()
        if self._blob is not None:
            self.engine.restore(self._blob)
        said: list[bytes] = []
        stretch: list[Input] = []
        for message in self._since:
            if isinstance(message, RetrainFinished):
                said += _lines(self.engine.feed(stretch))
                stretch = [self._run_again(message)]
            else:
                stretch.append(message)
        said += _lines(self.engine.feed(stretch))
        is_same = said == self._said
        self.is_same &= is_same
        return len(self._since), is_same

    def _run_again(self, finished: RetrainFinished) -> RetrainFinished:
        """A journal keeps no models: the job is run again."""
        job = self.engine.trainer.retrainings.job(finished.job_id)
        if finished.error is not None or job is None:
            return finished
        return finish(job, finished.at)


def _lines(outputs: Sequence[Output]) -> list[bytes]:
    return [msgspec.json.encode(output) for output in outputs]
