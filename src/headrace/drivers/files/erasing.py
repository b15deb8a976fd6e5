"""An erasure in the folder of a run: from the order to the last line that is wiped.

An order is a line of `erasures.jsonl`, which the run reads as it reads orders of rounds: it is in
the journal, so that it is decided again after a kill. Then:

1. the state without the person is written as the base of the run, and the journal begins anew
   there: nothing that was fed before is needed again;
2. older snapshots are removed;
3. lines about the person are wiped: decisions, rejections, requests, the run's own copies of what
   it read, and what bridges and desks remember; the page of the run is removed;
4. what was done is written to `erased.jsonl`, without a word of who it was, and the order is wiped.

Each step may be done twice; while the order is there, the next start does them all.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ...adapters.journal import Journal, Spans
from ...adapters.jsonl import Appender
from ...adapters.sealing import load_sealer
from ...adapters.wiping import pieces_of, wipe_stretches, wipe_where
from ...bridges.erasing import erase_requests
from ...errors import NotSealed
from ...messages import Answer, ErasureOrdered, InputRejected, SubjectErased
from ...messages.request_ids import base_id, further_id, gold_ids, opinion_ids
from ...observe.decode import Decoder
from ...observe.joining import Halves
from ...privacy import Privacy
from ...privacy.erasing import REASON, TOO_OLD
from ...privacy.subject import Subject
from ...query.requests import request_id
from ...settings import Settings
from .copying import ANSWERS, COPY
from .feeding import Feeder
from .sealed import answers_decoder_of

ERASURES = "erasures.jsonl"
ERASED = "erased.jsonl"
IDS_BYTES_MAX = 1 << 16
"""How many bytes of ids an order has at most, about; more are split into several orders."""

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(ErasureOrdered)
_TOLD = msgspec.json.Decoder(SubjectErased)
_ANY = msgspec.json.Decoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureRecord:
    """What one erasure did, as `erased.jsonl` has it: numbers alone.

    `memory` counts what the engine forgot, by place, `lines` the lines wiped, by file, and
    `bridges` the rows wiped, by file of a bridge's memory; `busy` are such files that could not be
    changed. `is_refitted`: models were made anew. `at` is the clock of the run, seconds.
    """

    at: float
    key: str
    memory: dict[str, int]
    is_refitted: bool
    lines: dict[str, int]
    bridges: dict[str, int]
    busy: list[str] = field(default_factory=list)


_ERASED = msgspec.json.Decoder(ErasureRecord)


# ------------------------------------------------------------------------------------- orders


def place_erasure(folder: Path, order: ErasureOrdered) -> None:
    """Append an order to those of a run, durably, in pieces if it has many ids."""
    log = Appender(folder / ERASURES, position=0)
    log.position = log.size
    lines, ids = [], list[str]()
    for event_id in order.event_ids:
        ids.append(event_id)
        if sum(map(len, ids)) >= IDS_BYTES_MAX:
            lines.append(msgspec.structs.replace(order, event_ids=tuple(ids)))
            ids = []
    lines.append(msgspec.structs.replace(order, event_ids=tuple(ids)))
    keys = [order.key if n == len(lines) - 1 else f"{order.key}:{n}" for n in range(len(lines))]
    pieces = (msgspec.structs.replace(line, key=key) for line, key in zip(lines, keys, strict=True))
    log.write(b"".join(_ENCODER.encode(line) + b"\n" for line in pieces))
    log.sync()
    log.close()


def waiting_orders(folder: Path) -> list[tuple[int, bytes, ErasureOrdered]]:
    """Return the orders that are not done: the byte of each, its line, and the order in it.

    A line that a kill cut short orders nothing: it is wiped.
    """
    path, orders = folder / ERASURES, list[tuple[int, bytes, ErasureOrdered]]()
    if not path.exists():
        return orders
    for piece in pieces_of(path):
        for start, line in piece:
            if line.isspace():
                continue
            try:
                orders.append((start, line, _DECODER.decode(line)))
            except msgspec.MsgspecError:
                wipe_stretches(path, [(start, start + len(line))])
    return orders


def size_of(path: Path) -> int:
    """Return the bytes of a file; 0 if it is not there."""
    return path.stat().st_size if path.exists() else 0


def describe_erased(done: ErasureRecord) -> str:
    """Describe what an erasure did."""
    parts = [f"{where} {n:,}" for where, n in done.memory.items()]
    parts += [f"{n:,} lines of {name}" for name, n in done.lines.items()]
    parts += [f"{n:,} rows of bridges/{name}" for name, n in done.bridges.items()]
    sentence = ", ".join(parts) or "nothing was found"
    return sentence + ("; the models were made anew" if done.is_refitted else "")


def erased_of(folder: Path) -> Iterator[ErasureRecord]:
    """Yield what each erasure in a run did so far."""
    path = folder / ERASED
    if path.exists():
        for line in path.read_bytes().splitlines():
            yield _ERASED.decode(line)


def note_erased(folder: Path, done: Iterable[ErasureRecord]) -> None:
    """Append what was erased to the run's `erased.jsonl`, durably."""
    log = Appender(folder / ERASED, position=0)
    log.position = log.size
    log.write(b"".join(_ENCODER.encode(one) + b"\n" for one in done))
    log.sync()
    log.close()


def carry_out(feeder: Feeder, requests: Path) -> list[ErasureRecord]:
    """Carry out all orders, also those that were begun; return what each did."""
    orders = waiting_orders(feeder.state)
    if not orders:
        return []
    source = feeder.journal.number_source("orders", ERASURES)
    for start, line, _ in orders:
        if feeder.engine.shard.events_n and start not in feeder.journal.fed[source]:
            feeder.feed_span(source, start, line)
    feeder.begin_anew()
    done = _wipe_files(feeder, requests, [order for _, _, order in orders])
    note_erased(feeder.state, done)
    wipe_stretches(
        feeder.state / ERASURES, [(start, start + len(line)) for start, line, _ in orders]
    )
    return done


# -------------------------------------------------------------------------------------- files


class ConcernedLines:
    """Finds the lines of a run's files that are about somebody; `ids` are those of their events.

    The orders name whom; `settings` and `privacy` are the run's.
    """

    def __init__(
        self, orders: Iterable[ErasureOrdered], settings: Settings, privacy: Privacy
    ) -> None:
        self._privacy = privacy
        self.subjects = [Subject(order) for order in orders]
        self.settings = settings
        self._decoder = Decoder(settings.input, settings.columns)
        self._answers = answers_decoder_of(settings)
        self.sealer = load_sealer(settings.sealing, settings.stream)
        self._halves = Halves()
        # Lines older than this are wiped; one without a time is as old as the one before it.
        limits = [one.before for one in self.subjects]
        self.before = max(limits, default=-math.inf)
        self._is_old = True
        self.old_request_ids: set[str] = set()
        self.ids = {one for subject in self.subjects for one in subject.event_ids}
        self._prepare_names()

    def _prepare_names(self) -> None:
        """Prepare what lines are compared with, from the ids that are known by now."""
        values = {one for subject in self.subjects for one in subject.values}
        # Rejections have an id as [privacy] shows it.
        self.shown_ids = {self._privacy.event_id(one) for one in self.ids}
        texts = sorted({*self.ids, *values}, key=len, reverse=True)
        words = "|".join(rf"(?<![\w]){re.escape(text)}(?![\w])" for text in texts if text)
        self._words = re.compile(words) if words else None
        asked = {request_id(self.settings.stream, one) for one in self.ids}
        self.request_ids = asked | _gold_about(asked, self.settings)

    def names_event(self, event_id: str, key: str | None, features: Any) -> bool:
        """Whether an event with this id, key and features is one of theirs; if so, keep its id."""
        is_theirs = event_id in self.ids or any(
            subject.names_event(event_id, key, features) for subject in self.subjects
        )
        if is_theirs:
            self.ids.add(event_id)
        return is_theirs

    def begin_file(self) -> None:
        """Note that the next line is the first of its file."""
        self._is_old = True

    def _are_old(self, ats: Sequence[float]) -> bool:
        """Whether a line is too old by the times in it; without times, as the one before."""
        if ats:
            self._is_old = max(ats) < self.before
        return self._is_old and self.before > -math.inf

    def of_events(self, lines: list[bytes]) -> list[bool]:
        """Return for each of these lines of a log whether it holds one of their events."""
        texts = [line.removesuffix(b"\n") for line in lines]
        decoded = self._decoder.decode(texts, halves=self._halves)
        is_theirs, first = [], 0
        for line, events_n in zip(texts, decoded.events_n, strict=True):
            events = (decoded.batch.row(i) for i in range(first, first + events_n))
            hits = [self.names_event(event.id, event.key, event.features) for event in events]
            hits.append(self._are_old(decoded.batch.at[first : first + events_n].tolist()))
            first += events_n
            # Half an event, or a line without an event, may have their name in it all the same.
            is_text = self._decoder.is_joining or not events_n
            is_theirs.append(any(hits) or (is_text and self.has_word(line)))
        return is_theirs

    def of_answer(self, line: bytes, start: int) -> bool:
        """Whether a line answers a request about one of them, or is too old."""
        answers = self._answers.decode([line.removesuffix(b"\n")], "", [start])
        ats = [answer.at for answer in answers if isinstance(answer, Answer) and answer.at > 0.0]
        return self._are_old(ats) or any(
            not isinstance(answer, InputRejected) and base_id(answer.request_id) in self.request_ids
            for answer in answers
        )

    def of_request(self, line: bytes, start: int) -> bool:
        """Whether a line of the file of requests, which may be sealed, is about one of them."""
        try:
            if self.sealer is not None:
                line = self.sealer.unseal(line.removesuffix(b"\n"), "requests", start)
        except NotSealed:
            return False  # Nobody can read it, and `headrace unseal` reports it.
        return self.of_output(line)

    def of_output(self, line: bytes, start: int = 0) -> bool:
        """Whether a decision, a request or a rejection is about one of them."""
        try:
            output = _ANY.decode(line)
        except msgspec.DecodeError:
            return self.has_word(line)
        if isinstance(output, dict) and output.get("type") == "QuestionChanged":
            output = output.get("record")
        return isinstance(output, dict) and self._is_theirs(output)

    def _is_theirs(self, said: dict[str, Any]) -> bool:
        """Whether an output is about one of them, or too old."""
        about = base_id(str(said.get("request_id", "")))
        if float(said.get("event_at", said.get("at", math.inf))) < self.before:
            self.old_request_ids.add(about)
            return True
        if said.get("type") == "RequestWithdrawn" and said.get("reason") in (REASON, TOO_OLD):
            return False  # Bridges still have to read it, and it names nobody.
        if about in self.request_ids or (about and about in self.old_request_ids):
            return True
        if said.get("type") == "InputRejected":
            texts = [str(said.get(name, "")) for name in ("input_id", "raw", "detail")]
            is_known = texts[0] in self.ids or texts[0] in self.shown_ids
            return is_known or any(self.has_word(text.encode()) for text in texts[1:])
        event_id = str(said.get("event_id") or "")
        return bool(event_id) and self.names_event(event_id, said.get("key"), said.get("features"))

    def has_word(self, line: bytes) -> bool:
        """Whether a line has one of their ids or values in it as a whole word."""
        return bool(self._words and self._words.search(line.decode(errors="replace")))

    def learn_words(self) -> None:
        """Compare further lines also with the ids that were found since."""
        self._prepare_names()


def _wipe_files(
    feeder: Feeder, requests: Path, orders: list[ErasureOrdered]
) -> list[ErasureRecord]:
    """Wipe the lines about those named from the files of a run; return what each order did."""
    state, lines = feeder.state, ConcernedLines(orders, feeder.settings, feeder.privacy)
    memory = _read_erased(state / "decisions.jsonl", {order.key for order in orders})
    old_rows, old_busy = _erase_old_requests(state, lines, feeder.settings)
    wiped: dict[str, int] = {}
    if not old_busy:
        # Otherwise the decisions must still name, for the next order, what that bridge remembers.
        wiped["decisions.jsonl"] = wipe_where(state / "decisions.jsonl", lines.of_output)
    lines.learn_words()
    own = {number: one for number, one in feeder.journal.sources.items() if "/" not in one.path}
    for number, source in own.items():
        path, fed = state / source.path, feeder.journal.fed[number]
        if source.kind != "orders":
            stretches = stretches_in(path, lines, source.kind, fed)
            wipe_stretches(path, stretches)
            wiped[source.path] = len(stretches)
    lines.learn_words()
    wiped["rejects.jsonl"] = wipe_where(state / "rejects.jsonl", lines.of_output)
    wiped[requests.name] = wipe_where(requests, lines.of_request)
    # A kill may have left half a copy, which the next start makes anew.
    for name in ("report.html", f"{COPY}.new", f"{ANSWERS}.new"):
        (state / name).unlink(missing_ok=True)
    questions = _questions_about(lines.request_ids, feeder.settings.label.answers_max)
    rows, busy = erase_requests(state / "bridges", questions, lines.sealer)
    rows = dict(Counter(rows) + Counter(old_rows))
    busy = sorted({*busy, *old_busy})
    done = []
    for n, order in enumerate(orders):
        forgotten, is_last = memory.get(order.key), n == len(orders) - 1
        done.append(
            ErasureRecord(
                at=feeder.engine.now,
                key=order.key,
                memory=dict(forgotten.erased) if forgotten is not None else {},
                is_refitted=forgotten is not None and forgotten.is_refitted,
                lines={name: n for name, n in wiped.items() if n} if is_last else {},
                bridges=rows if is_last else {},
                busy=busy if is_last else [],
            )
        )
    return done


def _erase_old_requests(
    state: Path, lines: ConcernedLines, settings: Settings
) -> tuple[dict[str, int], list[str]]:
    """Erase what is too old from bridges' memories; return rows by file, and files too busy."""
    decisions = state / "decisions.jsonl"
    if lines.before == -math.inf or not decisions.exists():
        return {}, []
    for piece in pieces_of(decisions):
        for start, line in piece:
            if not line.isspace():
                lines.of_output(line, start)
    lines.old_request_ids.discard("")
    if not lines.old_request_ids:
        return {}, []
    questions = _questions_about(lines.old_request_ids, settings.label.answers_max)
    return erase_requests(state / "bridges", questions, lines.sealer)


def _read_erased(decisions: Path, keys: set[str]) -> dict[str, SubjectErased]:
    """Return the engine's `SubjectErased` of these orders, by their keys."""
    erased_by_key: dict[str, SubjectErased] = {}
    for piece in pieces_of(decisions) if decisions.exists() else ():
        for _, line in piece:
            if b'"SubjectErased"' in line:
                forgotten = _TOLD.decode(line)
                if forgotten.key in keys:
                    erased_by_key[forgotten.key] = forgotten
    return erased_by_key


def _questions_about(request_ids: Iterable[str], answers_max: int) -> set[str]:
    """Return the ids of requests, of opinions on them, and of questions for one more answer."""
    ids = {*request_ids}
    for about in request_ids:
        ids.update(opinion_ids(about))
        ids |= {further_id(about, n) for n in range(2, answers_max + 1)}
    return ids


def _gold_about(request_ids: Iterable[str], settings: Settings) -> set[str]:
    """Return the ids of gold questions about these requests, where there may be any."""
    desks_n = settings.kafka.desk_partitions
    asked = request_ids if settings.label.gold_share else ()
    return {gold_id for about in asked for gold_id in gold_ids(about, desks_n)}


def stretches_in(
    path: Path, lines: ConcernedLines, kind: str, fed: Spans | None = None
) -> list[tuple[int, int]]:
    """Return where lines about them are in a file of events or answers, as far as it was fed.

    The file is of this `kind`; stretches are the first byte and the one past the last, and `fed`
    None means all of it.
    """
    stretches: list[tuple[int, int]] = []
    if not path.exists():
        return stretches
    lines.begin_file()
    for piece in pieces_of(path):
        if kind == "events":
            hits = lines.of_events([line for _, line in piece])
        else:
            hits = [lines.of_answer(line, start) for start, line in piece]
        stretches += [
            (start, start + len(line))
            for (start, line), is_theirs in zip(piece, hits, strict=True)
            if is_theirs and (fed is None or start in fed)
        ]
    return stretches


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file that a run read: its kind (`events` or `answers`), and if it is the run's own copy.

    `fed` are the spans that were fed, `replaced` those of them that no replay reads again.
    """

    kind: str
    path: Path
    is_own: bool
    fed: Spans
    replaced: Spans


def sources_of(state: Path, journal: Journal) -> list[InputFile]:
    """Return the files that a run read events and answers from."""
    return [
        InputFile(
            source.kind,
            state / source.path,
            "/" not in source.path,
            journal.fed[number],
            journal.begun.get(number) or Spans(),
        )
        for number, source in journal.sources.items()
        if source.kind != "orders"
    ]
