"""Strategies of other libraries in a round, as they are: scikit-activeml, modAL, and functions.

They choose among candidates, so they are for `query.ask` rounds. A strategy receives the candidates
of a pool as points (numbers in standard deviations from the mean, a missing number at the mean, a
category in columns of its own), and a classifier that returns for those points the model's
probabilities. That classifier can't learn: a strategy that tries to train it is refused. The
candidates that the strategy returns get the highest utilities, in its order; the draw of the round
turns utilities into propensities as always.

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
from .importing import import_function, suggest_nearest
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
"""Strategies of scikit-activeml that need only points and probabilities, and who gives these."""


class KnownProbabilities:
    """A classifier that knows the probabilities of the given points, and can't be trained.

    Args:
        points: n points, shape (n, d).
        said: Their probabilities, shape (n, k).

    Attributes:
        classes_: The numbers 0 to k - 1.

    >>> known = KnownProbabilities(np.array([[0.0], [1.0]]), np.array([[0.9, 0.1], [0.4, 0.6]]))
    >>> known.predict([[1.0]]).tolist()
    [1]
    """

    def __init__(self, points: NDArray[np.float64], said: NDArray[np.float64]) -> None:
        self.classes_ = np.arange(said.shape[1])
        self._said = {point.tobytes(): row for point, row in zip(points, said, strict=True)}

    def fit(self, *_: Any, **__: Any) -> KnownProbabilities:
        """Refuse to be trained.

        Args:
            _: Not used.
            __: Not used.

        Returns:
            Nothing, as it always raises.

        Raises:
            BadSettings: In any case.
        """
        raise BadSettings("a strategy of query.strategy would train the model; that is not for it")

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Look probabilities up.

        Args:
            X: m of the points, shape (m, d).

        Returns:
            Their probabilities, shape (m, k).

        Raises:
            BadSettings: A point is none of those given.
        """
        rows = np.ascontiguousarray(X, dtype=np.float64)
        try:
            probabilities = [self._said[row.tobytes()] for row in rows]
        except KeyError:
            raise BadSettings(
                "a strategy of query.strategy asks the model about a point that is no candidate; "
                "use one that chooses by the candidates alone"
            ) from None
        return np.array(probabilities).reshape(len(rows), len(self.classes_))

    def predict(self, X: Any) -> NDArray[np.intp]:
        """Look the likeliest classes up.

        Args:
            X: m of the points, shape (m, d).

        Returns:
            The numbers of the classes, shape (m,).
        """
        return np.asarray(self.predict_proba(X).argmax(axis=1))


@dataclass(frozen=True)
class Choosing:
    """A function `(classifier, X) -> indices` as a strategy, such as all query functions of modAL.

    Chosen candidates get the highest utilities, in the function's order; all others get the same.

    Attributes:
        function: The function, or its `module:function`. It may have a parameter `n_instances`, the
            number wanted, and may return a tuple whose first item are the indices.

    >>> def nearest_to_the_middle(classifier, X):
    ...     return abs(X).sum(axis=1).argsort()
    >>> from headrace.testing import check_strategy
    >>> check_strategy(Choosing(nearest_to_the_middle))
    """

    function: str | Callable[..., Any] = "modAL.uncertainty:margin_sampling"

    needs: ClassVar[tuple[str, ...]] = ()

    def __call__(self, pool: Pool, chance: Chance) -> NDArray[np.float64]:
        """Return the utilities of the candidates, shape (n,)."""
        n = len(pool)
        if _is_no_choice(pool):
            return np.zeros(n)
        function = self.function
        if isinstance(function, str):
            function = import_function("query.options.function", function)
        order = _sort_candidates(pool)
        pool = pool.take(order)
        points = pool.points(np.arange(n))
        classifier = KnownProbabilities(points, pool.probabilities)
        wanted = {"n_instances": min(n, pool.wanted_n)} if _takes_number(function) else {}
        answer = function(classifier, points, **wanted)
        chosen = checked(answer[0] if isinstance(answer, tuple) else answer, n, function)
        return ranked(order, chosen, np.zeros(n))


@dataclass(frozen=True)
class ScikitActiveml:
    """A pool strategy of scikit-activeml as a strategy.

    The chosen candidates come first, in its order, then the others by their utility in its first
    choice.

    Attributes:
        kind: The name of its class, one of `KINDS`, or an object.
        options: Arguments of the class; its `random_state` comes from `Chance`.

    Raises:
        BadSettings: It is not one of `KINDS`.

    >>> ScikitActiveml("CoreSet").needs
    ('asked',)
    """

    kind: Any = "UncertaintySampling"
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name = self.name
        if name not in KINDS:
            hint = suggest_nearest(name, KINDS) or f"; those that can be are {', '.join(KINDS)}"
            raise BadSettings(
                f"query.options.kind is {name!r}, which is no strategy of scikit-activeml that "
                f"goes by candidates and probabilities alone{hint}"
            )

    @property
    def needs(self) -> tuple[str, ...]:
        """The parts of a pool that the strategy reads beside the candidates."""
        return ("members", "asked") if KINDS[self.name] == "ensemble" else ("asked",)

    @property
    def name(self) -> str:
        """The name of the class."""
        return self.kind if isinstance(self.kind, str) else type(self.kind).__name__

    def __call__(self, pool: Pool, chance: Chance) -> NDArray[np.float64]:
        """Return the utilities of the candidates, shape (n,)."""
        n, order = len(pool), _sort_candidates(pool)
        if _is_no_choice(pool):
            return np.zeros(n)
        pool = pool.take(order)
        points, asked = pool.points_with_asked()
        X = np.vstack([asked, points])
        # Events asked before count as labelled; which label they have is never read.
        y = np.concatenate([np.zeros(len(asked)), np.full(n, np.nan)])
        strategy = self._make_strategy(chance.integer(f"scikit-activeml {int(pool.keys[0])}"))
        with warnings.catch_warnings():
            # Warnings, such as about equal candidates, that no user can do anything about.
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
        # One of these strategies chooses a candidate twice where all are alike.
        places = np.array(list(dict.fromkeys(np.asarray(chosen).tolist()))) - len(asked)
        return ranked(order, checked(places, n, self.name), first)

    def _make_strategy(self, seed: int) -> Any:
        if not isinstance(self.kind, str):
            clone = import_function("query.strategy", "sklearn.base:clone")
            return clone(self.kind).set_params(random_state=seed)
        make = import_function("query.strategy", f"skactiveml.pool:{self.kind}")
        try:
            return make(random_state=seed, **self.options)
        except TypeError as error:
            raise BadSettings(f"query.options of {self.kind} can't be used: {error}") from None

    def _wrap_predictions(self, points: NDArray[np.float64], pool: Pool) -> dict[str, Any]:
        """Return the arguments of `query` with the classifier, or one for each member."""
        wants = KINDS[self.name]
        if wants == "clf":
            return {"clf": _wrap_said(points, pool.probabilities), "fit_clf": False}
        if wants == "ensemble":
            members = pool.probabilities[np.newaxis] if pool.members is None else pool.members
            return {
                "ensemble": [_wrap_said(points, probabilities) for probabilities in members],
                "fit_ensemble": False,
            }
        return {}


choosing = Choosing()
scikit_activeml = ScikitActiveml()
"""`query.strategy` names one of these two; `query.options` then chooses the strategy."""


def ranked(
    order: NDArray[np.intp], chosen: NDArray[np.intp], utilities: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return utilities, shape (n,), that rank the chosen first and the others by `utilities`.

    `order`, shape (n,), is the order in which a strategy saw the candidates. `chosen`, places, and
    `utilities`, shape (n,), refer to that order; the result is in the order of the pool.

    >>> ranked(np.array([2, 0, 1]), np.array([1]), np.array([0.5, 9.0, 0.5])).tolist()
    [3.0, 0.0, 0.0]
    """
    n = len(order)
    _, rank = np.unique(np.nan_to_num(utilities, nan=-np.inf, neginf=-np.inf), return_inverse=True)
    ranks = rank.astype(np.float64)
    ranks[chosen] = n + len(chosen) - 1.0 - np.arange(len(chosen))
    in_pool_order = np.empty(n)
    in_pool_order[order] = ranks
    return in_pool_order


def checked(chosen: Any, n: int, by: Any) -> NDArray[np.intp]:
    """Return `chosen` as places of candidates. Raises `BadSettings` if they are not, each once."""
    name = by if isinstance(by, str) else getattr(by, "__name__", type(by).__name__)
    places = np.atleast_1d(np.asarray(chosen))
    is_whole = places.ndim == 1 and (places.dtype.kind in "iu" or not len(places))
    if not is_whole or len(set(places.tolist())) < len(places) or not _are_within(places, n):
        raise BadSettings(
            f"{name} of query.strategy gave {str(chosen)[:60]} for {n} candidates; must be places "
            f"of candidates, from 0 to {n - 1}, each once"
        )
    return places.astype(np.intp)


def _are_within(found: NDArray[Any], n: int) -> bool:
    return bool(((found >= 0) & (found < n)).all())


def _is_no_choice(pool: Pool) -> bool:
    """Whether choosing makes no sense: fewer than 2 candidates or classes, or no features."""
    return len(pool) < 2 or pool.probabilities.shape[1] < 2 or pool.X.shape[1] == 0


def _sort_candidates(pool: Pool) -> NDArray[np.intp]:
    """Return the places of the candidates sorted by key, so that arrival order has no effect."""
    return np.argsort(pool.keys, kind="stable")


def _takes_number(function: Callable[..., Any]) -> bool:
    try:
        return "n_instances" in inspect.signature(function).parameters
    except ValueError:
        return False


def _wrap_said(points: NDArray[np.float64], said: NDArray[np.float64]) -> Any:
    """Return a `KnownProbabilities` that is also a classifier of scikit-activeml."""
    base: Any = import_function("query.strategy", "skactiveml.base:SkactivemlClassifier")
    kind = type("Classifier", (KnownProbabilities, base), {"__init__": KnownProbabilities.__init__})
    classifier = kind(points, said)
    base.__init__(classifier, classes=list(range(said.shape[1])))
    return classifier
