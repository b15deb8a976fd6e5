"""Recounts what workers did from the topics alone: what they asked, wrote, and made of the answers.

It shares no code with Headrace, on purpose, and imports nothing of it: what it knows of the rules
is written here a second time, as plainly as possible. `audit` returns what is wrong, one sentence a
fault, and figures. It takes for granted what the tests' world does: one annotator, one answer
wanted, each event sent once, no limit of the budget but `share` and `start`.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from kafka.topics import Topics

Row = dict[str, Any]
ENDS = ("LabelSettled", "LabelDisputed", "RequestExpired", "RequestWithdrawn")
NOWHERE = (-1, -1)
TOLD_MAX = 5
TEXT_MAX = 500
LABEL_MAX = 200


@dataclass(frozen=True)
class Record:
    """One record, read as JSON; `row` is None if it is no JSON object."""

    partition: int
    offset: int
    value: bytes
    key: bytes | None
    headers: dict[str, bytes]
    at_s: float
    row: Row | None

    @property
    def place(self) -> tuple[int, int]:
        return self.partition, self.offset

    def get(self, name: str, default: Any = None) -> Any:
        return default if self.row is None else self.row.get(name, default)


@dataclass
class Audit:
    """What was found: `faults` are sentences, empty when all is well; `figures` are counts."""

    faults: list[str] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)

    def check(self, is_well: bool, fault: str) -> None:
        if not is_well:
            self.faults.append(fault)

    def none_of(self, wrong: Iterable[Any], fault: str) -> None:
        """One fault for all of these, with the first few of them."""
        found = list(wrong)
        if found:
            shown = ", ".join(str(one) for one in found[:TOLD_MAX])
            self.faults.append(f"{len(found)} {fault}: {shown}")

    def require(self) -> None:
        """Fail with every fault."""
        assert self.faults == [], "\n".join(["", *self.faults, f"figures: {self.figures}"])


class Book:
    """All topics of one stream, each as it was when it was asked for; `read` takes them anew."""

    def __init__(self, topics: Topics, names: Mapping[str, str]) -> None:
        self.topics, self.names = topics, names

    def read(self, *settings: str) -> None:
        """Read these topics again; all but the events without any."""
        for setting in settings or tuple(name for name in self.names if name != "events"):
            setattr(self, f"_{setting}", self._records(setting))

    def _records(self, setting: str) -> list[Record]:
        return [
            Record(
                partition=found.partition,
                offset=found.offset,
                value=found.value or b"",
                key=found.key,
                headers=dict(found.headers),
                at_s=found.timestamp / 1_000,
                row=_row(found.value or b""),
            )
            for found in self.topics.records(self.names[setting])
        ]

    def of(self, setting: str) -> list[Record]:
        """The records of a topic, by partition and offset."""
        if not hasattr(self, f"_{setting}"):
            self.read(setting)
        found: list[Record] = getattr(self, f"_{setting}")
        return found

    # ------------------------------------------------------------------------------- what it says

    def requests(self) -> dict[str, list[Record]]:
        """Every request on its topic, by id; more than one record where it was sent again."""
        found: dict[str, list[Record]] = defaultdict(list)
        for record in self.of("requests"):
            if record.get("type") == "LabelRequested":
                found[record.get("request_id")].append(record)
        return found

    def entries(self) -> list[Record]:
        """What counts of the training log: an end said again does not."""
        return [record for record, is_new in self._heard() if is_new]

    def repeats(self) -> list[Record]:
        """Ends that were said again."""
        return [record for record, is_new in self._heard() if not is_new]

    def _heard(self) -> list[tuple[Record, bool]]:
        heard: dict[int, tuple[int, int]] = {}
        found = []
        for record in self.of("training"):
            origin, is_new = origin_of(record), True
            if origin is not None:
                desk, place, before = origin
                last = heard.get(desk, NOWHERE)
                is_new = place > last and before in (last, NOWHERE)
                if is_new:
                    heard[desk] = place
            found.append((record, is_new))
        return found

    def ends(self) -> dict[str, list[Record]]:
        """What counts of the ends, in order, by request."""
        found: dict[str, list[Record]] = defaultdict(list)
        for record in self.entries():
            if record.get("type") in ENDS:
                found[record.get("request_id")].append(record)
        return found

    def open(self) -> set[str]:
        """Requests on their topic or at a desk that have no end."""
        asked = {
            record.get("request_id")
            for record in self.of("desk")
            if record.get("type") == "LabelRequested"
        }
        return (asked | self.requests().keys()) - self.ends().keys()

    def steps(self) -> dict[int, list[Record]]:
        """The steps of each partition that count, in order."""
        found: dict[int, list[Record]] = defaultdict(list)
        for record in self.of("journal"):
            found[record.partition].append(record)
        return {partition: chain_of(records) for partition, records in found.items()}


def stalls(book: Book, since_s: float, until_s: float) -> dict[int, float]:
    """The longest time without a step that ends in this span, by partition; seconds.

    While events keep coming, a step is never long in coming, except in a rebalance or an outage.
    """
    found: dict[int, float] = {}
    for partition, chain in book.steps().items():
        times = [step.at_s for step in chain]
        gaps = [after - before for before, after in pairwise(times) if since_s <= after <= until_s]
        found[partition] = max(gaps, default=float("inf"))
    return found


def chain_of(steps: Iterable[Record]) -> list[Record]:
    """The steps that count: each names the one before, and knows whose that was.

    Who has written one that does not count took the offsets of others for its own: what it writes
    from then on is out, even where it fits by accident, until somebody takes over.
    """
    chain: list[Record] = []
    is_out = False
    for step in steps:
        last = chain[-1] if chain else None
        is_same = last is not None and step.get("writer") == last.get("writer")
        is_next = step.get("previous") == (-1 if last is None else last.offset)
        if is_next and (step.get("is_first", False) or (is_same and not is_out)):
            chain.append(step)
            is_out = False
        elif is_same:
            is_out = True
    return chain


def origin_of(record: Record) -> tuple[int, tuple[int, int], tuple[int, int]] | None:
    """Where an end came from: desk, place (offset in its log, number), place of the end before."""
    header = record.headers.get("headrace-origin")
    if header is None:
        return None
    desk, offset, number, before_offset, before_number = map(int, header.split())
    return desk, (offset, number), (before_offset, before_number)


def audit(
    book: Book,
    *,
    share: float,
    start: int = 0,
    sent: Mapping[str, int] | None = None,
    may_repeat: bool = False,
) -> Audit:
    """Everything that must hold once the events are read and the requests have ended.

    `sent` are the events that the broker acknowledged, with their partitions. With `may_repeat` a
    request may be on its topic twice, with the same words, as when a worker was frozen.
    """
    found = Audit()
    _asked(found, book, sent, may_repeat)
    _desks(found, book)
    _answers(found, book)
    _ended(found, book)
    _journals(found, book)
    _spent(found, book, share, start)
    _decisions(found, book)
    return found


def _asked(found: Audit, book: Book, sent: Mapping[str, int] | None, may_repeat: bool) -> None:
    requests = book.requests()
    of_event: dict[str, set[str]] = defaultdict(set)
    for request_id, records in requests.items():
        of_event[records[0].get("event_id")].add(request_id)
    found.none_of((e for e, ids in of_event.items() if len(ids) > 1), "events were asked twice")
    again = {request_id: records for request_id, records in requests.items() if len(records) > 1}
    differ = [r for r, records in again.items() if len({record.value for record in records}) > 1]
    found.none_of(differ, "requests were sent with different words")
    if not may_repeat:
        found.none_of(again, "requests were sent again")
    wrong_key = [r for r, (first, *_) in requests.items() if first.key != r.encode()]
    found.none_of(wrong_key, "requests have another key than their id")
    if sent is not None:
        found.none_of((e for e in of_event if e not in sent), "events were asked and never sent")
        found.figures["events"] = len(sent)
    found.figures["asked"] = len(requests)
    found.figures["sent_again"] = sum(len(records) - 1 for records in again.values())


def _desks(found: Audit, book: Book) -> None:
    """A request is in the log of one desk, before its answers, and what is there was sent."""
    at_desk: dict[str, tuple[int, int]] = {}
    for record in book.of("desk"):
        kind, request_id = record.get("type"), record.get("request_id")
        if kind == "LabelRequested":
            at_desk.setdefault(request_id, record.place)
    early, astray = [], []
    for record in book.of("desk"):
        place = at_desk.get(record.get("request_id", ""))
        if record.get("type") == "Answer" and place is not None:
            astray += [record.place] if record.partition != place[0] else []
            early += [record.place] if record.place < place else []
    found.none_of(early, "answers are in a desk's log before their request")
    found.none_of(astray, "answers are in the log of another desk than their request")
    asked = book.requests().keys()
    found.none_of(asked - at_desk.keys(), "requests were sent that no desk knows")
    found.none_of(at_desk.keys() - asked, "requests are at a desk and were never sent")


def _answers(found: Audit, book: Book) -> None:
    """Every answer that the broker has reached its desk, or the rejects with its place."""
    at_desks = Counter(
        _said(record) for record in book.of("desk") if record.get("type") == "Answer"
    )
    rejects = book.of("rejects")
    by_place = {(r.get("source"), r.get("position")) for r in rejects}
    unknown = {r.get("input_id") for r in rejects if r.get("reason") == "unknown_request"}
    known = book.requests()
    lost, silent, nobody = [], [], []
    valid_n = malformed_n = unknown_n = 0
    delivered: Counter[Any] = Counter()
    for record in book.of("answers"):
        if not is_answer(record):
            malformed_n += 1
            source = f"{book.names['answers']}, partition {record.partition}"
            if (source, record.offset) not in by_place:
                silent.append(record.place)
            continue
        delivered[_said(record)] += 1
        if at_desks[_said(record)] < delivered[_said(record)]:
            lost.append(record.place)
        if record.get("request_id") in known:
            valid_n += 1
        else:
            unknown_n += 1
            if record.get("request_id") not in unknown:
                nobody.append(record.place)
    found.none_of(lost, "answers never reached a desk")
    found.none_of(silent, "malformed answers are not in the rejects")
    found.none_of(nobody, "answers to nobody's request are not in the rejects")
    found.figures |= {
        "answers": valid_n,
        "answers_malformed": malformed_n,
        "answers_unknown": unknown_n,
        "answers_repeated_at_desks": at_desks.total() - delivered.total(),
    }


def _ended(found: Audit, book: Book) -> None:
    """Each request has one first end, and the label that its answers say."""
    ends, entries = book.ends(), book.entries()
    found.none_of(book.open(), "requests never ended")
    found.none_of(ends.keys() - book.requests().keys(), "requests ended and were never sent")
    values = {origin[:2]: record.value for record in entries if (origin := origin_of(record))}
    other = []
    for record in book.repeats():
        origin = origin_of(record)
        assert origin is not None
        other += [record.place] if values.get(origin[:2]) != record.value else []
    found.none_of(other, "ends were said, and nothing of them counts: they are lost")
    revised = [
        r for r, its in ends.items() if [e.get("revision", 0) for e in its] != list(range(len(its)))
    ]
    found.none_of(revised, "requests have ends that are not numbered 0, 1, 2")
    said: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for record in book.of("desk"):
        if record.get("type") == "Answer" and record.get("label") is not None:
            said[record.get("request_id")].append((record.get("at", 0.0), record.get("label")))
    wrong = []
    for request_id, answers in said.items():
        if request_id in ends:
            last = ends[request_id][-1]
            is_so = last.get("type") == "LabelSettled" and last.get("label") == max(answers)[1]
            wrong += [] if is_so else [request_id]
    found.none_of(wrong, "requests were answered, and that is not how they ended")
    kinds = Counter(its[0].get("type") for its in ends.values())
    found.figures |= {
        "settled": kinds["LabelSettled"],
        "expired": kinds["RequestExpired"],
        "late": sum(
            its[0].get("type") == "RequestExpired" and its[-1].get("type") == "LabelSettled"
            for its in ends.values()
        ),
        "ends_said_again": len(book.repeats()),
    }


def _journals(found: Audit, book: Book) -> None:
    """Steps follow one another without a hole, and name what was asked, each request once."""
    in_steps: Counter[str] = Counter()
    steps_n = 0
    for partition, chain in book.steps().items():
        stop = training = 0
        for step in chain:
            steps_n += 1
            place = f"the journal of partition {partition}, offset {step.offset}"
            is_next = step.get("start") == stop and step.get("stop") >= stop
            found.check(is_next, f"{place}, goes on at {step.get('start')}, not at {stop}")
            found.check(step.get("training") >= training, f"{place}, unlearns")
            found.check(step.get("done", -1) < step.offset, f"{place}, is done before it is begun")
            stop, training = step.get("stop"), step.get("training")
            in_steps.update(step.get("asked", []))
    asked = book.requests().keys()
    found.none_of((r for r, n in in_steps.items() if n > 1), "requests are in two steps")
    found.none_of(in_steps.keys() - asked, "requests are in the journal and were never sent")
    found.none_of(asked - in_steps.keys(), "requests were sent and are not in the journal")
    found.figures["steps"] = steps_n
    found.figures["steps_void"] = len(book.of("journal")) - steps_n


def _spent(found: Audit, book: Book, share: float, start: int) -> None:
    """At each step: what was asked is what the events before it earned; nothing comes back."""
    worst = float("-inf")
    for partition, chain in book.steps().items():
        asked_n = 0
        for step in chain:
            asked_n += len(step.get("asked", []))
            over = asked_n - start - share * step.get("stop")
            worst = max(worst, over)
            if over > 1e-6:
                found.faults.append(
                    f"partition {partition} had {over:.1f} labels too many at its step "
                    f"{step.offset}"
                )
                break
    found.figures["labels_left_least"] = int(-worst) if worst > float("-inf") else 0


def _decisions(found: Audit, book: Book) -> None:
    """Retrainings are numbered in turn; one that is ordered twice is run once."""
    orders = [r for r in book.of("training") if r.get("type") == "RetrainRequested"]
    jobs_n = 0
    for order in orders:
        is_next = order.get("job_id") == jobs_n
        found.check(order.get("job_id") <= jobs_n, f"job {order.get('job_id')} comes too early")
        jobs_n += is_next
    adopted = Counter(
        r.get("job_id") for r in book.of("training") if r.get("type") == "ModelAdopted"
    )
    found.figures |= {
        "retrained": jobs_n,
        "orders_void": len(orders) - jobs_n,
        "adopted": len(adopted),
        "drifts": sum(r.get("level") == "DRIFT" for r in book.of("drift")),
    }


def is_answer(record: Record) -> bool:
    """Whether this can be taken for an answer, as docs/LABELLING.md describes one."""
    if record.row is None:
        return False
    request_id, label, at = (record.get(name) for name in ("request_id", "label", "at"))
    return (
        isinstance(request_id, str)
        and 0 < len(request_id) <= TEXT_MAX
        and isinstance(label, str)
        and 0 < len(label) <= LABEL_MAX
        and (at is None or isinstance(at, float | int))
    )


def _said(record: Record) -> tuple[Any, ...]:
    return (
        record.get("request_id"),
        record.get("label"),
        record.get("annotator", ""),
        float(record.get("at") or 0.0),
    )


def _row(value: bytes) -> Row | None:
    try:
        found = json.loads(value)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
