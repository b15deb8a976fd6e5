"""Statistics of the annotators: how many there are, how fast they answer, how far they agree.

Nothing here decides about a label. Each ended request counts once, with the current answer of each
voice. When a correction changes these answers, the old count is subtracted and the new one added,
in whole numbers, so no rounding error builds up. Answers to gold questions are counted apart,
because they are compared with the truth (`gold`). Whether an annotator names the label less often
than before is watched in `steadiness`.

Limits: the first `annotators_max` annotators have separate counts, all others share one; the first
`CLASSES_MAX` classes of each annotator are counted separately, others not at all.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

from ..messages import Answer
from .steadiness import Steadiness

ANNOTATORS_MAX = 1_000
CLASSES_MAX = 100
TURNAROUND_BOUNDS_S = (
    1.0, 5.0, 15.0, 60.0, 300.0, 900.0,
    3_600.0, 14_400.0, 43_200.0, 86_400.0, 259_200.0, 604_800.0,
)  # fmt: skip

Compared: TypeAlias = tuple[Sequence[Answer], str | None]
"""The current answers of a request, one per voice, and its label."""


@dataclass(slots=True)
class Annotator:
    """Counts of one annotator.

    - `answers_n`: answers as they arrive, corrections and refusals included; `refused_n`: refusals.
    - `compared_n`: requests with a label and at least two answers that name a class, one of them
      this annotator's; `agreed_n`: those where this annotator named the label.
    - `latency_s`: the sum of the times from request to answer, in seconds.
    - `timed_n`: answers whose time is also in `log_s` and `log_squares`, the sums of its logarithm
      and of the logarithm squared; a time below one second counts as one second.
    - `steadiness`: watches whether the agreement falls.
    - `gold_n`: gold questions answered with a class; `gold_right_n`: those with the true class.
    - `by_class`: both kinds of comparison by the label or true class: all, and the right ones.
    """

    answers_n: int = 0
    refused_n: int = 0
    compared_n: int = 0
    agreed_n: int = 0
    latency_s: float = 0.0
    timed_n: int = 0
    log_s: float = 0.0
    log_squares: float = 0.0
    steadiness: Steadiness = field(default_factory=Steadiness)
    gold_n: int = 0
    gold_right_n: int = 0
    by_class: dict[str, tuple[int, int]] = field(default_factory=dict)

    STATE_VERSION: ClassVar[int] = 3

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before version 2 only the mean time was known and nobody was watched; before 3 there were
        no gold questions and no counts by class."""
        new = {"timed_n": 0, "log_s": 0.0, "log_squares": 0.0, "steadiness": Steadiness()}
        return new | fields | {"gold_n": 0, "gold_right_n": 0, "by_class": {}}

    def count_answer(self, answer: Answer, latency_s: float) -> None:
        """Count an answer that came `latency_s` seconds after its request."""
        log_s = math.log(max(1.0, latency_s))
        self.answers_n += 1
        self.refused_n += answer.label is None
        self.latency_s += latency_s
        self.timed_n += 1
        self.log_s += log_s
        self.log_squares += log_s * log_s

    def count_class(self, label: str, n: int, right_n: int) -> None:
        """Add to the comparisons of one class; negative numbers subtract."""
        if label in self.by_class or len(self.by_class) < CLASSES_MAX:
            before_n, before_right_n = self.by_class.get(label, (0, 0))
            self.by_class[label] = (before_n + n, before_right_n + right_n)

    def add(self, other: Annotator) -> None:
        """Add the counts of another desk, or of another annotator."""
        self.answers_n += other.answers_n
        self.refused_n += other.refused_n
        self.compared_n += other.compared_n
        self.agreed_n += other.agreed_n
        self.latency_s += other.latency_s
        self.timed_n += other.timed_n
        self.log_s += other.log_s
        self.log_squares += other.log_squares
        self.steadiness.add(other.steadiness)
        self.gold_n += other.gold_n
        self.gold_right_n += other.gold_right_n
        for label, counts in other.by_class.items():
            self.count_class(label, *counts)


@dataclass(slots=True)
class Alpha:
    """Krippendorff's alpha for nominal values: agreement beyond chance, 1 perfect, 0 chance.

    From K. Krippendorff, Content Analysis: An Introduction to Its Methodology, 2nd ed., Sage 2004,
    chapter 11: alpha = 1 - D_o / D_e, where each ordered pair in a unit of m values weighs
    1 / (m - 1). `disagreeing` counts ordered pairs that disagree, by m; `named` counts each class.

    >>> alpha = Alpha()
    >>> for labels in [("a", "a"), ("b", "b"), ("a", "b")]:
    ...     alpha.count(labels, 1)
    >>> round(alpha.value, 3)
    0.444
    """

    disagreeing: dict[int, int] = field(default_factory=dict)
    named: dict[str, int] = field(default_factory=dict)

    def count(self, labels: Sequence[str], sign: int) -> None:
        """Add (`sign` 1) or subtract (-1) one request; fewer than two labels are ignored."""
        size = len(labels)
        if size < 2:
            return
        tally = {label: labels.count(label) for label in labels}
        pairs_n = size * size - sum(n * n for n in tally.values())
        self.disagreeing[size] = self.disagreeing.get(size, 0) + sign * pairs_n
        for label, n in tally.items():
            self.named[label] = self.named.get(label, 0) + sign * n

    def add(self, other: Alpha) -> None:
        """Add the requests of another desk."""
        for size, pairs_n in other.disagreeing.items():
            self.disagreeing[size] = self.disagreeing.get(size, 0) + pairs_n
        for label, n in other.named.items():
            self.named[label] = self.named.get(label, 0) + n

    @property
    def value(self) -> float | None:
        """Alpha; None while fewer than two classes were named, as chance is then undefined."""
        total_n = sum(self.named.values())
        expected_n = total_n * total_n - sum(n * n for n in self.named.values())
        if expected_n == 0:
            return None
        observed = sum(self.disagreeing[size] / (size - 1) for size in sorted(self.disagreeing))
        return 1.0 - (total_n - 1) * observed / expected_n


def error_of(alpha: Alpha, classes_n: int) -> float | None:
    """The error rate of annotators, from how often two answers to a request disagree.

    None without requests that have two answers. The assumptions: annotators err alike and
    independently, and every wrong class is equally likely. Then two answers disagree with
    probability 2 e - e^2 k / (k - 1), k being the number of classes; the smaller solution e is
    returned: the symmetric case of Dawid and Skene (Applied Statistics 28, 1979). Requests with a
    disagreement are often asked a third time, which makes e a little too high.

    >>> alpha = Alpha()
    >>> for i in range(100):
    ...     alpha.count(("a", "b" if i < 18 else "a"), 1)
    >>> round(error_of(alpha, 2), 2)
    0.1
    """
    total_n = sum(alpha.named.values())
    if total_n == 0 or classes_n < 2:
        return None
    # Each ordered pair of m answers weighs 1 / (m - 1): their sum is the number of answers.
    observed = sum(n / (size - 1) for size, n in sorted(alpha.disagreeing.items())) / total_n
    most = (classes_n - 1) / classes_n
    return most * (1.0 - math.sqrt(max(0.0, 1.0 - observed / most)))


class Annotators:
    """All annotators of a desk.

    `by_name` has at most `annotators_max` of them, in order of their first answer; `""` is the
    nameless one. Those who come later share the counts in `others`.
    """

    def __init__(self, annotators_max: int = ANNOTATORS_MAX) -> None:
        self.annotators_max = annotators_max
        self.by_name: dict[str, Annotator] = {}
        self.others = Annotator()
        self._alpha = Alpha()

    @property
    def alpha(self) -> float | None:
        """Krippendorff's alpha over ended requests with at least two answers that name a class."""
        return self._alpha.value

    def estimate_error(self, classes_n: int) -> float | None:
        """The share of answers that are wrong, from disagreement; see `error_of`."""
        return error_of(self._alpha, classes_n)

    def count_answer(self, answer: Answer, latency_s: float) -> None:
        """Count an answer that was accepted; `latency_s` is the time since its request."""
        self._find_counts(answer.annotator).count_answer(answer, latency_s)

    def count_comparisons(self, answers: Sequence[Answer], label: str | None, sign: int) -> None:
        """Count (`sign` 1) or subtract (-1) the current answers of one ended request.

        `label` is its class, or None: a dispute also counts for the agreement, but there is no
        label to compare an annotator with.
        """
        if len(answers) < 2:
            return
        self._alpha.count([a.label for a in answers if a.label is not None], sign)
        for answer in _with_others(answers, label):
            annotator = self._find_counts(answer.annotator)
            annotator.compared_n += sign
            annotator.agreed_n += sign * (answer.label == label)
            annotator.count_class(str(label), sign, sign * (answer.label == label))

    def count_gold_answers(self, before: Compared, after: Compared, at: float) -> None:
        """Replace the counted answers to gold questions about one request.

        `before` are the answers counted so far, `after` the present ones, each with the truth. An
        annotator measured here for the first time is watched too, at the time `at` in seconds.
        """
        for (answers, truth), sign in ((before, -1), (after, 1)):
            for answer in _select_naming(answers, truth):
                annotator = self._find_counts(answer.annotator)
                annotator.gold_n += sign
                annotator.gold_right_n += sign * (answer.label == truth)
                annotator.count_class(str(truth), sign, sign * (answer.label == truth))
        self._watch_first(_select_naming(*before), _select_naming(*after), after[1], at)

    def watch_agreement(self, before: Compared, after: Compared, at: float) -> None:
        """Update the watches of annotators who are compared with a label for the first time.

        `before` and `after` are the answers and label of a request before and after a change at
        the time `at`, in seconds.
        """
        self._watch_first(_with_others(*before), _with_others(*after), after[1], at)

    def _watch_first(
        self, before: list[Answer], after: list[Answer], label: str | None, at: float
    ) -> None:
        """Watch the answers of those who are compared now and were not before."""
        compared = {answer.annotator for answer in before}
        for answer in after:
            if answer.annotator not in compared:
                watch = self._find_counts(answer.annotator).steadiness
                watch.note_comparison(answer.label == label, at)

    def _find_counts(self, name: str) -> Annotator:
        """The counts of an annotator, or those of `others`.

        A name never leaves `by_name`, so a count is subtracted where it was added.
        """
        annotator = self.by_name.get(name)
        if annotator is None:
            if len(self.by_name) >= self.annotators_max:
                return self.others
            annotator = self.by_name[name] = Annotator()
        return annotator


def _with_others(answers: Sequence[Answer], label: str | None) -> list[Answer]:
    """The answers that name a class, if there is a label and at least two of them; else none."""
    named = _select_naming(answers, label)
    return named if len(named) > 1 else []


def _select_naming(answers: Sequence[Answer], label: str | None) -> list[Answer]:
    """The answers that name a class, if there is a label to compare them with; else none."""
    return [answer for answer in answers if answer.label is not None] if label is not None else []


def merge_annotators(parts: Sequence[Annotators]) -> Annotators:
    """The sum of the counts of several desks; annotators in order of the desks."""
    whole = Annotators(annotators_max=sum(part.annotators_max for part in parts))
    for part in parts:
        whole.others.add(part.others)
        whole._alpha.add(part._alpha)
        for name, annotator in part.by_name.items():
            whole.by_name.setdefault(name, Annotator()).add(annotator)
    return whole


class Turnaround:
    """How long answers take: a histogram of fixed size, ready for Prometheus.

    `counts[i]` is the number of answers that took at most `TURNAROUND_BOUNDS_S[i]` seconds and more
    than the bound before; the last count is of the answers beyond all bounds.

    >>> turnaround = Turnaround()
    >>> turnaround.add(4.0)
    >>> turnaround.counts[:3], turnaround.sum_s
    ([0, 1, 0], 4.0)
    """

    def __init__(self) -> None:
        self.counts = [0] * (len(TURNAROUND_BOUNDS_S) + 1)
        self.sum_s = 0.0

    def add(self, latency_s: float) -> None:
        """Count one answer; seconds."""
        self.counts[bisect_left(TURNAROUND_BOUNDS_S, latency_s)] += 1
        self.sum_s += latency_s
