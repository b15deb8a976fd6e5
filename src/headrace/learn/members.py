"""The opinions of each member of a river ensemble, for strategies that use disagreement."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from river import base, compose

from .failures import Failures
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
    """Each member's probabilities for n events, arrays of shape (n, k); [] without members.

    - `model`: a river ensemble, or a pipeline that ends in one.
    - `inputs`: the features of the n events; `k`: the number of classes.
    - `code_of`: returns the column of a label; a column outside 0 to k-1 is ignored.

    The row of a member that raised is 0.
    """
    members = ensemble_in(model) or []
    opinions = [np.zeros((len(inputs), k)) for _ in members]
    for i, x in enumerate(inputs):
        try:
            transformed = model.transform_one(dict(x)) if isinstance(model, compose.Pipeline) else x
        except Exception:
            # A step before the members raised: all their rows stay 0.
            continue
        for member, rows in zip(members, opinions, strict=True):
            try:
                probabilities = member.predict_proba_one(transformed) or {}
            except Exception:
                continue
            for label, probability in probabilities.items():
                column = code_of(label)
                if 0 <= column < k:
                    rows[i, column] = probability
    return opinions


def as_distributions(said: Floats) -> Floats:
    """Normalise rows along the last axis to sum 1; a row that is no distribution becomes uniform.

    >>> as_distributions(np.array([[1.0, 3.0], [0.0, 0.0], [np.nan, 1.0]])).tolist()
    [[0.25, 0.75], [0.5, 0.5], [0.5, 0.5]]
    """
    # For a few rows an array's methods take longer than these reductions themselves.
    total = np.add.reduce(said, axis=-1, keepdims=True)
    lowest = np.minimum.reduce(said, axis=-1, keepdims=True, initial=0.0)
    is_good = (lowest >= 0.0) & (total > 0.0) & (total < np.inf)
    uniform = 1.0 / max(1, said.shape[-1])
    return np.where(is_good, said / np.where(is_good, total, 1.0), uniform)


def as_answers(found: Floats, failures: Failures, *, is_learned: bool) -> Floats:
    """Rows (n, k) that sum to 1; uniform if the model has no answer, NaN if it failed.

    `failures` gets to know of a row that is no distribution. A failure of an unlearned model is no
    evidence against it, so that row is uniform too.

    >>> as_answers(np.array([[1.0, 3.0], [0.0, 0.0], [-1.0, 1.0]]), Failures(), is_learned=True)
    array([[0.25, 0.75],
           [0.5 , 0.5 ],
           [ nan,  nan]])
    """
    if found.shape == (1, 2):
        # For one event and two classes plain numbers have the same bits, and take a third.
        first, second = found[0].tolist()
        if first >= 0.0 and second >= 0.0 and 0.0 < first + second < math.inf:
            return np.array([[first / (first + second), second / (first + second)]])
    # For one row these functions take half the time of an array's methods.
    total, lowest = np.add.reduce(found, axis=1), np.minimum.reduce(found, axis=1)
    # A NaN makes every comparison false.
    is_good = (lowest >= 0.0) & (total > 0.0) & (total < np.inf)
    if np.logical_and.reduce(is_good):
        normalised: Floats = found / total[:, np.newaxis]
        return normalised
    is_silent = (lowest >= 0.0) & (total == 0.0) | (not is_learned)
    if not (is_good | is_silent).all():
        failures.note_failure("predict", "its probabilities are no distribution")
    safe = np.where(is_good, total, 1.0)[:, np.newaxis]
    otherwise = np.where(is_silent, 1.0 / found.shape[1], np.nan)[:, np.newaxis]
    answers: Floats = np.where(is_good[:, np.newaxis], found / safe, otherwise)
    return answers
