"""The demo's page: our engine's chronicle, beside the twin and the truth that only a demo knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ...messages import Output
from ...pages.chronicle import Chronicle
from ...pages.report.page import as_html
from ...pages.report.parts import describe_features
from ...pages.report.quality import Twin
from .duel import Duel

SAMPLES_N = 200


@dataclass
class DemoRecord:
    """What is remembered of a duel, for its page; `step_n` events lie between two points.

    >>> told = DemoRecord.of(Duel.of(1_000, seed=7), events_n=1_000)
    >>> told.step_n
    5
    """

    duel: Duel
    chronicle: Chronicle
    step_n: int
    twin: Twin = field(default_factory=Twin)
    sampled_n: int = 0

    @classmethod
    def of(cls, duel: Duel, events_n: int) -> DemoRecord:
        return cls(duel, Chronicle(duel.ours.engine.settings), max(1, events_n // SAMPLES_N))

    def note(self, outputs: Sequence[Output], *, is_last: bool = False) -> None:
        """What left our engine just now."""
        report = self.duel.ours.engine.report
        self.chronicle.happened(outputs, report.events.observed_n)
        self.chronicle.watched(report.drift.statistics)
        if is_last or report.events.observed_n - self.sampled_n >= self.step_n:
            self.sampled_n = report.events.observed_n
            self.chronicle.sample(report)
            ours, theirs = (side.engine.report.estimates.accuracy for side in self.duel.sides)
            self.twin.note(
                (ours, self.duel.ours.true_of(ours)), (theirs, self.duel.twin.true_of(theirs))
            )

    def as_html(self) -> str:
        """The page, when all is over. Raises `BadSettings` without matplotlib."""
        self.chronicle.features = describe_features(self.duel.ours.engine.schema)
        # On the page a cell has no indent.
        rows = [(row[0].replace("  ", "… "), *row[1:]) for row in self.duel.rows()]
        begun = (float(self.duel.ours.half_n), "drift put in")
        twin = replace(self.twin, rows=rows, verdict=self.duel.verdict(), marks=[begun])
        return as_html(self.chronicle, twin=twin)
