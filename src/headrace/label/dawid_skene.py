"""A consensus that learns how each annotator errs, and weighs their answers by it.

The model is that of Dawid and Skene (Applied Statistics 28, 1979): an annotator who sees an event
of class k answers l with their own probability, independent of other annotators. "Cannot tell" is
one of the answers: an annotator who refuses mostly at one class gives evidence by refusing. The
probabilities are learned without known labels, from requests with two or more answers that name a
class; one answer alone is no evidence of who errs. Where an expert has named the true class, one
answer is enough: the posterior is then that class, which is the case of the same paper in which the
true responses are available.

EM over a window of such requests is done a step at a time (Neal and Hinton, "A view of the EM
algorithm that justifies incremental, sparse, and other variants", 1998): a request that ends enters
the window with its posterior, and the posteriors of the next few in the window are computed again,
in turn. The fixed points are those of EM over the whole window. Posteriors are stored as whole
multiples of 2**-20, so that subtracting one from a count undoes its addition exactly, and the order
of sums changes no bit.

Every annotator is assumed right in a share `RIGHT` of their answers until the answers show
otherwise: each row of a confusion matrix begins with `SHRINKAGE` answers of such a person.

Limits: the latest `WINDOW_N` requests, and the first `VOICES_MAX` voices of each; annotators and
classes that occur in none of them are forgotten. So a changed annotator is known as they are now.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal

from ..messages import Answer
from ..settings.label import CONFIDENCE, LabelSettings, confidence_of
from .consensus import Consensus, Majority, Outcome

WINDOW_N = 2_000
VOICES_MAX = 20
"""The most voices of one request that reliability is learned from."""

REHEARD_N = 4
"""Posteriors of the window computed again whenever a request ends: each four times in all."""

UNIT = 1 << 20
RIGHT, REFUSED, SHRINKAGE = 0.8, 0.02, 4.0
"""The prior of an annotator: the share of right answers, the share of "cannot tell", and the number
of answers of each class that the prior weighs."""

Voice = tuple[str, str | None]
"""An annotator and the class they name; None for "cannot tell"."""


class VotedRequest:
    """A request of the window: its voices, and the posterior of each class in units of 2**-20.

    `known` is its true class, or None.
    """

    __slots__ = ("known", "request_id", "units", "voices")

    STATE_VERSION: ClassVar[int] = 2

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before version 2 no true class was known."""
        return fields | {"known": None}

    def __init__(self, request_id: str, voices: tuple[Voice, ...], known: str | None) -> None:
        self.request_id = request_id
        self.voices = voices
        self.known = known
        self.units: dict[str, int] = {}


class Reliability:
    """How annotators err, learned from the latest requests that several have answered.

    `classes` are the declared ones; others count once an answer has named them.

    >>> known = Reliability(["ham", "spam"])
    >>> for i in range(60):
    ...     truth, other = ("ham", "spam") if i % 2 else ("spam", "ham")
    ...     said = [("al", truth), ("bo", truth), ("cy", other if i % 3 else truth)]
    ...     known.replace_answers(f"r{i}", said)
    >>> known.posterior_of([("al", "ham"), ("cy", "spam")])["ham"] > 0.9
    True
    """

    def __init__(self, classes: Sequence[str] = ()) -> None:
        self.declared = tuple(classes)
        # Counts by annotator, true class and answer; and by true class; in units, without zeros.
        self.said: dict[str, dict[str, dict[str | None, int]]] = {}
        self._of_class: dict[str, int] = {}
        self._window: list[VotedRequest | None] = []
        self._place_of: dict[str, int] = {}
        self._next = 0
        self._turn = 0

    @property
    def window_n(self) -> int:
        """The number of requests in the window."""
        return len(self._place_of)

    def posterior_of(self, voices: Iterable[Voice]) -> dict[str, float]:
        """The probability of each class, given these voices; {} while no class is known."""
        voices = [*voices]
        named = (label for _, label in voices if label is not None)
        classes = sorted(dict.fromkeys((*self.declared, *self._of_class, *named)))
        if not classes:
            return {}
        total = sum(self._of_class.values()) / UNIT + len(classes)
        belief = {k: (self._of_class.get(k, 0) / UNIT + 1.0) / total for k in classes}
        for voice in voices:
            self.hear_voice(belief, voice)
        return belief

    def hear_voice(self, belief: dict[str, float], voice: Voice) -> None:
        """Update the class probabilities `belief` in place with one more voice."""
        annotator, answer = voice
        rows = self.said.get(annotator, {})
        wrong = (1.0 - RIGHT) / max(1, len(belief) - 1)
        total = 0.0
        for truth, before in belief.items():
            row = rows.get(truth, {})
            prior_named = (1.0 - REFUSED) * (RIGHT if answer == truth else wrong)
            prior = REFUSED if answer is None else prior_named
            count = row.get(answer, 0) / UNIT + SHRINKAGE * prior
            belief[truth] = before * (count / (sum(row.values()) / UNIT + SHRINKAGE))
            total += belief[truth]
        for truth in belief:
            belief[truth] /= total

    def replace_answers(
        self, request_id: str, voices: Sequence[Voice], known: str | None = None
    ) -> None:
        """Replace the voices of an ended request by these, or add the request to the window.

        A request with fewer than two voices that name a class leaves it; where the true class
        `known` is given, one such voice is enough.
        """
        request = VotedRequest(request_id, tuple(voices[:VOICES_MAX]), known)
        place = self._place_of.get(request_id)
        if place is not None:
            previous = self._window[place]
            if previous is not None and (previous.voices, previous.known) == (
                request.voices,
                known,
            ):
                return
            self._remove_request(place)
        if sum(label is not None for _, label in request.voices) < (2 if known is None else 1):
            return
        if place is None:
            place = self._new_place()
        self._window[place] = request
        self._place_of[request_id] = place
        self._hear_again(request)
        for _ in range(REHEARD_N):
            self._turn = (self._turn + 1) % len(self._window)
            other = self._window[self._turn]
            if other is not None:
                self._hear_again(other)

    def _new_place(self) -> int:
        """A free place in the window, if need be that of the oldest request."""
        place = self._next
        self._next = (place + 1) % WINDOW_N
        if place == len(self._window):
            self._window.append(None)
        self._remove_request(place)
        return place

    def _remove_request(self, place: int) -> None:
        request = self._window[place]
        if request is not None:
            self._count_units(request, {})
            self._window[place] = None
            del self._place_of[request.request_id]

    def _hear_again(self, heard: VotedRequest) -> None:
        """One step of EM: the posterior of a request by all counts, its own included."""
        known = heard.known
        posterior = self.posterior_of(heard.voices) if known is None else {known: 1.0}
        units = {truth: round(p * UNIT) for truth, p in posterior.items()}
        self._count_units(heard, {truth: n for truth, n in units.items() if n})

    def _count_units(self, heard: VotedRequest, units: dict[str, int]) -> None:
        """Replace the units of each class with which a request counts."""
        changes = {truth: units.get(truth, 0) - n for truth, n in heard.units.items()}
        changes |= {truth: n for truth, n in units.items() if truth not in heard.units}
        heard.units = units
        for truth, change in changes.items():
            if change:
                self._change_counts(heard.voices, truth, change)

    def _change_counts(self, voices: Iterable[Voice], truth: str, change: int) -> None:
        _add_count(self._of_class, truth, change)
        for annotator, answer in voices:
            rows = self.said.setdefault(annotator, {})
            row = rows.setdefault(truth, {})
            _add_count(row, answer, change)
            if not row:
                del rows[truth]
            if not rows:
                del self.said[annotator]


def _add_count(counts: dict[Any, int], key: Any, change: int) -> None:
    """Add to a count, and drop it when it is zero."""
    n = counts.get(key, 0) + change
    if n:
        counts[key] = n
    else:
        counts.pop(key, None)


class DawidSkene:
    """A consensus that settles a request once one class is probable enough, by who named it.

    Once `answers_wanted` answers name a class, a request is settled as soon as one class has a
    probability of `confidence`; until then it waits for one more answer, up to `answers_max`. Then,
    and when asking is over, the likeliest class is the label if it is likelier than all others
    together; if `unsure` is "disputed", it must also reach `confidence`. If `unsure` is "asked", no
    request waits: the label comes with its probability, and the asking side may ask again. A class
    that nobody named is never the label. `classes` are the declared ones.

    >>> def says(annotator, label):
    ...     return Answer(request_id="r", annotator=annotator, label=label, at=0.0)
    >>> two = [says("al", "ham"), says("bo", "ham")]
    >>> consensus = DawidSkene(confidence=0.9, classes=["ham", "spam"])
    >>> settled = consensus.decide(two, wanted_n=2, answers_max=5, is_closing=False)
    >>> settled.label, round(settled.agreement, 2)
    ('ham', 0.94)
    """

    def __init__(
        self,
        *,
        confidence: float = CONFIDENCE,
        unsure: Literal["taken", "disputed", "asked"] = "taken",
        classes: Sequence[str] = (),
    ) -> None:
        self.confidence = confidence
        self.unsure = unsure
        self.reliability = Reliability(classes)

    def decide(
        self, answers: Sequence[Answer], *, wanted_n: int, answers_max: int, is_closing: bool
    ) -> Outcome:
        """The outcome after the first answers that decide it, or else after all of them."""
        tally: dict[str, int] = {}
        voices: list[Voice] = []
        for heard_n, answer in enumerate(answers, start=1):
            voices.append((answer.annotator, answer.label))
            if answer.label is not None:
                tally[answer.label] = tally.get(answer.label, 0) + 1
            is_enough = sum(tally.values()) >= wanted_n
            is_last = heard_n >= max(answers_max, wanted_n) or (
                is_enough and self.unsure == "asked"
            )
            if not (is_enough or is_last):
                continue
            belief = self.reliability.posterior_of(voices)
            label = _find_likeliest(tally, belief)
            if label is not None and belief[label] >= self.confidence:
                return Outcome(label, True, dict(sorted(tally.items())), belief[label])
            if is_last:
                return self._decide_finally(tally, belief, is_dispute=True)
        if not is_closing:
            return Outcome(None, False, dict(sorted(tally.items())))
        return self._decide_finally(tally, self.reliability.posterior_of(voices), is_dispute=False)

    def _decide_finally(
        self, tally: dict[str, int], belief: dict[str, float], *, is_dispute: bool
    ) -> Outcome:
        """The outcome when no more answers come."""
        label = _find_likeliest(tally, belief)
        enough = self.confidence if self.unsure == "disputed" else 0.5
        if label is None or belief[label] < enough or belief[label] <= 0.5:
            return Outcome(None, is_dispute, dict(sorted(tally.items())))
        return Outcome(label, True, dict(sorted(tally.items())), belief[label])

    def ended(
        self, request_id: str, answers: Sequence[Answer], *, known: str | None = None
    ) -> None:
        """Learn from the current answers of an ended request, in place of its previous ones."""
        self.reliability.replace_answers(
            request_id, [(a.annotator, a.label) for a in answers], known
        )


def _find_likeliest(tally: dict[str, int], belief: dict[str, float]) -> str | None:
    """The likeliest of the named classes; of equally likely ones the alphabetically first."""
    return max(sorted(tally), key=lambda label: belief[label], default=None)


def consensus_of(settings: LabelSettings, classes: Sequence[str]) -> Consensus:
    """The consensus that the settings name."""
    if settings.consensus == "majority":
        return Majority()
    return DawidSkene(
        confidence=confidence_of(settings),
        unsure=settings.unsure or "taken",
        classes=classes,
    )
