"""The scorer of river's stacking: the answers of the members are features of another model.

That model has to be a linear one without steps before it. Others, such as trees and scalers, can
make a large difference of one in the last bit of a member's answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from river import linear_model, preprocessing

from ...messages import Features
from ..schema_view import Floats, SchemaView
from .ensembles import Answers, CompileMember, EnsembleScorer, Joined
from .labels import labels_of
from .scorer import Scorer, code_of

_JOINING = (linear_model.LogisticRegression, linear_model.SoftmaxRegression)


class StackingScorer(EnsembleScorer):
    """Members' answers as columns `oof_<member>_<label>`, beside the features if it has these."""

    @classmethod
    def compile(
        cls, model: Any, schema: SchemaView, before: Sequence[Any], compile_member: CompileMember
    ) -> Scorer | None:
        """The scorer of a stack, or None if one of its models can't be compiled."""
        if type(model.meta_classifier) not in _JOINING:
            return None
        if model.include_features and not all(map(_is_plain_scaler, before)):
            return None
        joining = compile_member(model.meta_classifier)
        if joining is None or (joining.asks_for_none and model.include_features):
            return None
        return super().compile(model, schema, before, compile_member)

    @staticmethod
    def examples_in(model: Any) -> list[Any]:
        """The members, without the model that joins them."""
        return list(model.models)

    @staticmethod
    def can_join(model: Any, member: Any, scorer: Scorer) -> bool:
        """Whether the member has probabilities, of labels that are known before it is asked."""
        return scorer.gives_probabilities and labels_of(member) is not None

    def _refresh(self) -> None:
        labels = [labels_of(member) or [] for member in self._final.models]
        self._named = {
            f"oof_{i}_{label}": (i, code_of(label))
            for i, of_member in enumerate(labels)
            for label in of_member
        }
        stacked = _Stacked(self._schema, list(self._named), self._final.include_features)
        joining = self._compile_member(self._final.meta_classifier, stacked)
        assert joining is not None
        self._joining = joining

    @property
    def is_left_to_river(self) -> bool:
        """Whether a member is, or a feature has the name of a member's answer."""
        if super().is_left_to_river or self._joining.is_left_to_river:
            return True
        return not self._named.keys().isdisjoint(self._schema.names)

    def _join(self, X: Floats, said: Sequence[Answers]) -> Joined:
        columns = np.zeros((len(X), len(self._named)))
        for column, (i, code) in enumerate(self._named.values()):
            codes, answers = said[i]
            if code in codes:
                columns[:, column] = answers[:, codes.index(code)]
        if self._final.include_features:
            columns = np.concatenate([columns, self._scale(X)], axis=1)
        codes, answers = self._joining.score(columns)
        return codes, answers, np.zeros(len(X), np.bool_)

    def _scale(self, X: Floats) -> Floats:
        """The features as the scalers before the stack change them: texts become 0, or raise."""
        for scaler in self._before:
            X = X.copy()
            for j, (name, kind) in enumerate(
                zip(self._schema.names[: X.shape[1]], self._schema.kinds, strict=False)
            ):
                if kind != "numeric":
                    X[:, j] = np.nan
                    continue
                X[:, j] -= scaler.means.get(name, 0.0)
                if scaler.with_std:
                    variance = scaler.vars.get(name, 0.0)
                    X[:, j] *= 1.0 / variance**0.5 if variance else 0.0
        return X


class _Stacked:
    """A schema with columns for the members' answers, before those of the features."""

    def __init__(self, schema: SchemaView, said: list[str], has_features: bool) -> None:
        self._schema, self._said, self._has_features = schema, said, has_features

    @property
    def names(self) -> Sequence[str]:
        return [*self._said, *self._schema.names] if self._has_features else self._said

    @property
    def kinds(self) -> Sequence[str]:
        kinds = ["numeric"] * len(self._said)
        return [*kinds, *self._schema.kinds] if self._has_features else kinds

    @property
    def classes(self) -> Sequence[str]:
        return self._schema.classes

    @property
    def width(self) -> int:
        return len(self.names)

    def features(self, row: Floats, original: Features | None = None) -> dict[str, Any]:
        n = len(self._said)
        features = self._schema.features(row[n:], original) if self._has_features else {}
        return dict(zip(self._said, row[:n].tolist(), strict=True)) | features


def _is_plain_scaler(step: Any) -> bool:
    return type(step) is preprocessing.StandardScaler and step.window_size is None
