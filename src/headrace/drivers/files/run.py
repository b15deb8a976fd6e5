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
from ...adapters.tables.records import is_table_of_columns, refuse_no_lines
from ...bridges.folder import remember_places
from ...errors import BadInput
from ...flow.overdue import is_live
from ...messages import LabelRequested, Output, QuestionChanged
from ...privacy import REQUESTS_MIN
from ...report import Report
from ...settings import Settings
from ..audit.run import open_log
from .erasing import ERASURES, carry_out, place_erasure, size_of
from .feeding import Feeder
from .jobs import JobRunner
from .notes import RunNotes
from .places import RunFiles, refuse_the_same, refuse_to_follow
from .retaining import Retention, sentence_of
from .run_inputs import RunInputs
from .run_metrics import RunMetrics
from .waiting import PIECE_N

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
        self._notes = RunNotes(on_note)
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
            self._inputs = RunInputs(self, places, opened, follow=follow, note=on_note)
            of_columns = places.events is not None and is_table_of_columns(places.events)
            if self.engine.shard.events_n or of_columns:
                self._notes.skip_features()
            source = self._inputs.events.source
            self._notes.tell_other_events(self.journal, self.player, source)
            jobs = JobRunner(self._shown, is_beside=follow, note=self._note)
            self._jobs = opened.enter_context(closing(jobs))
            self._make_report()
            if (served := self._shown.serve(on_note)) is not None:
                opened.callback(served.close)
            self._opened = opened.pop_all()

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
        return self._inputs.lag_bytes

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
            is_final = self._inputs.has_ended(follow=self.follow)
            is_fed = self.step(is_final=is_final)
            self._run_retraining()
            self._curve.add_point(self.engine)
            if self._shown.is_snapshot_due(self.engine):
                self.write_snapshot()
            if self._shown.is_due:
                self._make_report()
                self._outlet.logs.check()
                self._carry_out_erasures()
                self._notes.tell_grown(self._inputs.table)
            yield
            if is_fed:
                self._notes.tell_features(self.engine)
                self._notes.tell_off_clock(self.engine)
                self._notes.tell_hidden(self.privacy, REQUESTS_MIN)
                on_progress(self._inputs.read_bytes, self._inputs.events.tail.size)
                quiet_from = time.monotonic()
            elif is_final:
                break
            else:
                if self.follow:
                    waits_for = "answers" if self._inputs.table else "more"
                    self._notes.tell_caught_up(self._make_report, waits_for=waits_for)
                self._notes.tell_unknown(self._inputs.answers)
                self._inputs.wait(self.stop, POLL_S)
                if time.monotonic() - quiet_from >= self.settings.run.tick_s:
                    self._tick_if_due()
        self._carry_out_erasures()
        self._notes.tell_hidden(self.privacy, 1)
        tails = self._inputs.events.tail, self._inputs.answers.tail
        self._notes.tell_left(self.engine, tails)
        if self._fed_to > self._snapshot_at:
            self.write_snapshot()

    def step(self, *, is_final: bool) -> bool:
        """Feed what comes next; return false if nothing does. `is_final`: files are complete."""
        if self._retention.is_due(self.engine.now):
            return self._forget_old(self.engine.now)
        if self.follow and self._feed_order():
            return True
        events, answers_ahead = self._inputs.events, self._inputs.answers
        # No line of JSON is the beginning of another, but lines for a decoder may be.
        decoders = self.settings.answers.decoder, self.settings.input.decoder
        answers_end, events_end = (is_final or not decoder for decoder in decoders)
        answers_ahead.read_ahead(is_final=answers_end)
        n = PIECE_WAITING_N if answers_ahead.unknown_n else PIECE_N
        lines = events.tail.peek(n, is_final=events_end)
        if lines and (due := self._retention.due_at) < math.inf:
            cut, reached = events.count_until(lines, due)
            if cut == 0:
                return self._forget_old(reached)
            lines = lines[:cut]
        earliest = answers_ahead.earliest
        until = self.engine.now if lines else math.inf
        if lines and earliest is not None:
            cut, reached = events.count_until(lines, earliest)
            until = max(until, reached) if cut == 0 else until
            lines = lines[:cut]
        answers = answers_ahead.pop_due(until)
        if not answers and (answers_ahead.is_full or (is_final and not lines)):
            answers = answers_ahead.oldest_unknown(1 if lines else PIECE_N)
        if answers:
            content = b"".join(answer.line for answer in answers)
            self.feed_span(self._inputs.answers_source, answers[0].start, content)
            return True
        if not lines:
            return self._feed_order()
        self.feed_span(events.source, events.tail.position, b"".join(lines))
        events.advance(len(lines))
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
        lines = self._inputs.orders.peek(1, is_final=False) if self.engine.shard.events_n else []
        for line in lines:
            self.feed_span(self._inputs.orders_source, self._inputs.orders.position, line)
            self._inputs.orders.advance(1)
        return bool(lines)

    def _note_outputs(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            question = output.record if isinstance(output, QuestionChanged) else output
            if isinstance(question, LabelRequested):
                self._inputs.answers.note_request(question.request_id)

    def write_snapshot(self) -> None:
        """Write a snapshot, after making the copy of a pipe or a queue durable."""
        self._inputs.sync()
        super().write_snapshot()

    # -------------------------------------------------------------- what happens beside the files

    def _run_retraining(self) -> None:
        """Run the retrainings that the engine ordered: at once, or with `--follow` beside it."""
        for job_id, challenger, error in self._jobs.pop_ended(self.engine):
            ended = Retrained(job_id=job_id, at=self.engine.now, error=error)
            self._feed_record(ended, None, challenger)

    def _tick_if_due(self) -> None:
        """In quiet times, move the clock to the time of day when something has fallen due."""
        now, deadline = self._clock(), self.engine.next_deadline()
        due = min(math.inf if deadline is None else deadline, self._retention.due_at)
        if self.follow and is_live(due, now):
            self._feed_record(Ticked(at=now))

    def _make_report(self) -> Report:
        return self._shown.make_report(
            self.engine,
            rejected_n=self.player.rejected_n,
            read_bytes=self._inputs.read_bytes,
            lag_bytes=self._inputs.lag_bytes,
        )
