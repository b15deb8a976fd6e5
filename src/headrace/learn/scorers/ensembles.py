"""Scorers of river's ensembles: the scorers of the members, and how river joins their answers.

A member may be any model that can be compiled by itself. Here are the ensembles that add up
probabilities, those that vote, and the models that pass on what they are asked; `multiclass` has
those of two-class models, `stacking` the stacks.

Where a choice between classes is so close that rounding may decide it, river is asked for that row,
and so it is for a row in which a member fails.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from river import base, compose, ensemble

from ..schema_view import Floats, SchemaView
from .inputs import Inputs, Patch
from .linear import LogisticScorer, LogisticsScorer
from .scorer import Scorer, code_of
from .votes import PASSING, is_adding, weights_of

Answers: TypeAlias = tuple[list[int], Floats]
"""Class codes, and an answer for each, shape (n, m), as `Scorer.score` returns them."""

Joined: TypeAlias = tuple[list[int], Floats, NDArray[np.bool_]]
"""As `Answers`, and the rows that rounding might turn round, shape (n,)."""


class CompileMember(Protocol):
    """Returns the scorer of a member, behind the transformers before the ensemble.

    With a schema, there is nothing before the model, and its rows are of this schema.
    `as_they_came`: it learns the events' own values, whose types may differ from those in rows.
    `patch`: of what the transformers pass on, it sees only these features.
    """

    def __call__(
        self,
        model: Any,
        own_schema: SchemaView | None = None,
        /,
        *,
        as_they_came: bool = False,
        patch: Patch | None = None,
    ) -> Scorer | None:
        """The scorer, or None if the model can't be compiled."""
        ...


CLOSE = 1e-9
"""The largest difference between two sums of probabilities that rounding might turn round."""


class EnsembleScorer(Scorer):
    """Base of the ensembles: scorers of all members, made anew for members that were exchanged.

    - `model`: the ensemble.
    - `before`: the transformers that its features pass first.
    - `compile_member`: returns the scorer of a member behind these transformers.
    - `examples`: the scorers of the members that the ensemble has, or will make copies of.

    The model learns the features as they came, if any member does.
    """

    def __init__(
        self,
        model: Any,
        schema: SchemaView,
        before: Sequence[Any],
        compile_member: CompileMember,
        examples: Sequence[Scorer],
    ) -> None:
        super().__init__(model, Inputs(), schema)
        self._before = before
        self._compile_member = compile_member
        self._examples = examples
        self.learns_originals = any(scorer.learns_originals for scorer in examples)
        self.is_refusing_texts = any(scorer.is_refusing_texts for scorer in examples)
        self.asks_for_none = any(scorer.asks_for_none for scorer in examples)
        self._known: dict[int, tuple[Any, Scorer]] = {}
        self._scorers: list[Scorer] = []
        self._alike: list[LogisticScorer] = []
        self._together: LogisticsScorer | None = None

    @classmethod
    def compile(
        cls, model: Any, schema: SchemaView, before: Sequence[Any], compile_member: CompileMember
    ) -> Scorer | None:
        """The scorer of an ensemble, or None if one of its members can't be compiled."""
        examples = cls._compile_examples(model, compile_member)
        if any(scorer.learns_originals or scorer.is_refusing_texts for scorer in examples or ()):
            compile_member = partial(compile_member, as_they_came=True)
            examples = cls._compile_examples(model, compile_member)
        # If the model gets None for what is missing, all members have to be told.
        if not examples or len({scorer.asks_for_none for scorer in examples}) > 1:
            return None
        return cls(model, schema, before, compile_member, examples)

    @classmethod
    def _compile_examples(cls, model: Any, compile_member: CompileMember) -> list[Scorer] | None:
        examples = []
        for member in cls.examples_in(model):
            scorer = compile_member(member)
            if scorer is None or not cls.can_join(model, member, scorer):
                return None
            examples.append(scorer)
        return examples

    @staticmethod
    def examples_in(model: Any) -> list[Any]:
        """The members of an ensemble, and the model of which it will make more."""
        raise NotImplementedError

    @staticmethod
    def can_join(model: Any, member: Any, scorer: Scorer) -> bool:
        """Whether the ensemble can be compiled with this member, which has this scorer."""
        return scorer.gives_probabilities

    def score(self, X: Floats) -> Answers:
        """As `Scorer.score`; rows that rounding might turn round are answered by river."""
        self._read_members()
        said = self._score_members(X)
        codes, answers, is_unsure = self._join(X, said)
        has_failed = np.isnan(answers).any(axis=1)
        for _, of_member in said:
            has_failed |= np.isnan(of_member).any(axis=1)
        answers[has_failed] = np.nan
        is_asked = is_unsure | has_failed
        if self.is_refusing_texts and "text" in self._schema.kinds:
            # A row by itself has no free text, on which a member has failed here.
            kinds = self._schema.kinds[: X.shape[1]]
            texts = [j for j, kind in enumerate(kinds) if kind == "text"]
            is_asked &= ~(has_failed & ~np.isnan(X[:, texts]).all(axis=1))
        for i in np.flatnonzero(is_asked).tolist():
            answers[i] = self._ask_river(X[i], codes)
        return codes, answers

    @property
    def is_left_to_river(self) -> bool:
        """Whether a member is."""
        self._read_members()
        return any(scorer.is_left_to_river for scorer in self._scorers)

    def rows_beyond(self, X: Floats) -> list[int]:
        """The rows that are beyond the members which learn originals; these all say the same."""
        reading = next((scorer for scorer in self._examples if scorer.learns_originals), None)
        return reading.rows_beyond(X) if reading is not None else []

    # --------------------------------------------------------------------- what subclasses say

    def _members(self) -> list[Any]:
        """The members as they are now."""
        return list(self._final.models)

    def _refresh(self) -> None:
        """Read what else of the model changes with a label."""

    def _join(self, X: Floats, said: Sequence[Answers]) -> Joined:
        """Join what the members have `said` of these rows."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------- members

    def _read_members(self) -> None:
        if not self.is_stale:
            return
        members = self._members()
        # A member that is kept here can't pass its id on to another.
        present = {
            id(member): self._known.get(id(member)) or self._take(member) for member in members
        }
        for _, scorer in present.values():
            scorer.is_stale, scorer.passes_none = True, self.passes_none
        self._known = present
        self._scorers = [present[id(member)][1] for member in members]
        self._join_alike(members)
        self._refresh()
        self.is_stale = False

    def _join_alike(self, members: Sequence[Any]) -> None:
        """Score logistic regressions together, if nothing but `before` is between them and rows."""
        alike = [
            scorer
            for member, scorer in zip(members, self._scorers, strict=True)
            if type(scorer) is LogisticScorer and member is scorer.final
        ]
        if len(alike) != len(self._alike) or any(map(operator.is_not, alike, self._alike)):
            self._alike = alike
            self._together = None
            if len(alike) > 1:
                _, first = self._take(alike[0].final)
                assert isinstance(first, LogisticScorer)
                self._together = first.join([scorer.final for scorer in alike])
                self._together.passes_none = self.passes_none
        if self._together is not None:
            self._together.is_stale = True

    def _score_members(self, X: Floats) -> list[Answers]:
        """The answers of all members."""
        if self._together is None:
            return [scorer.score(X) for scorer in self._scorers]
        _, truths = self._together.score(X)
        answers = np.empty((len(X), len(self._alike), 2))
        answers[:, :, 1] = truths
        np.subtract(1.0, truths, out=answers[:, :, 0])
        of_alike = {id(scorer): answers[:, i] for i, scorer in enumerate(self._alike)}
        return [
            ([0, 1], of_alike[id(scorer)]) if id(scorer) in of_alike else scorer.score(X)
            for scorer in self._scorers
        ]

    def _take(self, member: Any) -> tuple[Any, Scorer]:
        scorer = self._compile_member(member)
        assert scorer is not None, "it is a copy of an example, which was compiled"
        return member, scorer

    def _ask_river(self, row: Floats, codes: list[int]) -> list[float]:
        """River's answer for one row, by code; NaN if it raises."""
        x, model = self._schema.features(row), self._final
        if self.passes_none:
            x = {name: x.get(name) for name in self._schema.names}
        try:
            for step in self._before:
                x = step.transform_one(x)
            if self.gives_probabilities:
                said = model.predict_proba_one(x)
            else:
                label = model.predict_one(x)
                said = {} if label is None else {label: 1.0}
        except Exception:  # whatever river raises, the row has no answer
            return [math.nan] * len(codes)
        by_code = {code_of(label): float(p) for label, p in said.items()}
        return [by_code.get(code, 0.0) for code in codes]


class PassingScorer(EnsembleScorer):
    """A model that passes questions on to another: it samples labels, or begins anew at a drift."""

    @staticmethod
    def examples_in(model: Any) -> list[Any]:
        """The model that is asked."""
        return [getattr(model, PASSING[type(model)])]

    def _members(self) -> list[Any]:
        return self.examples_in(self._final)

    def score(self, X: Floats) -> Answers:
        """As `Scorer.score`."""
        self._read_members()
        return self._scorers[0].score(X)


class PoolScorer(EnsembleScorer):
    """Bagging, boosting and random patches: weighted probabilities, added up and normalised.

    A member of random patches sees some of the features behind the transformers `before`. Without
    these the others are hidden in its rows, as a row has what is missing. A missing feature that is
    None and one that a member does not see are not the same, so `Patch` then leaves these out.
    """

    @classmethod
    def compile(
        cls, model: Any, schema: SchemaView, before: Sequence[Any], compile_member: CompileMember
    ) -> Scorer | None:
        """As `EnsembleScorer.compile`."""
        scorer = super().compile(model, schema, before, compile_member)
        is_plain = scorer is None or not (before or scorer.asks_for_none)
        if is_plain or type(model) is not ensemble.SRPClassifier:
            return scorer
        return super().compile(model, schema, before, partial(compile_member, patch=Patch()))

    @staticmethod
    def examples_in(model: Any) -> list[Any]:
        """The model that is copied; members of random patches are in a wrapper."""
        is_patches = type(model) is ensemble.SRPClassifier
        return [model.model, *(m.model if is_patches else m for m in model.models)]

    @staticmethod
    def can_join(model: Any, member: Any, scorer: Scorer) -> bool:
        """Whether the member has probabilities, and no weight in the sum is negative."""
        return scorer.gives_probabilities and is_adding(model)

    def _members(self) -> list[Any]:
        is_patches = type(self._final) is ensemble.SRPClassifier
        return [m.model if is_patches else m for m in self._final.models]

    def _refresh(self) -> None:
        self._weights = weights_of(self._final)
        # What members do not see is hidden in rows, or left out by their scorers.
        self._features = [] if self._leaves_out else self._patches()

    def _join(self, X: Floats, said: Sequence[Answers]) -> Joined:
        codes, pooled = add_answers(said, len(X), self._weights)
        total = np.add.accumulate(pooled, axis=1)[:, -1:] if codes else np.zeros((len(X), 1))
        # As river has it, a sum of 0 stays as it is; one of NaN does, too.
        pooled /= np.where(total > 0.0, total, 1.0)
        return codes, pooled, np.zeros(len(X), np.bool_)

    def _score_members(self, X: Floats) -> list[Answers]:
        if all(names is None for names in self._features):
            return super()._score_members(X)
        return [
            scorer.score(self._take_patch(X, names))
            for scorer, names in zip(self._scorers, self._features, strict=True)
        ]

    @property
    def _leaves_out(self) -> bool:
        return bool(self._before) or self.asks_for_none

    def _patches(self) -> list[list[Any] | None]:
        """The names of the features that each member sees; None for all."""
        is_patches = type(self._final) is ensemble.SRPClassifier
        return [m.features if is_patches else None for m in self._final.models]

    def _take(self, member: Any) -> tuple[Any, Scorer]:
        patches = zip(self._members(), self._patches(), strict=True)
        names = next(names for other, names in patches if other is member)
        is_whole = names is None or not self._leaves_out
        patch = None if is_whole else Patch(frozenset(names or ()))
        scorer = self._compile_member(member, patch=patch)
        assert scorer is not None, "it is a copy of an example, which was compiled"
        return member, scorer

    def _join_alike(self, members: Sequence[Any]) -> None:
        if all(names is None for names in self._patches()):
            super()._join_alike(members)

    def _take_patch(self, X: Floats, names: list[Any] | None) -> Floats:
        """The rows without the features that a member of random patches does not see."""
        if names is None:
            return X
        seen = set(names)
        hidden = [j for j in range(X.shape[1]) if self._schema.names[j] not in seen]
        patch = X.copy()
        patch[:, hidden] = np.nan
        return patch


class SoftVotingScorer(EnsembleScorer):
    """Voting by probabilities: the class with the highest sum, alone, since river says no more."""

    gives_probabilities: ClassVar[bool] = False

    @staticmethod
    def examples_in(model: Any) -> list[Any]:
        """The members."""
        return list(model.models)

    def _join(self, X: Floats, said: Sequence[Answers]) -> Joined:
        codes, pooled = add_answers(said, len(X))
        chosen, is_sure = choose_likeliest(pooled)
        return codes, only_chosen(chosen, len(codes)), ~is_sure


class HardVotingScorer(EnsembleScorer):
    """Voting by predictions: the class that most members predict, of equal ones the first named."""

    gives_probabilities: ClassVar[bool] = False

    @staticmethod
    def examples_in(model: Any) -> list[Any]:
        """The members."""
        return list(model.models)

    @staticmethod
    def can_join(model: Any, member: Any, scorer: Scorer) -> bool:
        """Whether the member predicts its likeliest class."""
        return predicts_likeliest(member, scorer)

    def _join(self, X: Floats, said: Sequence[Answers]) -> Joined:
        codes = all_codes(said)
        # The last column is for the votes of members that have no answer yet.
        votes = np.full((len(X), len(said)), len(codes), dtype=np.intp)
        is_unsure = np.zeros(len(X), np.bool_)
        for i, (own, answers) in enumerate(said):
            if own:
                chosen, is_sure = choose_likeliest(answers)
                votes[:, i] = np.array([codes.index(code) for code in own])[chosen]
                is_unsure |= ~is_sure
        elected = elect(votes, len(codes) + 1)
        return codes, only_chosen(elected, len(codes)), is_unsure


# --------------------------------------------------------------------------- parts of all of them


def all_codes(said: Sequence[Answers]) -> list[int]:
    """The codes of all members, each once, in the order in which they are named."""
    return list(dict.fromkeys(code for codes, _ in said for code in codes))


def add_answers(
    said: Sequence[Answers], n: int, weights: Sequence[float] | None = None
) -> tuple[list[int], Floats]:
    """The codes of all members, and the weighted sum of their answers, one after the other.

    >>> add_answers([([0, 1], np.array([[0.3, 0.7]])), ([1], np.array([[1.0]]))], 1, [2.0, 1.0])
    ([0, 1], array([[0.6, 2.4]]))
    """
    codes = all_codes(said)
    pooled = np.zeros((n, len(codes)))
    for i, (own, answers) in enumerate(said):
        weighted = answers if weights is None else answers * weights[i]
        if own == codes:
            pooled += weighted
        elif own:
            pooled[:, [codes.index(code) for code in own]] += weighted
    return codes, pooled


def choose_likeliest(answers: Floats) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """The column of the highest answer of each row, shape (n,), and whether it surely is that.

    >>> choose_likeliest(np.array([[0.2, 0.8], [0.5, 0.5], [0.0, 0.0]]))
    (array([1, 0, 0]), array([ True, False, False]))
    """
    n, m = answers.shape
    if m == 0:
        return np.zeros(n, dtype=np.intp), np.ones(n, np.bool_)
    chosen = answers.argmax(axis=1)
    highest = answers[np.arange(n), chosen]
    others = answers.copy()
    others[np.arange(n), chosen] = -np.inf
    # Without a positive answer river may have none at all. NaN is never sure.
    return chosen, (highest > 0.0) & (highest - others.max(axis=1) > CLOSE)


def elect(votes: NDArray[np.intp], columns_n: int) -> NDArray[np.intp]:
    """The column with the most votes of each row, shape (n, voters); of equal ones the first named.

    >>> elect(np.array([[2, 0, 2], [1, 0, 2]]), 3)
    array([2, 1])
    """
    n, rows = len(votes), np.arange(len(votes))
    places = (rows[:, np.newaxis] * columns_n + votes).ravel()
    counts = np.bincount(places, minlength=n * columns_n).reshape(n, columns_n)
    of_votes = counts[rows[:, np.newaxis], votes]
    first_of_most = (of_votes == counts.max(axis=1, keepdims=True)).argmax(axis=1)
    return np.asarray(votes[rows, first_of_most])


def only_chosen(chosen: NDArray[np.intp], m: int) -> Floats:
    """Probability 1 in the chosen column of each row; 0 in all m if that column is none of them.

    >>> only_chosen(np.array([1, 2]), 2).tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """
    return np.asarray(np.eye(m + 1, m)[np.minimum(chosen, m)])


def predicts_likeliest(model: Any, scorer: Scorer) -> bool:
    """Whether `predict_one` of this model is the class to which its scorer gives most."""
    if not scorer.gives_probabilities:
        return True
    last = list(model.steps.values())[-1] if type(model) is compose.Pipeline else model
    return type(last).predict_one is base.Classifier.predict_one
