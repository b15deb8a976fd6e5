"""Assessing events on arrival: scores, guesses and doubts by one model version, many at once.

A shard goes from one counted point to the next and reads its part of the assessment. The assessment
of an event depends on no other event, so how many are assessed ahead changes no bit.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..observe.admission import Run
from ..observe.seen import Assessment, are_predicted, judged_of, served_over
from ..observe.signals import predicted_classes
from ..query.arrivals import LookAhead
from ..query.asking import Asking
from ..query.online import deviations_of
from ..query.strategies import BY_ROW, rate_rows
from .candidates import pool_of_arriving, select_probabilities
from .watched import Watched

AHEAD_MIN, AHEAD_MAX = 16, 1_024
"""Number of events assessed ahead, at least and at most."""


class Assessing(Watched):
    """The part of a shard that assesses events before they are observed; it changes no state."""

    asking: Asking
    # Not part of the state: the assessment of the current run, and how far ahead assessing pays.
    _assessed: Assessment | None = None
    _assessed_version = -1
    _ahead_n = 64

    def __getstate__(self) -> dict[str, Any]:
        left_out = ("_assessed", "_assessed_version", "_ahead_n")
        return {k: v for k, v in super().__getstate__().items() if k not in left_out}

    def _assess_run(self, run: Run, start: int) -> Assessment:
        """Return an assessment of event `start` of this run and some that follow it."""
        known, version = self._assessed, self.model.version
        if known is not None and known.run is not run:
            known = None
        if version != self._assessed_version:
            # Looking ahead pays until the next label.
            self._ahead_n = max(AHEAD_MIN, self._ahead_n // 2)
            known = None
        elif known is not None and start >= known.stop:
            self._ahead_n = min(AHEAD_MAX, self._ahead_n * 2)
            known = None
        if known is None:
            ahead = slice(start, start + self._ahead_n)
            scores = self.model.probabilities(
                run.rows[ahead], run.dated[ahead], partial(run.originals.features, start)
            )
        elif known.classes_n == len(self.schema.classes) and (
            known.guessed_by is self._evaluation.guessed_by
        ):
            return known
        else:
            scores = known.probabilities[start - known.start :]
        self._assessed_version = version
        self._assessed = assessment = self._make_assessment(run, start, scores)
        return assessment

    def _make_assessment(self, run: Run, start: int, scores: NDArray[np.float64]) -> Assessment:
        stop = start + len(scores)
        classes_n = len(self.schema.classes)
        # A class first settled within the run counts from here on, however events were batched.
        served = served_over(run.served[start:stop], classes_n)
        is_served = self.settings.evaluation.judged == "served"
        judged = judged_of(scores, served, is_served)
        confidence = np.maximum.reduce(judged, axis=1, initial=0.0)
        has_failures = bool(np.logical_or.reduce(np.isnan(confidence)))
        # Where the model failed, its confidence is NaN; a guess needs a number.
        guess = self._evaluation.guess_chances(
            np.fmax(confidence, 0.0) if has_failures else confidence
        )
        arrivals, errors = self.asking.arrivals, None
        if arrivals is not None and arrivals.estimate_share:
            errors = deviations_of(
                self._evaluation.guess_chances(confidence) if has_failures else guess
            )
        if not self.model.has_learned:
            are_told = are_predicted(served, has_learned=False, is_served=is_served)
            guess = np.where(are_told, guess, np.nan)
        doubts = None
        if arrivals is not None and self.asking.strategy in BY_ROW:
            source = self.settings.query.uncertainty_from
            doubts = rate_rows(
                self.asking.strategy,
                select_probabilities(scores, run.served[start:stop], classes_n, source),
            )
        return Assessment(
            run=run,
            start=start,
            stop=stop,
            classes_n=classes_n,
            guessed_by=self._evaluation.guessed_by,
            probabilities=scores,
            confidence=confidence,
            predicted=predicted_classes(judged),
            guess=guess,
            served=served,
            doubts=doubts,
            errors=errors,
            has_failures=has_failures,
        )

    def _look_ahead(self, said: Assessment, start: int, stop: int) -> LookAhead:
        """Return how many of events [start, stop) to observe until one is drawn, if one is."""
        arrivals, run = self.asking.arrivals, said.run
        if arrivals is None:
            hits = (run.luck[start:stop] < self.asking.control_p).nonzero()[0]
            return (
                LookAhead(int(hits[0]) + 1, True) if hits.size else LookAhead(stop - start, False)
            )
        arrivals.face_classes(said.probabilities.shape[1])
        part = said.slice_of(start, min(stop, start + arrivals.counted_n))
        probabilities, errors = said.probabilities[part], said.errors
        stop = start + len(probabilities)
        pool, is_duplicate = None, None
        if said.doubts is None or arrivals.reads_pools or self.asking.duplicates.is_set:
            members_of = self.model if arrivals.needs_members else None
            about = self.schema, self.settings.query.uncertainty_from
            pool = pool_of_arriving(run, start, probabilities, *about, members_of=members_of)
            is_duplicate = self.asking.duplicates.of_asked(pool.X, pool.keys, pool.is_category)
            doubts = self.asking.rate_doubts(pool) if said.doubts is None else said.doubts[part]
        else:
            doubts = said.doubts[part]
        needs = self._quota_needs(run.rows[start:stop], probabilities)
        errors = None if errors is None else errors[part]
        return arrivals.look_ahead(
            doubts, run.keys[start:stop], pool, needs, is_duplicate, errors=errors
        )

    def _quota_needs(
        self, rows: NDArray[np.float64], probabilities: NDArray[np.float64]
    ) -> NDArray[np.float64] | None:
        """How much quotas need each of these events, by its probabilities; (n,) or None."""
        schema = self.schema
        return self.asking.quotas.measure_needs(rows, probabilities, schema.classes, schema)
