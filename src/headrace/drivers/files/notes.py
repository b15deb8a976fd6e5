"""What a run tells a person while it goes on: sentences about its inputs, most of them once."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...adapters.journal import Journal
from ...adapters.jsonl import Tail
from ...engine import Engine
from ...observe.clock import describe_off_clock
from ...pages.report.parts import describe_features
from ...privacy import Privacy
from ...report import Report
from .copying import FileMark
from .erasing import size_of
from .player import Player
from .waiting import Answers


class RunNotes:
    """Notes of one run; `note` is called with sentences."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        # The kinds of notes that come once in a run, and came already.
        self._said: set[str] = set()

    def skip_features(self) -> None:
        """Say nothing of the kinds of features: they are known, or were told already."""
        self._said.add("features")

    def tell_features(self, engine: Engine) -> None:
        """Note once, at the beginning, as which kinds the first events' features were read."""
        if "features" not in self._said and engine.shard.events_n:
            self._said.add("features")
            for kind, names in describe_features(engine.schema):
                self._note(f"read as {kind}: {names}")

    def tell_caught_up(self, make_report: Callable[[], Report], *, waits_for: str) -> None:
        """Note once that all that is there was fed, and what came of it."""
        if "caught up" not in self._said:
            self._said.add("caught up")
            report = make_report()
            self._note(
                f"{report.events.observed_n:,} events read, {report.asking.requests_n:,} labels "
                f"asked; waiting for {waits_for}"
            )

    def tell_unknown(self, answers: Answers) -> None:
        """Note once, when all that is there was fed, that answers wait for a request."""
        if "unknown" not in self._said and answers.unknown_n:
            self._said.add("unknown")
            self._note(
                f"an answer names request {answers.first_unknown}, which this run has not "
                "asked; it waits, as all such answers do, in case a later event leads to it"
            )

    def tell_grown(self, table: FileMark | None) -> None:
        """Note once, with `--follow`, that a table has changed since it was read."""
        if "table" not in self._said and table and table.has_changed:
            self._said.add("table")
            self._note(f"{table.path} has changed; start again to read the rows added to it")

    def tell_off_clock(self, engine: Engine) -> None:
        """Note once that times are far from the clock; the report has the details."""
        clock = engine.shard.admission.clock
        if "clock" not in self._said and (clock.ahead_n or clock.behind_n):
            self._said.add("clock")
            self._note(f"the clock: {describe_off_clock(clock.ahead_n, clock.behind_n)}")

    def tell_hidden(self, privacy: Privacy, requests_min: int) -> None:
        """Note once that requests were to show features that no event has."""
        if "hidden" not in self._said and (sentences := privacy.describe_unseen(requests_min)):
            self._said.add("hidden")
            for sentence in sentences:
                self._note(sentence)

    def tell_other_events(self, journal: Journal, player: Player, source: int) -> None:
        """Note each file of events from which the run read before, and has not read all."""
        for number, other in journal.sources.items():
            path = player.path_of(other)
            if other.kind == "events" and number != source:
                rest_n = size_of(path) - journal.fed[number].first_gap
                if rest_n > 0:
                    self._note(
                        f"{path}: its last {rest_n:,} bytes were not read; a start with it as "
                        "--events reads them"
                    )

    def tell_left(self, engine: Engine, tails: Iterable[Tail | None]) -> None:
        """Note for each input that its last line, or half an event, waits for its rest."""
        for tail in tails:
            if tail is not None and tail.rest_n:
                self._note(
                    f"{tail.path}: its last line, at byte {tail.position}, is cut short; it is "
                    "left for the next start"
                )
        if halves_n := len(engine.shard.admission.halves.waiting):
            self._note(
                f"{halves_n} records wait for their request or response, as input.join says; "
                "the next start goes on waiting"
            )
