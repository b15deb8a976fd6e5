"""A Gaussian process on one-hot labels that tunes itself and learns how fast to forget.

It is regression in closed form (Rasmussen and Williams, "Gaussian processes for machine learning",
2006, eq. 2.25), with one kernel of a local, a linear and a recent part:

    k(a, b) = s1 exp(-|a - b|_r^2 / 2) e^(-t/T1) + s2 <a, b>_r e^(-t/T2) + s3 e^(-t/T3) + noise

`t` is the time between the two events, `r` a relevance for each feature. Relevances, weights s,
noise and the three memories T climb the marginal likelihood (eq. 5.9), with a Gaussian prior around
their defaults, one step of Adam (Kingma and Ba, 2015) at a time. Leave-one-out predictions, which
cost nothing here (eq. 5.12), choose how sharply scores become probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dger
from scipy.linalg.lapack import dpotrf, dpotri

from ...errors import BrokenInvariant
from .evidence import Course, Evidence, Floats, Rows, product_by_row, softmax

SHARPNESSES = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0)
"""Candidates for the factor between scores and log probabilities."""

DEFAULTS = {
    "local": 1.0,
    "linear": 0.5,
    "recent": 0.05,
    "noise": 0.4,
    "local_memory": 1000.0,
    "linear_memory": 1000.0,
    "recent_memory": 50.0,
}
"""The start of the settings and the mean of their prior. The first two memories are in label gaps,
the last in event gaps: recent evidence counts by the number of events since."""

RATE, STEP_MIN, TUNED_MIN = 0.07, 1e-3, 8
_JITTER = 1e-6
_SHARPNESSES = np.array(SHARPNESSES)
_STATE = ("has_relevance", "has_time", "_features_n", "_settings", "_moments", "_steps_n")


class GaussianProcess:
    """A Gaussian process on one-hot labels that tunes itself, as a member of a committee.

    Regression in closed form (Rasmussen and Williams, "Gaussian processes for machine learning",
    2006, eq. 2.25), whose settings climb the marginal likelihood (eq. 5.9).

    Args:
        has_relevance: Whether each feature has a relevance of its own.
        has_time: Whether evidence ages. Both can be switched off to measure their benefit.

    >>> Z, codes = np.array([[-1.0], [-0.9], [1.0], [1.1]]), np.array([0, 0, 1, 1])
    >>> evidence = Evidence(Z=Z, codes=codes, at=np.arange(4.0), weights=np.ones(4), classes_n=2,
    ...     feature_of=np.zeros(1, int), label_gap=1.0, event_gap=1.0)
    >>> member = GaussianProcess()
    >>> member.fit(evidence)
    >>> new = Rows(Z=np.array([[1.0]]), at=np.array([4.0]), classes_n=2, features=lambda i: {})
    >>> bool(member.predict(new)[0, 1] > 0.7)
    True
    """

    trust: ClassVar[float] = 8.0

    def __init__(self, *, has_relevance: bool = True, has_time: bool = True) -> None:
        self.has_relevance = has_relevance
        self.has_time = has_time
        self._features_n = 0
        # Logarithms of the relevances over the default, then of DEFAULTS in order; Adam's moments.
        self._settings = np.log(np.array(list(DEFAULTS.values())))
        self._moments = np.zeros((2, len(DEFAULTS)))
        self._steps_n = 0
        self._solved: _Solved | None = None
        self._fitted: _Fitted | None = None

    @property
    def settings(self) -> dict[str, float]:
        """The present weights, noise and memories, by the names in `DEFAULTS`."""
        values = np.exp(self._settings[self._features_n :]).tolist()
        return dict(zip(DEFAULTS, values, strict=True))

    @property
    def relevances(self) -> Floats:
        """The relevance of each feature, shape (features,), relative to 1 / features."""
        relative: Floats = np.exp(self._settings[: self._features_n])
        return relative

    def __getstate__(self) -> dict[str, Any]:
        """The settings and Adam's state, without what is solved from the evidence."""
        return {name: self.__dict__[name] for name in _STATE}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._solved = None
        self._fitted = None

    # ---------------------------------------------------------------------------------- learning

    def tune(self, evidence: Evidence) -> None:
        """Move the settings one step up the likelihood; costs O(m^2 d) and a `fit`.

        Args:
            evidence: m rows of d columns; nothing happens below 8.
        """
        if len(evidence) < TUNED_MIN:
            return
        solved = self._solve(evidence)
        rows = solved.rows
        targets, _, _ = _targets_of(rows)
        weights = solved.inverse @ targets
        # The gradient of the likelihood by the kernel: half of the outer product minus the inverse.
        slope = 0.5 * (weights @ weights.T - solved.inverse)
        self._move(self._compute_gradient(rows, solved.kernel, slope))

    def fit(self, evidence: Evidence) -> None:
        """Solve for the evidence.

        It costs O(m^3 + m^2 d) at the start of a course and after settings moved, O(m^2) per step.

        Args:
            evidence: m rows of d columns.
        """
        solved = self._solve(evidence)
        rows, inverse = solved.rows, solved.inverse
        targets, shares, size = _targets_of(rows)
        weights = inverse @ targets
        left_out = size * (targets - weights / np.diag(inverse)[:, np.newaxis]) + shares
        sharpness = _best_sharpness(left_out, rows.codes)
        self._fitted = self._fold_evidence(rows, weights * size, shares, sharpness)

    def _solve(self, evidence: Evidence) -> _Solved:
        """The kernel of the evidence and its inverse, updated along the course of the evidence."""
        course = Course(evidence) if evidence.course is None else evidence.course
        if self._solved is None or self._solved.course is not course:
            self._add_features(evidence)
            self._solved = self._solve_at_once(course)
        solved = self._solved
        for number in range(course.base_n + solved.steps_n, len(course.rows)):
            self._take_step(solved, number)
        # Classes may have come since the course began.
        rows = replace(course.rows, classes_n=evidence.classes_n)
        solved.rows = rows.take(solved.numbers)
        return solved

    def _solve_at_once(self, course: Course) -> _Solved:
        numbers = np.arange(course.base_n)
        rows = course.rows.take(numbers)
        kernel = self._compute_kernel(rows, rows)
        total = kernel.total
        total[np.diag_indices(len(total))] += self._noise_of(rows)
        return _Solved(course, numbers, rows, kernel, _invert_matrix(total))

    def _take_step(self, solved: _Solved, number: int) -> None:
        """Take one step of the course: row `number` replaces the row that leaves."""
        gone = solved.course.gone[solved.steps_n]
        solved.steps_n += 1
        if gone == number:
            return
        place = solved.replace(gone, number)
        rows = solved.course.rows
        row_kernel = self._compute_kernel(rows.take(np.array([number])), rows.take(solved.numbers))
        solved.kernel.put(place, row_kernel)
        noise = float(self._noise_of(rows.take(np.array([number])))[0])
        if not _invert_grown(solved.inverse, place, row_kernel.total[0], noise):
            total = solved.kernel.total
            total[np.diag_indices(len(total))] += self._noise_of(rows.take(solved.numbers))
            solved.inverse = _invert_matrix(total)

    def _add_features(self, evidence: Evidence) -> None:
        """Add settings for new features, at the default relevance; when this runs has no effect."""
        more_n = int(evidence.feature_of.max(initial=-1)) + 1 - self._features_n
        if more_n > 0:
            at = self._features_n
            self._settings = np.insert(self._settings, at, np.zeros(more_n))
            self._moments = np.insert(self._moments, at, np.zeros((more_n, 2)), axis=1)
            self._features_n += more_n

    def _defaults(self) -> Floats:
        logs = np.log(np.array(list(DEFAULTS.values())))
        return np.concatenate([np.zeros(self._features_n), logs])

    def _compute_kernel(self, some: Evidence, others: Evidence) -> _Kernel:
        """The kernel between these rows and the others, without noise."""
        values, roots = self.settings, self._roots(some)
        left, right = some.Z * roots, others.Z * roots
        inner = left @ right.T
        near = inner - 0.5 * np.add.reduce(left * left, axis=1)[:, np.newaxis]
        near -= 0.5 * np.add.reduce(right * right, axis=1)
        local = values["local"] * np.exp(np.minimum(near, 0.0, out=near), out=near)
        linear = values["linear"] * inner
        if not self.has_time:
            return _Kernel(local, linear, np.zeros_like(inner), np.ones_like(inner))
        apart = np.abs(some.at[:, np.newaxis] - others.at)
        local *= np.exp(apart / -(values["local_memory"] * some.label_gap))
        fading = np.exp(apart / -(values["linear_memory"] * some.label_gap))
        linear *= fading
        apart /= -(values["recent_memory"] * some.event_gap)
        return _Kernel(local, linear, values["recent"] * np.exp(apart, out=apart), fading)

    def _noise_of(self, rows: Evidence) -> Floats:
        """The noise on the diagonal, shape (m,)."""
        noise: Floats = self.settings["noise"] / rows.weights + _JITTER
        return noise

    def _roots(self, evidence: Evidence) -> Floats:
        """Square roots of the relevances, shape (d,), one for each column."""
        default = np.sqrt(1.0 / max(1, self._features_n))
        roots: Floats = default * np.exp(0.5 * self._settings[: self._features_n])
        return roots[evidence.feature_of]

    def _compute_gradient(self, evidence: Evidence, kernel: _Kernel, slope: Floats) -> Floats:
        """The gradient of the log likelihood and the prior by the logarithms of the settings.

        `slope`, shape (m, m), is the gradient of the likelihood by the entries of the kernel.
        """
        values, n = self.settings, self._features_n
        gradient = np.zeros(len(self._settings))
        by_local, by_linear, by_recent = (
            slope * kernel.local,
            slope * kernel.linear,
            slope * kernel.recent,
        )
        if self.has_relevance:
            Z, relevance = evidence.Z, self._roots(evidence) ** 2
            by_column = np.add.reduce(Z * (by_local @ Z), axis=0)
            by_column = by_column - np.add.reduce(by_local, axis=1) @ (Z * Z)
            fading = values["linear"] * slope * kernel.fading
            by_column += np.add.reduce(Z * (fading @ Z), axis=0)
            gradient[:n] = np.bincount(evidence.feature_of, by_column * relevance, minlength=n)
        gradient[n : n + 4] = [
            by_local.sum(),
            by_linear.sum(),
            by_recent.sum(),
            values["noise"] * (np.diag(slope) / evidence.weights).sum(),
        ]
        if self.has_time:
            apart = np.abs(evidence.at[:, np.newaxis] - evidence.at)
            gradient[n + 4 :] = [
                (by_local * apart).sum() / (values["local_memory"] * evidence.label_gap),
                (by_linear * apart).sum() / (values["linear_memory"] * evidence.label_gap),
                (by_recent * apart).sum() / (values["recent_memory"] * evidence.event_gap),
            ]
        hold = np.ones(len(gradient))
        hold[-1] = 2.0
        held: Floats = gradient - hold * (self._settings - self._defaults())
        return held

    def _move(self, gradient: Floats) -> None:
        """Take one step of Adam."""
        self._steps_n += 1
        self._moments[0] = 0.9 * self._moments[0] + 0.1 * gradient
        self._moments[1] = 0.99 * self._moments[1] + 0.01 * gradient * gradient
        mean = self._moments[0] / (1.0 - 0.9**self._steps_n)
        square = self._moments[1] / (1.0 - 0.99**self._steps_n)
        self._settings = self._settings + RATE * mean / (np.sqrt(square) + STEP_MIN)
        self._solved = None

    # -------------------------------------------------------------------------------- predicting

    def _fold_evidence(
        self, evidence: Evidence, weights: Floats, shares: Floats, sharpness: float
    ) -> _Fitted:
        """Compute everything that does not depend on a new row, as a few small arrays.

        For a row later than all evidence, e^(-t/T) is the product of a factor of the row and one of
        the label, so the linear part shrinks to a matrix (d, k), the recent one to a vector (k,).
        """
        values = self.settings
        newest = float(evidence.at.max())
        age = newest - evidence.at
        roots = self._roots(evidence)
        scaled = evidence.Z * roots
        rates, faded = np.zeros(3), np.ones((3, len(evidence)))
        if self.has_time:
            memories = np.array(
                [
                    values["local_memory"] * evidence.label_gap,
                    values["linear_memory"] * evidence.label_gap,
                    values["recent_memory"] * evidence.event_gap,
                ]
            )
            rates = 1.0 / memories
            faded = np.exp(-age * rates[:, np.newaxis])
        recent = values["recent"] if self.has_time else 0.0
        return _Fitted(
            newest=newest,
            roots=roots,
            columns=np.ascontiguousarray(scaled.T),
            squares=0.5 * np.add.reduce(scaled * scaled, axis=1),
            rates=rates,
            local=values["local"] * faded[0][:, np.newaxis] * weights,
            linear=values["linear"] * (scaled.T @ (faded[1][:, np.newaxis] * weights)),
            recent=recent * (faded[2] @ weights),
            shares=shares,
            sharpness=sharpness,
        )

    def predict(self, rows: Rows) -> Floats:
        """Predict; a row older than the newest label is given that time.

        Args:
            rows: n events.

        Returns:
            Probabilities, shape (n, k).

        Raises:
            BrokenInvariant: There was no `fit` before.
        """
        if self._fitted is None:
            raise BrokenInvariant("a Gaussian process predicts what it was not fitted for")
        return self._fitted.predict(rows)


@dataclass(frozen=True, eq=False, slots=True)
class _Fitted:
    """The prediction of any later row from m labels of d columns and k classes.

    - `newest`: the time of the latest label; `rates`: 1 / T, shape (3,).
    - `roots`: square roots of the relevances, shape (d,).
    - `columns`, shape (d, m), and `squares`, shape (m,): for the distances.
    - `local` (m, k), `linear` (d, k), `recent` (k,): the three parts of the scores.
    - `shares`, shape (k,): added to the scores; `sharpness`: makes them probabilities.
    """

    newest: float
    roots: Floats
    columns: Floats
    squares: Floats
    rates: Floats
    local: Floats
    linear: Floats
    recent: Floats
    shares: Floats
    sharpness: float

    def predict(self, rows: Rows) -> Floats:
        """Probabilities, shape (n, k)."""
        scaled = rows.Z * self.roots
        since = np.maximum(rows.at - self.newest, 0.0)[:, np.newaxis]
        distance = product_by_row(scaled, self.columns)
        distance -= 0.5 * np.add.reduce(scaled * scaled, axis=1)[:, np.newaxis]
        distance -= self.squares
        near = np.exp(np.minimum(distance, 0.0, out=distance), out=distance)
        scores = product_by_row(near, self.local) * np.exp(-since * self.rates[0])
        scores += product_by_row(scaled, self.linear) * np.exp(-since * self.rates[1])
        scores += self.recent * np.exp(-since * self.rates[2])
        return softmax(self.sharpness * (scores + self.shares))


@dataclass(eq=False, slots=True)
class _Kernel:
    """The three parts of a kernel, and the factor by which the linear one fades; of one shape."""

    local: Floats
    linear: Floats
    recent: Floats
    fading: Floats

    @property
    def total(self) -> Floats:
        """Their sum, a new array."""
        total: Floats = self.local + self.linear
        total += self.recent
        return total

    def grow(self) -> None:
        """Add an empty row and column at the end."""
        self.local, self.linear = _grow_matrix(self.local), _grow_matrix(self.linear)
        self.recent, self.fading = _grow_matrix(self.recent), _grow_matrix(self.fading)

    def put(self, place: int, row: _Kernel) -> None:
        """Set row and column `place` to these, shape (1, m)."""
        for part, new in (
            (self.local, row.local),
            (self.linear, row.linear),
            (self.recent, row.recent),
            (self.fading, row.fading),
        ):
            part[place] = part[:, place] = new[0]


@dataclass(eq=False, slots=True)
class _Solved:
    """The solution for a course after `steps_n` of its steps.

    `kernel` and `inverse` have shape (m, m). `numbers`, shape (m,), are the numbers in the course
    of the rows behind them, in their order; `rows` are these rows.
    """

    course: Course
    numbers: NDArray[np.intp]
    rows: Evidence
    kernel: _Kernel
    inverse: Floats
    steps_n: int = 0

    def replace(self, gone: int, number: int) -> int:
        """Put row `number` in the place of the row `gone`, or at the end if that is -1.

        Returns the place.
        """
        if gone >= 0:
            place = int((self.numbers == gone).nonzero()[0][0])
            self.numbers[place] = number
            _invert_shrunken(self.inverse, place)
            return place
        self.numbers = np.append(self.numbers, number)
        self.kernel.grow()
        self.inverse = _grow_matrix(self.inverse)
        return len(self.numbers) - 1


def _grow_matrix(matrix: Floats) -> Floats:
    """The matrix with a row and a column of 0 added."""
    m = len(matrix)
    grown = np.zeros((m + 1, m + 1))
    grown[:m, :m] = matrix
    return grown


def _invert_shrunken(inverse: Floats, place: int) -> None:
    """Update the inverse in place for the matrix without this row and column, which become 0.

    O(m^2), by the Schur complement (Golub and Van Loan, "Matrix computations", 4th edition, 2.1.4).
    """
    column = inverse[place].copy()
    dger(-1.0 / column[place], column, column, a=inverse.T, overwrite_a=1)
    inverse[place] = inverse[:, place] = 0.0


def _invert_grown(inverse: Floats, place: int, row: Floats, noise: float) -> bool:
    """Update the inverse in place for the matrix with this row and column, shape (m,), too; O(m^2).

    The row and column `place` of `inverse` must be 0. Returns false, and does nothing, if rounding
    leaves no variance.
    """
    others = row.copy()
    others[place] = 0.0
    column = inverse @ others
    remaining = row[place] + noise - float(others @ column)
    if not remaining > 0.5 * _JITTER:
        return False
    dger(1.0 / remaining, column, column, a=inverse.T, overwrite_a=1)
    inverse[place] = inverse[:, place] = column / -remaining
    inverse[place, place] = 1.0 / remaining
    return True


def _targets_of(evidence: Evidence) -> tuple[Floats, Floats, float]:
    """The targets: one-hot labels minus the classes' shares, of unit size; the shares; the size."""
    k = evidence.classes_n
    counts: Floats = np.bincount(evidence.codes, minlength=k).astype(np.float64)
    shares: Floats = (counts + 1.0 / k) / (len(evidence) + 1.0)
    targets = evidence.one_hot - shares
    squares = np.add.reduce(targets * targets, axis=1)
    size = max(float(np.sqrt(np.add.reduce(squares) / len(squares))), 0.05)
    return targets / size, shares, size


def _invert_matrix(matrix: Floats) -> Floats:
    """The inverse of a symmetric positive definite matrix, by its Cholesky factor."""
    factor, failed = dpotrf(matrix, lower=1)
    if failed:
        # Rounding made the matrix indefinite; a little more noise corrects that.
        return np.asarray(np.linalg.inv(matrix + 1e-3 * np.eye(len(matrix))))
    lower, _ = dpotri(factor, lower=1, overwrite_c=1)
    half = np.tril(lower)
    whole = half + half.T
    whole[np.diag_indices(len(whole))] *= 0.5
    return np.ascontiguousarray(whole)


def _best_sharpness(scores: Floats, codes: NDArray[np.intp]) -> float:
    """The candidate with the highest mean log probability of the left-out labels."""
    probabilities = softmax(_SHARPNESSES[:, np.newaxis, np.newaxis] * scores)
    logs = np.log(probabilities[:, np.arange(len(codes)), codes] + 1e-9)
    return SHARPNESSES[int((np.add.reduce(logs, axis=1) / len(codes)).argmax())]
