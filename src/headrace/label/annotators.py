"""What is known of the people who answer: how many, how fast, and how far they agree.

These are statistics: nothing here decides about a label. They are counted from the answers that
stand in each ended request, once a request; when a correction changes what stands, the old count is
taken back and the new one made, in whole numbers, so nothing drifts. Answers to gold questions are
counted apart, for they are compared with the truth (`gold`). Whether an annotator names the label
less often than before is watched apart (`steadiness`).

Limits: the first `annotators_max` annotators have counts of their own, all others share one; the
first `CLASSES_MAX` classes of each have counts of their own, others none.
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
    1.0,
    5.0,
    15.0,
    60.0,
    300.0,
    900.0,
    3_600.0,
    14_400.0,
    43_200.0,
    86_400.0,
    259_200.0,
    604_800.0,
)

Compared: TypeAlias = tuple[Sequence[Answer], str | None]
"""What stands in a request, and its label."""


@dataclass(slots=True)
class Annotator:
    """Counts of one annotator.

    `answers_n` counts answers as they arrive, corrections and refusals included. `compared_n`
    counts requests that have a label and at least two answers that name a class, one of them this
    annotator's; `agreed_n` those of them where it is the label. `latency_s` is the sum, in seconds,
    of the time from request to answer; of `timed_n` answers also the sums of its logarithm and of
    that squared, below a second as a second. `steadiness` watches whether the agreement falls.
    `gold_n` counts gold questions that they named a class for, `gold_right_n` those of them where
    it was the true one. `by_class` has both comparisons by the label or the true class: how many,
    and in how many of them it was named.
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
        """Before 2 only the mean of the time was known, and nobody was watched; before 3 there were
        no gold questions, and nothing was counted by class."""
        new = {"timed_n": 0, "log_s": 0.0, "log_squares": 0.0, "steadiness": Steadiness()}
        return new | fields | {"gold_n": 0, "gold_right_n": 0, "by_class": {}}

    def count_answer(self, answer: Answer, latency_s: float) -> None:
        """Count an answer that came so many seconds after its request."""
        log_s = math.log(max(1.0, latency_s))
        self.answers_n += 1
        self.refused_n += answer.label is None
        self.latency_s += latency_s
        self.timed_n += 1
        self.log_s += log_s
        self.log_squares += log_s * log_s

    def count_class(self, label: str, n: int, right_n: int) -> None:
        """Add to the comparisons of one class; a negative number takes back."""
        if label in self.by_class or len(self.by_class) < CLASSES_MAX:
            before_n, before_right_n = self.by_class.get(label, (0, 0))
            self.by_class[label] = (before_n + n, before_right_n + right_n)

    def add(self, other: Annotator) -> None:
        """Take in the counts of another desk, or of another person."""
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
    1 / (m - 1). Kept are the ordered pairs that disagree, by m, and how often each class was named.

    >>> alpha = Alpha()
    >>> for labels in [("a", "a"), ("b", "b"), ("a", "b")]:
    ...     alpha.count(labels, 1)
    >>> round(alpha.value, 3)
    0.444
    """

    disagreeing: dict[int, int] = field(default_factory=dict)
    named: dict[str, int] = field(default_factory=dict)

    def count(self, labels: Sequence[str], sign: int) -> None:
        """Add (`sign` 1) or take back (-1) one request; with fewer than two labels, nothing."""
        size = len(labels)
        if size < 2:
            return
        tally = {label: labels.count(label) for label in labels}
        pairs_n = size * size - sum(n * n for n in tally.values())
        self.disagreeing[size] = self.disagreeing.get(size, 0) + sign * pairs_n
        for label, n in tally.items():
            self.named[label] = self.named.get(label, 0) + sign * n

    def add(self, other: Alpha) -> None:
        """Take in the requests of another desk."""
        for size, pairs_n in other.disagreeing.items():
            self.disagreeing[size] = self.disagreeing.get(size, 0) + pairs_n
        for label, n in other.named.items():
            self.named[label] = self.named.get(label, 0) + n

    @property
    def value(self) -> float | None:
        """Alpha; none while fewer than two classes were named, where chance can't be told."""
        total_n = sum(self.named.values())
        expected_n = total_n * total_n - sum(n * n for n in self.named.values())
        if expected_n == 0:
            return None
        observed = sum(self.disagreeing[size] / (size - 1) for size in sorted(self.disagreeing))
        return 1.0 - (total_n - 1) * observed / expected_n


def error_of(alpha: Alpha, classes_n: int) -> float | None:
    """How often an answer is wrong, from how often two to one request disagree; none without two.

    Taken is that annotators err alike and independently, and that every wrong class is as likely:
    then two answers disagree with probability 2 e - e^2 k / (k - 1), k being the number of classes,
    which is solved for the smaller e: the symmetric case of Dawid and Skene (Applied Statistics 28,
    1979). Requests with a disagreement are often asked a third time, which makes it a little high.

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

    `by_name` holds at most `annotators_max` of them, in order of their first answer; the nameless
    one is `""`. `others` is shared by those who came later.
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

    def error(self, classes_n: int) -> float | None:
        """The share of answers that are wrong, from disagreement; see `error_of`."""
        return error_of(self._alpha, classes_n)

    def count_answer(self, answer: Answer, latency_s: float) -> None:
        """Count an answer that was accepted; `latency_s` is the time since its request."""
        self._find_counts(answer.annotator).count_answer(answer, latency_s)

    def count_comparisons(self, answers: Sequence[Answer], label: str | None, sign: int) -> None:
        """Count (`sign` 1) or take back (-1) the answers that stand in one ended request.

        `label` is the class it has, if any: disputes tell of agreement as well, but nobody can be
        compared with their label.
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
        """Count answers to gold questions about one request: those after instead of those before.

        Both are answers, and the truth; who is measured for the first time is watched too. `at` is
        when that was, seconds.
        """
        for (answers, truth), sign in ((before, -1), (after, 1)):
            for answer in _select_naming(answers, truth):
                annotator = self._find_counts(answer.annotator)
                annotator.gold_n += sign
                annotator.gold_right_n += sign * (answer.label == truth)
                annotator.count_class(str(truth), sign, sign * (answer.label == truth))
        known = {answer.annotator for answer in _select_naming(*before)}
        for answer in _select_naming(*after):
            if answer.annotator not in known:
                self._find_counts(answer.annotator).steadiness.note_comparison(
                    answer.label == after[1], at
                )

    def watch_agreement(self, before: Compared, after: Compared, at: float) -> None:
        """Tell each watch of those who are compared with a label now and were not before.

        Both are what stands in a request, and its label; `at` is when that changed, seconds.
        """
        if len(after[0]) < 2:
            return
        known = {answer.annotator for answer in _with_others(*before)}
        for answer in _with_others(*after):
            if answer.annotator not in known:
                watch = self._find_counts(answer.annotator).steadiness
                watch.note_comparison(answer.label == after[1], at)

    def _find_counts(self, name: str) -> Annotator:
        """A name never leaves `by_name`, so what is taken back is taken where it was counted."""
        annotator = self.by_name.get(name)
        if annotator is None:
            if len(self.by_name) >= self.annotators_max:
                return self.others
            annotator = self.by_name[name] = Annotator()
        return annotator


def _with_others(answers: Sequence[Answer], label: str | None) -> list[Answer]:
    """The answers that can be compared with a label that others gave too."""
    named = _select_naming(answers, label)
    return named if len(named) > 1 else []


def _select_naming(answers: Sequence[Answer], label: str | None) -> list[Answer]:
    """The answers that name a class, if there is one to compare them with."""
    return [answer for answer in answers if answer.label is not None] if label is not None else []


def merge_annotators(parts: Sequence[Annotators]) -> Annotators:
    """The counts of several desks together; annotators in order of the desks."""
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
    than the bound before; the last one counts those beyond all bounds.

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
