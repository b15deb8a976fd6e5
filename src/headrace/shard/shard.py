"""The shard: observe + query, one a partition. Events in, label requests and drift changes out.

It holds only what a snapshot can bring back: window, reservoir, detectors, budget, estimate. It
reads labels from the same log as the trainer (`take_end`), and sees the model through
`ModelView`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from ..chance import Chance
from ..learn.failures import FailedEvents
from ..messages import (
    DriftChanged,
    EventBatch,
    InputRejected,
    LabelDisputed,
    LabelRequested,
    LabelSettled,
    Output,
    Reason,
    RequestEnded,
    RoundOpened,
    RoundOrdered,
)
from ..messages.request_ids import opinion_id
from ..observe.admission import Admission, Run
from ..observe.drift import Detector, DriftLevel, DriftMonitor
from ..observe.originals import unpack_features
from ..observe.schema import Schema
from ..observe.seen import Assessment
from ..observe.signals import likeliest_of
from ..observe.window import Columns
from ..query.arrivals import Drawn, LookAhead
from ..query.asking import Asking
from ..query.orders import Orders, fault_of, refuse_order, why_no_round
from ..query.requests import AUDIT, BLIND, Candidate
from ..query.rounds import Decision, FirstChance
from ..settings import Settings
from .assessing import Assessing
from .candidates import candidate_with_context, pool_of, read_more
from .model_view import ModelView
from .rescoring import rescore_open

PAID_EVERY_N = 8
"""With asking on arrival: every so many events, draws that wait for money are paid if possible."""


class Shard(Assessing):
    """Watches the events of one partition and requests labels for some of them."""

    def __init__(  # noqa: PLR0917 - the parts of a shard
        self,
        settings: Settings,
        schema: Schema,
        model: ModelView,
        asking: Asking,
        chance: Chance,
        detectors: Mapping[str, Detector] | None = None,
    ) -> None:
        super().__init__(settings, schema, model, chance)
        self.asking = asking
        self.admission = Admission(settings, chance)
        self.drift = DriftMonitor(settings.drift, chance, detectors)
        self.failed = FailedEvents()
        self._orders = Orders()
        self.fresh_from = 0
        self._drift_from = 0
        self._round_at: float | None = None
        self._idle_n = 0
        if settings.query.cold_start.per_class_n == 0:
            self.drift.end_cold_start(0)

    # ----------------------------------------------------------------------------- events

    def admit_batch(self, batch: EventBatch) -> Iterator[Run | InputRejected]:
        """Yield the batch as runs to observe and rejections, in order."""
        for run in self.admission.admit_batch(batch, self.schema):
            if isinstance(run, Run) and run.is_set_anew:
                # The clock was wrong: between its old and its new time no time has passed.
                self.now, self._round_at = float(run.clock[0]), None
                self.asking.budget.set_anew(self.now)
            yield run

    def observe(self, run: Run, stop: int) -> list[Output]:
        """Observe events of the run from `run.i`, at most up to `stop`; moves `run.i`.

        It stops after the first event that has outputs, since they may change how later events are
        treated: so the outputs are all of the last event observed.
        """
        outputs = self._observe(run, stop)
        # With a record or rounds by time the caller must act between two counted points.
        is_alone = self.asking.record is None and self._every_s is None
        while is_alone and not outputs and run.i < stop:
            outputs = self._observe(run, stop)
        return outputs

    def _observe(self, run: Run, stop: int) -> list[Output]:
        """Observe up to the next counted point, draw, drift change, round or check at most."""
        start = run.i
        every_s = self._every_s
        if every_s is not None and (self._round_at is None or self._idle_n):
            self._idle_n = 0
            self._round_at = float(run.clock[start]) + every_s
            due = int(np.searchsorted(run.clock, self._round_at))
            stop = min(stop, max(start + 1, due))
        assessment = self._assess_run(run, start)
        stop = min(stop, start + self._counted_n(), assessment.stop)
        look = self._look_ahead(assessment, start, stop)
        part = assessment.slice_of(start, start + look.n)
        n, change = self.drift.watch_confidences(
            assessment.confidence[part],
            assessment.predicted[part],
            run.clock[start : start + look.n],
            self.events_n,
        )
        stop = start + n
        if self.model.has_learned:
            self.failed.count_failed(assessment.probabilities[assessment.slice_of(start, stop)])
        self._count_events(assessment, start, stop)
        self.now = now = max(self.now, float(run.clock[stop - 1]))
        self.asking.note_newest_time(float(run.at[stop - 1]))
        outputs = self._ask_if_drawn(look, run.keys[start:stop], now)
        if change is not None:
            outputs += self._open_drift_round(change, now)
        return outputs + self._run_due(now)

    def _counted_n(self) -> int:
        """Number of events until the next counted point."""
        check_n = self.settings.drift.check_every_n
        until = min(check_n - self.events_n % check_n, self.asking.budget.next_gap_n)
        until = self.asking.open.next_n(self.events_n, until)
        if self.asking.record is not None:
            until = self.asking.record.count_to_next(self.events_n, until)
        if self.asking.arrivals is not None:
            if self.asking.queue.first is None:
                return until
            after_n = self.events_n + max(1, self.asking.paid_in_n)
            return min(until, after_n + -after_n % PAID_EVERY_N - self.events_n)
        every_n = self.settings.query.rounds.regular_n
        return until if every_n is None else min(until, every_n - self.events_n % every_n)

    def _ask_if_drawn(self, look: LookAhead, keys: NDArray[np.uint64], now: float) -> list[Output]:
        """Ask about the last of the observed events with these keys, if the draw fell on it."""
        arrivals = self.asking.arrivals
        if arrivals is None:
            return self._ask_newest(now) if look.is_drawn and len(keys) == look.n else []
        drawn = arrivals.take_arrived(look, keys)
        if look.is_duplicate is not None:
            duplicates_n = int(look.is_duplicate[: len(keys)].sum())
            self.asking.duplicates.passed_over_n += duplicates_n - (
                drawn is not None and bool(look.is_duplicate[len(keys) - 1])
            )
        outputs = [] if drawn is None else self._ask_newest(now, drawn)
        if self.events_n % PAID_EVERY_N == 0 and self.asking.waiting_n:
            outputs += self.asking.pay_waiting(now)
        if arrivals.is_due:
            self.asking.aim_draw()
        return outputs

    def _count_events(self, said: Assessment, start: int, stop: int) -> None:
        """Count these events for the budget; window and reservoir get them when next read."""
        n = self._note_seen(said, start, stop)
        if self.asking.budget.events_passed(n, float(said.run.clock[stop - 1])):
            self.asking.take_gap(self.events_n)

    def _ask_newest(self, now: float, drawn: Drawn | None = None) -> list[Output]:
        """Ask about the newest event, chosen by `drawn` or, if None, the control draw."""
        newest = self.newest()
        if len(newest) == 0 or self.asking.are_known(newest.keys)[0]:
            return []
        request_id = self.asking.request_id(str(newest.ids[0]))
        if self.asking.passes_over(request_id, self.asking.can_ask_n):
            return []
        return self.ask_drawn(newest, 0, now, drawn)

    def ask_drawn(self, events: Columns, row: int, now: float, drawn: Drawn | None) -> list[Output]:
        """Ask about the event at `row`, chosen by `drawn` or, if None, the control draw."""
        candidate = self._make_candidate(events, row)
        self._mark_asked(events, row)
        if drawn is None:
            self._expect_label(events, row)
            return [*self.asking.ask_control(candidate, self.model.version, now)]
        drawn = self.asking.with_judging_chance(drawn)
        if self.asking.judges(BLIND if drawn.is_blind else ""):
            self._expect_label(events, row)
            self.judging.note_chance(self.asking.request_id(candidate.id), drawn.propensity)
        priority = self.asking.open.priority_of(drawn.utility)
        self.asking.watch_question(events, row, drawn.reason, priority)
        self.asking.tell_drawn(events, row, drawn)
        return [*self.asking.ask_on_arrival(candidate, drawn, self.model.version, now, priority)]

    def _run_due(self, now: float) -> list[Output]:
        """Run what is due at this count of events: drift check, rescoring, regular round."""
        outputs: list[Output] = []
        if self.events_n % self.settings.drift.check_every_n == 0:
            outputs += self._check_drift(now)
        outputs += rescore_open(self.asking, self, self._why_at_random, now)
        every_n = self.settings.query.rounds.regular_n
        if self.asking.arrivals is None and every_n and self.events_n % every_n == 0:
            outputs += self._open_regular_round(now)
        return outputs

    STATE_VERSION: ClassVar[int] = 3

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before version 2 failed events were not counted; before version 3 orders had no key."""
        return {"failed": FailedEvents(), **fields, "_orders": Orders()}

    # ----------------------------------------------------------------------------- rounds

    @property
    def _every_s(self) -> float | None:
        """Seconds between regular rounds; None where they don't go by time, or on arrival."""
        is_arrival = self.asking.arrivals is not None
        return None if is_arrival else self.settings.query.rounds.every_s

    def next_deadline(self) -> float | None:
        """The time, seconds, when the next round by time is due; None if there is none."""
        return self._round_at

    def advance_clock(self, now: float) -> list[Output]:
        """Move the clock to `now` and return the outputs of a round by time, if one is due."""
        self.now = max(self.now, now)
        self.admission.clock.take_tick(now)
        self.window.tick(self.now)
        self.asking.budget.time_passed(self.now)
        every_s = self._every_s
        if every_s is None or self._round_at is None or now < self._round_at:
            return []
        # Without events each pause is twice the last, so that a long gap in time costs few rounds.
        self._round_at = now + every_s * 2.0**self._idle_n
        self._idle_n += 1
        return self._open_regular_round(now)

    def is_ordered(self, key: str) -> bool:
        """Whether an order with this key came before; the key is remembered from now on."""
        return self._orders.is_known(key)

    def open_ordered_round(self, order: RoundOrdered) -> list[Output]:
        """Open the round that a person ordered, over window and reservoir; or say why not."""
        now = max(self.now, order.at)
        if fault := fault_of(order):
            return [refuse_order(order, Reason.BAD_ORDER, fault, now)]
        if self.is_ordered(order.key):
            return []
        past = self.past()
        reason = AUDIT if order.is_audit else "ordered"
        can_n = self.asking.can_open_n(reason)
        wanted_n = can_n if order.labels_n is None else order.labels_n
        anew = self.model.probabilities(
            past.rows, None, lambda i: unpack_features(past.originals[i])
        )
        outputs = self._open_round(past, reason, wanted_n, now, anew)
        if not outputs:
            why = why_no_round(len(past), self.asking.budget.available_n, can_n)
            return [refuse_order(order, Reason.NO_ROUND, why, now)]
        self.asking.budget.use_reserve(is_audit=order.is_audit)
        origin = {"order_key": order.key, "order_reason": order.reason}
        return [structs.replace(o, **origin) if isinstance(o, RoundOpened) else o for o in outputs]

    def _open_regular_round(self, now: float) -> list[Output]:
        """Open a round over the events since the last one: the other part of their first chance."""
        outputs: list[Output] = [*self.asking.pay_waiting(now)]
        self._note_chances(
            self.asking.control_draw.settle_gone(self.events_n - self.settings.observe.window_n)
        )
        if (wanted_n := self.asking.scheduled_n(now)) >= 1:
            fresh = self.window.since(self.fresh_from)
            outputs += self._open_round(fresh, "schedule", wanted_n, now)
        return outputs

    def _open_round(
        self,
        events: Columns,
        reason: str,
        wanted_n: int,
        now: float,
        anew: NDArray[np.float64] | None = None,
    ) -> list[Output]:
        """Open one round over these events, in order of `seq`, for at most `wanted_n` labels.

        `anew` are probabilities by the present model, shape (n, k); None: those from arrival. For
        events since the last round it is the first chance, so their labels judge; labels of older
        events only teach.
        """
        if self.asking.arrivals is not None:
            # Every event in the pool had its first chance on arrival.
            self.fresh_from = self.events_n
        is_asked = events.is_asked | self.asking.are_known(events.keys)
        wanted_n = min(wanted_n, self.asking.can_open_n(reason))
        if wanted_n < 1 or is_asked.all():
            return []
        record = self.asking.record
        if record is not None:
            round_n = record.round_at(self.events_n, is_spread=reason == "drift")
            if round_n is None:
                return []
            self.asking.rounds.n = round_n
        source, at_random = self.settings.query.uncertainty_from, self._why_at_random()
        strategy = None if at_random or reason in ("drift", AUDIT) else self.asking.strategy
        more = read_more(strategy, events, self, self.asking, anew)
        pool = pool_of(events, self.schema, source, wanted_n, anew, **more)
        decision = self.asking.decide_round(
            pool,
            is_asked,
            reason=reason,
            at_random=at_random,
            wanted_n=wanted_n,
            now=now,
            needs=self._quota_needs(pool.X, events.probabilities if anew is None else anew),
            is_duplicate=self.asking.duplicates.of_round(pool),
        )
        if record is not None:
            decision = record.correct_decision(decision, pool, self.asking.request_id)
        if strategy is not None:
            self.asking.tell_asked(decision.list_picks(pool))
        return self.ask_chosen(decision, events)

    def ask_chosen(self, decision: Decision, events: Columns) -> list[Output]:
        """Request labels for the events that a round chose; [] if it chose none."""
        chosen = decision.chosen.tolist()
        if not chosen:
            return []
        candidates = []
        for row in chosen:
            candidates.append(self._make_candidate(events, row))
            self._mark_asked(events, row)
        outputs: list[Output] = [*self.asking.ask_round(decision, candidates, self.model.version)]
        judges = self.asking.judges(decision.strategy)
        for row in chosen:
            if judges and events.seq[row] >= self.fresh_from:
                self._expect_label(events, row)
        row_of = {str(events.ids[row]): row for row in reversed(chosen)}
        for one in outputs:
            if isinstance(one, LabelRequested):
                self.asking.watch_question(events, row_of[one.event_id], one.reason, one.priority)
        chances = self.asking.settle_first_chances(
            decision, events.seq, events.ids.tolist(), self.fresh_from
        )
        self._note_chances(chances)
        self.fresh_from = self.events_n
        return outputs

    def _why_at_random(self) -> str | None:
        """Why rounds now draw at random: "cold start" or "drift"; None: the strategy chooses.

        The doubts of a cold model mean nothing; after a drift those of the old model mean little,
        while labels drawn at random can judge the model that is trained on them.
        """
        if self.asking.is_cold(self.schema.classes):
            return "cold start"
        is_new = self.events_n - self._drift_from <= self.settings.drift.hold_n
        return "drift" if is_new and self.drift.level is DriftLevel.DRIFT else None

    def _make_candidate(self, events: Columns, row: int) -> Candidate:
        context_from = self.schema, self.model, self.moments, self.now
        return candidate_with_context(events, row, *context_from)

    def _mark_asked(self, events: Columns, row: int) -> None:
        seq = int(events.seq[row])
        self.mark_asked(seq)
        key, features = int(events.keys[row]), events.rows[row]
        self.asking.quotas.count_asked(key, features, self.schema)
        self.asking.duplicates.note_asked(key, features)

    def _expect_label(self, events: Columns, row: int) -> None:
        """Have the accuracy estimate keep the event's guess from arrival until its label comes."""
        self.judging.note_asked(
            int(events.seq[row]),
            self.asking.request_id(str(events.ids[row])),
            float(events.guess[row]),
            float(events.confidence[row]),
        )

    # ------------------------------------------------------------------------ drift and ends

    def _check_drift(self, now: float) -> list[Output]:
        samples = self.window, self.reservoir.view()
        change = self.drift.compare_windows(*samples, self.schema, at=now, seq=self.events_n)
        return [] if change is None else self._open_drift_round(change, now)

    def _open_drift_round(self, change: DriftChanged, now: float) -> list[Output]:
        """Return the change and, for a drift, the outputs of a round over the newest events.

        The round spends all that was reserved for drift and at least half of what can be spent, up
        to `query.rounds.drift_n`; the rest is left to later rounds.
        """
        outputs: list[Output] = [change]
        if change.level != DriftLevel.DRIFT.name:
            return outputs
        self._drift_from = self.events_n
        self.asking.tell_drift()
        held_n = self.asking.budget.held_n
        self.asking.budget.use_reserve()
        if self.settings.query.rounds.drift_n:
            newer = self.window.since(self.events_n - self.settings.drift.window_n)
            wanted_n = max(held_n, (self.asking.can_ask_n + 1) // 2)
            wanted_n = min(self.settings.query.rounds.drift_n, wanted_n)
            outputs += self._open_round(newer, "drift", wanted_n, now)
        return outputs

    def restart_watches(self) -> None:
        """Restart all watches but those of inputs, since a new model is in use."""
        self.drift.reset(self.events_n)

    def concerns(self, entry: RequestEnded) -> bool:
        """Whether `take_end` needs this entry; else counting its label for cold start suffices."""
        return (
            self.drift.is_cold
            or self._has_asked(entry)
            or getattr(entry, "opinion_n", 1) > 1
            or entry.request_id in self.asking.opinions.open
            or self.asking.quotas.is_set
        )

    def count_labels_of_others(self, labels_n: Mapping[str, int]) -> None:
        """Count first labels of other shards' requests, by class, for the cold start."""
        for label, n in labels_n.items():
            self.schema.class_code(label)
            if n:
                self.asking.count_labels(label, n)

    def take_end(self, entry: RequestEnded) -> list[Output]:
        """Process one entry of the training log: refund, accuracy estimate, detectors."""
        opinions = self.asking.take_opinion_end(entry, self.model.version, self.now)
        if opinions is not None:
            # Estimate and detectors ignore opinions: only doubted labels get a second one.
            return [*opinions]
        if not self._has_asked(entry):
            # Another shard asked: the label only counts for the cold start.
            if isinstance(entry, LabelSettled) and entry.revision == 0:
                self._count_label(entry)
            return []
        if not isinstance(entry, LabelSettled):
            # If the request ended before, as when a label is taken back, this changes nothing.
            is_answered = isinstance(entry, LabelDisputed)
            self.asking.end_request(entry.event_id, self.now, is_answered=is_answered)
            self.judging.end_request(entry.request_id)
            return self._open_next_batch()
        self.asking.settle(entry)
        judged = entry.prediction
        if self.settings.evaluation.judged == "served" and entry.served is not None:
            judged = entry.served
        is_first = entry.revision == 0
        if is_first:
            # Counted first: quotas know what an event belongs to only while its request is open.
            self._count_label(entry)
            worth = 1.0 - entry.prediction.get(entry.label, 0.0)
            self.asking.end_request(entry.event_id, self.now, is_answered=True, worth=worth)
        judging, predicted = self.judging, likeliest_of(judged)
        guess = judging.guess_of(entry.request_id)
        is_right = bool(judged) and predicted == entry.label
        judging.note_label(entry.request_id, is_right, entry.label, predicted)
        outputs: list[Output] = []
        if is_first and self._is_doubted(entry):
            outputs += self.asking.ask_second_opinion(entry, self.model.version, self.now)
        # The watches assume labels of a first chance; other labels were drawn otherwise.
        if is_first and guess is not None:
            for change in self.drift.watch_settled(
                entry, judged, guess, at=self.now, seq=self.events_n
            ):
                outputs += self._open_drift_round(change, self.now)
        return outputs + self._open_next_batch()

    def _is_doubted(self, entry: LabelSettled) -> bool:
        """Whether this label looks wrong to the model or is unsure by its answers.

        A record that is followed also decides: where it has a second opinion, the label is doubted.
        """
        record, second = self.asking.record, opinion_id(entry.request_id, 2)
        is_on_record = record is not None and record.insists_on(second, self.events_n)
        is_unsure = self.asking.opinions.is_unsure(entry)
        return is_on_record or is_unsure or self.model.suspects(entry.request_id)

    def _open_next_batch(self) -> list[Output]:
        """Open a regular round if the workflow waited for answers and the next batch is due."""
        is_due = self.asking.is_next_due(self.events_n - self.fresh_from, self.now)
        return self._open_regular_round(self.now) if is_due else []

    def _has_asked(self, entry: RequestEnded) -> bool:
        """Whether this shard made the request, as far as it still remembers it."""
        return self.asking.remembers(entry.event_id) or self.judging.remembers(entry.request_id)

    def _count_label(self, entry: LabelSettled) -> None:
        self.asking.count_label(entry.label, entry.event_id, entry.reason)
        if not self.asking.is_cold(self.schema.classes):
            self.drift.end_cold_start(self.events_n)

    def _note_chances(self, chances: list[FirstChance]) -> None:
        for chance in chances:
            self.judging.note_chance(chance.request_id, chance.propensity)
