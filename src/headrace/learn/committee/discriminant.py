"""Linear discriminant analysis that forgets, and shrinks while labels are few.

It has class means and one covariance for all classes (Fisher 1936; Hastie, Tibshirani, Friedman,
"The elements of statistical learning", 2009, eq. 4.10). A label weighs 0.5 ** (age in labels /
half-life). The covariance is shrunk towards its diagonal by 0.9 d / (d + weight), in the manner of
Friedman, "Regularized discriminant analysis" (JASA 84, 1989).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from .evidence import Evidence, Floats, Rows, product_by_row, softmax

_PULL = 0.3  # The weight, in labels, of the common mean in the mean of a class.
_FLOOR = 0.02  # Added to every variance, in units of the whole stream's variance.


class Discriminant:
    """Linear discriminant analysis that forgets, as a member of a committee.

    Class means and one covariance for all classes (Hastie, Tibshirani, Friedman, "The elements of
    statistical learning", 2009, eq. 4.10), shrunk towards its diagonal while labels are few, in the
    manner of Friedman, "Regularized discriminant analysis" (JASA 84, 1989).

    Args:
        half_life_n: The age, in labels, at which a label weighs half.

    >>> Z, codes = np.array([[-1.0], [-0.9], [1.0], [1.1]]), np.array([0, 0, 1, 1])
    >>> evidence = Evidence(Z=Z, codes=codes, at=np.arange(4.0), weights=np.ones(4), classes_n=2,
    ...     feature_of=np.zeros(1, int), label_gap=1.0, event_gap=1.0)
    >>> member = Discriminant()
    >>> member.fit(evidence)
    >>> new = Rows(Z=np.array([[1.0]]), at=np.array([4.0]), classes_n=2, features=lambda i: {})
    >>> bool(member.predict(new)[0, 1] > 0.9)
    True
    """

    trust: ClassVar[float] = 4.0

    def __init__(self, half_life_n: float = 50.0) -> None:
        self.half_life_n = half_life_n

    def __getstate__(self) -> dict[str, float]:
        """The only setting; the rest is solved from the evidence."""
        return {"half_life_n": self.half_life_n}

    def tune(self, evidence: Evidence) -> None:
        """Do nothing: there is nothing to tune.

        Args:
            evidence: All labelled rows that are kept.
        """

    def fit(self, evidence: Evidence) -> None:
        """Solve for the evidence; costs O(m d min(m, d) + min(m, d)^3).

        Args:
            evidence: m rows of d columns.
        """
        Z = evidence.Z
        weight = 0.5 ** (evidence.age_in_labels / self.half_life_n) * evidence.weights
        member_of = evidence.one_hot * weight[:, np.newaxis]
        n, total = np.add.reduce(member_of, axis=0), float(np.add.reduce(weight))
        common = (weight @ Z) / total
        means = (member_of.T @ Z + _PULL * common) / (n + _PULL)[:, np.newaxis]
        centred = (Z - means[evidence.codes]) * np.sqrt(weight / total)[:, np.newaxis]
        self._directions = _solve_shrunken(
            centred, 0.9 * Z.shape[1] / (Z.shape[1] + total), means.T
        )
        squares = np.add.reduce(means.T * self._directions, axis=0)
        # A class without evidence gets almost no probability.
        is_unseen = n < 1e-6
        self._constants = np.log(n + 1.0 / len(n)) - 0.5 * squares - 1e3 * is_unseen

    def predict(self, rows: Rows) -> Floats:
        """Predict; the time of a row does not matter.

        Args:
            rows: n events.

        Returns:
            Probabilities, shape (n, k).
        """
        return softmax(product_by_row(rows.Z, self._directions) + self._constants)


def _solve_shrunken(centred: Floats, shrinkage: float, sides: Floats) -> Floats:
    """S^-1 `sides`, with S the shrunk covariance of the weighted rows `centred`, shape (m, d).

    With more columns than rows it is solved in m dimensions, by the matrix inversion lemma
    (Woodbury 1950).
    """
    m, d = centred.shape
    diagonal = np.add.reduce(centred * centred, axis=0) * shrinkage + _FLOOR
    factor = centred * np.sqrt(1.0 - shrinkage)
    if d <= m:
        return np.asarray(np.linalg.solve(factor.T @ factor + np.diag(diagonal), sides))
    scaled = factor / diagonal
    inner = np.eye(m) + scaled @ factor.T
    plain = sides / diagonal[:, np.newaxis]
    return np.asarray(plain - scaled.T @ np.linalg.solve(inner, factor @ plain))
