"""One partition of the inference log: its shard, and where that stands in every log.

Sans I/O. What a shard decides follows from three things: the events of its partition, the training
log, and how both were interleaved. The first two are topics; the third is what a `Step` says, one
record of the journal. So whoever reads the journal can decide everything again, bit for bit: that
is how a shard moves to another worker, and how one that was killed goes on.

A step is written before anything of it is sent. Its `previous` makes the journal a chain: of two
workers that both believe they own the partition, only the one whose record came first is followed,
and the other sees it in the offset that the broker gave its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import xxhash

from ..chance import Chance
from ..errors import BadInput
from ..feeding import feed_batch, pass_time
from ..learn.caps import CapClaimed, Caps
from ..learn.rules import RulesInUse
from ..learn.trainer import Entry, Trainer
from ..learn.training_log import Folded, TrainingLog
from ..learn.view import View
from ..messages import (
    ErasureOrdered,
    EventBatch,
    InputRejected,
    LabelRequested,
    ModelAdopted,
    ModelRolledBack,
    Output,
    RequestEnded,
    RoundOrdered,
)
from ..observe.answers import AnswersDecoder
from ..observe.decode import Decoder
from ..observe.schema import Schema
from ..query.accounts import Total, in_millionths
from ..query.budgets import money_of
from ..query.record import (
    Decided,
    Differences,
    Record,
    RescoredThen,
    decided_of,
    rescored_of,
)
from ..recalling import follow_record, settle_record
from ..settings import Settings
from ..settings.fields import Section
from ..shard import Shard
from ..state import frozen
from ..wiring import make_schema, make_shard
from .orders import Followed, erase_ordered, open_ordered, rolled_back
from .records import Record as KafkaRecord
from .records import headers_for
from .share import share_of

DECIDED_MAX = 2_000
"""Requests of a step behind which its numbers are kept, about 400 kB; of one with more, none."""


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a shard took in at once: entries of the training log, then events, then the time.

    `training` is the offset up to which it has the training log, `start` and `stop` are offsets of
    its events, `tick` the time of day it was told in a quiet hour. `asked` are the ids of the
    requests that followed, in order; `decided` are the numbers behind them, which win when they are
    decided again; so does `rescored`, what was said of open questions. `previous` is the offset of
    the step before, -1 for none, and `done` that of the last step whose outputs all arrived when
    this one was written. `rules` is a digest of the shard's settings: under others it would decide
    otherwise, so it begins anew. With `is_reset` the shard forgot everything before `stop`.

    `writer` is whoever wrote it, and `is_first` that it is that writer's first: a worker that was
    cut off with several steps on their way may meet, in the offset where it expected its own first
    one, the step of another. A first step also has the ids of the `topics` that its writer went by,
    by their settings.

    Under a cap `spent_n` are the labels of it that the partition has spent so far, in all lives of
    its shard; of money it is `spent_money`, in millionths. `claim_n` is the number of the last
    claim to them (`learn.caps`).

    `orders` say what came here of those that are among the entries of the training log.
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

    def spent(self, settings: Settings, before: Total) -> Total:
        """What the partition has spent up to this step, and had spent `before`.

        Labels that were asked while there was no such limit count, at the price of the dearest.
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

    A writer takes the offsets of its steps on their way for granted. Once another's step has come
    between, those behind it name wrong ones, and some may fit by accident: nothing that this writer
    writes from then on counts (`is_lost`).
    """

    offset: int
    writer: str
    is_lost: bool = False

    def takes(self, step: Step | None, offset: int, *, is_any: bool = False) -> bool:
        """Whether the step at this offset continues the chain; it ends there then."""
        if step is None:
            return False
        is_own = step.is_first or (step.writer == self.writer and not self.is_lost)
        if is_any or (step.previous == self.offset and is_own):
            self.offset, self.writer, self.is_lost = offset, step.writer, False
            return True
        self.is_lost |= step.writer == self.writer
        return False


@dataclass(slots=True)
class Taken:
    """A step on its way: what is to be written, and what is to be sent when it is.

    `letters` are the records that could not be read, by their offset.
    """

    step: Step
    outputs: list[Output]
    letters: dict[int, KafkaRecord] = field(default_factory=dict)


def digest_of(*settings: Section | int) -> str:
    """What is set, as 16 digits."""
    return xxhash.xxh64_hexdigest(b"\n".join(map(msgspec.json.encode, settings)))


def decoder_of(settings: Settings) -> Decoder:
    """What reads events here. Raises `BadSettings`."""
    # A request repeats what its event said, so that one must fit into a record with room left.
    longest = min(settings.input.line_bytes_max, settings.kafka.request_bytes_max // 4)
    fields = msgspec.structs.replace(settings.input, line_bytes_max=longest)
    return Decoder(fields, settings.columns)


def answers_decoder_of(settings: Settings) -> AnswersDecoder:
    """What reads answers here. Raises `BadSettings`."""
    return AnswersDecoder(settings.answers, settings.kafka.request_bytes_max // 4)


class PartitionShard:
    """A shard with its place in the events (`position`), training log, and journal.

    `hear`, `feed` and `tick` take things in; `take` gives the step that says what was taken in,
    with all that followed. Offsets are of the next record to read; `journal` is that of the last
    step, -1 for none. `claim_n` is the number of its last claim to a cap and money, 0 for none.
    """

    def __init__(
        self, settings: Settings, partition: int, partitions_n: int, trainer: Trainer
    ) -> None:
        self.partition = partition
        self.partitions_n = partitions_n
        self.position = 0
        self.training = 0
        self.journal = -1
        self.claim_n = 0
        budget = settings.query.budget
        self._is_limited, self._cap = budget.is_total, budget.cap
        self._money = None if budget.money is None else in_millionths(budget.money)
        part = share_of(settings, partitions_n, partition)
        self.rules = digest_of(part)
        schema, chance = make_schema(settings), Chance(settings.seed)
        self.shard = make_shard(part, schema, chance, View(trainer, schema))
        self._outputs: list[Output] = []
        self._decided: list[Decided] = []
        self._rescored: list[RescoredThen] = []
        self._letters: dict[int, KafkaRecord] = {}
        self._orders: list[Followed] = []
        self._start = self._began_n = 0
        self._tick: float | None = None
        self._is_moved = False

    # ------------------------------------------------------------------------------- taking in

    def hear(self, entry: Folded, log: TrainingLog) -> None:
        """The training log has just folded this entry."""
        if isinstance(entry, CapClaimed):
            self._allow(self.spent, log.caps)
        elif isinstance(entry, ErasureOrdered):
            self._follow([], erase_ordered(self.shard, self.partition, entry, log.erased))
        elif not isinstance(entry, RulesInUse):
            self._ended(entry)

    def _ended(self, entry: Entry | InputRejected) -> None:
        if isinstance(entry, ModelAdopted | ModelRolledBack):
            self.shard.adopted()
        if isinstance(entry, RoundOrdered):
            self._follow(*open_ordered(self.shard, self.partition, entry))
        elif isinstance(entry, ModelRolledBack | InputRejected):
            self._follow(*rolled_back(self.partition, entry))
        elif isinstance(entry, RequestEnded):
            schema = self.shard.schema
            label = getattr(entry, "label", None)
            if label is not None:
                schema.class_code(label)
            self._add(self.shard.ended(entry))

    def feed(self, decoder: Decoder, records: Sequence[KafkaRecord], stop: int) -> None:
        """Take these records of the partition, from `position` on; the next one is at `stop`."""
        decoded = decoder.decode(
            [record.value or b"" for record in records],
            f"partition {self.partition}",
            [record.offset for record in records],
            headers_for(decoder, records),
            self.shard.admission.halves,
        )
        if decoded.rejected:
            # A half that was given up was in an earlier record: it is told as it was then.
            by_offset = {record.offset: record for record in records}
            self._letters |= {
                rejected.position: by_offset[rejected.position]
                for rejected in decoded.rejected
                if rejected.position in by_offset
            }
        self._outputs += decoded.rejected
        self._feed(decoded.batch)
        self.position = stop
        self._is_moved = True

    def _follow(self, outputs: list[Output], orders: list[Followed]) -> None:
        """An order led to this."""
        self._add(outputs)
        self._orders += orders

    def _feed(self, batch: EventBatch) -> None:
        due = self._next_deadline
        for _ in feed_batch(self.shard, batch, self._add, self._advance, next_deadline=due):
            pass

    def _advance(self, now: float) -> list[Output]:
        return self._add(self.shard.advanced(now))

    def _next_deadline(self) -> float | None:
        return self.shard.next_deadline()

    def _add(self, outputs: Sequence[Output]) -> list[Output]:
        """What the shard just came to."""
        after_n, key = self.shard.events_n - self._began_n, self.shard.chance.key
        self._outputs += outputs
        self._decided += [
            decided_of(output, key(output.event_id), after_n)
            for output in outputs
            if isinstance(output, LabelRequested)
        ]
        self._rescored += rescored_of(outputs, after_n)
        return list(outputs)

    def tick(self, now: float) -> None:
        """Nothing came, and by the time of day something is due."""
        pass_time(self.shard.now, now, self._advance, self._next_deadline)
        self._tick = now
        self._is_moved = True

    # ---------------------------------------------------------------------------- deciding again

    def follow(self, step: Step) -> None:
        """What comes in next is what this step of the journal took in: it asks what that asked.

        Of a step that has the ids alone, as earlier versions wrote them, nothing is followed.
        """
        if step.rules == self.rules and step.is_followed:
            record = Record(step.asked, step.decided, self.shard.events_n, step.rescored)
            follow_record(self.shard, record)

    def settle(self) -> Differences:
        """All of that step came in: ask what is left of it; by how much it is decided otherwise."""
        outputs, found = settle_record(self.shard)
        self._add(outputs)
        return found

    # ---------------------------------------------------------- its part of a cap, and of money

    @property
    def spent(self) -> Total:
        """What the partition has spent of a cap and of money, whichever shard did."""
        return self.shard.asking.budget.total_spent

    def claim(self, caps: Caps) -> CapClaimed | None:
        """Claim a part of both with the next step; None where it holds the one it should.

        Nothing is asked from now on until the claim was heard. Where the log knows of a later claim
        than our journal, nobody knows what was spent since: all of that part counts as spent.
        """
        number, n = caps.number_of(self.partition), self.partitions_n
        is_held = number == self.claim_n and caps.holds(self.partition, self._cap, self._money, n)
        if is_held or not self._is_limited:
            return None
        spent = self.spent
        if number > self.claim_n:
            spent = Total(*map(max, spent, caps.limit_of(self.partition)))
        self.keep_spent(max(number, self.claim_n) + 1, spent, caps)
        return CapClaimed(
            partition=self.partition,
            number=self.claim_n,
            partitions_n=n,
            spent_n=spent.labels_n,
            cap=self._cap,
            spent_money=spent.money,
            money=self._money,
        )

    def keep_spent(self, claim_n: int, spent: Total, caps: Caps) -> None:
        """So much was spent by the time of this claim or since."""
        if self._is_limited:
            self.claim_n = claim_n
            self._allow(spent, caps)

    def _allow(self, spent: Total, caps: Caps) -> None:
        """Until the last claim was heard nothing may be spent: it says what was."""
        is_heard = self.claim_n > 0 and caps.number_of(self.partition) == self.claim_n
        limit = caps.limit_of(self.partition) if is_heard else spent
        self.shard.asking.budget.set_total(limit, spent)

    def go_on_with(self, step: Step, caps: Caps) -> None:
        """What a step of this partition says of what was spent holds."""
        if step.claim_n:
            labels_n, money = self.spent
            labels_n = labels_n if step.spent_n is None else step.spent_n
            money = money if step.spent_money is None else step.spent_money
            self.keep_spent(step.claim_n, Total(labels_n, money), caps)

    # ------------------------------------------------------------------------------ giving out

    @property
    def is_due(self) -> bool:
        """There is something to write: events were fed, labels led to outputs, or an order came."""
        return self._is_moved or bool(self._outputs or self._orders)

    def take(self, training: int, done: int, writer: str = "", *, is_first: bool = False) -> Taken:
        """The step up to here, which the caller writes to the journal; nothing is left over."""
        outputs, self._outputs = self._outputs, []
        decided, self._decided = self._decided, []
        rescored, self._rescored = self._rescored, []
        letters, self._letters = self._letters, {}
        orders, self._orders = self._orders, []
        step = Step(
            previous=self.journal,
            training=training,
            start=self._start,
            stop=self.position,
            done=done,
            asked=[o.request_id for o in outputs if isinstance(o, LabelRequested)],
            decided=decided if len(decided) <= DECIDED_MAX else [],
            rescored=rescored,
            tick=self._tick,
            rules=self.rules,
            writer=writer,
            is_first=is_first,
            spent_n=None if self._cap is None or not self.claim_n else self.spent.labels_n,
            spent_money=None if self._money is None or not self.claim_n else self.spent.money,
            claim_n=self.claim_n,
            orders=orders,
        )
        self.training, self._start = training, self.position
        self._began_n = self.shard.events_n
        self._tick, self._is_moved = None, False
        return Taken(step, outputs, letters)

    def seek(self, position: int) -> None:
        """Go on from this offset; what lies between is not seen."""
        self.position = self._start = position

    def stand_at(self, positions: Mapping[str, int | str]) -> None:
        """Where a snapshot stood, as `places` says."""
        self.seek(int(positions["events"]))
        self.training, self.journal = int(positions["training"]), int(positions["journal"])
        self.claim_n = int(positions.get("claim", 0))

    def places(self, training: int, writer: str) -> dict[str, int | str]:
        """Where it stands, for a snapshot: the training log up to here, its last step's writer."""
        places: dict[str, int | str] = {
            "events": self.position,
            "training": training,
            "journal": self.journal,
            "rules": self.rules,
            "writer": writer,
        }
        return places | ({"claim": self.claim_n} if self.claim_n else {})

    # ---------------------------------------------------------------------------------- state

    def freeze(self) -> bytes:
        """The shard as bytes, without its trainer; between a `take` and what comes in next."""
        return frozen.freeze((self.shard.schema, self.shard), kind="shard")

    def thaw(self, blob: bytes, allowed: frozenset[str], trainer: Trainer) -> None:
        """Go on from `freeze`. Raises `BadInput` as `frozen.thaw` does."""
        strategy = self.shard.asking.strategy
        match frozen.thaw(blob, kind="shard", allowed=allowed):
            case (Schema() as schema, Shard() as shard):
                pass
            case _:
                raise BadInput("the state is not that of a shard")
        if shard.settings != self.shard.settings:
            raise BadInput("made under other settings, or with another number of partitions")
        if shard.schema is not schema or not isinstance(shard.model, View):
            raise BadInput("the state is not that of a shard on Kafka")
        shard.asking.attach_strategy(strategy)
        shard.model.attach(trainer)
        self.shard, self._began_n = shard, shard.events_n

    def attach(self, trainer: Trainer) -> None:
        """See the model of this trainer from now on; it must be at the same version."""
        view = self.shard.model
        assert isinstance(view, View)
        view.attach(trainer)
