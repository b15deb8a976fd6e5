"""How a question's features are shown: beside their usual values, the most telling first.

The usual range of a number is from the moments of all events that came between two requests, where
requests have them; otherwise from the questions at the desk. The influence of a feature on the
model is the correlation of its value with the model's probabilities, over those questions: a hint
for people, and no more.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...messages import LabelRequested, Moments, Value

QUESTIONS_N = 500
SEEN_MIN = 20
CORRELATED_MIN = 50
TEXT_FROM = 60
"""A text with more characters is shown as text, a shorter one as a category."""

_TO_TENTH = 1.2816  # standard deviations from the mean of a normal to its 10th percentile


class Usual:
    """The usual values of features, in some questions and in the events between them.

    `texts`, `images` and `links` are the names of features to show as texts, images or links.
    """

    def __init__(
        self,
        questions: Sequence[LabelRequested],
        *,
        texts: Sequence[str] = (),
        images: Sequence[str] = (),
        links: Sequence[str] = (),
    ) -> None:
        self._kinds = (
            dict.fromkeys(texts, "text") | dict.fromkeys(images, "image")
            | dict.fromkeys(links, "link")
        )  # fmt: skip
        self._numbers: dict[str, list[float]] = {}
        self._shares: dict[str, Counter[str]] = {}
        self._moments: dict[str, Moments] = {}
        for question in questions:
            for name, value in question.features.items():
                if _is_number(value):
                    self._numbers.setdefault(name, []).append(float(value))  # type: ignore[arg-type]
                elif value is not None and self._name_kind(name, value) == "category":
                    self._shares.setdefault(name, Counter())[str(value)] += 1
            if question.context is not None:
                for name, more in question.context.moments.items():
                    known = self._moments.get(name)
                    self._moments[name] = more if known is None else known.joined(more)
        self._influences = _measure_influences(questions)

    def rank_features(self, question: LabelRequested) -> list[dict[str, Any]]:
        """Return the features of a question: those that settings name, then the most unusual.

        Each is a dict with `name`, `value`, `kind`, `usual` (a range, a share or None), `unusual`
        from 0 to 1, and `influence` from 0 to 1 or None.
        """
        rows = [self._make_row(name, value) for name, value in question.features.items()]
        # What settings show as text, image or link is what people label: it stands first.
        return sorted(
            rows,
            key=lambda row: (
                row["name"] not in self._kinds,
                -(row["unusual"] + (row["influence"] or 0.0)),
            ),
        )

    def _make_row(self, name: str, value: Value) -> dict[str, Any]:
        kind = self._name_kind(name, value)
        row: dict[str, Any] = {"name": name, "value": value, "kind": kind, "usual": None}
        row |= {"unusual": 0.0, "influence": self._influences.get(name)}
        if kind == "number" and (usual := self._find_range(name)) is not None:
            low, middle, high = usual
            row["usual"] = {"low": low, "middle": middle, "high": high}
            if _is_number(value):
                half = max(high - middle, middle - low)
                away = abs(float(value) - middle)  # type: ignore[arg-type]
                # 0.5 at the edge of the usual range, towards 1 beyond.
                row["unusual"] = away / (away + half) if away else 0.0
        elif kind == "category" and value is not None and (seen := self._shares.get(name)):
            total_n = seen.total()
            if total_n >= SEEN_MIN:
                share = seen[str(value)] / total_n
                row["usual"] = {"share": share}
                row["unusual"] = 1.0 - share
        if isinstance(value, float) and not math.isfinite(value):
            row["value"] = str(value)
        elif isinstance(value, int) and not isinstance(value, bool) and abs(value) > 1 << 53:
            row["value"] = str(value)  # a browser's numbers end there
        return row

    def _name_kind(self, name: str, value: Value) -> str:
        if name in self._kinds:
            return self._kinds[name]
        if _is_number(value) or (value is None and name in self._numbers):
            return "number"
        return "text" if isinstance(value, str) and len(value) > TEXT_FROM else "category"

    def _find_range(self, name: str) -> tuple[float, float, float] | None:
        """Return a feature's 10th, 50th and 90th percentiles; None where too little is known.

        They are those of a normal with its moments, or else those of its values in the questions.
        """
        seen = self._numbers.get(name, [])
        moments = self._moments.get(name)
        if moments is not None and moments.n >= SEEN_MIN and moments.deviation > 0:
            away = _TO_TENTH * moments.deviation
            low, high = moments.mean - away, moments.mean + away
            if seen and min(seen) < moments.mean < max(seen):
                # The range stays within values seen, so that no negative length or price is shown.
                low, high = max(low, min(seen)), min(high, max(seen))
            return low, moments.mean, high
        if len(seen) < SEEN_MIN:
            return None
        low, middle, high = np.quantile(np.array(seen), (0.1, 0.5, 0.9)).tolist()
        return (low, middle, high) if low < high else None


def _is_number(value: Value) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and abs(value) < 1e300


def _measure_influences(questions: Sequence[LabelRequested]) -> dict[str, float]:
    """Return by feature its largest absolute correlation with the probability of a class."""
    if len(questions) < CORRELATED_MIN:
        return {}
    classes = sorted({name for question in questions for name in question.prediction})
    chances = np.array(
        [[question.prediction.get(name, 0.0) for name in classes] for question in questions]
    )
    names = sorted({name for question in questions for name in question.features})
    influences: dict[str, float] = {}
    for name in names:
        values = [question.features.get(name) for question in questions]
        rows = np.array([_is_number(value) for value in values])
        if rows.sum() < CORRELATED_MIN:
            continue
        column = np.array([float(value) for value in values if _is_number(value)])  # type: ignore[arg-type]
        if (spread := column.std()) == 0:
            continue
        apart = chances[rows] - chances[rows].mean(axis=0)
        spreads = apart.std(axis=0)
        shared = ((column - column.mean())[:, None] * apart).mean(axis=0)
        likeness = np.abs(shared) / np.where(spreads > 0, spread * spreads, np.inf)
        influences[name] = float(min(1.0, likeness.max(initial=0.0)))
    return influences
