"""Quality beyond accuracy, from labels that were chosen: recall, precision, F1, kappa, calibration.

A set of labels is stored as a weighted confusion matrix: each label counts 1/p in the cell of its
class and of the class that was predicted on arrival. Every measure here is a smooth function of the
cells, so its variance is that of a sum over the sample: each label's weight times the slope of the
measure at its cell (linearisation by influence functions: Deville, "Variance estimation for complex
statistics and estimators", Survey Methodology 25, 1999; Särndal, Swensson, Wretman, 1992, ch. 5.5).
The events are fixed and only the draw of the labels is random, so no drift makes this wrong.
Classes with few labels get the same care as the accuracy in `estimate`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import msgspec

from .intervals import interval_of, variance_of

Cell: TypeAlias = tuple[str, str]
"""The class of the label, and the predicted class, "" if none was predicted."""

THIN_N = 5.0
"""Below this number of labels of a class, counted as blind draws, its interval is almost useless.
"""

_BINS_N = 10  # Bins of confidence for the calibration error, equally wide over [0, 1].


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """One measure with its 95 % interval; all `None` without a label that counts for it.

    `labels_n` labels count for it; they weigh as much as `effective_n` blind draws.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    labels_n: int = 0
    effective_n: float = 0.0

    @property
    def is_thin(self) -> bool:
        """Whether there are too few labels to be useful: the interval is honest, but very wide."""
        return self.effective_n < THIN_N


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """Measures over the classes that have a label, with each label weighted by 1/p.

    `balanced_accuracy` is the mean of the recalls, `macro_f1` of the F1s; `kappa` is Cohen's.
    `recall` is by the class of the label, `precision` by the class predicted. `calibration_error`
    is the expected calibration error (ECE) over ten bins of confidence; `calibration_floor` is the
    value that chance alone would cause with this number of labels, if confidences were exact.
    """

    balanced_accuracy: Rate = Rate()
    kappa: Rate = Rate()
    macro_f1: Rate = Rate()
    recall: dict[str, Rate] = msgspec.field(default_factory=dict)
    precision: dict[str, Rate] = msgspec.field(default_factory=dict)
    calibration_error: float | None = None
    calibration_floor: float | None = None


class Cells:
    """The weighted confusion matrix, and confidence against truth in bins; two can be added.

    Each cell has the number of labels, the sum of their weights and the sum of the weights squared;
    each bin has the sums of w, w^2, w * confidence and w * right.

    >>> cells = Cells()
    >>> for label, predicted in [("ham", "ham")] * 8 + [("spam", "spam"), ("spam", "ham")]:
    ...     cells.add(label, predicted, 1.0, 0.9)
    >>> found = quality_of(cells, 1.0)
    >>> round(found.balanced_accuracy.value, 2), round(found.kappa.value, 2)
    (0.75, 0.62)
    >>> found.recall["spam"].is_thin
    True
    """

    def __init__(self) -> None:
        self.by_cell: dict[Cell, tuple[int, float, float]] = {}
        self.bins: list[tuple[float, float, float, float]] = [(0.0, 0.0, 0.0, 0.0)] * _BINS_N

    def add(self, label: str, predicted: str, weight: float, confidence: float) -> None:
        """Add one label: its class, the predicted class, its weight, the confidence on arrival.

        It is ignored if its class is empty.
        """
        if not label:
            return
        n, w, ww = self.by_cell.get((label, predicted), (0, 0.0, 0.0))
        self.by_cell[label, predicted] = (n + 1, w + weight, ww + weight * weight)
        trusted = 0.5 if math.isnan(confidence) else min(1.0, max(0.0, confidence))
        b = min(int(trusted * _BINS_N), _BINS_N - 1)
        w, ww, confident, right = self.bins[b]
        is_right = float(label == predicted)
        self.bins[b] = (
            w + weight,
            ww + weight * weight,
            confident + weight * trusted,
            right + weight * is_right,
        )

    def __add__(self, other: Cells) -> Cells:
        total = Cells()
        total.by_cell = dict(self.by_cell)
        for cell, (n, w, ww) in other.by_cell.items():
            own = total.by_cell.get(cell, (0, 0.0, 0.0))
            total.by_cell[cell] = (own[0] + n, own[1] + w, own[2] + ww)
        total.bins = [
            (a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3])
            for a, b in zip(self.bins, other.bins, strict=True)
        ]
        return total


def quality_of(cells: Cells, q: float) -> Quality:
    """The measures from the cells; `q` is the share of the requests that have a label."""
    if not cells.by_cell:
        return Quality()
    matrix = _Matrix(cells, q)
    recall = {a: matrix.share_of(matrix.rows[a], (a, a)) for a in matrix.classes}
    named = {b: column for b, column in matrix.columns.items() if b}
    precision = {b: matrix.share_of(column, (b, b)) for b, column in named.items()}
    error, floor = _calibration(cells)
    return Quality(
        balanced_accuracy=_mean_of(list(recall.values())),
        kappa=matrix.kappa(),
        macro_f1=matrix.macro_f1(),
        recall={a: share.rate for a, share in recall.items()},
        precision={b: share.rate for b, share in precision.items()},
        calibration_error=error,
        calibration_floor=floor,
    )


class _Share(NamedTuple):
    """A share among the labels of some cells, with its variance."""

    rate: Rate
    variance: float


class _Matrix:
    """The cells by row (class of the label) and column (predicted class), in order of name."""

    def __init__(self, cells: Cells, q: float) -> None:
        self.q = q
        self.cells = dict(sorted(cells.by_cell.items()))
        self.rows: dict[str, list[Cell]] = {}
        self.columns: dict[str, list[Cell]] = {}
        for cell in self.cells:
            self.rows.setdefault(cell[0], []).append(cell)
            self.columns.setdefault(cell[1], []).append(cell)
        self.classes = list(self.rows)
        self.w = math.fsum(w for _, w, _ in self.cells.values())
        self.ww = math.fsum(ww for _, _, ww in self.cells.values())
        self.labels_n = sum(n for n, _, _ in self.cells.values())

    def weight(self, cells: Sequence[Cell]) -> float:
        """The sum of the weights in these cells."""
        return math.fsum(self.cells[cell][1] for cell in cells)

    def squares(self, slopes: Mapping[Cell, float]) -> float:
        """The sum of w (w - q) slope^2 over the labels: the variance of a measure by its slopes."""
        return math.fsum(
            (self.cells[cell][2] - self.q * self.cells[cell][1]) * slope * slope
            for cell, slope in slopes.items()
        )

    def rarer_n(self, right: Sequence[Cell], labels_n: int) -> int:
        """The number of labels in the cells `right`, or of the others, whichever is smaller."""
        right_n = sum(self.cells[cell][0] for cell in right if cell in self.cells)
        return min(right_n, labels_n - right_n)

    def share_of(self, cells: Sequence[Cell], right: Cell) -> _Share:
        """The share of the cell `right` among these, as `estimate_of` does it without a guess."""
        w, ww = self.weight(cells), math.fsum(self.cells[cell][2] for cell in cells)
        value = self.cells[right][1] / w if right in self.cells else 0.0
        effective_n = w * w / ww
        squares = self.squares({cell: float(cell == right) - value for cell in cells})
        labels_n = sum(self.cells[cell][0] for cell in cells)
        rarer_n = self.rarer_n([right], labels_n)
        variance = variance_of(value, squares, w, ww, q=self.q, rarer_n=rarer_n)
        low, high = interval_of(value, variance, effective_n, effective_n - 1.0)
        rate = Rate(value=value, low=low, high=high, labels_n=labels_n, effective_n=effective_n)
        return _Share(rate, variance)

    def kappa(self) -> Rate:
        """Cohen's kappa; its interval is that of the accuracy, with chance agreement held fixed."""
        share_by_row = {a: self.weight(row) / self.w for a, row in self.rows.items()}
        share_by_column = {b: self.weight(column) / self.w for b, column in self.columns.items()}
        right = math.fsum(w for (a, b), (_, w, _) in self.cells.items() if a == b) / self.w
        chance = math.fsum(share * share_by_column.get(a, 0.0) for a, share in share_by_row.items())
        if chance >= 1.0:
            return Rate(labels_n=self.labels_n)
        # Slopes of (right - chance) / (1 - chance), times 1 - chance: those of `right`, and those
        # by the margins. They are centred, as kappa does not change if all weights grow alike.
        kappa = (right - chance) / (1.0 - chance)
        slopes = {}
        for a, b in self.cells:
            by_margins = share_by_row.get(b, 0.0) + share_by_column.get(a, 0.0)
            slopes[a, b] = float(a == b) - right - (1.0 - kappa) * (by_margins - 2.0 * chance)
        effective_n = self.w * self.w / self.ww
        variance = variance_of(
            right,
            self.squares(slopes),
            self.w,
            self.ww,
            q=self.q,
            rarer_n=self.rarer_n([(a, a) for a in self.classes], self.labels_n),
        )
        low, high = interval_of(right, variance, effective_n, effective_n - 1.0)
        return Rate(
            value=kappa,
            low=max(-1.0, (low - chance) / (1.0 - chance)),
            high=(high - chance) / (1.0 - chance),
            labels_n=self.labels_n,
            effective_n=effective_n,
        )

    def macro_f1(self) -> Rate:
        """The mean of the F1s; its variance includes their covariances."""
        k = len(self.classes)
        slopes = dict.fromkeys(self.cells, 0.0)
        shares: list[_Share] = []
        apart = 0.0
        for a in self.classes:
            own = list(dict.fromkeys([*self.rows[a], *self.columns.get(a, [])]))
            sides = self.weight(self.rows[a]) + self.weight(self.columns.get(a, []))
            f1 = 2.0 * self.cells[a, a][1] / sides if (a, a) in self.cells else 0.0
            own_slopes = {
                (b, c): (2.0 * (b == c) - f1 * ((b == a) + (c == a))) / sides for b, c in own
            }
            for cell, slope in own_slopes.items():
                slopes[cell] += slope / k
            w, ww = self.weight(own), math.fsum(self.cells[cell][2] for cell in own)
            rarer_n = self.rarer_n([(a, a)], sum(self.cells[cell][0] for cell in own))
            variance = variance_of(
                f1, self.squares(own_slopes) * w * w, w, ww, q=self.q, rarer_n=rarer_n
            )
            labels_n = sum(self.cells[cell][0] for cell in self.rows[a])
            rate = Rate(value=f1, labels_n=labels_n, effective_n=w * w / ww)
            shares.append(_Share(rate, variance))
            apart += self.squares(own_slopes) / (k * k)
        return _mean_of(shares, self.squares(slopes) - apart)


def _mean_of(shares: Sequence[_Share], covariances: float = 0.0) -> Rate:
    """The mean of several shares, with Satterthwaite's degrees of freedom."""
    k = len(shares)
    value = math.fsum(share.rate.value or 0.0 for share in shares) / k
    effective_n = math.fsum(share.rate.effective_n for share in shares)
    own = math.fsum(share.variance for share in shares)
    bend = math.fsum(share.variance**2 / max(share.rate.effective_n - 1.0, 1.0) for share in shares)
    variance = max(own / (k * k) + covariances, 0.0)
    low, high = interval_of(value, variance, effective_n, own * own / bend if bend else math.inf)
    labels_n = sum(share.rate.labels_n for share in shares)
    return Rate(value=value, low=low, high=high, labels_n=labels_n, effective_n=effective_n)


def _calibration(cells: Cells) -> tuple[float | None, float | None]:
    """The ECE (Naeini, Cooper, Hauskrecht, AAAI 2015), and its mean if confidences are exact."""
    total = math.fsum(w for w, _, _, _ in cells.bins)
    if total == 0.0:
        return None, None
    error = math.fsum(abs(confident - right) for _, _, confident, right in cells.bins) / total
    floor = 0.0
    for w, ww, confident, _ in cells.bins:
        if w > 0.0:
            mean = confident / w
            floor += math.sqrt(2.0 / math.pi * ww * mean * (1.0 - mean))
    return error, floor / total
