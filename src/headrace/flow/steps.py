"""A step of a shard's journal: what it took in at once, and what followed.

A step is written before anything of it is sent. Its `previous` makes the journal a chain: if two
workers believe that they own the partition, only the one whose record came first is followed, and
the other notices by the offset that the broker gave its own record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from ..messages import InputRejected, LabelRequested, Output
from ..query.accounts import Total, money_of
from ..query.record import Decided, RescoredThen, decided_of, rescored_of
from ..settings import Settings
from ..shard.shard import Shard
from .orders import Followed
from .records import Record

DECIDED_MAX = 2_000
"""Up to this many requests a step has the numbers behind them, about 400 kB; with more, none."""


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a shard took in at once: entries of the training log, then events, then the time.

    `training` is the offset up to which the shard has the training log, `start` and `stop` are
    offsets of its events, `tick` is the time of day that it got in a quiet hour. `asked` are the
    ids of the requests that followed, in order. `decided` are the numbers behind them, which win
    when the step is decided again; so does `rescored`, the changes to open questions. `previous` is
    the offset of the step before, -1 for none, and `done` that of the last step whose outputs had
    all arrived when this one was written. `rules` is a digest of the shard's settings: under others
    it would decide otherwise, so it begins anew. With `is_reset` the shard forgot everything before
    `stop`.

    `writer` is the id of its writer, and `is_first` marks that writer's first step: a worker that
    was cut off with several steps on their way may find another's step at the offset where it
    expected its own first one. A first step also has the ids of the `topics` that its writer went
    by, by their settings.

    `spent_n` is how many labels of a cap the partition has spent so far, in all lives of its shard,
    `spent_money` how much money, in millionths; None without such a limit. `claim_n` is the number
    of the last claim to them (`learn.caps`). `orders` are what came here of the orders among the
    entries of the training log.
    """

    previous: int
    training: int
    start: int
    stop: int
    done: int = -1
    asked: list[str] = []
    decided: list[Decided] = []
    rescored: list[RescoredThen] = []
    tick: float | None = None
    rules: str = ""
    writer: str = ""
    is_first: bool = False
    is_reset: bool = False
    topics: dict[str, str] = {}
    spent_n: int | None = None
    spent_money: int | None = None
    claim_n: int = 0
    orders: list[Followed] = []

    def count_spent(self, settings: Settings, before: Total) -> Total:
        """Return what the partition has spent up to this step, given what it had spent `before`.

        Labels that were asked while there was no such limit count too, at the highest price.
        """
        n, labels_n, money = len(self.asked), self.spent_n, self.spent_money
        if labels_n is None:
            labels_n = before.labels_n + n
        if money is None:
            money = before.money + n * money_of(settings.query.budget, 0.0).dearest
        return Total(labels_n, money)

    @property
    def is_followed(self) -> bool:
        """Whether it has the numbers behind all that it asked: earlier versions wrote ids alone."""
        return len(self.decided) == len(self.asked)


@dataclass(slots=True)
class ChainEnd:
    """The last step of a chain: its offset, -1 for none, and its writer.

    A writer assumes the offsets of its steps on their way. Once another's step has come between,
    the steps behind it name wrong offsets, and some may fit by accident: nothing that this writer
    writes from then on counts (`is_lost`).
    """

    offset: int
    writer: str
    is_lost: bool = False

    def accepts_step(self, step: Step | None, offset: int, *, is_any: bool = False) -> bool:
        """Whether the step at this offset continues the chain; if so, it is the new end.

        With `is_any` it does whatever it follows: the chain begins with it.
        """
        if step is None:
            return False
        is_own = step.is_first or (step.writer == self.writer and not self.is_lost)
        if is_any or (step.previous == self.offset and is_own):
            self.offset, self.writer, self.is_lost = offset, step.writer, False
            return True
        self.is_lost |= step.writer == self.writer
        return False


@dataclass(slots=True)
class DecidedStep:
    """A step on its way: what is to be written, and the outputs to be sent once it is.

    `letters` are the records that could not be read, by their offset, as far as they are at hand.
    """

    step: Step
    outputs: list[Output]
    letters: dict[int, Record] = field(default_factory=dict)


class OpenStep:
    """The step that comes next: what a shard took in since its last step, and what followed.

    It begins at the offset `start`, with a shard that has seen `events_n` events.
    """

    def __init__(self, start: int = 0, events_n: int = 0) -> None:
        self._start, self._began_n = start, events_n
        self._outputs: list[Output] = []
        self._decided: list[Decided] = []
        self._rescored: list[RescoredThen] = []
        self._letters: dict[int, Record] = {}
        self._orders: list[Followed] = []
        self._tick: float | None = None
        self._is_moved = False

    @property
    def is_due(self) -> bool:
        """Whether there is a step to write: events were fed, labels led to outputs, or an order."""
        return self._is_moved or bool(self._outputs or self._orders)

    def seek(self, position: int) -> None:
        """Set the offset at which the step begins."""
        self._start = position

    def count_from(self, events_n: int) -> None:
        """Set how many events the shard had seen when the step began."""
        self._began_n = events_n

    def add_outputs(self, outputs: Sequence[Output], shard: Shard) -> None:
        """Add what the shard has just decided."""
        after_n, key = shard.events_n - self._began_n, shard.chance.key
        self._outputs += outputs
        self._decided += [
            decided_of(output, key(output.event_id), after_n)
            for output in outputs
            if isinstance(output, LabelRequested)
        ]
        self._rescored += rescored_of(outputs, after_n)

    def add_rejected(
        self, rejected: Sequence[InputRejected], by_offset: Mapping[int, Record]
    ) -> None:
        """Add records that could not be read; `by_offset` are those that were just fed.

        A half that was given up mostly came in a record before these, of which the state has the
        content alone. Its dead letter is without key and headers, and says where the record is.
        """
        self._outputs += rejected
        self._letters |= {
            one.position: by_offset[one.position] for one in rejected if one.position in by_offset
        }

    def add_orders(self, orders: Sequence[Followed]) -> None:
        """Add what became of orders."""
        self._orders += orders

    def note_inputs(self, tick: float | None = None) -> None:
        """Note that events were fed, or the clock was advanced to the time of day, `tick`."""
        self._is_moved = True
        self._tick = self._tick if tick is None else tick

    def close(self, base: Step) -> DecidedStep:
        """Return the step, with the places and totals of `base`."""
        outputs = self._outputs
        step = msgspec.structs.replace(
            base,
            start=self._start,
            asked=[o.request_id for o in outputs if isinstance(o, LabelRequested)],
            decided=self._decided if len(self._decided) <= DECIDED_MAX else [],
            rescored=self._rescored,
            tick=self._tick,
            orders=self._orders,
        )
        return DecidedStep(step, outputs, self._letters)
