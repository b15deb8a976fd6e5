"""The members of a committee: the default ones, and a river classifier as one.

A river classifier learns one label at a time and forgets nothing.

If the model can be compiled (`scorers`), rows of a table are scored at once, otherwise one by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...observe.values import is_free_text
from ..presets import long_memory_members
from ..schema_view import SchemaView
from ..scorers.compiling import compile_model
from ..scorers.originals import OriginalsScorer
from ..scorers.scorer import Scorer, by_class, code_of, try_score
from .discriminant import Discriminant
from .evidence import Floats, Rows
from .gaussian_process import GaussianProcess

_PLAIN = frozenset((float, int, bool, type(None)))


class RiverMember:
    """A river classifier that learns and predicts class codes, whatever the labels are outside.

    >>> from river import naive_bayes
    >>> member = RiverMember(naive_bayes.GaussianNB())
    >>> member.learn({"amount": 1.0}, 0, 1.0)
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self._is_multiclass = bool(model._multiclass)
        self._scorer: Scorer | None = None
        self._scorer_schema: Any = None

    def learn(self, x: Mapping[Any, Any], code: int, weight: float) -> None:
        """Learn one label; the weight is ignored if the model's `learn_one` takes none."""
        if self._scorer is not None:
            self._scorer.is_stale = True
        label: int | bool = code if self._is_multiclass else bool(code)
        if weight == 1.0:
            self.model.learn_one(x, label)
            return
        try:
            self.model.learn_one(x, label, w=weight)
        except TypeError:
            self.model.learn_one(x, label)

    def predict(self, rows: Rows) -> Floats:
        """Probabilities, shape (n, classes); classes that it has not learned get 0."""
        scorer = self._compile_scorer(rows)
        if scorer is not None and rows.X is not None:
            said = try_score(scorer, rows.X)
            if said is not None:
                return by_class(*said, rows.classes_n)
        probabilities = np.zeros((len(rows), rows.classes_n))
        for i in range(len(rows)):
            for label, p in self.model.predict_proba_one(rows.features(i)).items():
                if 0 <= code_of(label) < rows.classes_n:
                    probabilities[i, code_of(label)] = p
        return probabilities

    def _compile_scorer(self, rows: Rows) -> Scorer | None:
        """The scorer for the rows' table; None without a table, or if the model has none."""
        if rows.X is None:
            return None
        if self._scorer_schema is not rows.schema:
            self._scorer = self._make_scorer(rows.schema)
            self._scorer_schema = rows.schema
        return self._scorer

    def _make_scorer(self, schema: SchemaView) -> Scorer | None:
        """The scorer of rows; a member is asked about what is in rows, whatever it learned."""
        scorer = compile_model(self.model, schema)
        if scorer is None or not scorer.gives_probabilities:
            return None
        is_fit = not scorer.learns_originals or isinstance(scorer, OriginalsScorer)
        return scorer if is_fit else None

    def is_alone(self, schema: SchemaView) -> bool:
        """Whether the model is asked about each row of such a table by itself."""
        scorer = self._make_scorer(schema)
        return scorer is None or scorer.is_left_to_river

    def __getstate__(self) -> dict[str, Any]:
        """The state without the scorer, which is made from the model."""
        return {**self.__dict__, "_scorer": None, "_scorer_schema": None}


def default_members() -> list[Any]:
    """The members of a `Committee` that is made without `members`."""
    return [GaussianProcess(), Discriminant(), *long_memory_members()]


def without_free_texts(x: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """The features without free texts, for river members: these would store each as a category."""
    if _PLAIN.issuperset(map(type, x.values())):
        return x
    if any(isinstance(value, str) and is_free_text(value) for value in x.values()):
        return {
            name: value
            for name, value in x.items()
            if not (isinstance(value, str) and is_free_text(value))
        }
    return x
