"""The annotators in a report: how much and how fast each answers, and how often with the label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..label.annotators import Annotator, Annotators, merge_annotators
from ..label.desk import Desk
from ..label.steadiness import Fall
from ..learn.intervals import Z, typical_of, wilson
from .numbers import EACH, MAX, MIN, number, optional

ANNOTATORS_MAX = 50
"""The most annotators in `AnnotatorsReport.most_active`."""

NUMBERED_MAX = 10
"""The most annotators in `AnnotatorsReport.by_number`: the first ones; others are added up."""

OTHERS = "(others)"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatorReport:
    """One annotator; shares are of answers that could be compared with a settled label.

    - `number`: counts the annotators in order of their first answer, from 1, and stands for them
      where a name must not be shown; 0 where several are added up;
    - `compared_n`, `agreed_n`: answers compared with a settled label, and those that named it;
    - `latency_s`: the sum of the seconds from request to answer;
    - `log_s`, `log_squares`: the sums, over `timed_n` answers, of the logarithm of these seconds
      and of its square;
    - `falls_n`: how often the agreement was found to fall; `fall`: the latest fall;
    - `gold_n`, `gold_right_n`: gold questions to which they named a class, and the true class;
    - `by_class`: comparisons of both kinds by label or true class: how many, and how many agreed.
    """

    name: str
    number: int
    answers_n: int
    refused_n: int
    compared_n: int
    agreed_n: int
    latency_s: float
    timed_n: int = 0
    log_s: float = 0.0
    log_squares: float = 0.0
    falls_n: int = 0
    fall: Fall | None = None
    gold_n: int = 0
    gold_right_n: int = 0
    by_class: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def mean_latency_s(self) -> float | None:
        """The mean seconds from request to answer; None before the first answer."""
        return self.latency_s / self.answers_n if self.answers_n else None

    @property
    def agreed_between(self) -> tuple[float, float] | None:
        """The 95 % interval of how often they name the settled label; see `wilson`.

        >>> cy = AnnotatorReport(
        ...     name="cy", number=3, answers_n=60, refused_n=4, compared_n=50, agreed_n=40,
        ...     latency_s=900.0)
        >>> [round(bound, 2) for bound in cy.agreed_between]
        [0.67, 0.89]
        """
        if not self.compared_n:
            return None
        return wilson(self.agreed_n / self.compared_n, self.compared_n, Z)

    @property
    def gold_between(self) -> tuple[float, float] | None:
        """The 95 % interval of how often they are right in gold questions; see `wilson`."""
        if not self.gold_n:
            return None
        return wilson(self.gold_right_n / self.gold_n, self.gold_n, Z)

    @property
    def typical_latency_s(self) -> tuple[float, float, float] | None:
        """Lower 95 % bound, geometric mean and upper bound of the seconds from request to answer.

        A night between request and answer changes it little. None before the third answer.
        """
        return typical_of(self.timed_n, self.log_s, self.log_squares)

    @property
    def fall_sentence(self) -> str:
        """The latest fall of the agreement as a sentence; empty if there was none.

        >>> AnnotatorReport(
        ...     name="cy", number=3, answers_n=8, refused_n=0, compared_n=0, agreed_n=0,
        ...     latency_s=0.0, falls_n=1, fall=Fall(9.0, 10, 20, 269, 299)).fall_sentence
        "annotator 'cy' agrees less: with 10 of the latest 20 labels, with 269 of 299 before"
        """
        if self.fall is None:
            return ""
        return (
            f"annotator {self.name!r} agrees less: with {self.fall.agreed_n} of the latest "
            f"{self.fall.n} labels, with {self.fall.agreed_before_n} of {self.fall.before_n} before"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatorsReport:
    """The annotators of a stream, and how well they agree."""

    known_n: int = number("annotators", "Annotators who have ever answered.", MAX)
    agreement: float | None = optional(
        "up to 1",
        "Krippendorff's alpha: how far annotators agree beyond chance, over ended requests with "
        "two answers or more. 1: fully; 0: as by chance. No sample before two classes were named.",
        MIN,
    )
    most_active: tuple[AnnotatorReport, ...] = number(
        "annotators", "The annotators with the most answers, 50 at most.", EACH, default=()
    )
    by_number: tuple[AnnotatorReport, ...] = number(
        "annotators",
        "The first 10 annotators who answered, and all others as one.",
        EACH,
        default=(),
    )


def join_annotators(desks: Sequence[Desk]) -> Annotators:
    """Join the annotators of several desks: the same name at two of them is one person."""
    if len(desks) == 1:
        return desks[0].annotators
    return merge_annotators([desk.annotators for desk in desks])


def report_annotators(annotators: Annotators) -> AnnotatorsReport:
    """Return the section about these annotators."""
    return AnnotatorsReport(
        known_n=len(annotators.by_name),
        agreement=annotators.alpha,
        most_active=_find_most_active(annotators),
        by_number=_list_by_number(annotators),
    )


def _find_most_active(annotators: Annotators) -> tuple[AnnotatorReport, ...]:
    """Return the annotators with the most answers, at most `ANNOTATORS_MAX`."""
    everybody = [
        _report_annotator(name, number, counts)
        for number, (name, counts) in enumerate(annotators.by_name.items(), start=1)
    ]
    return tuple(sorted(everybody, key=lambda a: (-a.answers_n, a.name))[:ANNOTATORS_MAX])


def _list_by_number(annotators: Annotators) -> tuple[AnnotatorReport, ...]:
    """Return the first annotators by their first answer, and last an entry for all others."""
    numbered = list(annotators.by_name.items())
    others = Annotator()
    for counts in (annotators.others, *(counts for _, counts in numbered[NUMBERED_MAX:])):
        others.add(counts)
    first = [
        _report_annotator(name, number, counts)
        for number, (name, counts) in enumerate(numbered[:NUMBERED_MAX], start=1)
    ]
    return (*first, _report_annotator(OTHERS, 0, others))


def _report_annotator(name: str, number: int, counts: Annotator) -> AnnotatorReport:
    return AnnotatorReport(
        name=name,
        number=number,
        answers_n=counts.answers_n,
        refused_n=counts.refused_n,
        compared_n=counts.compared_n,
        agreed_n=counts.agreed_n,
        latency_s=counts.latency_s,
        timed_n=counts.timed_n,
        log_s=counts.log_s,
        log_squares=counts.log_squares,
        falls_n=counts.steadiness.falls_n,
        fall=counts.steadiness.fall,
        gold_n=counts.gold_n,
        gold_right_n=counts.gold_right_n,
        by_class=dict(counts.by_class),
    )
