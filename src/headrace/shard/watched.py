"""What a shard remembers of every observed event: window, reservoir, guesses, predictions.

Events are written to these late, many at once; so read them only by the properties, which write
down first what waits.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..chance import Chance
from ..learn.evaluation import Evaluation
from ..observe.moments import RunningMoments
from ..observe.reservoir import Reservoir
from ..observe.schema import Schema
from ..observe.seen import Assessment, Seen, columns_of, stack_column
from ..observe.signals import Confidences
from ..observe.window import Columns, Window
from ..settings import Settings
from .model_view import ModelView

SEEN_MAX = 256
"""Once this many stretches of events wait, they are written down."""


class Watched:
    """The part of a shard that remembers events and decides nothing."""

    # Moments are added up to here: a waiting stretch, and an event in it. Not part of the state.
    _moments_at = (0, 0)

    def __init__(
        self, settings: Settings, schema: Schema, model: ModelView, chance: Chance
    ) -> None:
        observe, evaluation = settings.observe, settings.evaluation
        self.settings = settings
        self.schema = schema
        self.model = model
        self.chance = chance
        self._seen: list[Seen] = []
        self._window = Window(observe.window_n, observe.window_s)
        self._reservoir = Reservoir(observe.reservoir_n, observe.reservoir_half_life_s, chance)
        self._evaluation = Evaluation(evaluation.window_n, evaluation.anytime_min)
        self._predicted_n: dict[str, int] = {}
        self._confidences = Confidences()
        self._moments = RunningMoments()
        # The clock at the last event observed; admission's may be ahead by the rest of a run.
        self.now = -np.inf
        self.events_n = 0

    @property
    def window(self) -> Window:
        """The last events."""
        self._write_down()
        return self._window

    @property
    def reservoir(self) -> Reservoir:
        """The bounded random sample of all events."""
        self._write_down()
        return self._reservoir

    @property
    def evaluation(self) -> Evaluation:
        """The accuracy estimate."""
        self._write_down()
        return self._evaluation

    @property
    def judging(self) -> Evaluation:
        """The accuracy estimate for writing about requests: the newest guesses may be missing."""
        if self.events_n - self._window.next_seq >= self._evaluation.window_n:
            self._write_down()
        self._evaluation.reach_events(self.events_n)
        return self._evaluation

    @property
    def predicted_n(self) -> dict[str, int]:
        """Number of predictions by class."""
        self._write_down()
        return self._predicted_n

    @property
    def confidences(self) -> Confidences:
        """A histogram of the confidences of predictions."""
        self._write_down()
        return self._confidences

    @property
    def moments(self) -> RunningMoments:
        """Moments of the events since the last request, for models that want a context."""
        self._add_moments()
        return self._moments

    def _add_moments(self) -> None:
        if not self.model.wants_context or not self._seen:
            return
        first, added_n = self._moments_at
        for seen in self._seen[first:]:
            # The last stretch may have grown: it does while its assessment lasts.
            if len(seen) > added_n:
                self._moments.add(seen.of_run(seen.said.run.rows)[added_n:])
            added_n = 0
        self._moments_at = len(self._seen) - 1, len(self._seen[-1])

    def newest(self) -> Columns:
        """The newest event as one row; none if it arrived older than the window allows."""
        if self.settings.observe.window_s is not None or not self._seen:
            newest = self.window.since(self.events_n - 1)
        else:
            newest = columns_of([self._seen[-1].newest()], self.events_n)
        if newest.served.shape[1] and len(newest) and np.isnan(newest.served[0, 0]):
            # As if no event before had been served: when events are written down must not matter.
            newest = replace(newest, served=newest.served[:, :0])
        return newest

    def mark_asked(self, seq: int) -> None:
        """Note in window and reservoir that a label was requested for event `seq`."""
        end = self.events_n
        for seen in reversed(self._seen):
            start = end - len(seen)
            if seq >= start:
                seen.said.run.is_asked[seen.start + seq - start] = True
                return
            end = start
        self.window.mark_asked(seq)
        self.reservoir.mark_asked(seq)

    def past(self) -> Columns:
        """The events of the window, and before them the older events of the reservoir."""
        recent, sample = self.window.since(0), self.reservoir.columns()
        first = int(recent.seq[0]) if len(recent) else np.inf
        older = sample.take(np.flatnonzero(sample.seq < first))
        order = np.argsort(older.seq, kind="stable")
        return Columns.join_blocks([older.take(order), recent])

    def __getstate__(self) -> dict[str, Any]:
        self.window.forget_lines()
        self.reservoir.forget_lines()
        return {name: value for name, value in self.__dict__.items() if name != "_moments_at"}

    def _note_seen(self, said: Assessment, start: int, stop: int) -> int:
        """Keep events [start, stop) to be written down before the next read; return how many."""
        run, n = said.run, stop - start
        run.originals.pack_events(start, stop)
        run.i = stop
        self.events_n += n
        latest = self._seen[-1] if self._seen else None
        if latest is not None and latest.said is said and latest.stop == start:
            latest.stop = stop
            return n
        self._seen.append(Seen(said, start, stop))
        if len(self._seen) == SEEN_MAX:
            self._write_down()
        return n

    def _write_down(self) -> None:
        """Write waiting events to window, reservoir and counts: many cost little more than one."""
        if not self._seen:
            return
        self._add_moments()
        seen, self._seen, self._moments_at = self._seen, [], (0, 0)
        block = columns_of(seen, self.events_n)
        self._window.append(block, self.now)
        self._reservoir.offer(
            block, stack_column([part.of_run(part.said.run.dated) for part in seen])
        )
        self._evaluation.count_events(block.guess)
        # Before the first class was known nothing was predicted.
        predicting = [part for part in seen if part.said.probabilities.shape[1]]
        counts: list[int] = []
        if predicting:
            predicted = stack_column([part.part_of(part.said.predicted) for part in predicting])
            confidence = stack_column([part.part_of(part.said.confidence) for part in predicting])
            counts = np.bincount(predicted[~np.isnan(confidence)]).tolist()
            self._confidences.add(confidence)
        for name, count in zip(self.schema.classes, counts, strict=False):
            if count:
                self._predicted_n[name] = self._predicted_n.get(name, 0) + count
