"""Tests of a river model's behaviour, on copies: weights, missing features, first predictions."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from river import preprocessing

from ..chance import Chance
from .parts import parts_of
from .presets import RiverClassifier


def takes_weight(model: RiverClassifier, names: list[str]) -> bool:
    """Whether the weight in `learn_one(x, y, w=...)` of this model works, tested on clones.

    The signature does not show it: some ensembles accept `**kwargs` and ignore them, some pass them
    to members that raise. So clones learn 32 examples over the numeric features `names`. The weight
    works if w=1 on all changes nothing, and if w=4 on the examples of class 1 makes class 1 more
    likely and w=0.25 less likely than no weight.

    >>> from river import linear_model, naive_bayes
    >>> takes_weight(linear_model.LogisticRegression(), ["amount"])
    True
    >>> takes_weight(naive_bayes.GaussianNB(), ["amount"])
    False
    """
    try:
        plain, unit = _measure_tilt(model, names, None), _measure_tilt(model, names, 1.0)
        return plain == unit and _measure_tilt(model, names, 0.25) < plain < _measure_tilt(
            model, names, 4.0
        )
    except Exception:  # the argument is refused, here or further inside
        return False


def keeps_absence(model: RiverClassifier, x: Mapping[str, Any], label: Any) -> bool:
    """Whether a missing feature should be left out for this model, instead of being `None`.

    River's models accept a missing feature; its imputers, `Select`, and functions that look up a
    feature need `None` in its place. So copies learn the example x, in which missing features are
    `None`, without each of its features in turn. `None` is chosen if the model contains an imputer,
    or if absence raises and `None` does not.

    >>> from river import linear_model, preprocessing, stats
    >>> imputer = preprocessing.StatImputer(("load", stats.Mean()))
    >>> keeps_absence(imputer | linear_model.LogisticRegression(), {"load": 1.0}, True)
    False
    >>> keeps_absence(linear_model.LogisticRegression(), {"load": 1.0}, True)
    True
    """
    if any(isinstance(part, _IMPUTERS) for _, part in parts_of(model)):
        return False
    for name in list(x)[:_TRIED_MAX]:
        filled = {**x, name: None}
        absent = {key: value for key, value in filled.items() if value is not None}
        if not _can_learn(model, absent, label) and _can_learn(model, filled, label):
            return False
    return True


_IMPUTERS = (preprocessing.StatImputer, preprocessing.PreviousImputer)
_TRIED_MAX = 16


def _can_learn(model: RiverClassifier, x: dict[str, Any], label: Any) -> bool:
    """Whether a copy can learn x twice and predict it."""
    stranger = copy.deepcopy(model)
    try:
        stranger.learn_one(dict(x), label)
        stranger.learn_one(dict(x), label)
        stranger.predict_one(dict(x))
    except Exception:  # the model does not accept x
        return False
    return True


def _measure_tilt(model: RiverClassifier, names: list[str], weight: float | None) -> float:
    """The mean probability of class 1 after a clone learned class 1 with this weight."""
    clone, chance = model.clone(), Chance(0)
    rows = [
        {name: chance.uniform(f"row {i}", name) for name in names or ["a", "b", "c"]}
        for i in range(32)
    ]
    for i, x in enumerate(rows):
        # The classes overlap, so that a weight has an effect.
        label = chance.uniform("label", str(i)) < 0.25 + 0.5 * next(iter(x.values()))
        if weight is None:
            clone.learn_one(x, label)
        else:
            clone.learn_one(x, label, w=weight if label else 1.0)
    total = 0.0
    for x in rows:
        try:
            total += float(clone.predict_proba_one(x).get(True, 0.0))
        except NotImplementedError:
            total += float(bool(clone.predict_one(x)))
    return total


def first_words(model: RiverClassifier) -> tuple[bool, bool]:
    """Whether the model has no answer yet, and whether it predicts probabilities; on a copy."""
    stranger = copy.deepcopy(model)
    try:
        return not stranger.predict_proba_one({}), True
    except NotImplementedError:
        return False, False
    except Exception:  # it needs a feature that is missing here, so it may have an answer
        return False, True
