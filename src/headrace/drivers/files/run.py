"""The embedded driver: one engine between files. Events and answers are read, requests appended.

This module owns the loop and the order of writing; what is asked is decided by the engine alone.
One step is: choose what comes next, write it to the journal, feed it, append what follows. So a
process that is killed at any instant goes on as if nothing had happened: the newest snapshot is
read, the journal is fed again from there, and what the output files hold already is skipped.

What comes next depends on nothing but the files and what was fed before, never on how they are
read or where a run was killed:

- An answer is fed before the first event at or after it; one without `at` as soon as it can be.
- An answer whose request was not asked yet waits for it, and after the last event is fed to be
  rejected. At most `WAITING_MAX` answers wait; then the oldest without a request is fed.
- An order (`headrace round open`, `model roll-back`) is fed after everything else.
- A last line without a newline is fed if it is whole JSON; one that is cut short waits for the next
  start.
- A retraining is run right after the piece that ordered it, before anything else is fed.

With `--follow` inputs are fed as they arrive, and the journal alone says in which order: orders
first, answers at once when there is no event, a retraining when it is done beside the run
(`refits`). A table of events is read whole at the start; a note says when it has grown since. After
`run.tick_s` of quiet the clock is moved to the time of day if something fell due within the last
day by that clock: so requests of a live stream expire in time, those of a past stream never do.

Everything written survives the death of the process. A loss of power may take from each file what
was written since the last snapshot: a request that was sent may then be decided anew, and
differently. Events read from a pipe and not copied to the folder yet are lost with the process;
those of a stream or a queue are not, as they are acknowledged when their copy is safe.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing

from ...adapters.journal import Retrained, Ticked
from ...adapters.jsonl import Tail
from ...adapters.tables.records import is_export, is_table, is_table_of_columns, refuse_no_lines
from ...bridges.folder import remember_places
from ...errors import BadInput
from ...flow.overdue import is_live
from ...messages import LabelRequested, Output, QuestionChanged
from ...observe.clock import describe_off_clock
from ...pages.report.parts import describe_features
from ...privacy import REQUESTS_MIN
from ...report import Report
from ...settings import Settings
from ..audit.run import open_log
from .ahead import EventsAhead
from .copying import FileMark, copy_answers
from .erasing import ERASURES, carry_out, place_erasure, size_of
from .feeding import Feeder
from .inputs import open_events
from .jobs import JobRunner
from .orders import ORDERS
from .places import RunFiles, is_whole, recorded_path, refuse_the_same, refuse_to_follow
from .retaining import Retention, sentence_of
from .run_metrics import RunMetrics
from .waiting import PIECE_N, Answers

PIECE_WAITING_N = 32
"""`PIECE_N` while answers wait for a request that one of these events may lead to."""

POLL_S = 0.05


def run_files(
    places: RunFiles,
    settings: Settings,
    *,
    follow: bool = False,
    stop: threading.Event | None = None,
    on_progress: Callable[[int, int], None] = lambda done, of: None,
    on_note: Callable[[str], None] = lambda sentence: None,
    on_outputs: Callable[[Sequence[Output]], None] = lambda outputs: None,
    on_turn: Callable[[Runner], None] = lambda runner: None,
    clock: Callable[[], float] = time.time,
) -> Report:
    """Feed an engine from files until their end, or with `follow` until `stop` is set.

    - `on_progress`: called with the bytes of the events' file that are done, and all of them
    - `on_note`: called with sentences of what a person should know and is no error
    - `on_outputs`: called with all outputs, as they are written
    - `on_turn`: called with the runner after each step and in quiet times, to look at
    - `clock`: returns the time of day, seconds

    Raises `BadSettings` and `BadInput` with a sentence that says what to do, and `BrokenInvariant`
    if a file holds something else than the journal leads to.
    """
    runner = Runner(
        places,
        settings,
        follow=follow,
        stop=stop,
        on_note=on_note,
        on_outputs=on_outputs,
        clock=clock,
    )
    with closing(runner), closing(open_log(runner)) as log:
        for _ in runner.run(on_progress):
            on_turn(runner)
            log.follow_if_due()
        return runner.report


class Runner(Feeder):
    """One run, from opening to closing; the parameters are those of `run_files`."""

    def __init__(
        self,
        places: RunFiles,
        settings: Settings,
        *,
        follow: bool,
        stop: threading.Event | None,
        on_note: Callable[[str], None],
        on_outputs: Callable[[Sequence[Output]], None],
        clock: Callable[[], float],
    ) -> None:
        self.follow = follow
        self._clock = clock
        self._answers = Answers()
        # The kinds of notes that come once in a run, and came already.
        self._said: set[str] = set()
        self._requests, self._erasures_bytes = places.requests, 0
        self._retention = Retention(settings.retention, places.state)
        if places.events is not None and not follow and not places.events.exists():
            raise BadInput(f"{places.events} is not there; give the events' file, or - for a pipe")
        refuse_the_same(places)
        for given in (places.events, places.answers):
            if given is not None:
                refuse_no_lines(given)
        if follow:
            refuse_to_follow(places)
        with ExitStack() as opened:
            super().__init__(
                places.state,
                places.requests,
                settings,
                opened,
                stop=stop or threading.Event(),
                on_note=on_note,
                on_outputs=on_outputs,
                shown=RunMetrics(settings, clock, places.state if follow else None, on_note),
            )
            remember_places(places.state, places.requests, places.answers)
            if self.engine.shard.events_n:
                self._said.add("features")
            self._open_inputs(places, opened)
            jobs = JobRunner(self._shown, is_beside=follow, note=self._note)
            self._jobs = opened.enter_context(closing(jobs))
            self._make_report()
            if (served := self._shown.serve(on_note)) is not None:
                opened.callback(served.close)
            self._opened = opened.pop_all()

    def _open_inputs(self, places: RunFiles, opened: ExitStack) -> None:
        # Made before the table is read, so that a change while it is read is told too.
        path = places.events
        self._table = FileMark(path) if self.follow and path and is_table(path) else None
        events, self._pipe = open_events(places, self.settings, self.follow, self._note)
        if self._pipe is not None:
            opened.callback(self._pipe.close)
        if places.events is not None and is_table_of_columns(places.events):
            self._said.add("features")
        longest = self.settings.input.line_bytes_max
        number = self.journal.number_source("events", recorded_path(events, places.state))
        fed = self._find_fed(number)
        tail = Tail(events, position=fed.first_gap, length_max=longest, is_whole=is_whole)
        opened.callback(tail.close)
        self._events = EventsAhead(tail, number, self.player)
        self._tell_other_events(number)
        if places.answers is not None:
            answers, decoder = places.answers, self.player.answers_decoder
            if is_export(answers):
                answers = copy_answers(answers, places.state, self.settings, decoder)
            number = self.journal.number_source("answers", recorded_path(answers, places.state))
            self._answers_source, fed = number, self._find_fed(number)
            tail = Tail(answers, position=fed.first_gap, length_max=longest, is_whole=is_whole)
            opened.callback(tail.close)
            self._answers = Answers(tail, fed, self._is_known, decoder)
        self._orders_source = self.journal.number_source("orders", ORDERS)
        at, path = self._find_fed(self._orders_source).first_gap, places.state / ORDERS
        self._orders = Tail(path, position=at, length_max=longest, is_whole=is_whole)
        opened.callback(self._orders.close)

    @property
    def report(self) -> Report:
        """The engine's report; lines without an event or an answer count among the rejected."""
        return self._make_report()

    @property
    def latest(self) -> Report:
        """The report that /metrics shows: at most about a second old, and made already."""
        return self._shown.report

    @property
    def lag_bytes(self) -> int:
        """The bytes of the events' file that were not fed yet."""
        tail = self._events.tail
        return max(0, tail.size - tail.position)

    def close(self) -> None:
        self._opened.close()

    # ------------------------------------------------------------------------------- the loop

    def run(self, on_progress: Callable[[int, int], None]) -> Iterator[None]:
        """Step until the end, then write a snapshot; yields after each step and in quiet times."""
        self._carry_out_erasures()
        if not self.stop.is_set():
            self._run_retraining()
        quiet_from = time.monotonic()
        while not self.stop.is_set():
            is_final = not self.follow if self._pipe is None else self._pipe.has_ended
            is_fed = self.step(is_final=is_final)
            self._run_retraining()
            self._curve.add_point(self.engine)
            if self._shown.is_snapshot_due(self.engine):
                self.write_snapshot()
            if self._shown.is_due:
                self._make_report()
                self._outlet.logs.check()
                self._carry_out_erasures()
                self._tell_grown()
            yield
            if is_fed:
                self._tell_features()
                self._tell_off_clock()
                self._tell_hidden(REQUESTS_MIN)
                on_progress(self._events.tail.position, self._events.tail.size)
                quiet_from = time.monotonic()
            elif is_final:
                break
            else:
                self._tell_caught_up()
                self._tell_unknown()
                self._wait_for_input()
                if time.monotonic() - quiet_from >= self.settings.run.tick_s:
                    self._tick_if_due()
        self._carry_out_erasures()
        self._tell_left()
        if self._fed_to > self._snapshot_at:
            self.write_snapshot()

    def _tell_other_events(self, source: int) -> None:
        """Note each file of events from which the run read before, and has not read all."""
        for number, other in self.journal.sources.items():
            path = self.player.path_of(other)
            if other.kind == "events" and number != source:
                rest_n = size_of(path) - self.journal.fed[number].first_gap
                if rest_n > 0:
                    self._note(
                        f"{path}: its last {rest_n:,} bytes were not read; a start with it as "
                        "--events reads them"
                    )

    def _tell_left(self) -> None:
        """Note for each input that its last line, or half an event, waits for its rest."""
        self._tell_hidden(1)
        for tail in (self._events.tail, self._answers.tail):
            if tail is not None and tail.rest_n:
                self._note(
                    f"{tail.path}: its last line, at byte {tail.position}, is cut short; it is "
                    "left for the next start"
                )
        if halves_n := len(self.engine.shard.admission.halves.waiting):
            self._note(
                f"{halves_n} records wait for their request or response, as input.join says; "
                "the next start goes on waiting"
            )

    def step(self, *, is_final: bool) -> bool:
        """Feed what comes next; return false if nothing does. `is_final`: files are complete."""
        if self._retention.is_due(self.engine.now):
            return self._forget_old(self.engine.now)
        if self.follow and self._feed_order():
            return True
        # No line of JSON is the beginning of another, but lines for a decoder may be.
        decoders = self.settings.answers.decoder, self.settings.input.decoder
        answers_end, events_end = (is_final or not decoder for decoder in decoders)
        self._answers.read_ahead(is_final=answers_end)
        n = PIECE_WAITING_N if self._answers.unknown_n else PIECE_N
        lines = self._events.tail.peek(n, is_final=events_end)
        if lines and (due := self._retention.due_at) < math.inf:
            cut, reached = self._events.count_until(lines, due)
            if cut == 0:
                return self._forget_old(reached)
            lines = lines[:cut]
        earliest = self._answers.earliest
        until = self.engine.now if lines else math.inf
        if lines and earliest is not None:
            cut, reached = self._events.count_until(lines, earliest)
            until = max(until, reached) if cut == 0 else until
            lines = lines[:cut]
        answers = self._answers.pop_due(until)
        if not answers and (self._answers.is_full or (is_final and not lines)):
            answers = self._answers.oldest_unknown(1 if lines else PIECE_N)
        if answers:
            content = b"".join(answer.line for answer in answers)
            self.feed_span(self._answers_source, answers[0].start, content)
            return True
        if not lines:
            return self._feed_order()
        self.feed_span(self._events.source, self._events.tail.position, b"".join(lines))
        self._events.advance(len(lines))
        return True

    def _carry_out_erasures(self) -> None:
        """Carry out the orders of `headrace erase` that came since the last look."""
        if (size := size_of(self.state / ERASURES)) != self._erasures_bytes:
            self._erasures_bytes = size
            for done in carry_out(self, self._requests):
                self._note(sentence_of(done))

    def _forget_old(self, clock: float) -> bool:
        """At a new step of [retention], forget what is too old; return true."""
        events_n = self.engine.shard.events_n
        if not events_n:
            self._retention.begin(clock)
            return True
        place_erasure(self.state, self._retention.make_order(clock, events_n=events_n))
        self._carry_out_erasures()
        return True

    def _feed_order(self) -> bool:
        """Feed the next order, if there is one and there were events; return whether it did."""
        lines = self._orders.peek(1, is_final=False) if self.engine.shard.events_n else []
        for line in lines:
            self.feed_span(self._orders_source, self._orders.position, line)
            self._orders.advance(1)
        return bool(lines)

    def _tell_features(self) -> None:
        """Note once, at the beginning, as which kinds the first events' features were read."""
        if "features" not in self._said and self.engine.shard.events_n:
            self._said.add("features")
            for kind, names in describe_features(self.engine.schema):
                self._note(f"read as {kind}: {names}")

    def _tell_caught_up(self) -> None:
        """Note once, with `--follow`, that all that is there was fed, and what came of it."""
        if self.follow and "caught up" not in self._said:
            self._said.add("caught up")
            report = self._make_report()
            self._note(
                f"{report.events.observed_n:,} events read, {report.asking.requests_n:,} labels "
                f"asked; waiting for {'answers' if self._table else 'more'}"
            )

    def _tell_unknown(self) -> None:
        """Note once, when all that is there was fed, that answers wait for a request."""
        if "unknown" not in self._said and self._answers.unknown_n:
            self._said.add("unknown")
            self._note(
                f"an answer names request {self._answers.first_unknown}, which this run has not "
                "asked; it waits, as all such answers do, in case a later event leads to it"
            )

    def _tell_grown(self) -> None:
        """Note once, with `--follow`, that a table has changed since it was read."""
        if "table" not in self._said and self._table and self._table.has_changed:
            self._said.add("table")
            self._note(f"{self._table.path} has changed; start again to read the rows added to it")

    def _tell_off_clock(self) -> None:
        """Note once that times are far from the clock; the report has the details."""
        clock = self.engine.shard.admission.clock
        if "clock" not in self._said and (clock.ahead_n or clock.behind_n):
            self._said.add("clock")
            self._note(f"the clock: {describe_off_clock(clock.ahead_n, clock.behind_n)}")

    def _tell_hidden(self, requests_min: int) -> None:
        """Note once that requests were to show features that no event has."""
        if "hidden" not in self._said and (sentences := self.privacy.describe_unseen(requests_min)):
            self._said.add("hidden")
            for sentence in sentences:
                self._note(sentence)

    def _note_outputs(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            question = output.record if isinstance(output, QuestionChanged) else output
            if isinstance(question, LabelRequested):
                self._answers.note_request(question.request_id)

    def write_snapshot(self) -> None:
        """Write a snapshot, after making the copy of a pipe or a queue durable."""
        if self._pipe is not None:
            self._pipe.sync()
        super().write_snapshot()

    # -------------------------------------------------------------- what happens beside the files

    def _run_retraining(self) -> None:
        """Run the retrainings that the engine ordered: at once, or with `--follow` beside it."""
        for job_id, challenger, error in self._jobs.pop_ended(self.engine):
            ended = Retrained(job_id=job_id, at=self.engine.now, error=error)
            self._feed_record(ended, None, challenger)

    def _wait_for_input(self) -> None:
        """Wait until there may be something to read."""
        wait = self.stop.wait if self._pipe is None else self._pipe.pump
        wait(POLL_S)

    def _tick_if_due(self) -> None:
        """In quiet times, move the clock to the time of day when something has fallen due."""
        now, deadline = self._clock(), self.engine.next_deadline()
        due = min(math.inf if deadline is None else deadline, self._retention.due_at)
        if self.follow and is_live(due, now):
            self._feed_record(Ticked(at=now))

    # --------------------------------------------------------------------------------- opening

    def _is_known(self, request_id: str) -> bool:
        return self.engine.desk.knows(request_id)

    def _make_report(self) -> Report:
        return self._shown.make_report(
            self.engine,
            rejected_n=self.player.rejected_n,
            read_bytes=self._events.tail.position,
            lag_bytes=self.lag_bytes,
        )
