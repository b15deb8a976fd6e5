"""A scikit-learn classifier as a model that learns labels one by one, from features as they come.

An estimator with `partial_fit` learns each label as it comes. Any other is fitted anew on the
latest `memory_n` labelled examples: once the labels since the last fit are a quarter of the memory,
at the latest after `refit_every_n`, and at a new class. The memory serves the first kind too: at a
new class, or when columns no longer fit, the estimator is made anew and learns the memory in order.

The estimator reads the columns of `estimator_columns`. It predicts blocks of `BLOCK_N` rows, filled
up with zeros, because the last bits of a matrix product depend on the number of rows, and an
event's score must not depend on the other rows.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from importlib.metadata import version
from typing import Any, TypeAlias

import numpy as np
from river import base

from ..errors import BadInput, BadSettings
from .committee.blas import one_thread
from .estimator_columns import EstimatorColumns
from .failures import describe_error
from .schema_view import Floats, SchemaView
from .scorers.inputs import Inputs
from .scorers.scorer import Scorer

BLOCK_N = 64
"""The number of rows that an estimator predicts at once."""

_TRIED_N = 60

FEW_N = 50
"""An estimator that raises on fewer examples is tried again; some need several of each class."""

_ALWAYS_REFITTED = ("GaussianNB",)
"""Estimators whose `partial_fit` is not used: GaussianNB takes the smoothing of its variances from
the one row, where it is 0; if a feature is constant in a class, it divides by 0."""

_Example: TypeAlias = tuple[dict[str, Any], int, float]
"""The features, the place of the label in `_labels`, and the weight."""


class SklearnClassifier(base.Classifier):
    """A classifier or pipeline of scikit-learn that learns and predicts as river's classifiers do.

    While there is only one class, or the estimator can't be fitted on so few examples (under
    `FEW_N`), the classes' shares are predicted. A class that has left the memory is no longer
    known. An estimator without `predict_proba` gives its class the probability 1.

    Args:
        estimator: Copied without what it has learned; its `class_weight` is by labels, as they are
            learned.
        memory_n: The number of labelled examples kept, in order of learning.
        refit_every_n: For an estimator that is fitted anew, the labels between two fits; fewer at
            first.
        is_scaled: Whether numbers are standardised; estimators of counts, such as MultinomialNB,
            need false.
        seed: The `random_state` of each part that has none.

    >>> from sklearn.linear_model import LogisticRegression
    >>> model = SklearnClassifier(LogisticRegression())
    >>> for i in range(40):
    ...     model.learn_one({"amount": float(i), "kind": "ab"[i % 2]}, i > 20)
    >>> model.predict_one({"amount": 35.0, "kind": "a"}), model.predict_one({"amount": 2.0})
    (True, False)
    """

    def __init__(
        self,
        estimator: Any,
        memory_n: int = 1_000,
        refit_every_n: int = 20,
        is_scaled: bool = True,
        seed: int = 0,
    ) -> None:
        self.estimator = estimator
        self.memory_n = memory_n
        self.refit_every_n = refit_every_n
        self.is_scaled = is_scaled
        self.seed = seed
        self._memory: deque[_Example] = deque(maxlen=memory_n)
        self._labels: list[Any] = []
        self._since_n = 0
        self._fitted: Any = None
        self._known: list[int] = []  # Places in `_labels` of the classes of the latest fit.
        self._columns = EstimatorColumns(8, is_scaled=is_scaled)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "sklearn": _sklearn_version()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        stored, installed = state.pop("sklearn"), _sklearn_version()
        if stored.split(".")[:2] != installed.split(".")[:2]:
            raise BadInput(f"the model is of scikit-learn {stored}, and {installed} is installed")
        vars(self).update(state)

    @property
    def _multiclass(self) -> bool:
        return True

    # ------------------------------------------------------------------------------- learning

    def learn_one(self, x: Mapping[Any, Any], y: Any, w: float = 1.0) -> None:
        """Learn one example.

        Args:
            x: Its features.
            y: Its class.
            w: Its weight.

        Raises:
            TypeError: The weight is not 1 and the estimator takes none.
        """
        if w != 1.0 and not self._takes_weights:
            raise TypeError(f"{type(self.estimator).__name__} takes no sample_weight")
        if y not in self._labels:
            self._labels.append(y)
        place, x = self._labels.index(y), {str(name): value for name, value in x.items()}
        self._memory.append((x, place, w))
        self._since_n += 1
        if place not in self._known:
            self._fit()
        elif len(self._known) > 1 and self._is_incremental:
            if self._columns.learn(x):
                self._learn_part(self._fitted, self._columns, self._known, (x, place, w))
            else:
                self._fit()
        elif self._since_n >= min(self.refit_every_n, max(1, len(self._memory) // 4)):
            self._fit()

    @property
    def _is_incremental(self) -> bool:
        estimator = self.estimator
        named = any(kind.__name__ in _ALWAYS_REFITTED for kind in type(estimator).__mro__)
        return hasattr(estimator, "partial_fit") and not named

    @property
    def _takes_weights(self) -> bool:
        learn = self.estimator.partial_fit if self._is_incremental else self.estimator.fit
        return "sample_weight" in inspect.signature(learn).parameters

    def _fit(self) -> None:
        """Make the estimator anew from the memory."""
        self._since_n = 0
        columns = EstimatorColumns.from_examples(
            (x for x, _, _ in self._memory), is_scaled=self.is_scaled
        )
        known = sorted({place for _, place, _ in self._memory})
        fitted = None
        if len(known) > 1:
            try:
                fitted = self._fit_on_memory(columns, known)
            except Exception:
                if self._fitted is not None or len(self._memory) >= FEW_N:
                    raise
        self._columns, self._known, self._fitted = columns, known, fitted

    def _fit_on_memory(self, columns: EstimatorColumns, known: list[int]) -> Any:
        fitted = _clone_seeded(self.estimator, self.seed)
        fitted.set_params(**self._weigh_classes(known))
        if self._is_incremental:
            for example in self._memory:
                self._learn_part(fitted, columns, known, example)
            return fitted
        X = np.stack([columns.row(x) for x, _, _ in self._memory])
        codes = np.array([known.index(place) for _, place, _ in self._memory])
        weights = np.array([w for _, _, w in self._memory])
        is_weighted = self._takes_weights and bool((weights != 1.0).any())
        more = {"sample_weight": weights} if is_weighted else {}
        with one_thread():
            return fitted.fit(X, codes, **more)

    def _weigh_classes(self, known: list[int]) -> dict[str, dict[int, float]]:
        """The class weights of the estimator, by path, for the numbers that it knows classes by."""
        return {
            path: {i: weights.get(self._labels[place], 1.0) for i, place in enumerate(known)}
            for path, weights in _class_weights_in(self.estimator).items()
        }

    def _learn_part(
        self, fitted: Any, columns: EstimatorColumns, known: list[int], example: _Example
    ) -> None:
        x, place, w = example
        more = {"sample_weight": np.array([w])} if self._takes_weights else {}
        with one_thread():
            fitted.partial_fit(
                columns.row(x)[np.newaxis],
                np.array([known.index(place)]),
                classes=np.arange(len(known)),
                **more,
            )

    def erase(self, names: Callable[[Mapping[Any, Any]], bool]) -> int:
        """Forget examples, and fit on the rest.

        Args:
            names: Whether to forget an example, by its features.

        Returns:
            How many were forgotten.
        """
        remaining = [example for example in self._memory if not names(example[0])]
        gone_n = len(self._memory) - len(remaining)
        if gone_n:
            self._memory = deque(remaining, maxlen=self.memory_n)
            self._fit()
        return gone_n

    # ------------------------------------------------------------------------------ answering

    @property
    def named_labels(self) -> list[Any]:
        """The labels that it has learned, or that its `class_weight` names."""
        weights = _class_weights_in(self.estimator).values()
        return [*self._labels, *(label for of_labels in weights for label in of_labels)]

    @property
    def labels(self) -> list[Any]:
        """The classes of the latest fit, in the order of the columns of `answers`."""
        return [self._labels[place] for place in self._known]

    @property
    def columns(self) -> EstimatorColumns:
        """The present mapping of features to columns."""
        return self._columns

    def predict_proba_one(self, x: dict[Hashable, Any], **kwargs: Any) -> dict[Any, float]:
        """Predict for one event.

        Args:
            x: Its features.
            kwargs: Not used; river's classifiers take them.

        Returns:
            Probabilities by class; {} before the first label.
        """
        row = self._columns.row({str(name): value for name, value in x.items()})
        return dict(zip(self.labels, self.answers(row[np.newaxis])[0].tolist(), strict=True))

    def predict_proba_many(self, X: Any) -> Any:
        """Predict for each row of a pandas data frame.

        Args:
            X: A data frame of n rows, a column for each feature.

        Returns:
            Probabilities as a data frame of n rows, a column for each class.
        """
        names = [str(name) for name in X.columns]
        rows = [
            self._columns.row(dict(zip(names, line, strict=True)))
            for line in X.itertuples(index=False, name=None)
        ]
        probabilities = self.answers(np.stack(rows) if rows else np.zeros((0, self._columns.width)))
        return type(X)(probabilities, index=X.index, columns=self.labels)

    def answers(self, rows: Floats) -> Floats:
        """Predict for encoded rows. A row has the same bits in any batch.

        Args:
            rows: Rows of `columns`, shape (n, width).

        Returns:
            Probabilities of the `labels`, shape (n, m).
        """
        n, m = len(rows), len(self._known)
        if self._fitted is None:
            places = [place for _, place, _ in self._memory]
            shares = [places.count(place) / len(places) for place in self._known]
            return np.tile(np.array(shares), (n, 1))
        probabilities, block = np.zeros((n, m)), np.zeros((BLOCK_N, rows.shape[1]))
        with one_thread():
            for start in range(0, n, BLOCK_N):
                rows_part = rows[start : start + BLOCK_N]
                block[: len(rows_part)], block[len(rows_part) :] = rows_part, 0.0
                probabilities[start : start + BLOCK_N] = self._ask_estimator(block, m)[
                    : len(rows_part)
                ]
        return probabilities

    def _ask_estimator(self, block: Floats, m: int) -> Floats:
        if hasattr(self._fitted, "predict_proba"):
            return np.asarray(self._fitted.predict_proba(block), dtype=np.float64)
        codes = np.asarray(self._fitted.predict(block), dtype=np.intp)
        return np.eye(m)[codes]


class SklearnScorer(Scorer):
    """Scores many rows in one pass: converts a schema's columns to those of the estimator."""

    def __init__(self, model: SklearnClassifier, schema: SchemaView) -> None:
        super().__init__(model, Inputs(), schema)
        self._reads_texts = True
        self._places: list[tuple[int, int]] = []
        self._by_code: list[tuple[int, list[int | None]]] = []

    def _refresh(self) -> None:
        model, names, kinds = self._final, self._schema.names, self._schema.kinds
        places = model.columns.places
        self._codes = list(model.labels)
        self._columns = np.zeros(model.columns.width, dtype=np.intp)
        self._places = [
            (j, places[name, None])
            for j, name in enumerate(names)
            if kinds[j] == "numeric" and (name, None) in places
        ]
        self._by_code = [
            (j, [places.get((names[j], text)) for text in texts])
            for j, texts in self._texts.items()
        ]

    def _answers(self, X: Floats) -> Floats:
        columns = self._final.columns
        rows = np.zeros((len(X), columns.width))
        if not columns.is_scaled:
            rows += columns.centres
        for j, place in self._places:
            if j < X.shape[1]:
                rows[:, place] = columns.numbers(X[:, j], place)
        for j, by_code in self._by_code:
            for code, column in enumerate(by_code):
                if column is not None and j < X.shape[1]:
                    rows[X[:, j] == code, column] = 1.0
        return np.asarray(self._final.answers(rows))


def is_estimator(model: Any) -> bool:
    """Whether the model is an estimator of scikit-learn, or has its methods."""
    is_made_like_one = all(hasattr(model, name) for name in ("get_params", "fit", "predict"))
    return is_made_like_one and not isinstance(model, base.Base | type)


def faults_of(model: SklearnClassifier) -> list[str]:
    """The reasons why the estimator can't be used; empty if there is none.

    >>> from sklearn.linear_model import Ridge
    >>> faults_of(SklearnClassifier(Ridge()))
    ['Ridge predicts no class; pass a classifier of scikit-learn']
    """
    estimator, faults = model.estimator, []
    name = type(estimator).__name__
    if not is_estimator(estimator):
        return [f"{name} is no estimator of scikit-learn: it has no get_params, fit and predict"]
    if not _of_sklearn("is_classifier")(estimator):
        return [f"{name} predicts no class; pass a classifier of scikit-learn"]
    for least, option in ((model.memory_n, "memory_n"), (model.refit_every_n, "refit_every_n")):
        if least < 1:
            faults.append(f"{option} is {least}; must be at least 1")
    for path, value in estimator.get_params(deep=True).items():
        part = path.rpartition("__")[2]
        if part == "n_jobs" and value not in (None, 1):
            faults.append(f"{name} has {path}={value}; set it to 1: threads add up in any order")
        if part == "random_state" and not isinstance(value, int | None):
            faults.append(f"{name} has a generator as its {path}; set it to a whole number")
        if part in {"priors", "class_prior"} and value is not None:
            faults.append(
                f"{name} has {path}, by the order of classes; leave it out: classes are numbered "
                "as their labels come"
            )
    return faults or _faults_of_fit(model)


def _faults_of_fit(model: SklearnClassifier) -> list[str]:
    """The error of a fit on harmless examples, in a list; its cause is most likely an option."""
    stranger = SklearnClassifier(
        model.estimator, _TRIED_N, _TRIED_N, is_scaled=model.is_scaled, seed=model.seed
    )
    for i in range(_TRIED_N):
        stranger._labels = [0, 1]
        stranger._memory.append(({"x": float(i), "y": float(i % 7)}, int(i % 5 > 1), 1.0))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stranger._fit()
            stranger.predict_proba_one({"x": 1.0})
    except Exception as error:
        return [
            f"{type(model.estimator).__name__} can't be fitted and asked: {describe_error(error)}"
        ]
    return []


def _class_weights_in(estimator: Any) -> dict[str, Mapping[Any, float]]:
    """The weights by class in the parameters of an estimator, by path."""
    return {
        path: value
        for path, value in estimator.get_params(deep=True).items()
        if path.rpartition("__")[2] == "class_weight" and isinstance(value, Mapping)
    }


def _clone_seeded(estimator: Any, seed: int) -> Any:
    """An unlearned copy in which every `random_state` that is None is set to the seed."""
    fresh = _of_sklearn("clone")(estimator)
    unset = [
        path
        for path, value in fresh.get_params(deep=True).items()
        if path.rpartition("__")[2] == "random_state" and value is None
    ]
    return fresh.set_params(**dict.fromkeys(unset, seed))


def _of_sklearn(name: str) -> Callable[..., Any]:
    try:
        from sklearn import base as sklearn_base  # noqa: PLC0415 - it is an extra
    except ImportError as error:
        raise BadSettings(
            "the model is an estimator of scikit-learn, which is not installed: "
            "pip install headrace[sklearn]"
        ) from error
    function: Callable[..., Any] = getattr(sklearn_base, name)
    return function


@functools.cache
def _sklearn_version() -> str:
    return version("scikit-learn")
