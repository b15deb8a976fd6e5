"""The records that a worker's decisions become, and the topic and partition of each.

No clients here: records come in, and batches of records to be written go out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ..learn.training_log import NOWHERE, Origin
from ..messages import (
    Answer,
    DriftChanged,
    ErasureOrdered,
    InputRejected,
    LabelRequested,
    Output,
    QuestionChanged,
    Reason,
    RequestRescored,
    RequestWithdrawn,
    Withdrawal,
)
from ..messages.request_ids import desk_of
from ..observe.answers import AnswersDecoder
from ..privacy import WHOLE, Privacy
from ..privacy.erasing import REASON as ERASED
from ..settings.kafka import KafkaSettings
from . import wire
from .desks import DeskInput, End, Unended
from .effects import Part
from .orders import DESK as ORDERS_DESK
from .orders import is_order, order_of
from .owned import OwnedDesk, OwnedShard
from .produce import ProduceBatch, ProducerRecord
from .records import OVERHEAD_BYTES, Record, headers_for, letter_headers, place_headers
from .sealed import REQUESTS_TOPIC, Seals, unseal_answer
from .steps import DecidedStep
from .topic_ids import TopicIds

ABOUT_REQUESTS = (LabelRequested, RequestRescored, Answer, Withdrawal)
"""Entries of a desk's log that are about one request, whose id names the desk."""

SENT_TO_OTHERS = (
    LabelRequested,
    RequestRescored,
    RequestWithdrawn,
    DriftChanged,
    InputRejected,
)
"""Outputs for topics beside those of desks and the training log."""


@dataclass(slots=True)
class OutputRouter:
    """Turns what was decided into records on the topics of these settings.

    `writer` tells this session's steps from those of any other. `rejected_n` counts, by reason,
    records and answers that can't be read, so that no part saw them. `on_outputs` is called with
    what is decided. Writers' first steps have the `topic_ids`; `shards_n` shards carry out an
    order. Desks, the training log and the journal get messages in full; requests and dead letters
    show what `privacy` lets through, and requests are sealed where there are `seals`.
    """

    kafka: KafkaSettings
    writer: str = "w"
    privacy: Privacy = WHOLE
    seals: Seals | None = None
    on_outputs: Callable[[Sequence[Output]], None] = lambda outputs: None
    rejected_n: dict[str, int] = field(default_factory=dict)
    topic_ids: TopicIds | None = None
    shards_n: int = 1
    _is_hidden_told: bool = False

    def describe_hidden(self) -> list[str]:
        """Return warnings, once, of features that requests were to show and no event had."""
        if self._is_hidden_told or not (warnings := self.privacy.describe_unseen()):
            return []
        self._is_hidden_told = True
        return warnings

    def pack_step(self, owned: OwnedShard, training: int) -> ProduceBatch:
        """Return the batch of the step that an owned shard is due; its next step follows it."""
        # Also for a shard that was ours before: behind another writer's steps only a first counts.
        is_first = not owned.is_begun
        decided = owned.shard.take_step(training, owned.done, self.writer, is_first=is_first)
        if is_first and self.topic_ids is not None:
            decided.step = msgspec.structs.replace(decided.step, topics=self.topic_ids.kept)
        offset, owned.writer, owned.is_begun = owned.end, self.writer, True
        self.on_outputs(decided.outputs)
        owned.end += 1
        owned.shard.journal = offset
        batch = self.pack_outputs(owned, decided, offset)
        batch.journal = ProducerRecord(
            self.kafka.journal, wire.value_of(decided.step), partition=owned.shard.partition
        )
        batch.offset = offset
        return batch

    def pack_outputs(
        self,
        owned: OwnedShard,
        decided: DecidedStep,
        offset: int,
        sent: frozenset[bytes] = frozenset(),
    ) -> ProduceBatch:
        """Return the batch of a step's outputs, less what was `sent` before.

        The step is at this offset of the journal. `sent` has ids of requests and values of drift
        changes.
        """

        def note_arrival() -> None:
            owned.done, owned.arrived = offset, max(owned.arrived, decided.step.stop)

        now = owned.shard.shard.admission.clock.sure
        batch = ProduceBatch(note_arrival)
        for output in decided.outputs:
            match output:
                case LabelRequested():
                    if output.request_id.encode() not in sent:
                        self._pack_request(output, now, batch)
                case RequestRescored():
                    value = wire.value_of(output)
                    batch.to_desks.append(self._route_value(value, output.request_id, now))
                    batch.to_others += self._route_to_others(output, value)
                case DriftChanged():
                    value = wire.value_of(output)
                    if value not in sent:
                        batch.to_others += self._route_to_others(output, value)
                case InputRejected() if output.source:
                    self.count_rejection(output)
                    record = decided.letters.get(output.position)
                    place = self.kafka.events, owned.shard.partition
                    letter = (
                        self._make_place_letter(output, output.position, *place)
                        if record is None
                        else self._make_letter(output, record, *place)
                    )
                    batch.to_others.append(letter)
                case _:
                    batch.to_others += self._route_to_others(output)
        return batch

    def _pack_request(self, request: LabelRequested, now: float, batch: ProduceBatch) -> None:
        """Add a request to a batch: for its desk in full, for the annotators as it may be seen.

        It is encoded once, unless the two differ. One that no record can hold is refused.
        """
        value, shown = wire.value_of(request), self.privacy.show_request(request)
        shown_value = value if shown is request else wire.value_of(shown)
        sent = self._seal_request(shown_value, request.request_id)
        if max(len(value), len(sent)) + OVERHEAD_BYTES > self.kafka.request_bytes_max:
            self._refuse_request(request, now, batch)
            return
        self.privacy.count_request(request)
        batch.to_desks.append(self._route_value(value, request.request_id, now))
        batch.to_others.append(
            ProducerRecord(self.kafka.requests, sent, request.request_id.encode())
        )

    def _hide_private(self, output: Output) -> Output:
        """Return an output as it may be seen; where answers are sealed, no rejection quotes one."""
        output = self.privacy.show_output(output)
        if self.seals is not None and isinstance(output, InputRejected):
            return msgspec.structs.replace(output, raw="")
        return output

    def _seal_request(self, value: bytes, request_id: str) -> bytes:
        """Return an encoded message about a request as it is sent: sealed where there are seals."""
        return value if self.seals is None else self.seals.seal(value, REQUESTS_TOPIC, request_id)

    def _refuse_request(self, request: LabelRequested, now: float, batch: ProduceBatch) -> None:
        """End a request that no record can hold as withdrawn; its label is paid back."""
        slim = msgspec.structs.replace(request, features={}, prediction={}, served=None)
        detail = f"its request is above kafka.request_bytes_max, {self.kafka.request_bytes_max}"
        withdrawal = Withdrawal(request_id=request.request_id, at=now, reason="too large to send")
        batch.to_desks += [self.route_to_desk(slim, now), self.route_to_desk(withdrawal, now)]
        batch.to_others += self._route_to_others(
            InputRejected(reason=Reason.OVERSIZE, detail=detail, at=now, input_id=request.event_id)
        )

    def route_answer(
        self, decoder: AnswersDecoder, part: Part, record: Any, now: float
    ) -> list[ProducerRecord]:
        """Return the records to write for one on the topic of answers: for an answer or an order.

        `part` is where it was read, `now` the clock of the events.
        """
        source = f"{part.topic}, partition {part.partition}"
        value = unseal_answer(self.seals, record, source, record.timestamp / 1_000)
        if isinstance(value, InputRejected):
            return [self.reject_record(value, record, part.topic, part.partition)]
        if is_order(record):
            order = order_of(value, record, part, self.shards_n)
            if isinstance(order, InputRejected):
                return [self.reject_record(order, record, part.topic, part.partition)]
            is_for_all = isinstance(order, ErasureOrdered)
            desks = range(self.kafka.desk_partitions) if is_for_all else (ORDERS_DESK,)
            return [self.route_to_desk(order, now, desk) for desk in desks]
        headers = headers_for(decoder, [record])
        return [
            self.reject_record(answer, record, part.topic, part.partition)
            if isinstance(answer, InputRejected)
            else self.route_to_desk(answer, now)
            for answer in decoder.decode([value], source, [record.offset], headers)
        ]

    def route_to_desk(
        self, entry: DeskInput, now: float, desk: int | None = None
    ) -> ProducerRecord:
        """Return the record of an entry: for this desk, or for the one that has its request."""
        value = wire.value_of(entry)
        if desk is not None:
            return ProducerRecord(
                self.kafka.desk, value, partition=desk, headers=wire.now_headers(now)
            )
        assert isinstance(entry, ABOUT_REQUESTS)
        return self._route_value(value, entry.request_id, now)

    def _route_value(self, value: bytes, request_id: str, now: float) -> ProducerRecord:
        """Return the record of an encoded entry for the desk that has its request."""
        desk = desk_of(request_id, self.kafka.desk_partitions)
        return ProducerRecord(self.kafka.desk, value, partition=desk, headers=wire.now_headers(now))

    def _route_to_others(self, output: Output, value: bytes | None = None) -> list[ProducerRecord]:
        """Return the records of an output beside those to desks; rounds are in the metrics only.

        `value` is the output as it is, encoded; None if it was not encoded yet.
        """
        if isinstance(output, QuestionChanged):
            return self._route_to_others(output.record)
        if not isinstance(output, SENT_TO_OTHERS):
            return []
        shown, kafka = self._hide_private(output), self.kafka
        if value is None or shown is not output:
            value = wire.value_of(shown)
        match shown:
            case LabelRequested() | RequestRescored() | RequestWithdrawn():
                value = self._seal_request(value, shown.request_id)
                return [ProducerRecord(kafka.requests, value, shown.request_id.encode())]
            case DriftChanged():
                return [ProducerRecord(kafka.drift, value, shown.signal.encode(), 0)]
        return [ProducerRecord(kafka.rejects, value)]

    def _reject_unread(self, record: Any) -> ProducerRecord:
        source = f"{self.kafka.desk}, partition {record.partition}"
        rejection = InputRejected(
            reason=Reason.NOT_JSON,
            detail="no entry of a desk's log",
            at=record.timestamp / 1_000,
            source=source,
            position=record.offset,
        )
        return self.reject_record(rejection, record, self.kafka.desk, record.partition)

    def reject_record(
        self, rejection: InputRejected, record: Record, topic: str, partition: int
    ) -> ProducerRecord:
        """Count a record that no part ever saw, and return its dead letter."""
        self.count_rejection(rejection)
        return self._make_letter(rejection, record, topic, partition)

    def _make_letter(
        self, rejection: InputRejected, record: Record, topic: str, partition: int
    ) -> ProducerRecord:
        if self.privacy.is_active and topic != self.kafka.answers:
            return self._make_place_letter(rejection, record.offset, topic, partition)
        value = wire.value_of(self._hide_private(rejection))
        headers = letter_headers(record, topic, partition, self.kafka.request_bytes_max)
        return ProducerRecord(self.kafka.rejects, value, key=record.key, headers=headers)

    def _make_place_letter(
        self, rejection: InputRejected, offset: int, topic: str, partition: int
    ) -> ProducerRecord:
        """Return a dead letter that says where the record is, and has nothing of it."""
        value = wire.value_of(self._hide_private(rejection))
        return ProducerRecord(
            self.kafka.rejects, value, headers=place_headers(offset, topic, partition)
        )

    def count_rejection(self, rejection: InputRejected) -> None:
        """Count a rejection of what no part saw."""
        self.rejected_n[rejection.reason] = self.rejected_n.get(rejection.reason, 0) + 1

    def fold_desk_records(self, owned: OwnedDesk, records: Sequence[Any]) -> ProduceBatch:
        """Fold these records of the desk's log; return the batch of what has to be written."""
        batch = ProduceBatch(lambda: None)
        for record in records:
            entry = wire.desk_input_of(record)
            if entry is None:
                # Only a stranger writes what we can't read; every worker passes over it.
                owned.desk.position = record.offset + 1
                batch.to_others.append(self._reject_unread(record))
                continue
            for result in owned.desk.fold(*entry, record.offset):
                origin = result.origin
                is_logged = origin is not None and origin.place <= owned.heard
                if is_logged or (origin is None and record.offset < owned.written_to):
                    continue
                if origin is not None and owned.is_new:
                    origin, owned.is_new = origin._replace(before=NOWHERE), False
                batch.to_others += self._route_desk_output(result.output, origin)
        position = owned.desk.position

        def note_arrival() -> None:
            owned.arrived = position

        batch.arrived = note_arrival
        return batch

    def _route_desk_output(
        self, output: End | Unended, origin: Origin | None
    ) -> list[ProducerRecord]:
        if isinstance(output, InputRejected | QuestionChanged):
            return self._route_to_others(output)
        assert origin is not None
        value, headers = wire.value_of(output), wire.origin_headers(origin)
        entry = ProducerRecord(self.kafka.training, value, partition=0, headers=headers)
        # Annotators must be notified that a question is moot.
        if not isinstance(output, RequestWithdrawn):
            return [entry]
        if output.reason == ERASED:
            return [entry, *self._route_to_others(msgspec.structs.replace(output, event_id=""))]
        return [entry, *self._route_to_others(output, value)]
