"""What members say: each one of a river ensemble, for strategies that go by disagreement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from river import base, compose

from .schema_view import Floats


def ensemble_in(model: Any) -> list[Any] | None:
    """The members of a river ensemble, or of one at the end of a pipeline; None for other models.

    >>> from river import ensemble, linear_model, preprocessing
    >>> bagging = ensemble.BaggingClassifier(linear_model.LogisticRegression(), n_models=3, seed=1)
    >>> len(ensemble_in(preprocessing.StandardScaler() | bagging))
    3
    >>> ensemble_in(linear_model.LogisticRegression()) is None
    True
    """
    last = list(model.steps.values())[-1] if isinstance(model, compose.Pipeline) else model
    if isinstance(last, base.Ensemble):
        return list(last)
    models = getattr(last, "models", None)
    return list(models) if isinstance(models, list | tuple) else None


def opinions_of(
    model: Any,
    inputs: Sequence[Mapping[str, Any]],
    k: int,
    code_of: Callable[[Any], int],
) -> list[Floats]:
    """What each member says of n events, as arrays (n, k); [] where the model has no members yet.

    `code_of` gives the column of a label. A row of zeros is of a member that raised.
    """
    members = ensemble_in(model) or []
    found = [np.zeros((len(inputs), k)) for _ in members]
    for i, x in enumerate(inputs):
        try:
            given = model.transform_one(dict(x)) if isinstance(model, compose.Pipeline) else x
        except Exception:
            # Whatever a step raises, no member has been asked.
            continue
        for member, rows in zip(members, found, strict=True):
            try:
                said = member.predict_proba_one(given) or {}
            except Exception:
                continue
            for label, probability in said.items():
                column = code_of(label)
                if 0 <= column < k:
                    rows[i, column] = probability
    return found


def as_distributions(said: Floats) -> Floats:
    """Rows along the last axis that sum to 1; uniform where one is no distribution.

    >>> as_distributions(np.array([[1.0, 3.0], [0.0, 0.0], [np.nan, 1.0]])).tolist()
    [[0.25, 0.75], [0.5, 0.5], [0.5, 0.5]]
    """
    # The reductions themselves: an array's methods take longer, of a few rows, than what they do.
    total = np.add.reduce(said, axis=-1, keepdims=True)
    lowest = np.minimum.reduce(said, axis=-1, keepdims=True, initial=0.0)
    is_good = (lowest >= 0.0) & (total > 0.0) & (total < np.inf)
    uniform = 1.0 / max(1, said.shape[-1])
    return np.where(is_good, said / np.where(is_good, total, 1.0), uniform)
