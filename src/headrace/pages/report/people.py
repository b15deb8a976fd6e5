"""The page's section on who answered: how much, how fast, how far they agree, and since when less.

See `report.page`, which has the other sections.
"""

from __future__ import annotations

from ...report import AnnotatorReport
from ..chronicle import Chronicle
from ..html import Section, make_section, make_table
from ..markup import count, percent
from .parts import Cells

_HEADER = [
    "annotator",
    "answers",
    "could not tell",
    "compared",
    "agreed",
    "95 %",
    "gold",
    "right",
    "95 %",
    "typical delay, s",
    "95 %",
    "agreed less",
]
_CAPTION = (
    "Compared: with a label that others gave too. Agreed: with that label. Gold: questions whose "
    "answer an expert has given. Right: with that answer. Typical delay: the "
    "geometric mean from request to answer. Agreed less: how often that was noticed."
)


def show_people(chronicle: Chronicle) -> Section:
    """Who answered, as a table."""
    report = chronicle.report
    if report is None or not report.annotators.most_active:
        return make_section("Who answered?", "Nobody, as far as is known.")
    alpha = "" if report.annotators.agreement is None else (
        f"Agreement beyond chance (Krippendorff's alpha): {report.annotators.agreement:.2f}."
    )  # fmt: skip
    falls = [
        f"{a.fall_sentence[0].upper()}{a.fall_sentence[1:]}."
        for a in report.annotators.most_active
        if a.fall
    ]
    rows = [_make_row(a) for a in report.annotators.most_active]
    return make_section("Who answered?", alpha, *falls, make_table(_HEADER, rows, caption=_CAPTION))


def _make_row(a: AnnotatorReport) -> Cells:
    low, typical, high = a.typical_latency_s or (None, None, None)
    return [
        a.name or "(no name)",
        count(a.answers_n),
        count(a.refused_n),
        count(a.compared_n),
        percent(a.agreed_n / a.compared_n) if a.compared_n else None,
        " to ".join(percent(bound) for bound in a.agreed_between or ()) or None,
        count(a.gold_n) if a.gold_n else None,
        percent(a.gold_right_n / a.gold_n) if a.gold_n else None,
        " to ".join(percent(bound) for bound in a.gold_between or ()) or None,
        None if typical is None else count(typical),
        None if low is None or high is None else f"{count(low)} to {count(high)}",
        count(a.falls_n) if a.falls_n else None,
    ]
