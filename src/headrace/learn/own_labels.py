"""The labels of a model that already knows its classes.

Most models learn codes, 0 to k-1. A model that was trained elsewhere, or was configured with the
frequency of each class (`imblearn.RandomSampler(desired_dist=...)`), has its own labels: codes
would be unknown to it or, worse, mean other classes. So does one of two classes, which treats
`True` apart (`optim.losses.Log(weight_pos=...)`), or has learned what it is.
"""

from __future__ import annotations

from collections import UserList
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from river import base, dummy, linear_model, multiclass

from ..messages import class_name
from .parts import parts_of
from .scorers.scorer import code_of

_KEPT_IN = ("class_counts", "classes", "_classes", "classifiers", "desired_dist", "named_labels")
_KEPT_ELSEWHERE = {
    linear_model.SoftmaxRegression: "weights",
    dummy.PriorClassifier: "counts",
    # Its `classifiers` are by the bits of its code, not by label.
    multiclass.OutputCodeClassifier: "code_book",
}
"""The attributes in which river's classifiers store the labels that they know."""


_TRUE = ("true", "1")
"""The names of the class that is `True`, which Python holds equal to 1."""


class OwnLabels:
    """A model's own labels for classes, read from the model before it learns here.

    A model of two classes learns `True` and `False`. `is_by_truth`: if the first class is called
    "true" or "1", it is `True`, else the second is.

    >>> from river import imblearn, linear_model, naive_bayes
    >>> shares = {"fraud": 0.5, "fine": 0.5}
    >>> sampler = imblearn.RandomSampler(naive_bayes.GaussianNB(), desired_dist=shares, seed=1)
    >>> own = OwnLabels.from_model(sampler)
    >>> own.label(1, ["fine", "fraud"]), own.code("fine", ["fine", "fraud"])
    ('fraud', 0)
    >>> own = OwnLabels.from_model(naive_bayes.GaussianNB())
    >>> own.label(1, ["fine", "fraud"]), own.code(1, ["fine", "fraud"])
    (1, 1)
    >>> own = OwnLabels.from_model(linear_model.LogisticRegression())
    >>> own.label(1, ["fine", "fraud"]), own.label(1, ["true", "false"])
    (True, False)
    """

    def __init__(
        self, by_name: Mapping[str, Any], *, is_binary: bool = False, is_by_truth: bool = True
    ) -> None:
        self.by_name = dict(by_name)
        self.is_binary = is_binary
        self.is_by_truth = is_by_truth
        self._are_texts = any(isinstance(label, str) for label in self.by_name.values())

    STATE_VERSION: ClassVar[int] = 2

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before version 2 the second class was `True` in any model of two classes."""
        return {"is_binary": False, "is_by_truth": False} | fields

    @classmethod
    def from_model(cls, model: Any) -> OwnLabels:
        """The labels in this model; `True` and 1 are one, and so are `False` and 0."""
        is_binary = not model._multiclass
        labels = () if is_binary else _labels_in(model)
        return cls(
            {name: label for label in labels for name in _names_of(label)}, is_binary=is_binary
        )

    def __bool__(self) -> bool:
        return bool(self.by_name)

    def is_turned(self, names: Sequence[str]) -> bool:
        """Whether `True` is the first of these classes, for a model of two classes."""
        return self.is_binary and self.is_by_truth and bool(names) and names[0] in _TRUE

    def label(self, code: int, names: Sequence[str]) -> Any:
        """The label that the model learns for the class with this code; `names` are all classes."""
        if self.is_binary:
            return bool(code) != self.is_turned(names)
        if not self.by_name:
            return code
        name = names[code]
        if name in self.by_name:
            return self.by_name[name]
        if self._are_texts:
            return name
        return int(name) if _is_whole(name) else code

    def codes(self, labels: list[Any], names: Sequence[str]) -> list[Any]:
        """The codes of several labels; -1 for a label that none of `names` has."""
        if not self.by_name and not self.is_turned(names):
            return labels
        return [self.code(label, names) for label in labels]

    def code(self, label: Any, names: Sequence[str]) -> int:
        """The code of a label that the model predicted; -1 if none of `names` has it."""
        if not self.by_name:
            code = code_of(label)
            return 1 - code if code in {0, 1} and self.is_turned(names) else code
        found = [names.index(name) for name in _names_of(label) if name in names]
        if found:
            return found[0]
        # If no class has one of the model's names, or is a number itself, numeric labels are codes.
        has_names = self._are_texts or not self.by_name.keys().isdisjoint(names)
        return -1 if has_names or any(map(_is_whole, names)) else code_of(label)


def _is_whole(name: str) -> bool:
    """Whether a class has the name of a whole number, as `class_name` writes it."""
    return name.isdecimal() and name == str(int(name))


def _names_of(label: Any) -> tuple[str, ...]:
    """The names of the classes that a label may stand for: `True` is the class "1" too."""
    if not isinstance(label, str) and label in {0, 1}:
        return ("true", "1") if label else ("false", "0")
    return (class_name(label),)


def _labels_in(model: Any) -> Iterator[Any]:
    """All labels in the model and in the classifiers inside it."""
    for _, part in parts_of(model):
        if not isinstance(part, base.Classifier):
            continue
        elsewhere = _KEPT_ELSEWHERE.get(type(part))
        for attribute in _KEPT_IN if elsewhere is None else (elsewhere,):
            labels = getattr(part, attribute, None)
            if isinstance(labels, Iterable) and not isinstance(labels, str):
                # The order of a set depends on the hash seed of the process.
                yield from sorted(labels, key=repr)
        if isinstance(part, UserList):
            for member in part:
                yield from _labels_in(member)
