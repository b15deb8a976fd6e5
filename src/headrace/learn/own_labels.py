"""The labels of a model that already knows its classes.

Most models learn codes, 0 to k-1. A model that was trained elsewhere, or was configured with the
frequency of each class (`imblearn.RandomSampler(desired_dist=...)`), has its own labels: codes
would be unknown to it or, worse, mean other classes.
"""

from __future__ import annotations

from collections import UserList
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from river import base, dummy, linear_model

from ..messages import class_name
from .parts import parts_of
from .scoring import code_of

_KEPT_IN = ("class_counts", "classes", "classifiers", "desired_dist")
_KEPT_ELSEWHERE = {linear_model.SoftmaxRegression: "weights", dummy.PriorClassifier: "counts"}
"""The attributes in which river's classifiers store the labels that they know."""


class OwnLabels:
    """A model's own labels for classes, read from the model before it learns here.

    >>> from river import imblearn, naive_bayes
    >>> shares = {"fraud": 0.5, "fine": 0.5}
    >>> sampler = imblearn.RandomSampler(naive_bayes.GaussianNB(), desired_dist=shares, seed=1)
    >>> own = OwnLabels.from_model(sampler)
    >>> own.label("fraud", 1), own.code("fine", ["fine", "fraud"])
    ('fraud', 0)
    >>> own = OwnLabels.from_model(naive_bayes.GaussianNB())
    >>> own.label("fraud", 1), own.code(1, ["fine", "fraud"])
    (1, 1)
    """

    def __init__(self, by_name: Mapping[str, Any]) -> None:
        self.by_name = dict(by_name)
        self._are_texts = any(isinstance(label, str) for label in self.by_name.values())

    @classmethod
    def from_model(cls, model: Any) -> OwnLabels:
        """The labels in this model, without booleans, which binary learners use for any classes."""
        return cls(
            {class_name(label): label for label in _labels_in(model) if not isinstance(label, bool)}
        )

    def __bool__(self) -> bool:
        return bool(self.by_name)

    def label(self, name: str, code: int) -> Any:
        """The label that the model learns for the class with this name and code."""
        if name in self.by_name:
            return self.by_name[name]
        return name if self._are_texts else code

    def code(self, label: Any, names: Sequence[str]) -> int:
        """The code of a label that the model predicted; -1 if none of `names` has it."""
        if not self.by_name or isinstance(label, bool):
            return code_of(label)
        name = class_name(label)
        if name in names:
            return names.index(name)
        # If no class has one of the model's names, numeric labels are codes.
        has_names = self._are_texts or not self.by_name.keys().isdisjoint(names)
        return -1 if has_names else code_of(label)


def _labels_in(model: Any) -> Iterator[Any]:
    """All labels in the model and in the classifiers inside it."""
    for _, part in parts_of(model):
        if not isinstance(part, base.Classifier):
            continue
        attributes = [
            *_KEPT_IN,
            *(name for kind, name in _KEPT_ELSEWHERE.items() if type(part) is kind),
        ]
        for attribute in attributes:
            labels = getattr(part, attribute, None)
            if isinstance(labels, Iterable) and not isinstance(labels, str):
                # The order of a set depends on the hash seed of the process.
                yield from sorted(labels, key=repr)
        if isinstance(part, UserList):
            for member in part:
                yield from _labels_in(member)
