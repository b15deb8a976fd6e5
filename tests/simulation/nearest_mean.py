"""A model that costs next to nothing, for worlds of which thousands are lived through."""

from __future__ import annotations

from typing import Any

from river import base

RATE = 0.2


class NearestMean(base.Classifier):
    """A class is as likely as its mean is near. The mean follows what was learned last, so that
    labels in another order make another model.
    """

    def __init__(self) -> None:
        self.means: dict[Any, dict[Any, float]] = {}

    @property
    def _multiclass(self) -> bool:
        return True

    def clone(self, new_params: Any = None, include_attributes: bool = False) -> NearestMean:
        return NearestMean()

    def learn_one(self, x: dict[Any, float], y: Any) -> None:
        mean = self.means.setdefault(y, dict.fromkeys(x, 0.0))
        for name, value in x.items():
            mean[name] += RATE * (value - mean[name])

    def predict_proba_one(self, x: dict[Any, float], **options: Any) -> dict[Any, float]:
        near = {
            label: 1.0 / (0.1 + sum((x[name] - at) ** 2 for name, at in mean.items()))
            for label, mean in self.means.items()
        }
        total = sum(near.values())
        return {label: one / total for label, one in near.items()}
