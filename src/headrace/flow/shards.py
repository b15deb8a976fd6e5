"""One partition of the inference log: its shard, and where that stands in every log.

Sans I/O. What a shard decides follows from three things: the events of its partition, the training
log, and how both were interleaved. The first two are topics; the third is what a `Step` says, one
record of the journal. So any reader of the journal can decide everything again, bit for bit: that
is how a shard moves to another worker, and how one that was killed goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import xxhash

from ..chance import Chance
from ..errors import BadInput
from ..learn.caps import CapClaimed, Caps
from ..learn.rules import RulesInUse
from ..learn.trainer import Entry, Trainer
from ..learn.training_log import Folded, TrainingLog
from ..learn.view import View
from ..messages import (
    ErasureOrdered,
    EventBatch,
    InputRejected,
    LabelSettled,
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
from ..query.record import AskedRecord, Differences
from ..settings import Settings
from ..settings.fields import Section
from ..shard.feeding import feed_batch, pass_time
from ..shard.recalling import follow_record, settle_record
from ..shard.shard import Shard
from ..state import frozen
from ..wiring import make_schema, make_shard
from .orders import Followed, erase_for_order, open_ordered, tell_roll_back
from .records import Record as KafkaRecord
from .records import headers_for
from .share import share_of
from .steps import DecidedStep, OpenStep, Step


def digest_of(*settings: Section | int) -> str:
    """Return a digest of settings: 16 hexadecimal digits."""
    return xxhash.xxh64_hexdigest(b"\n".join(map(msgspec.json.encode, settings)))


def decoder_of(settings: Settings) -> Decoder:
    """Return the decoder of events. Raises `BadSettings`."""
    # A request repeats what its event said, so that one must fit into a record with room left.
    longest = min(settings.input.line_bytes_max, settings.kafka.request_bytes_max // 4)
    fields = msgspec.structs.replace(settings.input, line_bytes_max=longest)
    return Decoder(fields, settings.columns)


def answers_decoder_of(settings: Settings) -> AnswersDecoder:
    """Return the decoder of answers. Raises `BadSettings`."""
    return AnswersDecoder(settings.answers, settings.kafka.request_bytes_max // 4)


class PartitionShard:
    """A shard with its place in the events (`position`), training log, and journal.

    `hear_entry`, `feed` and `tick` take inputs; `take_step` returns the step that says which they
    were, with all that followed. `position` and `training` are offsets of the next record to read,
    `journal` is that of the last step, -1 for none. `claim_n` is the number of its last claim to a
    cap and money, 0 for none. It sees the model of `trainer`, and is one of `partitions_n` shards.
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
        self._shard = make_shard(part, schema, chance, View(trainer, schema))
        self._others_labels: dict[str, int] = {}
        self._open = OpenStep()

    @property
    def shard(self) -> Shard:
        """The shard that decides, with the labels of other shards counted."""
        if self._others_labels:
            labels, self._others_labels = self._others_labels, {}
            self._shard.count_labels_of_others(labels)
        return self._shard

    # ------------------------------------------------------------------------------- taking in

    def hear_entry(self, entry: Folded, log: TrainingLog) -> None:
        """Take an entry that the training log has just folded."""
        if isinstance(entry, RequestEnded) and not self._shard.concerns(entry):
            self._hear_of_other(entry)
        elif isinstance(entry, CapClaimed):
            self._allow_spending(self.spent, log.caps)
        elif isinstance(entry, ErasureOrdered):
            self._add_followed([], erase_for_order(self.shard, self.partition, entry, log.erased))
        elif not isinstance(entry, RulesInUse):
            self._hear_end(entry)

    def _hear_of_other(self, entry: RequestEnded) -> None:
        """Keep the label of another shard's request, as most are, until the shard is next used."""
        if isinstance(entry, LabelSettled):
            is_first = entry.revision == 0
            labels = self._others_labels
            labels[entry.label] = labels.get(entry.label, 0) + is_first

    def _hear_end(self, entry: Entry | InputRejected) -> None:
        if isinstance(entry, ModelAdopted | ModelRolledBack):
            self.shard.restart_watches()
        if isinstance(entry, RoundOrdered):
            self._add_followed(*open_ordered(self.shard, self.partition, entry))
        elif isinstance(entry, ModelRolledBack | InputRejected):
            self._add_followed(*tell_roll_back(self.partition, entry))
        elif isinstance(entry, RequestEnded):
            schema = self.shard.schema
            label = getattr(entry, "label", None)
            if label is not None:
                schema.class_code(label)
            self._add_outputs(self.shard.take_end(entry))

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
            by_offset = {record.offset: record for record in records}
            self._open.add_rejected(decoded.rejected, by_offset)
        self._feed_batch(decoded.batch)
        self.position = stop
        self._open.note_inputs()

    def _add_followed(self, outputs: list[Output], orders: list[Followed]) -> None:
        """Add what an order led to."""
        self._add_outputs(outputs)
        self._open.add_orders(orders)

    def _feed_batch(self, batch: EventBatch) -> None:
        due = self._next_deadline
        for _ in feed_batch(
            self.shard, batch, self._add_outputs, self._advance_clock, next_deadline=due
        ):
            pass

    def _advance_clock(self, now: float) -> list[Output]:
        return self._add_outputs(self.shard.advance_clock(now))

    def _next_deadline(self) -> float | None:
        return self.shard.next_deadline()

    def _add_outputs(self, outputs: Sequence[Output]) -> list[Output]:
        """Add what the shard has just decided."""
        self._open.add_outputs(outputs, self.shard)
        return list(outputs)

    def tick(self, now: float) -> None:
        """Advance the clock to the time of day: nothing came, and something is due."""
        pass_time(self.shard.now, now, self._advance_clock, self._next_deadline)
        self._open.note_inputs(now)

    # ---------------------------------------------------------------------------- deciding again

    def follow_step(self, step: Step) -> None:
        """Have the inputs of this step of the journal, which come next, lead to its requests.

        A step that has the ids alone, as earlier versions wrote them, is not followed.
        """
        if step.rules == self.rules and step.is_followed:
            record = AskedRecord(step.asked, step.decided, self.shard.events_n, step.rescored)
            follow_record(self.shard, record)

    def settle_step(self) -> Differences:
        """Make what is left of that step's requests; return how far the decisions differ."""
        outputs, differing = settle_record(self.shard)
        self._add_outputs(outputs)
        return differing

    # ---------------------------------------------------------- its part of a cap, and of money

    @property
    def spent(self) -> Total:
        """What the partition has spent of a cap and of money, in all lives of its shard."""
        return self.shard.asking.budget.total_spent

    def claim_caps(self, caps: Caps) -> CapClaimed | None:
        """Return a claim to a part of both, for the next step; None if no other part is due.

        Nothing is asked from now on until the claim was folded. Where the log has a later claim
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
        """Set the number of the last claim, and what was spent up to now."""
        if self._is_limited:
            self.claim_n = claim_n
            self._allow_spending(spent, caps)

    def _allow_spending(self, spent: Total, caps: Caps) -> None:
        """Set the budget's limit; until the last claim was folded nothing more may be spent."""
        is_heard = self.claim_n > 0 and caps.number_of(self.partition) == self.claim_n
        limit = caps.limit_of(self.partition) if is_heard else spent
        self.shard.asking.budget.set_total(limit, spent)

    def go_on_with(self, step: Step, caps: Caps) -> None:
        """Take over what a step of this partition says was spent."""
        if step.claim_n:
            labels_n, money = self.spent
            labels_n = labels_n if step.spent_n is None else step.spent_n
            money = money if step.spent_money is None else step.spent_money
            self.keep_spent(step.claim_n, Total(labels_n, money), caps)

    # ------------------------------------------------------------------------------ giving out

    @property
    def is_due(self) -> bool:
        """Whether there is a step to write: events were fed, labels led to outputs, or an order."""
        return self._open.is_due

    def take_step(
        self, training: int, done: int, writer: str = "", *, is_first: bool = False
    ) -> DecidedStep:
        """Return the step up to here, for the caller to write to the journal, and begin the next.

        `training`, `done`, `writer` and `is_first` are those of `Step`.
        """
        base = Step(
            previous=self.journal,
            training=training,
            start=self.position,
            stop=self.position,
            done=done,
            rules=self.rules,
            writer=writer,
            is_first=is_first,
            spent_n=None if self._cap is None or not self.claim_n else self.spent.labels_n,
            spent_money=None if self._money is None or not self.claim_n else self.spent.money,
            claim_n=self.claim_n,
        )
        decided = self._open.close(base)
        self.training = training
        self._open = OpenStep(self.position, self.shard.events_n)
        return decided

    def seek(self, position: int) -> None:
        """Go on from this offset; events in between are not seen."""
        self.position = position
        self._open.seek(position)

    def stand_at(self, positions: Mapping[str, int | str]) -> None:
        """Go to where a snapshot stood; `positions` are as `places_at` returned them."""
        self.seek(int(positions["events"]))
        self.training, self.journal = int(positions["training"]), int(positions["journal"])
        self.claim_n = int(positions.get("claim", 0))

    def places_at(self, training: int, writer: str) -> dict[str, int | str]:
        """Return where it stands, for a snapshot; `writer` wrote its last step."""
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
        """Return the shard as bytes, without its trainer; call it right after a `take_step`."""
        return frozen.freeze((self.shard.schema, self.shard), kind="shard")

    def thaw(self, blob: bytes, allowed: frozenset[str], trainer: Trainer) -> None:
        """Restore the shard from `freeze`. Raises `BadInput` as `frozen.thaw` does."""
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
        self._shard, self._others_labels = shard, {}
        self._open.count_from(shard.events_n)

    def attach_trainer(self, trainer: Trainer) -> None:
        """Use the model of this trainer from now on; it must be at the same version."""
        view = self.shard.model
        assert isinstance(view, View)
        view.attach(trainer)
