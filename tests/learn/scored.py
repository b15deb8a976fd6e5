"""Learners for tests of compiled models: taught on a stream, and asked through river alone."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from headrace.learn.learner import Learner
from headrace.learn.parts import parts_of
from headrace.learn.scorers.scorer import try_score
from learn.columns import Columns, stream


def taught(
    model: Any, columns: Columns, n: int = 150, seed: int = 1, missing: float = 0.1
) -> Learner:
    learner = Learner(model, columns)
    X, y = stream(columns, n, seed, missing)
    for row, code in zip(X, y, strict=True):
        learner.learn(row, int(code))
    return learner


def by_river(learner: Learner) -> Learner:
    """The same learner, made to ask river row by row."""
    other = copy.copy(learner)
    other._scorer = None
    return other


def assert_answers_of_river(learner: Learner, X: Any) -> Any:
    """Both ways of scoring give the same probabilities, and fail for the same rows."""
    scorer = learner._scorer
    assert scorer is not None
    has_window = any(getattr(part, "window_size", None) for _, part in parts_of(learner.model))
    # A window may bring complex numbers; otherwise a scorer that raises would go unnoticed.
    assert has_window or scorer.is_left_to_river or try_score(scorer, X) is not None
    found, expected = learner.probabilities(X), by_river(learner).probabilities(X)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    return found
