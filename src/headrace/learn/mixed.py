"""Naive Bayes over numbers and categories together: river's GaussianNB, with counted categories.

One-hot encoding before GaussianNB does not work: for a class that never had a category, the feature
is always 0, and river gives a feature without variance the floor density even when it is 0.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

from river import naive_bayes, proba


class MixedNB(naive_bayes.GaussianNB):
    """Naive Bayes with Gaussian numbers in each class, and texts counted with one added.

    The chance of value v of feature f in class c is (n_cfv + 1) / (n_cf + values of f + 1), where
    the last 1 is for all values not seen yet (Laplace's rule of succession).

    >>> model = MixedNB()
    >>> for city, label in [("Rome", 0), ("Rome", 0), ("Oslo", 1)]:
    ...     model.learn_one({"city": city}, label)
    >>> model.predict_one({"city": "Rome"})
    0
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.text_counts: dict[Any, dict[Hashable, dict[str, int]]] = {}
        self.texts: dict[Hashable, dict[str, None]] = {}

    @staticmethod
    def _make_gaussian() -> proba.Gaussian:
        # A Gaussian has an unused random generator; a seed makes states equal.
        gaussian = proba.Gaussian(seed=0)  # type: ignore[no-untyped-call]
        gaussian._var.ddof = 0  # as river has it here
        return gaussian

    def learn_one(self, x: dict[Hashable, Any], y: Any) -> None:
        """Learn the numbers as river does, and count the texts."""
        numbers, texts = _split_features(x)
        super().learn_one(numbers, y)  # type: ignore[no-untyped-call]
        of_class = self.text_counts.setdefault(y, {})
        for name, text in texts.items():
            counts = of_class.setdefault(name, {})
            counts[text] = counts.get(text, 0) + 1
            self.texts.setdefault(name, {})[text] = None

    def joint_log_likelihood(self, x: dict[Hashable, Any]) -> Any:
        """The log prior plus the log likelihood of every feature, by class."""
        numbers, texts = _split_features(x)
        joint: Any = super().joint_log_likelihood(numbers)  # type: ignore[no-untyped-call]
        for label in joint:
            joint[label] += sum(self.log_chance(label, name, texts[name]) for name in texts)
        return joint

    def log_chance(self, label: Any, name: Hashable, text: str) -> float:
        """The logarithm of the chance of this text in this class."""
        counts = self.text_counts.get(label, {}).get(name, {})
        values_n = len(self.texts.get(name, {}))
        return math.log((counts.get(text, 0) + 1) / (sum(counts.values()) + values_n + 1))


def _split_features(x: dict[Hashable, Any]) -> tuple[dict[Hashable, Any], dict[Hashable, str]]:
    numbers = {name: value for name, value in x.items() if not isinstance(value, str)}
    return numbers, {name: value for name, value in x.items() if isinstance(value, str)}
