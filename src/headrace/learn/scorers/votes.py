"""River's models that ask others: the weights in a sum of what these say, and who passes it on."""

from __future__ import annotations

import math
from typing import Any

from river import drift, ensemble, forest, imblearn

BAGGINGS = (
    ensemble.BaggingClassifier,
    ensemble.ADWINBaggingClassifier,
    ensemble.LeveragingBaggingClassifier,
)
BOOSTINGS = (
    ensemble.AdaBoostClassifier,
    ensemble.ADWINBoostingClassifier,
    ensemble.BOLEClassifier,
)
PASSING: dict[type, str] = {
    drift.DriftRetrainingClassifier: "model",
    imblearn.HardSamplingClassifier: "model",
    imblearn.RandomUnderSampler: "classifier",
    imblearn.RandomOverSampler: "classifier",
    imblearn.RandomSampler: "classifier",
}
"""The models that pass a question on to the model in this attribute."""


def is_adding(model: Any) -> bool:
    """Whether the model adds up its members' probabilities with weights that are never negative.

    >>> from river import naive_bayes
    >>> is_adding(ensemble.BaggingClassifier(naive_bayes.GaussianNB(), seed=1))
    True
    """
    if type(model) is ensemble.BOLEClassifier:
        # Above a half, a member that errs more often than not has a negative weight.
        return bool(model.error_bound <= 0.5)
    return type(model) in {*BAGGINGS, *BOOSTINGS, ensemble.SRPClassifier}


def weights_of(model: Any) -> list[float]:
    """The weight of each member, in the order of `model.models`."""
    n = len(model.models)
    if type(model) is ensemble.BOLEClassifier:
        weights = [_weigh_bole(model, i) for i in range(n)]
        # If nobody has a weight, BOLE adds up all members as they are.
        return weights if any(weights) else [1.0] * n
    if type(model) in BOOSTINGS:
        return [_weigh_boosted(model, i) for i in range(n)]
    if type(model) is ensemble.SRPClassifier and not model.disable_weighted_vote:
        return [_weigh_right(member.metric) for member in model.models]
    if type(model) is forest.ARFClassifier and not model.disable_weighted_vote:
        return [_weigh_right(metric) for metric in model._metrics[:n]]
    return [1.0] * n


def _weigh_right(metric: Any) -> float:
    right = float(metric.get())
    return right if right > 0.0 else 1.0


def _weigh_boosted(model: Any, i: int) -> float:
    # `get`, since river's dicts would otherwise keep a 0 for a member that has not learned.
    wrong, right = model.wrong_weight.get(i, 0), model.correct_weight.get(i, 0)
    error = (wrong + 1e-16) / (right + wrong + 1e-16)
    if error == 0.0 or error > 0.5:
        return 1.0
    odds = (1.0 - error) / error
    return math.log(odds) if odds else 0.0


def _weigh_bole(model: Any, i: int) -> float:
    wrong, right = model.wrong_weight.get(i, 0), model.correct_weight.get(i, 0)
    if not (right > 0.0 and wrong > 0.0):
        return 0.0
    error = wrong / (right + wrong) + 1e-16
    return math.log((1.0 - error) / error) if error <= model.error_bound else 0.0
