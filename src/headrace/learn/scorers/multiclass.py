"""Scorers of river's ways to tell many classes apart with models of two classes.

One against the rest gives probabilities. One against one and output codes name a class alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ..schema_view import Floats
from .ensembles import (
    CLOSE,
    Answers,
    EnsembleScorer,
    Joined,
    elect,
    only_chosen,
    predicts_likeliest,
)
from .labels import labels_of
from .scorer import Scorer, code_of


class _OfTwoClasses(EnsembleScorer):
    """Base of the three: a dict `classifiers` of copies of the model `classifier`."""

    @staticmethod
    def examples_in(model: Any) -> list[Any]:
        """The classifier that is copied, and the copies."""
        return [model.classifier, *model.classifiers.values()]

    def _members(self) -> list[Any]:
        return list(self._final.classifiers.values())


class OneVsRestScorer(_OfTwoClasses):
    """One against the rest: each class's probability of `True`, normalised; uniform if all are 0.

    If a member does not know `True`, river raises.
    """

    def _refresh(self) -> None:
        self._codes = [code_of(label) for label in self._final.classifiers]
        labels = map(labels_of, self._final.classifiers.values())
        self._knows_true = [known is None or True in known for known in labels]

    def _join(self, X: Floats, said: Sequence[Answers]) -> Joined:
        n, m = len(X), len(self._codes)
        answers = np.empty((n, m))
        for column, (codes, of_member) in enumerate(said):
            known = codes if self._knows_true[column] else []
            answers[:, column] = _truths((known, of_member), n, np.nan)
        total = np.add.accumulate(answers, axis=1)[:, -1:] if m else np.zeros((n, 1))
        shares = answers / np.where(total == 0.0, 1.0, total)
        return self._codes, np.where(total == 0.0, 1.0 / max(1, m), shares), np.zeros(n, np.bool_)


class OneVsOneScorer(_OfTwoClasses):
    """One against one: a classifier for each two classes votes; of equal ones the first named."""

    gives_probabilities: ClassVar[bool] = False

    @staticmethod
    def can_join(model: Any, member: Any, scorer: Scorer) -> bool:
        """Whether the member predicts its likeliest class."""
        return predicts_likeliest(member, scorer)

    def _refresh(self) -> None:
        self._pairs = [(code_of(a), code_of(b)) for a, b in self._final.classifiers]
        self._codes = list(dict.fromkeys(code for pair in self._pairs for code in pair))
        columns = [[*map(self._codes.index, pair)] for pair in self._pairs]
        self._columns_of_pairs = np.array(columns, dtype=np.intp).reshape(-1, 2).T

    def _join(self, X: Floats, said: Sequence[Answers]) -> Joined:
        n, m, pairs_n = len(X), len(self._codes), len(self._pairs)
        if not m:
            return [], np.zeros((n, 0)), np.zeros(n, np.bool_)
        falses, truths = np.empty((n, pairs_n)), np.empty((n, pairs_n))
        for i, (codes, answers) in enumerate(said):
            truths[:, i] = answers[:, codes.index(1)] if 1 in codes else -np.inf
            # A member without an answer counts as `False`.
            otherwise = -np.inf if codes else 1.0
            falses[:, i] = answers[:, codes.index(0)] if 0 in codes else otherwise
        is_sure = (np.abs(truths - falses) > CLOSE) & (np.maximum(truths, falses) > 0.0)
        votes = np.where(truths > falses, self._columns_of_pairs[1], self._columns_of_pairs[0])
        return self._codes, only_chosen(elect(votes, m), m), np.asarray(~is_sure.all(axis=1))


class OutputCodeScorer(_OfTwoClasses):
    """Output codes: the class whose bits are nearest to the probabilities of `True`."""

    gives_probabilities: ClassVar[bool] = False

    def _refresh(self) -> None:
        # Of classes with the same bits river only ever names the first.
        of_bits: dict[tuple[int, ...], Any] = {}
        for label, bits in self._final.code_book.items():
            of_bits.setdefault(bits, label)
        self._codes = [code_of(label) for label in of_bits.values()]
        self._bits = np.array(list(of_bits), dtype=float)
        self._places = list(self._final.classifiers)

    def _join(self, X: Floats, said: Sequence[Answers]) -> Joined:
        n, m = len(X), len(self._codes)
        if not m:
            return [], np.zeros((n, 0)), np.zeros(n, np.bool_)
        distances = np.zeros((n, m))
        for place, of_member in zip(self._places, said, strict=True):
            truths = _truths(of_member, n, 0.0)
            distances += np.abs(self._bits[:, place] - truths[:, np.newaxis])
        nearest = distances.argmin(axis=1)
        ordered = np.sort(distances, axis=1)
        is_close = ordered[:, 1] - ordered[:, 0] <= CLOSE if m > 1 else np.zeros(n, np.bool_)
        return self._codes, only_chosen(nearest, m), is_close


def _truths(said: Answers, n: int, otherwise: float) -> Floats:
    """The probabilities of `True`, shape (n,), or another number if the member does not know it."""
    codes, answers = said
    return answers[:, codes.index(1)] if 1 in codes else np.full(n, otherwise)
