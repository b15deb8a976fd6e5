"""Strategies of other libraries in a round, as they are: scikit-activeml, modAL, and functions.

They choose among candidates, so they are for `query.ask` rounds. What they are given of a pool:
its candidates as points (numbers in deviations from the mean, a missing one at the mean, a category
in columns of its own), and a classifier that says of those points what the model says. It learns
nothing: a strategy that would train it is refused. What one gives in return becomes the order of
utilities, the chosen ones first, out of which the draw of the round makes propensities as always.

    query.strategy = "headrace.plugins:scikit_activeml"
    query.options = {kind = "CoreSet"}

    query.strategy = "headrace.plugins:choosing"
    query.options = {function = "modAL.uncertainty:entropy_sampling"}

`pip install headrace[strategies]` brings both libraries.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .chance import Chance
from .errors import BadSettings
from .importing import imported, nearest
from .query.pool import Pool

KINDS = {
    "Badge": "clf",
    "BatchBALD": "ensemble",
    "CoreSet": "",
    "Falcun": "clf",
    "GreedyBALD": "ensemble",
    "GreedySamplingX": "",
    "ProbCover": "",
    "QueryByCommittee": "ensemble",
    "RandomSampling": "",
    "UncertaintySampling": "clf",
}
"""Strategies of scikit-activeml that go by points and probabilities alone, and what says these."""


class Said:
    """A classifier that has learned already: it says of points what was said of them before.

    Of `classes_` it knows the places; every point has to be one of those given.
    """

    def __init__(self, points: NDArray[np.float64], said: NDArray[np.float64]) -> None:
        self.classes_ = np.arange(said.shape[1])
        self._said = {point.tobytes(): row for point, row in zip(points, said, strict=True)}

    def fit(self, *_: Any, **__: Any) -> Said:
        raise BadSettings("a strategy of query.strategy would train the model; that is not for it")

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities, shape (m, k), of m of the points. Raises `BadSettings` for another one."""
        rows = np.ascontiguousarray(X, dtype=np.float64)
        try:
            found = [self._said[row.tobytes()] for row in rows]
        except KeyError:
            raise BadSettings(
                "a strategy of query.strategy asks the model about a point that is no candidate; "
                "use one that chooses by the candidates alone"
            ) from None
        return np.array(found).reshape(len(rows), len(self.classes_))

    def predict(self, X: Any) -> NDArray[np.intp]:
        """The place of the likeliest class of each, shape (m,)."""
        return np.asarray(self.predict_proba(X).argmax(axis=1))


@dataclass(frozen=True)
class Choosing:
    """A function `(classifier, X) -> indices` as a strategy: all of modAL's are such.

    It may take `n_instances`, how many are wanted, and may return a tuple whose first part are the
    indices. The chosen come first, in its order; the others are all alike.

    >>> def nearest_to_the_middle(classifier, X):
    ...     return abs(X).sum(axis=1).argsort()
    >>> from headrace.testing import check_strategy
    >>> check_strategy(Choosing(nearest_to_the_middle))
    """

    function: str | Callable[..., Any] = "modAL.uncertainty:margin_sampling"

    needs: ClassVar[tuple[str, ...]] = ()

    def __call__(self, pool: Pool, chance: Chance) -> NDArray[np.float64]:
        """Utilities, shape (n,)."""
        n = len(pool)
        if _is_no_choice(pool):
            return np.zeros(n)
        function = self.function
        if isinstance(function, str):
            function = imported("query.options.function", function)
        order = _in_order(pool)
        pool = pool.take(order)
        points = pool.points(np.arange(n))
        classifier = Said(points, pool.probabilities)
        wanted = {"n_instances": min(n, pool.wanted_n)} if _takes_number(function) else {}
        found = function(classifier, points, **wanted)
        chosen = checked(found[0] if isinstance(found, tuple) else found, n, function)
        return ranked(order, chosen, np.zeros(n))


@dataclass(frozen=True)
class ScikitActiveml:
    """A pool strategy of scikit-activeml, by the name of its class (`KINDS`) or as an object.

    `options` are those of the class; its `random_state` is drawn by the hash. The chosen come
    first, in its order, then the others by the utility that it gives them for the first place.
    """

    kind: Any = "UncertaintySampling"
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name = self.name
        if name not in KINDS:
            hint = nearest(name, KINDS) or f"; those that can be are {', '.join(KINDS)}"
            raise BadSettings(
                f"query.options.kind is {name!r}, which is no strategy of scikit-activeml that "
                f"goes by candidates and probabilities alone{hint}"
            )

    @property
    def needs(self) -> tuple[str, ...]:
        """What it reads of a pool beside the candidates."""
        return ("members", "asked") if KINDS[self.name] == "ensemble" else ("asked",)

    @property
    def name(self) -> str:
        return self.kind if isinstance(self.kind, str) else type(self.kind).__name__

    def __call__(self, pool: Pool, chance: Chance) -> NDArray[np.float64]:
        """Utilities, shape (n,)."""
        n, order = len(pool), _in_order(pool)
        if _is_no_choice(pool):
            return np.zeros(n)
        pool = pool.take(order)
        points, asked = pool.points_with_asked()
        X = np.vstack([asked, points])
        # What was asked before has a label, which nobody reads; the candidates have none.
        y = np.concatenate([np.zeros(len(asked)), np.full(n, np.nan)])
        strategy = self._made(chance.integer(f"scikit-activeml {int(pool.keys[0])}"))
        with warnings.catch_warnings():
            # Of twins among the candidates and such, which is nobody's fault.
            warnings.simplefilter("ignore")
            chosen, utilities = strategy.query(
                X,
                y,
                candidates=np.arange(len(asked), len(X)),
                batch_size=min(n, pool.wanted_n),
                return_utilities=True,
                **self._wrap_predictions(points, pool),
            )
        first = np.asarray(utilities, dtype=np.float64)[0, len(asked) :]
        # One of theirs chooses the same candidate twice where all are alike.
        places = np.array(list(dict.fromkeys(np.asarray(chosen).tolist()))) - len(asked)
        return ranked(order, checked(places, n, self.name), first)

    def _made(self, seed: int) -> Any:
        if not isinstance(self.kind, str):
            clone = imported("query.strategy", "sklearn.base:clone")
            return clone(self.kind).set_params(random_state=seed)
        make = imported("query.strategy", f"skactiveml.pool:{self.kind}")
        try:
            return make(random_state=seed, **self.options)
        except TypeError as error:
            raise BadSettings(f"query.options of {self.kind} can't be used: {error}") from None

    def _wrap_predictions(self, points: NDArray[np.float64], pool: Pool) -> dict[str, Any]:
        """The classifier, or one for each member, as an argument of `query`."""
        by = KINDS[self.name]
        if by == "clf":
            return {"clf": _wrap_said(points, pool.probabilities), "fit_clf": False}
        if by == "ensemble":
            members = pool.probabilities[np.newaxis] if pool.members is None else pool.members
            return {
                "ensemble": [_wrap_said(points, said) for said in members],
                "fit_ensemble": False,
            }
        return {}


choosing = Choosing()
scikit_activeml = ScikitActiveml()
"""What `query.strategy` names; `query.options` says which strategy it is to be."""


def ranked(
    order: NDArray[np.intp], chosen: NDArray[np.intp], utilities: NDArray[np.float64]
) -> NDArray[np.float64]:
    """One utility a candidate, as they stood: the chosen first, the others by their utility.

    `chosen` and `utilities` are of the candidates in that `order`.

    >>> ranked(np.array([2, 0, 1]), np.array([1]), np.array([0.5, 9.0, 0.5])).tolist()
    [3.0, 0.0, 0.0]
    """
    n = len(order)
    _, rank = np.unique(np.nan_to_num(utilities, nan=-np.inf, neginf=-np.inf), return_inverse=True)
    found = rank.astype(np.float64)
    found[chosen] = n + len(chosen) - 1.0 - np.arange(len(chosen))
    turned = np.empty(n)
    turned[order] = found
    return turned


def checked(chosen: Any, n: int, by: Any) -> NDArray[np.intp]:
    """Places of candidates, each once. Raises `BadSettings` where they are none."""
    name = by if isinstance(by, str) else getattr(by, "__name__", type(by).__name__)
    found = np.atleast_1d(np.asarray(chosen))
    is_whole = found.ndim == 1 and (found.dtype.kind in "iu" or not len(found))
    if not is_whole or len(set(found.tolist())) < len(found) or not _are_within(found, n):
        raise BadSettings(
            f"{name} of query.strategy gave {str(chosen)[:60]} for {n} candidates; must be places "
            f"of candidates, from 0 to {n - 1}, each once"
        )
    return found.astype(np.intp)


def _are_within(found: NDArray[Any], n: int) -> bool:
    return bool(((found >= 0) & (found < n)).all())


def _is_no_choice(pool: Pool) -> bool:
    """Whether there is nothing to choose by: no two candidates, no two classes, no features."""
    return len(pool) < 2 or pool.probabilities.shape[1] < 2 or pool.X.shape[1] == 0


def _in_order(pool: Pool) -> NDArray[np.intp]:
    """The candidates by their keys: in which order they came must not matter."""
    return np.argsort(pool.keys, kind="stable")


def _takes_number(function: Callable[..., Any]) -> bool:
    try:
        return "n_instances" in inspect.signature(function).parameters
    except ValueError:
        return False


def _wrap_said(points: NDArray[np.float64], said: NDArray[np.float64]) -> Any:
    """`Said` as a classifier of scikit-activeml."""
    base: Any = imported("query.strategy", "skactiveml.base:SkactivemlClassifier")
    kind = type("Classifier", (Said, base), {"__init__": Said.__init__})
    found = kind(points, said)
    base.__init__(found, classes=list(range(said.shape[1])))
    return found
