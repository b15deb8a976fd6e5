"""The audit log beside workers on Kafka: what their topics say, by one reader, in one chain.

Workers come and go, and write twice after a kill; what counts is on the topics. So the workers
don't write the log. Every record of the topics below has its entry, or several that say how many
they are, and an entry names its topic, partition and offset: no offset of a partition is left out
and none comes twice, which proves that the log is complete, however many workers there were. The
order within a partition is the topic's; between partitions it is that in which they were read.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ...adapters.chain import HashChain, check_links, encode_entry, files_of, hash_of
from ...adapters.sealing import load_sealer
from ...bridges.bridge import Unreachable
from ...errors import BadInput, NotSealed
from ...flow.effects import Part
from ...flow.orders import is_order, order_of
from ...flow.records import headers_for
from ...flow.sealed import REQUESTS_TOPIC, key_of, unseal_answer
from ...flow.shards import answers_decoder_of
from ...flow.wire import drift_of, entry_of
from ...messages import Answer, ForAnnotators, InputRejected, Withdrawal
from ...query.orders import Order
from ...settings import Settings
from .acts import DECIDED
from .entries import TEXT_MAX, Entry, NextOffsets
from .entries import entry_of as entry_about
from .records import via_of

if TYPE_CHECKING:
    import threading

    from ..kafka.topics_reader import TopicsReader

READ_N = 500
QUIET_S_MAX = 30.0
FAULTS_MAX = 10
AWAY_S = 2.0

_REQUESTS = msgspec.json.Decoder(ForAnnotators)


class TopicRecords:
    """Turns records of the topics into entries; pure."""

    def __init__(self, settings: Settings) -> None:
        kafka = settings.kafka
        self._readers: dict[str, Callable[[Any], list[Entry]]] = {
            kafka.requests: self._read_request,
            kafka.answers: self._read_answer,
            kafka.training: self._read_end,
            kafka.drift: self._read_drift,
        }
        self._consensus = settings.label.consensus
        self._sealer = load_sealer(settings.sealing, settings.stream)
        self._answers = answers_decoder_of(settings)

    @property
    def topics(self) -> list[str]:
        return list(self._readers)

    def make_entries(self, part: Part, record: Any) -> list[Entry]:
        """Return the entries of one record, at least one, with their place."""
        place = [*part, record.offset]
        entries = self._readers[part[0]](record) or [{"what": "unread"}]
        if len(entries) == 1:
            return [entries[0] | {"record": place}]
        of_n = len(entries)
        return [entry | {"record": place, "part": [i, of_n]} for i, entry in enumerate(entries)]

    def _read_request(self, record: Any) -> list[Entry]:
        try:
            value = record.value or b""
            if self._sealer is not None:
                value = self._sealer.unseal(value, REQUESTS_TOPIC, key_of(record))
            return [entry_about(_REQUESTS.decode(value))]
        except (NotSealed, msgspec.MsgspecError, UnicodeError):
            return []

    def _read_answer(self, record: Any) -> list[Entry]:
        value = unseal_answer(self._sealer, record, "", 0.0)
        if isinstance(value, InputRejected):
            return [{"what": "refused", "reason": value.reason, "input_id": ""}]
        if is_order(record):
            # For how many partitions the order is, the training log says.
            part = Part(record.topic, record.partition)
            return [_make_answer_entry(order_of(value, record, part, shards_n=0))]
        answers = self._answers.decode([value], headers=headers_for(self._answers, [record]))
        via = via_of(value)
        more = {"via": via} if via else {}
        return [_make_answer_entry(answer, **more) for answer in answers]

    def _read_end(self, record: Any) -> list[Entry]:
        decoded = entry_of(record)
        if decoded is None:
            return []
        entry, origin = decoded
        fields = entry_about(entry)
        if fields["what"] in ("settled", "disputed"):
            fields["consensus"] = self._consensus
        if origin is not None:
            fields["origin"] = [origin.desk, *origin.place]
        return [fields]

    def _read_drift(self, record: Any) -> list[Entry]:
        change = drift_of(record.value or b"")
        return [] if change is None else [entry_about(change)]


def _make_answer_entry(given: Answer | Withdrawal | Order | InputRejected, **more: Any) -> Entry:
    """Return the entry of what somebody put among the answers."""
    if isinstance(given, InputRejected):
        input_id = given.input_id[:TEXT_MAX]
        return {"what": "refused", "reason": given.reason, "input_id": input_id}
    return entry_about(given, **more)


class TopicsLog:
    """The chain of what topics say; `follow_topics` brings it up to them a piece at a time.

    Raises `BadInput` where a topic holds less than was read of it, as after it was made anew.
    """

    def __init__(self, folder: Path, settings: Settings, reader: TopicsReader) -> None:
        self._records = TopicRecords(settings)
        self._reader = reader
        self._places = NextOffsets.from_folder(folder)
        self._chain = HashChain(
            folder,
            DECIDED,
            first={"stream": settings.stream, "topics": self._records.topics},
            waits=False,
            file_bytes_max=settings.audit.file_bytes_max,
            files_max=settings.audit.files_max,
            opening=self._make_opening,
        )
        self._has_looked = False

    def follow_topics(self) -> int:
        """Write the topics' next records; return how many there were. Raises `Unreachable`."""
        if not self._has_looked:
            self._read_topics()
            self._has_looked = True
        read_n = 0
        for part, records in self._reader.read(self._places.next, READ_N).items():
            for record in records:
                reached = self._places.next.get(part, 0)
                if record.offset > reached:
                    self._write_entry(_make_lost_entry(part, reached, record.offset))
                if record.offset >= reached:
                    entries = self._records.make_entries(part, record)
                    for entry in entries[self._places.written_n(part, record.offset) :]:
                        self._write_entry(entry)
                    read_n += 1
        return read_n

    def follow_until_stopped(self, stop: threading.Event, note: Callable[[str], None]) -> None:
        """Follow until `stop` is set; `note` is called when Kafka is away, and when it is back."""
        is_away = False
        while not stop.is_set():
            try:
                self.follow_topics()
            except Unreachable as error:
                if not is_away:
                    note(f"{error}; trying again until it is back")
                is_away, self._has_looked = True, False
                stop.wait(AWAY_S)
                continue
            if is_away:
                note("Kafka is back")
                is_away = False
        self._chain.sync()

    def close(self) -> None:
        self._chain.close()

    def _read_topics(self) -> None:
        for part, (_, end) in self._reader.read_bounds().items():
            if self._places.next.get(part, 0) > end:
                raise BadInput(
                    f"{part[0]}, partition {part[1]} ends at offset {end}, and the log has read it "
                    f"up to {self._places.next[part]}: it was made anew; move the log away to "
                    "begin another"
                )

    def _make_opening(self) -> Entry:
        """Return the first entry of a new file: how far each partition was read."""
        places = sorted(self._places.next.items())
        return {"what": "places", "places": [[*part, n] for part, n in places]}

    def _write_entry(self, entry: Entry) -> None:
        # One at a time, as a new file has to begin with the places of all entries before it.
        self._chain.append([entry])
        self._places.check_entry(entry)


def _make_lost_entry(part: Part, start: int, stop: int) -> Entry:
    """Return the entry of offsets without a record: deleted unread, or transaction markers."""
    return {"what": "offsets_lost", "record": [*part, start], "until": stop - 1}


# ------------------------------------------------------------------------------- verifying


class Compared(NamedTuple):
    """The result of a comparison with the topics, in sentences."""

    faults: list[str]
    notes: list[str]


def compare_topics(folder: Path, settings: Settings, reader: TopicsReader) -> Compared:
    """Compare every record of the topics that the log has read with its entries.

    Raises `Unreachable`, and `BadInput` where a topic stops returning records that it holds.
    """
    records, log = TopicRecords(settings), _Said(folder)
    bounds = reader.read_bounds()
    places = {part: first for part, (first, _) in bounds.items()}
    stops = {part: min(end, log.places.next.get(part, 0)) for part, (_, end) in bounds.items()}
    faults: list[str] = []
    quiet_from = time.monotonic()
    while any(places[part] < stop for part, stop in stops.items()):
        by_part = reader.read(places, READ_N)
        if by_part:
            quiet_from = time.monotonic()
        elif time.monotonic() - quiet_from > QUIET_S_MAX:
            raise BadInput(f"Kafka gave no record for {QUIET_S_MAX:g} s, though there are more")
        for part, batch in by_part.items():
            faults += [
                f"{part.topic}, partition {part.partition}, offset {record.offset}: the log says "
                "something else than the record"
                for record in batch
                if record.offset < stops[part]
                and not log.has_entries(part, record.offset, records.make_entries(part, record))
            ]
            places[part] = batch[-1].offset + 1
    notes = [
        f"{part.topic}, partition {part.partition} is {end - stops[part]:,} records ahead"
        for part, (_, end) in bounds.items()
        if end > stops[part]
    ]
    gone = sorted({*log.places.next} - {*bounds})
    faults += [f"there is no {part.topic}, partition {part.partition} any more" for part in gone]
    if (more_n := len(faults) - FAULTS_MAX) > 0:
        faults[FAULTS_MAX:] = [f"and {more_n} more"]
    return Compared(faults, notes)


class _Said:
    """What a log says of each record: 8 bytes of its entries' hashes, by partition and offset."""

    def __init__(self, folder: Path) -> None:
        self.places = NextOffsets()
        self._first: dict[Part, int] = {}
        self._digests: dict[Part, array[int]] = {}
        for link in check_links(files_of(folder, DECIDED)):
            self.places.check_entry(link.entry)
            record = link.entry.get("record", ())
            if len(record) == 3:
                self._add_entry(Part(record[0], record[1]), record[2], link.entry)

    def _add_entry(self, part: Part, offset: int, entry: Entry) -> None:
        digests = self._digests.setdefault(part, array("Q"))
        first = self._first.setdefault(part, offset)
        until = entry.get("until", offset)
        digests.extend([0] * (until + 1 - first - len(digests)))
        own = {name: value for name, value in entry.items() if name not in ("n", "prev")}
        digests[offset - first] ^= _digest_entry(own)

    def has_entries(self, part: Part, offset: int, entries: list[Entry]) -> bool:
        """Whether the log has these entries of a record; true if the log's file was removed."""
        if part not in self._first or offset < self._first[part]:
            return True
        place = offset - self._first[part]
        wanted = 0
        for entry in entries:
            wanted ^= _digest_entry(entry)
        return self._digests[part][place] == wanted


def _digest_entry(entry: Entry) -> int:
    return int(hash_of(encode_entry(entry))[:16], 16)


def follow_topics(
    folder: Path, settings: Settings, stop: threading.Event, note: Callable[[str], None]
) -> None:
    """Write the log of a stream's topics until `stop` is set. Raises `BadInput`, `BadSettings`."""
    from ..kafka.topics_reader import TopicsReader  # noqa: PLC0415 - Kafka is an extra

    reader = TopicsReader(settings.kafka, TopicRecords(settings).topics)
    with closing(reader), closing(TopicsLog(folder, settings, reader)) as log:
        log.follow_until_stopped(stop, note)


def compare_with_topics(folder: Path, settings: Settings) -> Compared:
    """Compare with the topics at the brokers of the settings. Raises `BadInput` without brokers."""
    from ..kafka.topics_reader import TopicsReader  # noqa: PLC0415 - as above

    with closing(TopicsReader(settings.kafka, TopicRecords(settings).topics)) as reader:
        try:
            return compare_topics(folder, settings, reader)
        except Unreachable as error:
            raise BadInput(str(error)) from error
