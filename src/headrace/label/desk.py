"""The desk: it takes requests and answers, and every request has exactly one end.

The desk does not choose what is asked, send anything, or learn; and it has no clock:

- `now` is the engine's, moved by events and ticks. An answer's own `at` never moves it (a wrong
  clock in a labelling tool must not expire requests); it only orders the answers of one request.
- An answer fed while its request is open is in time, whatever its `at`. It is late when its request
  has ended and the deadline has passed or the request was withdrawn.
- The label of a request is a function of the set of its answers (`consensus`), and with
  `dawid_skene` of how annotators erred in the requests that ended before. While answers are in
  time and have one, they may come in any order, any number of times: the label is the same.
- At its deadline, and when it is withdrawn, a request without outcome is settled with the answers
  it has if they make one class likelier than not (by majority: it has more than half of them); else
  it expires, or is withdrawn.
- The first of `LabelSettled`, `LabelDisputed`, `RequestExpired`, `RequestWithdrawn` is the end
  (revision 0). When later answers change the label, settle a request that had none, or take the
  label away, the desk emits an outcome with the next revision. While the label stays the same, it
  emits nothing.
- After its end a request takes answers as long as it is remembered (`closed_n`). If it has no
  label, a late answer may still settle it, with fewer answers than wanted if need be. If it has
  one, a late answer is a correction if its annotator has answered before; an answer of anybody
  else is counted and changes nothing, because nobody was waiting for it.
- With `late_answers = "refused"` the budget is paid back for a request that expired or was
  withdrawn, so an answer that would still make a label of it is rejected.
- A request keeps 100 answers, or four times `answers_max` if that is more; further ones are
  rejected, and only then does the order of answers matter.
- A request with `opinion_n` 2 or 3 asks another annotator about the label of a request that is
  remembered. It is open, falls due and is withdrawn like any other, but its answer is added to
  those of the first request, which is then decided again by the majority of all its answers, since
  no more are awaited. The outcome is that of the first request, with its next revision and
  `opinion_n`; the desk emits it even if the label stays the same (`confirms`). An opinion that
  nobody gives changes nothing.
- An answer of an expert (`label.experts`) that names a class is the truth: it is the label at once,
  and the question leaves the tools. Some of the requests whose truth is known are asked again
  (`gold`): their answers measure how often each annotator is right, and never change a label.
- While an open request has as many answers as it wants and these decide nothing, the desk asks for
  one more at a time, by a question with its own id (`further`): its answers count for the request.
- An outcome at a deadline is dated with the deadline: it is the same however events are batched.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, ClassVar, TypeAlias

from msgspec.structs import replace

from ..errors import BadSettings
from ..messages import (
    Answer,
    InputRejected,
    LabelRequested,
    QuestionChanged,
    Reason,
    RequestExpired,
    RequestRescored,
    RequestWithdrawn,
    Withdrawal,
)
from ..messages.request_ids import base_id, opinion_ids
from ..settings import LabelSettings, SchemaSettings
from .annotators import Annotators, Turnaround
from .answers import fault_of, is_text, place_undated, rejection_of
from .consensus import Consensus, Outcome, hear_again, select_standing, take_as_truth, voice
from .counts import Counts
from .dawid_skene import DawidSkene, consensus_of
from .further import ask_further, drop_questions, take_back
from .gold import GoldQuestions
from .ledger import Entry, Gold, Ledger
from .outcomes import Erased, Revised, message_of
from .spelling import spell_class
from .unanswered import list_unanswered

ANSWERS_KEPT_MIN = 100

Said: TypeAlias = Revised | QuestionChanged | InputRejected
"""An output of the desk in response to an answer."""


class Desk:
    """The open and remembered requests, and their answers.

    - `classes`: the declared classes. An answer that names a new class adds it, up to
      `classes_max`; `BadSettings` is raised if more than that are declared.
    - `consensus`: how answers become a label; by default the one that `settings` names.
    - `schema`: the spelling of classes; `gold`: the gold questions, by default by `settings`.

    >>> desk = Desk(LabelSettings(deadline_s=60), classes=["ham"], classes_max=10)
    >>> _ = desk.open_request(LabelRequested(
    ...     request_id="r1", event_id="e1", at=0.0, event_at=0.0, deadline=60.0, features={"x": 1},
    ...     reason="round", strategy="margin", utility=0.9, threshold=0.5, propensity=0.3,
    ...     model_version=0, prediction={"ham": 1.0}, round_n=0, seq=0))
    >>> [settled] = desk.take_answer(Answer(request_id="r1", label="spam", at=5.0), now=6.0)
    >>> settled.label, settled.at, desk.classes, desk.open_n
    ('spam', 6.0, ('ham', 'spam'), 0)
    """

    def __init__(
        self,
        settings: LabelSettings,
        classes: Sequence[str],
        classes_max: int,
        consensus: Consensus | None = None,
        *,
        schema: SchemaSettings | None = None,
        gold: GoldQuestions | None = None,
    ) -> None:
        if len(classes) > classes_max:
            raise BadSettings(
                f"schema.classes names {len(classes)} classes; must be at most "
                f"schema.classes_max, which is {classes_max}"
            )
        self.settings = settings
        self.classes_max = classes_max
        self._schema = schema or SchemaSettings()
        self.counts = Counts()
        # How many requests were settled with each class; revisions are not counted.
        self.labels_n: dict[str, int] = {}
        self.annotators = Annotators()
        self.turnaround = Turnaround()
        self._classes = dict.fromkeys(classes)
        self._consensus = consensus if consensus is not None else consensus_of(settings, classes)
        self._ledger = Ledger(settings.closed_n)
        self.gold = gold if gold is not None else GoldQuestions(settings)

    STATE_VERSION: ClassVar[int] = 2

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before version 2 there were no gold questions."""
        return fields | {"gold": GoldQuestions(LabelSettings())}

    def change_settings(self, settings: LabelSettings, gold: GoldQuestions) -> None:
        """Replace the settings. The reliability of annotators is kept, if it is still used."""
        previous = self._consensus
        self._consensus = consensus_of(settings, self.classes)
        if isinstance(previous, DawidSkene) and isinstance(self._consensus, DawidSkene):
            self._consensus.reliability = previous.reliability
        self.settings = settings
        gold.known, self.gold = self.gold.known, gold

    # ------------------------------------------------------------------------------- reading

    @property
    def classes(self) -> tuple[str, ...]:
        """The declared classes, then the new ones in the order in which answers named them."""
        return tuple(self._classes)

    @property
    def open_n(self) -> int:
        return self._ledger.open_n

    @property
    def oldest_open_at(self) -> float | None:
        """When the oldest open request was asked, in seconds; None if no request is open."""
        oldest = self._ledger.oldest
        return oldest.request.at if oldest is not None else None

    def stale_n(self, now: float) -> int:
        """The number of open requests with less than half of their time left at `now`, seconds."""
        return self._ledger.stale_n(now)

    def knows(self, request_id: str) -> bool:
        """Whether the request of this question is open, or has ended and is remembered."""
        return self._ledger.find_asked(request_id) is not None

    def next_deadline(self) -> float | None:
        """The earliest deadline at which `advance_clock` has a request to decide. O(1)."""
        return self._ledger.next_deadline()

    # ------------------------------------------------------------------------------- changing

    def open_request(self, request: LabelRequested) -> list[RequestWithdrawn]:
        """Open a request. If its id is known already, it is counted and ignored.

        A request for an opinion about a request that is forgotten is withdrawn at once.
        """
        if not self._ledger.register(request):
            self.counts.requests.asked_twice_n += 1
            return []
        self.counts.requests.asked_n += 1
        if request.opinion_n > 1 and self._find_first(request) is None:
            entry = self._ledger.find_entry(request.request_id)
            assert entry is not None
            return [self._withdraw_entry(entry, "its first request is forgotten", request.at)]
        return []

    def take_answer(self, answer: Answer, now: float) -> list[Said]:
        """Take an answer and return the outputs it leads to, or its rejection. It never raises.

        Reasons of a rejection: `bad_answer`, `unknown_request`, `late_answer`, `too_many_classes`,
        and `too_many_answers` for a request that keeps as many as it may.
        """
        fault = fault_of(answer)
        if not fault:
            answer, fault = spell_class(answer, self._classes, self._schema)
        if fault:
            return [self._reject_answer(answer, now, Reason.BAD_ANSWER, fault)]
        entry = self._ledger.find_asked(answer.request_id)
        if entry is None:
            self.counts.answers.unknown_n += 1
            detail = "no such request is open or remembered"
            return [self._reject_answer(answer, now, Reason.UNKNOWN_REQUEST, detail)]
        is_gold = self._ledger.is_gold(answer.request_id)
        earlier = entry.gold.answers if is_gold and entry.gold else entry.answers
        if (answer := place_undated(answer, earlier, entry.request)) in earlier:
            self.counts.answers.duplicate_n += 1
            return []
        if entry.is_paid_back:
            self.counts.answers.late_n += 1
            detail = (
                "its request ended without a label and the budget was paid back; give more time by "
                "label.deadline_s, or set label.late_answers to taken"
            )
            return [self._reject_answer(answer, now, Reason.LATE_ANSWER, detail)]
        label = answer.label
        if not (label is None or label in self._classes or len(self._classes) < self.classes_max):
            detail = f"{label!r} would be one class more than {self.classes_max}"
            return [self._reject_answer(answer, now, Reason.TOO_MANY_CLASSES, detail)]
        enter_answer = (
            self._enter_opinion_answer if entry.request.opinion_n > 1 else self._enter_answer
        )
        outputs = (self._enter_gold_answer if is_gold else enter_answer)(entry, answer, now)
        return [*outputs, *self.gold.mix_in(outputs, self._ledger, self.counts.gold, now)]

    def advance_clock(self, now: float) -> list[Revised | RequestExpired | QuestionChanged]:
        """Decide the requests that fall due up to `now`, ordered by (deadline, registration)."""
        outputs: list[Revised | RequestExpired | QuestionChanged] = []
        for entry in self._ledger.pop_due(now):
            request = entry.request
            at = max(request.deadline, request.at)
            was_open = not entry.has_ended
            outcomes = self._judge_entry(entry, at, is_closing=True, is_late=False)
            if was_open and not outcomes:
                self.counts.requests.expired_n += 1
                outputs.append(
                    RequestExpired(
                        request_id=request.request_id,
                        event_id=request.event_id,
                        at=at,
                        answers_n=len(self._standing_of(entry)),
                    )
                )
                self._close_entry(entry, at)
            outputs += [*outcomes, *take_back(entry, at)]
            outputs += self.gold.mix_in(outcomes, self._ledger, self.counts.gold, at)
        return outputs

    def take_withdrawal(self, withdrawal: Withdrawal, now: float) -> list[RequestWithdrawn | Said]:
        """As `withdraw_request`, but reject a message that names an unknown request."""
        if isinstance(withdrawal.request_id, str) and self.knows(withdrawal.request_id):
            return [*self.withdraw_request(withdrawal.request_id, withdrawal.reason, now)]
        name = withdrawal.request_id if is_text(withdrawal.request_id) else ""
        detail = "there is nothing to withdraw"
        return [InputRejected(reason=Reason.UNKNOWN_REQUEST, detail=detail, at=now, input_id=name)]

    def withdraw_request(
        self, request_id: str, reason: str, now: float
    ) -> list[RequestWithdrawn | Said]:
        """End an open request now, with the label that its answers agree on or else withdrawn.

        If it has ended, its open requests for an opinion are withdrawn. Gold questions are left.
        """
        entry = self._ledger.find_asked(request_id)
        if entry is None or self._ledger.is_gold(request_id):
            return []
        if entry.has_ended:
            opinions = (self._ledger.find_entry(one) for one in opinion_ids(request_id))
            open_opinions = [one for one in opinions if one is not None and not one.has_ended]
            return [self._withdraw_entry(one, reason, now) for one in open_opinions]
        entry.is_withdrawn = True
        outcomes = self._judge_entry(entry, now, is_closing=True, is_late=False)
        is_shown = bool(outcomes) and len(self._standing_of(entry)) < entry.request.answers_wanted
        withdrawn = [] if outcomes else [self._withdraw_entry(entry, reason, now)]
        return [*outcomes, *withdrawn, *take_back(entry, now, is_shown=is_shown, reason=reason)]

    def rescore_request(self, said: RequestRescored) -> list[RequestWithdrawn | Said]:
        """Give an open request the priority by the new model, or end it as `withdraw_request` does.

        A request that has ended is left alone, and so are opinions about its label.
        """
        entry = self._ledger.find_entry(said.request_id)
        if entry is None or entry.has_ended:
            return []
        entry.request = replace(entry.request, priority=said.priority)
        if not said.withdrawn:
            return []
        return self.withdraw_request(said.request_id, said.withdrawn, said.at)

    def list_requests(self) -> list[LabelRequested]:
        """The open requests, then the ended ones that are remembered."""
        return self._ledger.list_requests()

    def list_unanswered(self, now: float) -> list[LabelRequested]:
        """The questions that still want an answer at `now`; see `unanswered.list_unanswered`."""
        return list_unanswered(self._ledger, now)

    def erase(self, request_ids: Collection[str], reason: str, now: float) -> Erased:
        """Forget these requests and their answers; the open ones are withdrawn first."""
        entries = [entry for one in sorted(request_ids) if (entry := self._ledger.find_entry(one))]
        has_label = any(entry.revision >= 0 and entry.label is not None for entry in entries)
        ended_n = sum(entry.has_ended for entry in entries)
        withdrawn = [
            self._withdraw_entry(entry, reason, now) for entry in entries if not entry.has_ended
        ]
        questions = [one for entry in entries for one in drop_questions(entry, reason, now)]
        for entry in entries:
            self._ledger.erase(entry.request.request_id)
            self.gold.forget(entry.request.request_id)
        return Erased(withdrawn, questions, ended_n, has_label)

    # ---------------------------------------------------------------------------------- parts

    def _enter_answer(self, entry: Entry, answer: Answer, now: float) -> list[Said]:
        """Enter a valid answer that the request does not have yet."""
        wanted_n = entry.request.answers_wanted
        answer_voice = voice(answer, wanted_n)
        before = [earlier for earlier in entry.answers if voice(earlier, wanted_n) == answer_voice]
        is_late = entry.is_late(now)
        if is_late and entry.label is not None and not before:
            self.counts.answers.late_n += 1
            return []
        if overflow := self._reject_overflow(entry, answer, now):
            return [*overflow]
        entry.answers.append(answer)
        if answer.request_id in entry.further:
            entry.further[answer.request_id] = None
        self._count_answer(answer, before, is_late, now - entry.request.at)
        outcomes = self._judge_entry(entry, now, is_closing=is_late, is_late=is_late)
        if entry.has_ended:
            is_shown = len(self._standing_of(entry)) < wanted_n
            return [*outcomes, *(take_back(entry, now, is_shown=is_shown) if outcomes else ())]
        return [*ask_further(entry, self._standing_of(entry), self.settings.answers_max, now)]

    def _enter_gold_answer(self, entry: Entry, answer: Answer, now: float) -> list[Said]:
        """Enter a valid answer to a gold question: it changes its annotator's statistics alone."""
        gold = entry.gold
        assert gold is not None
        if overflow := self._reject_overflow(gold, answer, now):
            return [*overflow]
        before = [earlier for earlier in gold.answers if voice(earlier, 1) == voice(answer, 1)]
        gold.answers.append(answer)
        self.counts.gold.answers_n += 1
        self._count_answer(answer, before, False, now - gold.asked[answer.request_id])
        self._learn_reliability(entry, now)
        return []

    def _enter_opinion_answer(
        self, entry: Entry, answer: Answer, now: float
    ) -> list[Revised | InputRejected]:
        """Enter a valid answer to a request for an opinion, and add it to the first request."""
        first = self._find_first(entry.request)
        if first is None:
            self.counts.answers.unknown_n += 1
            detail = "the request whose label this is about is no longer remembered"
            return [self._reject_answer(answer, now, Reason.UNKNOWN_REQUEST, detail)]
        if answer.annotator and answer.annotator in entry.request.not_by:
            detail = f"{answer.annotator!r} has answered before; an opinion is somebody else's"
            return [self._reject_answer(answer, now, Reason.BAD_ANSWER, detail)]
        before = [earlier for earlier in entry.answers if earlier.annotator == answer.annotator]
        if entry.has_ended and not before:
            self.counts.answers.late_n += 1
            return []
        if overflow := self._reject_overflow(first, answer, now):
            return [*overflow]
        entry.answers.append(answer)
        first.answers.append(answer)
        self._count_answer(answer, before, entry.is_late(now), now - entry.request.at)
        if entry.has_ended:
            return [*self._judge_entry(first, now, is_closing=True, is_late=False)]
        self._ledger.record_outcome(entry, answer.label)
        self._ledger.note_waiting(entry, False)
        return [self._enter_opinion(first, entry.request.opinion_n, now)]

    def _enter_opinion(self, first: Entry, opinion_n: int, at: float) -> Revised:
        """Decide the first request again after an opinion, and return its outcome in any case."""
        if first.opinion_n == 1:
            first.asked_about = first.label
        first.opinion_n = opinion_n
        changed = self._judge_entry(first, at, is_closing=True, is_late=False)
        self.counts.requests.count_opinion(first.label, about=first.asked_about)
        if changed:
            return changed[0]
        self._ledger.record_outcome(first, first.label)
        outcome = self._decide_outcome(first, is_closing=True)
        return self._make_outcome(first, outcome, at, is_late=False, confirms=True)

    def _find_first(self, request: LabelRequested) -> Entry | None:
        """The ended request whose label this one is about; None if it is forgotten."""
        first = self._ledger.find_entry(base_id(request.request_id))
        return first if first is not None and first.has_ended else None

    def _reject_overflow(self, of: Entry | Gold, answer: Answer, now: float) -> list[InputRejected]:
        """The rejection of an answer if `of` keeps as many as it may, else an empty list."""
        kept_max = max(ANSWERS_KEPT_MIN, 4 * self.settings.answers_max)
        if len(of.answers) < kept_max:
            return []
        detail = f"the request has {kept_max} answers already"
        return [self._reject_answer(answer, now, Reason.TOO_MANY_ANSWERS, detail)]

    def _count_answer(
        self, answer: Answer, before: Sequence[Answer], is_late: bool, waited_s: float
    ) -> None:
        """Count an answer that enters a request; `before` are earlier ones of the same voice."""
        if answer.label is not None:
            self._classes.setdefault(answer.label)
        self.counts.answers.count_answer(answer, before, is_late=is_late)
        latency_s = max(0.0, waited_s)
        self.turnaround.add(latency_s)
        self.annotators.count_answer(answer, latency_s)

    def _withdraw_entry(self, entry: Entry, reason: str, at: float) -> RequestWithdrawn:
        """Withdraw a request, and return the message that says so."""
        entry.is_withdrawn = True
        self.counts.requests.withdrawn_n += 1
        self._close_entry(entry, at)
        request = entry.request
        return RequestWithdrawn(
            request_id=request.request_id, event_id=request.event_id, at=at, reason=reason
        )

    def _judge_entry(
        self, entry: Entry, at: float, *, is_closing: bool, is_late: bool
    ) -> list[Revised]:
        """Decide a request from all its answers; return its outcome if it is a new one."""
        outcome = self._decide_outcome(entry, is_closing=is_closing)
        if not entry.has_ended and not outcome.is_decided:
            return []
        # If a correction took the outcome of an ended request, it waits for its deadline again.
        is_waiting = not outcome.is_decided and not is_closing
        if entry.has_ended and outcome.label == entry.label:
            self._count_standing(entry, at)
            self._ledger.note_waiting(entry, is_waiting)
            return []
        self._record_outcome(entry, outcome.label, at, is_waiting)
        self.counts.requests.count_outcome(outcome.label, entry.revision)
        if outcome.label is not None and not entry.revision:
            self.labels_n[outcome.label] = self.labels_n.get(outcome.label, 0) + 1
        return [self._make_outcome(entry, outcome, at, is_late)]

    def _decide_outcome(self, entry: Entry, *, is_closing: bool) -> Outcome:
        """The outcome of a request, from all its answers."""
        answers = self._standing_of(entry)
        if (truth := self.gold.truth_of(answers)) is not None:
            return take_as_truth(answers, truth)
        if entry.opinion_n > 1:
            return hear_again(answers, self._consensus)
        return self._consensus.decide(
            answers,
            wanted_n=entry.request.answers_wanted,
            answers_max=self.settings.answers_max,
            is_closing=is_closing,
        )

    def _close_entry(self, entry: Entry, at: float) -> None:
        """End a request without a label; its budget is paid back if late answers are refused."""
        entry.is_paid_back = self.settings.late_answers == "refused"
        self._record_outcome(entry, None, at)

    def _record_outcome(
        self, entry: Entry, label: str | None, at: float, is_waiting: bool = False
    ) -> None:
        self._ledger.record_outcome(entry, label)
        self._count_standing(entry, at)
        self._ledger.note_waiting(entry, is_waiting)

    def _count_standing(self, entry: Entry, at: float) -> None:
        """Update what a request counts in the annotators' statistics to its current answers."""
        before = entry.accounted
        self.annotators.count_comparisons(*before, sign=-1)
        entry.accounted = (tuple(self._standing_of(entry)), entry.label)
        self.annotators.count_comparisons(*entry.accounted, sign=1)
        self.annotators.watch_agreement(before, entry.accounted, at)
        self._learn_reliability(entry, at)

    def _learn_reliability(self, entry: Entry, at: float) -> None:
        """Update the statistics of gold questions, and a consensus that learns reliability."""
        answers, truth = self.gold.compare_answers(entry, self.annotators, at)
        learn = getattr(self._consensus, "ended", None)
        if learn is not None:
            learn(entry.request.request_id, answers, known=truth)

    def _standing_of(self, entry: Entry) -> list[Answer]:
        return select_standing(entry.answers, entry.request.answers_wanted)

    def _reject_answer(
        self, answer: Answer, now: float, reason: Reason, detail: str
    ) -> InputRejected:
        self.counts.answers.rejected_n += 1
        return rejection_of(answer, now, reason, detail)

    def _make_outcome(
        self, entry: Entry, outcome: Outcome, at: float, is_late: bool, confirms: bool = False
    ) -> Revised:
        """The message of an outcome; it names the annotators if the settings need that."""
        names_them = self.settings.names_annotators or self.settings.second_opinion_share
        by = {a.annotator: None for a in self._standing_of(entry) if a.annotator and names_them}
        return message_of(entry, outcome, at, is_late, tuple(by), confirms)
