"""Counts from the logs of a cluster what its workers did; shares no code with what they run.

Reads records as JSON, and follows the two chains of docs/DELIVERY.md by itself: the steps of a
journal, and the ends of a desk.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from headrace.state.compare import find_differences

DEAREST, PRICES = 2.5, {"high": 2.5, "low": 1.0}
"""What a label costs in worlds that have money, of which every number is exact."""

NEEDLESS = ("no longer informative", "redundant")
"""Why a shard takes a question back."""

KEPT = ("events", "journal", "desk", "training")
"""Logs without which no worker may go on."""

ENDS = ("LabelSettled", "LabelDisputed", "RequestExpired", "RequestWithdrawn")
ORDERS = ("RoundOrdered", "RollBackOrdered", "ErasureOrdered")
"""What a desk passes on has its place among the ends that it says."""

Rows = list[tuple[int, dict[str, Any], dict[str, bytes]]]


def is_caught(
    wrong_in: Callable[[int, tuple[str, ...]], Sequence[Any]],
    seeds: Iterable[int],
    faults: tuple[str, ...] = (),
) -> bool:
    """Whether in one of these worlds the audit sees a fault, or a part of the worker does before.

    `wrong_in(seed, faults)` lives through a world and says what is wrong in it.
    """
    for seed in seeds:
        try:
            if wrong_in(seed, faults):
                return True
        except (AssertionError, KeyError):
            return True
    return False


def rows_of(records: Any) -> Rows:
    return [(record.offset, json.loads(record.value), dict(record.headers)) for record in records]


def steps_of(rows: Rows) -> list[dict[str, Any]]:
    """The steps that count: each names the one before, and who wrote that.

    Who has written one that does not count is out until another has taken over. Where an offset
    comes again, all that stood from there on was gone by then.
    """
    found: list[dict[str, Any]] = []
    chain: list[tuple[int, str]] = []
    is_out, newest = False, -1
    for offset, step, _ in rows:
        if offset <= newest:
            chain, is_out = [one for one in chain if one[0] < offset], False
        newest = offset
        last, writer = chain[-1] if chain else (-1, "")
        by = step.get("writer", "")
        if step["previous"] == last and (step.get("is_first") or (by == writer and not is_out)):
            chain.append((offset, by))
            is_out = False
            found.append(step)
        elif by == writer:
            is_out = True
    return found


def counted(request: bytes) -> dict[str, Any]:
    """A request without what follows from how many events its shard has seen."""
    return json.loads(request) | dict.fromkeys(("seq", "at", "deadline"))


def counted_ends(rows: Rows) -> tuple[list[dict[str, Any]], int]:
    """The ends that count, in order, and how many only repeat."""
    heard: dict[int, tuple[int, int]] = {}
    found, repeated_n = [], 0
    for _, entry, headers in rows:
        if entry["type"] not in (*ENDS, *ORDERS):
            continue
        desk, *rest = map(int, headers["headrace-origin"].split())
        place, before = (rest[0], rest[1]), (rest[2], rest[3])
        last = heard.get(desk, (-1, -1))
        if place > last and before in (last, (-1, -1)):
            heard[desk] = place
            if entry["type"] in ENDS:
                found.append(entry)
        else:
            repeated_n += 1
    return found, repeated_n


def withdrawals_of(rows: Iterable[dict[str, Any]]) -> set[str]:
    """The requests that a shard takes back."""
    return {
        row["request_id"]
        for row in rows
        if row["type"] == "RequestRescored" and row.get("withdrawn")
    }


NO_LIMIT = 1_000_000.0


class Audit:
    """What is wrong in a world, as sentences."""

    def __init__(self, world: Any) -> None:
        self.world, self.cluster = world, world.cluster
        self.kafka = self.cluster.kafka
        self.wrong: list[str] = []
        self.is_refused = bool(self.cluster.refused)
        self.requests: dict[str, bytes] = {}
        self.withdrawn: set[str] = set()
        self._requests()
        self._journals()
        self._hurt()
        if not self.is_refused:
            self._ends()
            self._withdrawals()
            self._total()
            self._models()
            self._ready()

    def log(self, topic: str, partition: int = 0) -> Any:
        return self.cluster.log((topic, partition))

    def written(self, topic: str, partition: int = 0) -> Any:
        """All that was ever written there, whether the log still has it or not."""
        return self.cluster.written[(topic, partition)]

    def say(self, sentence: str) -> None:
        self.wrong.append(sentence)

    def _requests(self) -> None:
        """No event is asked twice; a request that comes twice is the same."""
        copies, of_event = Counter[str](), defaultdict[str, set[str]](set)
        for record in self.written(self.kafka.requests):
            row = json.loads(record.value)
            if row["type"] != "LabelRequested":
                continue
            name = row["request_id"]
            copies[name] += 1
            of_event[row["event_id"]].add(name)
            first = self.requests.setdefault(name, record.value)
            is_same = first == record.value or (
                # A shard that goes on without events counts fewer, and its clock has heard fewer.
                self._is_warned("are gone: its window") and counted(first) == counted(record.value)
            )
            if not is_same and not self._is_warned("lost its end"):
                self.say(f"request {name} was sent with other content")
        for event, names in of_event.items():
            if len(names) > 1:
                self.say(f"event {event} was asked {len(names)} times")
        if self._is_warned("lost its end") or self._is_hurt("requests"):
            return
        # Only a worker that was cut off may have one on its way that nobody finds yet.
        if not self.world.was_cut_off:
            for name, n in copies.items():
                if n > 1:
                    self.say(f"request {name} was sent {n} times")

    def _journals(self) -> None:
        """What the journals say was asked, and only that, was sent; no event is left out."""
        decided: set[str] = set()
        for n in range(self.cluster.partitions_n):
            steps = steps_of(rows_of(self.written(self.kafka.journal, n)))
            events, place = self.log(self.kafka.events, n), 0
            for step in steps:
                decided.update(step.get("asked", []))
                self.withdrawn |= withdrawals_of(said for _, said in step.get("rescored", []))
                # What nobody ever read or committed begins where its log does.
                is_begun = step is not steps[0] or step["start"] not in self.cluster.firsts[n]
                if step["start"] > place and is_begun and not self._is_told(n):
                    self.say(f"partition {n}: events {place} to {step['start']} were passed over")
                if step["start"] < place and not self._is_hurt("journal"):
                    self.say(f"partition {n}: events {step['start']} to {place} were decided twice")
                if step["stop"] < step["start"]:
                    self.say(f"partition {n}: a step ends before it begins")
                place = step["stop"]
            is_lost = self.is_refused or self._is_warned("lost its end")
            if place != events.end and not is_lost:
                self.say(f"partition {n}: decided up to {place} of {events.end}")
            if place > events.end and not self.is_refused:
                self.say(f"partition {n}: {events.end} events, and {place} were decided")
        self._commits()
        # Who may not go on reads nothing more, and a partition that was added begins where it does.
        for n in sorted(self.world.cut if not self.is_refused else ()):
            if n >= self.world.began_n:
                continue
            told = (*self.cluster.warned, *self.cluster.refused)
            if not any(f"partition {n}: " in one and "deleted" in one for one in told):
                self.say(f"partition {n}: events were deleted, and nobody said so")
        for name in sorted(decided - self.requests.keys()):
            # A shard of other settings begins anew, and decides nothing of before again.
            is_told = self.is_refused or self._is_warned("can't be made again")
            is_told = is_told or self._is_warned("what its shard knew before is lost")
            is_told = is_told or self.world.has_grown or self.world.has_begun_anew
            if not is_told:
                self.say(f"request {name} is in a journal, and was never sent")
        for name in sorted(self.requests.keys() - decided):
            if not self._is_warned("lost its end"):
                self.say(f"request {name} was sent, and is in no journal")

    def _hurt(self) -> None:
        """A log that nobody can go on without was deleted: somebody says so."""
        for how, log in sorted(self.world.hurt):
            topic = getattr(self.kafka, log)
            is_told = any(topic in one for one in (*self.world.refused, *self.cluster.refused))
            # Of one that was filled again only its id tells that it is another.
            if how == "deleted" and log in KEPT and self.cluster.has_ids and not is_told:
                self.say(f"{topic} was deleted, and nobody said so")

    def _commits(self) -> None:
        """No event is committed before its step is in the journal."""
        for n, offset, journal_end in self.cluster.commits:
            records = self.written(self.kafka.journal, n)[:journal_end]
            steps = [json.loads(record.value) for record in records]
            decided = max((step["stop"] for step in steps), default=0)
            if offset > max(decided, self.log(self.kafka.events, n).first):
                self.say(f"partition {n}: {offset} was committed, and {decided} decided")

    def _is_warned(self, topic: str) -> bool:
        return any(topic in sentence for sentence in self.cluster.warned)

    def _is_hurt(self, log: str) -> bool:
        return any(one == log for _, one in self.world.hurt)

    def _is_told(self, n: int) -> bool:
        return any(f"partition {n}" in sentence for sentence in self.cluster.warned) or (
            self.world.has_grown
        )

    def _ends(self) -> None:
        """Every request ends once; whoever answered in time was heard."""
        ends, _ = counted_ends(rows_of(self.written(self.kafka.training)))
        settled = {end["request_id"] for end in ends if end["type"] == "LabelSettled"}
        # A label that comes after its deadline, or of what was taken back, is still taken.
        n = Counter(
            end["request_id"]
            for end in ends
            if end["type"] == "LabelSettled" or end["request_id"] not in settled
        )
        desks = [self.log(self.kafka.desk, n) for n in range(self.kafka.desk_partitions)]
        kept = [json.loads(record.value) for log in desks for record in log.records]
        known = {row["request_id"] for row in kept if row["type"] == "LabelRequested"}
        for name in self.requests:
            is_forgotten = name not in known and (
                self._is_warned(self.kafka.desk) or ("refilled", "desk") in self.world.hurt
            )
            if n[name] != 1 and not (is_forgotten and n[name] == 0):
                self.say(f"request {name} ended {n[name]} times")
        answers = [json.loads(record.value) for record in self.log(self.kafka.answers).records]
        there = {row["request_id"] for row in (*answers, *kept) if row["type"] == "Answer"}
        # Of another log of answers within which the group stands nobody knows, and that was said.
        is_unknowable = ("made anew", "answers") in self.world.hurt and any(
            "tell no ids of topics" in sentence for sentence in self.cluster.told
        )
        taken_back = {end["request_id"] for end in ends if end.get("reason") in NEEDLESS}
        for name in sorted(taken_back - self.withdrawn):
            self.say(f"request {name} was withdrawn, and no journal says so")
        for name in sorted(self.world.answered - settled):
            log = "answers" if name in known else "desk"
            # An answer that stood at the end of a desk's log is written over with it.
            if is_unknowable or {("refilled", log), ("refilled", "desk")} & self.world.hurt:
                continue
            if name in there and name in known:
                self.say(f"the answer to request {name} was lost")
            elif not self._is_warned(getattr(self.kafka, log)):
                self.say(f"the answer to request {name} is gone, and nobody said so")

    def _withdrawals(self) -> None:
        """What a shard takes back, people and the desk hear."""
        if self.world.has_grown or self.world.has_begun_anew or self._is_warned("lost its end"):
            return
        desks = range(self.kafka.desk_partitions)
        records = [record for n in desks for record in self.written(self.kafka.desk, n)]
        for whom, told in (("people", self.written(self.kafka.requests)), ("its desk", records)):
            heard = withdrawals_of(json.loads(record.value) for record in told)
            for name in sorted(self.withdrawn - heard):
                self.say(f"request {name} was withdrawn in a journal, and {whom} never heard of it")

    def _total(self) -> None:
        """No step asks for more than the cap or the money, of all partitions, has left then.

        Partitions still hold what they had claimed of a limit that is taken away for a while, and
        nobody makes up for what others spend meanwhile.
        """
        if not self.world.limits or self._is_warned("lost its end"):
            return
        is_money = self.world.limited == "money"
        acts: list[tuple[int, int, str, float]] = [
            (ms, 0, "", limit if limit is not None else NO_LIMIT) for ms, limit in self.world.limits
        ]
        dearest = DEAREST if is_money else 1
        ended, label_of = dict[str, int](), dict[str, str]()
        for record in self.written(self.kafka.training):
            entry = json.loads(record.value)
            if entry["type"] in ENDS:
                ended.setdefault(entry["request_id"], record.timestamp)
            if entry["type"] == "LabelSettled":
                label_of.setdefault(entry["request_id"], entry["label"])
        for name, ms in ended.items():
            # A label of a class that is not the dearest brings back the difference.
            cost = PRICES.get(label_of[name], 1.0) if is_money and name in label_of else dearest
            acts.append((ms, 1, name, (cost if name in label_of else 0.0) - dearest))
        for n in range(self.cluster.partitions_n):
            records = self.written(self.kafka.journal, n)
            rows = rows_of(records)
            for (_, step, _), record in zip(rows, records, strict=True):
                step["ms"] = record.timestamp
            for step in steps_of(rows):
                acts += [(step["ms"], 2, name, dearest) for name in step.get("asked", [])]
        limit, named, spent, held = 0.0, 0.0, 0.0, 0.0
        for _, kind, name, n in sorted(acts):
            if kind == 0 and n == NO_LIMIT:
                held = max(limit - spent, 0.0) if limit != NO_LIMIT else held
                limit = NO_LIMIT
            elif kind == 0:
                if limit == NO_LIMIT:
                    limit = max(n, spent + held)
                elif n != named:
                    limit = n
                named = n
            if kind == 0:
                continue
            spent += n
            if kind == 2 and spent > limit:
                self.say(f"with request {name} {spent} are spent of {limit}")

    def _models(self) -> None:
        """Everybody holds the same model at the end of the log."""
        end = self.log(self.kafka.training).end
        first: Any = None
        for worker in self.cluster.workers:
            if worker.is_dead or worker.flow is None:
                continue
            if worker.flow.training.position != end:
                self.say(f"worker {worker.number} stands at {worker.flow.training.position}/{end}")
                continue
            log = worker.flow.training.log
            first = log if first is None else first
            if found := find_differences(first, log):
                self.say(f"worker {worker.number} holds another model: {found[0]}")

    def _ready(self) -> None:
        for worker in self.cluster.workers:
            if not worker.is_dead and worker.flow is not None:
                reason = worker.flow.why_not_ready(self.cluster.now)
                if reason:
                    self.say(f"worker {worker.number}: {reason}")
