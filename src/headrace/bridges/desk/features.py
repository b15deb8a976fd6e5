"""How a question's features are shown: each against what is usual, the most telling first.

What is usual is told by the moments of all events that came between two requests, where the model
has them sent along; else by the questions at the desk. How much the model goes by a feature is the
correlation of its value with the probabilities that the model gave, over those questions: a hint
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
"""A text that is longer is shown as text, a shorter one as a category."""

_TO_TENTH = 1.2816  # so many standard deviations from the middle is the tenth part of a normal


class Usual:
    """What is usual in the questions given, and in the events between them.

    `texts`, `images` and `links` name features that are shown as such.
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
        self._influences = _influences(questions)

    def of(self, question: LabelRequested) -> list[dict[str, Any]]:
        """The features of a question, the most unusual and most influential first."""
        rows = [self._make_row(name, value) for name, value in question.features.items()]
        return sorted(rows, key=lambda row: -(row["unusual"] + (row["influence"] or 0.0)))

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
        """The tenth part, the middle and nine tenths of a feature; None if too little is known."""
        seen = self._numbers.get(name, [])
        moments = self._moments.get(name)
        if moments is not None and moments.n >= SEEN_MIN and moments.deviation > 0:
            away = _TO_TENTH * moments.deviation
            low, high = moments.mean - away, moments.mean + away
            if seen and min(seen) < moments.mean < max(seen):
                # A feature that is never negative shall not look as if it could be.
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


def _influences(questions: Sequence[LabelRequested]) -> dict[str, float]:
    """By feature, how closely its numbers go with the model's probability of any class, 0 to 1."""
    if len(questions) < CORRELATED_MIN:
        return {}
    classes = sorted({name for one in questions for name in one.prediction})
    chances = np.array([[one.prediction.get(name, 0.0) for name in classes] for one in questions])
    names = sorted({name for one in questions for name in one.features})
    found: dict[str, float] = {}
    for name in names:
        values = [one.features.get(name) for one in questions]
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
        found[name] = float(min(1.0, likeness.max(initial=0.0)))
    return found
