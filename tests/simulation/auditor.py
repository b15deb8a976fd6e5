"""Recounts a journal of `headrace.testing.simulation` from its messages alone.

It shares no code with the engine, on purpose, and imports nothing of it: what it knows of the rules
is written here a second time, as plainly as possible. `audit` returns what is wrong, one sentence a
fault. Run as a program it takes the path of a journal.
"""

from __future__ import annotations

import json
import statistics
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]
ENDS = ("LabelSettled", "LabelDisputed", "RequestExpired", "RequestWithdrawn")
DATED = (*ENDS, "LabelRequested", "RoundOpened", "RoundClosed", "DriftChanged", "RetrainRequested")


def audit(journal: Iterable[bytes]) -> list[str]:
    """Every fault found in a journal, as sentences; empty when all is well."""
    auditor = Auditor()
    for number, line in enumerate(journal):
        auditor.line_n = number
        auditor.hear(json.loads(line))
    return auditor.faults


class Request:
    """What the auditor knows of one request."""

    def __init__(self, message: Row) -> None:
        self.deadline: float = message["deadline"]
        self.wanted_n: int = message.get("answers_wanted", 1)
        self.answers: list[Row] = []
        self.revision = -1
        self.label: str | None = None
        self.is_waiting = True
        self.is_refunded = False

    @property
    def has_ended(self) -> bool:
        return self.revision >= 0


class Auditor:
    """Hears the journal line by line."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.line_n = 0
        self.settings: Row = {}
        self.now: float | None = None
        self.first_now = 0.0
        self.heard: list[float] = []
        self.accepted: list[Row] = []
        self.clocks: list[float] = []
        self.accepted_ids: set[str] = set()
        self.requests: dict[str, Request] = {}
        self.asked_events: set[str] = set()
        self.expected: list[tuple[str, str, str | None, int]] = []
        self.spent_n = 0
        self.last_at = float("-inf")
        self.level = "STABLE"
        self.version = 0
        self.round_n = -1
        self.round: Row | None = None
        self.round_asked_n = 0
        self.jobs_n = 0
        self.open_job: int | None = None
        self.settled_since_job_n = 0

    def hear(self, row: Row) -> None:
        """One line of the journal."""
        match row["kind"]:
            case "settings":
                self.settings = row["settings"]
            case "feed":
                self._fed(row["inputs"], row["outputs"])
            case "restart":
                self.check(row["is_same"], "a restart decided otherwise")
            case "end":
                open_n = sum(not request.has_ended for request in self.requests.values())
                self.check(open_n == 0, f"{open_n} requests never ended")
                self.check(self.round is None, "a round was never closed")

    def check(self, is_well: bool, fault: str) -> None:
        if not is_well:
            self.faults.append(f"line {self.line_n}: {fault}")

    # ------------------------------------------------------------------------------- inputs

    def _fed(self, inputs: list[Row], outputs: list[Row]) -> None:
        before, finished, rejected_n = self.now, None, 0
        self.expected = []
        for message in inputs:
            match message["type"]:
                case "Event":
                    rejected_n += not self._event(message)
                case "Answer":
                    rejected_n += not self._answer(message)
                case "Tick" | "RoundOrdered":
                    if self.now is None or message["at"] > self.now:
                        self.heard = [message["at"]] * 15
                    self._clock(message["at"])
                case "RetrainFinished":
                    finished = message
        # An order that finds nothing to ask says so; whether it does is not decided again here.
        found_n = sum(
            output["type"] == "InputRejected" and output["reason"] != "no_round"
            for output in outputs
        )
        self.check(found_n == rejected_n, f"{found_n} inputs rejected, should be {rejected_n}")
        for output in outputs:
            self._said(output, before, finished)
        self._deadlines(outputs)

    def _clock(self, at: float) -> None:
        if self.now is None:
            self.first_now = at
        self.now = at if self.now is None else max(self.now, at)

    def _event(self, event: Row) -> bool:
        """Whether the event is fit; then it counts."""
        at, identity = event["at"], event["id"]
        is_fit = (
            identity not in self.accepted_ids
            and at is not None
            and abs(at) <= 1e11
            and 1 <= len(identity) <= 500
            and self._is_believed(at)
        )
        if is_fit:
            self.accepted_ids.add(identity)
            self.accepted.append(event)
            self.clocks.append(self.now or 0.0)
        return is_fit

    def _is_believed(self, at: float) -> bool:
        """Move the clock by one more time, as docs/TIME.md says; whether it is believed."""
        was_full = len(self.heard) == 15
        self.heard = [*self.heard, at][-15:]
        jump_max_s = self.settings["input"]["jump_max_s"]
        most_s = min(self.settings["label"]["deadline_s"] / 10, jump_max_s)
        middle = statistics.median_low(self.heard)
        borne_out = max(time for time in self.heard if time <= middle + most_s)
        if self.now is not None:
            is_back = borne_out < self.now - (jump_max_s if was_full else 0.0)
            if is_back or borne_out > self.now + jump_max_s:
                self._set_anew(borne_out)
        self._clock(borne_out)
        return len(self.heard) < 15 or self.now is None or at <= self.now + jump_max_s

    def _set_anew(self, now: float) -> None:
        """The clock was wrong: no time has passed from what it said to what it says."""
        assert self.now is not None
        self.first_now += now - self.now
        self.now, self.last_at = now, min(self.last_at, now)
        self.clocks = [min(clock, now) for clock in self.clocks]

    def _answer(self, answer: Row) -> bool:
        """Whether the answer is to a known request that takes one; then it may decide it."""
        request = self.requests.get(answer["request_id"])
        if request is None:
            return False
        mine = {"who": answer["annotator"], "label": answer["label"], "at": answer["at"]}
        if mine in request.answers:
            return True
        if request.is_refunded:
            return False
        is_late = request.has_ended and (self.now or 0.0) >= request.deadline
        is_new = all(other["who"] != mine["who"] for other in request.answers)
        if is_late and request.label is not None and is_new:
            return True
        request.answers.append(mine)
        self._judge(answer["request_id"], request, is_closing=is_late)
        return True

    def _judge(self, identity: str, request: Request, *, is_closing: bool) -> None:
        """Expect what the answers so far must lead to."""
        label, is_decided = self._verdict(request, is_closing)
        if not request.has_ended and not is_decided:
            return
        request.is_waiting = not is_decided and not is_closing
        if request.has_ended and label == request.label:
            return
        request.revision += 1
        request.label = label
        kind = "LabelDisputed" if label is None else "LabelSettled"
        self.expected.append((kind, identity, label, request.revision))

    def _verdict(self, request: Request, is_closing: bool) -> tuple[str | None, bool]:
        """The label of more than half, and whether it is final. One voice for each annotator."""
        answers_max = max(self.settings["label"]["answers_max"], request.wanted_n)
        voices: dict[str, list[Row]] = {}
        for answer in request.answers:
            voices.setdefault(answer["who"], []).append(answer)
        queue = sorted((min(a["at"] for a in given), who) for who, given in voices.items())
        named: list[str] = []
        for heard_n, (_, who) in enumerate(queue, 1):
            newest = max(voices[who], key=lambda a: (a["at"], a["label"] or ""))
            if newest["label"] is not None:
                named.append(newest["label"])
            if len(named) >= request.wanted_n and (label := _more_than_half(named)) is not None:
                return label, True
            if heard_n >= answers_max:
                return None, True
        label = _more_than_half(named) if is_closing else None
        return label, label is not None

    def _deadlines(self, outputs: list[Row]) -> None:
        """What had to fall due by now did, and nothing else ended."""
        for identity, request in self.requests.items():
            if not request.is_waiting or request.deadline > (self.now or 0.0):
                continue
            request.is_waiting = False
            was_open, before = not request.has_ended, len(self.expected)
            self._judge(identity, request, is_closing=True)
            if was_open and len(self.expected) == before:
                request.revision = 0
                self.expected.append(("RequestExpired", identity, None, 0))
            request.is_waiting = False
        found = [
            (o["type"], o["request_id"], o.get("label"), o.get("revision", 0))
            for o in outputs
            if o["type"] in ENDS
        ]
        missing = [end for end in self.expected if end not in found]
        surplus = [end for end in found if found.count(end) > self.expected.count(end)]
        self.check(not missing, f"ends that should have come did not: {missing}")
        self.check(not surplus, f"ends that should not have come did: {surplus}")

    # ------------------------------------------------------------------------------ outputs

    def _said(self, output: Row, before: float | None, finished: Row | None) -> None:
        kind = output["type"]
        if kind in DATED:
            self.check(output["at"] >= self.last_at, f"{kind} is earlier than what came before it")
            self.check(output["at"] <= (self.now or 0.0), f"{kind} is ahead of the clock")
            self.check(before is None or output["at"] >= before, f"{kind} is behind the clock")
            self.last_at = max(self.last_at, output["at"])
        match kind:
            case "LabelRequested":
                self._asked(output)
            case "RequestExpired" | "RequestWithdrawn":
                is_refunded = self.settings["label"]["late_answers"] == "refused"
                self.spent_n -= is_refunded
                request = self.requests.get(output["request_id"])
                if request is not None:
                    request.is_refunded = is_refunded
                    if kind == "RequestExpired":
                        self.check(output["at"] == request.deadline, "expired at another moment")
            case "LabelSettled":
                self.settled_since_job_n += 1
            case "RoundOpened" | "RoundClosed":
                self._round(kind, output)
            case "DriftChanged":
                self.check(output["previous"] == self.level, "drift left a level it did not have")
                self.check(output["level"] != self.level, "drift changed to the same level")
                self.level = output["level"]
            case "RetrainRequested" | "ModelAdopted" | "ModelKept":
                self._retrained(kind, output, finished)
        # What was drawn on arrival and had to wait for money has the prediction of its arrival.
        if "model_version" in output and output.get("reason") not in ("control", "doubt"):
            self.check(output["model_version"] >= self.version, "the model's version fell")
            self.version = output["model_version"]

    def _asked(self, request: Row) -> None:
        identity, event_id, seq = request["request_id"], request["event_id"], request["seq"]
        self.check(identity not in self.requests, "a request was sent twice")
        self.check(event_id not in self.asked_events, f"event {event_id} was asked twice")
        self.asked_events.add(event_id)
        self.requests.setdefault(identity, Request(request))
        # From the clock, or the newest event where that is ahead of it.
        since = {request["at"], *(max(request["at"], e["at"]) for e in self.accepted)}
        deadlines = {at + self.settings["label"]["deadline_s"] for at in since}
        self.check(request["deadline"] in deadlines, "a deadline is not where it should be")
        self.check(0.0 < request["propensity"] <= 1.0, "a propensity is not in (0, 1]")
        is_part = 0.0 <= request["control_p"] <= request["propensity"] + 1e-9
        self.check(is_part, "an event was likelier drawn blindly than at all")
        total = sum(request["prediction"].values())
        self.check(not request["prediction"] or abs(total - 1) < 1e-9, "a prediction is not 1")
        if seq < len(self.accepted):
            event = self.accepted[seq]
            same = event["id"] == event_id and event["at"] == request["event_at"]
            self.check(same, f"request of {event_id} names another event's number")
            self.check(request["at"] >= self.clocks[seq], f"{event_id} was asked before it came")
        else:
            self.check(False, f"{event_id} was asked and was never accepted")
        round_n = self.round["round_n"] if self.round else -1
        self.check(request["round_n"] == round_n, "a request names a round it is not of")
        self.round_asked_n += 1
        self.spent_n += 1
        _, most = self._allowed(request["at"])
        self.check(self.spent_n <= most + 1e-6, f"{self.spent_n} spent, {most:.3f} allowed")

    def _allowed(self, at: float) -> tuple[float, float]:
        """Labels earned by then, at least and at most: late events share one clock."""
        budget = self.settings["query"]["budget"]
        if budget["per_hour"] is not None:
            earned = budget["start"] + budget["per_hour"] * (at - self.first_now) / 3600
            return earned, earned
        least_n, most_n = bisect_left(self.clocks, at), bisect_right(self.clocks, at)
        return tuple(budget["start"] + budget["share"] * n for n in (least_n, most_n))

    def _round(self, kind: str, message: Row) -> None:
        if kind == "RoundOpened":
            self.check(self.round is None, "a round opened in another")
            self.check(message["round_n"] == self.round_n + 1, "rounds are not numbered in turn")
            self.check(message["wanted_n"] <= message["pool_n"], "a round wants more than it has")
            self.round, self.round_asked_n = message, 0
            self.round_n = message["round_n"]
            rounds = self.settings["query"]["rounds"]
            if message["reason"] == "schedule" and rounds["every_s"] is None:
                due = self.clocks[rounds["every_n"] - 1 :: rounds["every_n"]]
                self.check(message["at"] in due, "a round opened when none was due")
            return
        opened, self.round = self.round, None
        is_pair = opened is not None and opened["round_n"] == message["round_n"]
        self.check(is_pair, "a round closed that was not open")
        self.check(message["asked_n"] == self.round_asked_n, "a round miscounted its requests")
        if opened is None or opened["reason"] != "schedule":
            return
        least, _ = self._allowed(message["at"])
        left = least - self.spent_n - self.settings["query"]["budget"]["reserve"]
        is_spent = left < 1.0 + 1e-6 or message["asked_n"] == opened["pool_n"]
        self.check(is_spent, f"a round left {left:.3f} labels of its money and {opened} to ask")

    def _retrained(self, kind: str, message: Row, finished: Row | None) -> None:
        if kind == "RetrainRequested":
            # A job is given up for a drift that it knows nothing of, and when it is outrun by more
            # labels than the memory holds.
            is_outrun = self.settled_since_job_n > self.settings["learn"]["memory_n"]
            is_free = self.open_job is None or is_outrun or message["reason"] == "drift"
            self.check(is_free, "a job was ordered while one is open")
            self.check(message["job_id"] == self.jobs_n, "jobs are not numbered in turn")
            self.jobs_n += 1
            self.open_job, self.settled_since_job_n = message["job_id"], 0
            return
        is_answer = finished is not None and finished["job_id"] == message["job_id"]
        self.check(is_answer and self.open_job == message["job_id"], f"{kind} out of nowhere")
        failed = finished is not None and finished.get("error") is not None
        self.check(not (failed and kind == "ModelAdopted"), "a failed job was adopted")
        self.open_job = None


def _more_than_half(named: list[str]) -> str | None:
    return next((name for name in named if named.count(name) * 2 > len(named)), None)


if __name__ == "__main__":
    found = audit(Path(sys.argv[1]).read_bytes().splitlines())
    print("\n".join(found) or "nothing is wrong")
    sys.exit(bool(found))
