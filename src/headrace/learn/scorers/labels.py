"""The labels for which a river model has probabilities, read from the model without asking it."""

from __future__ import annotations

from typing import Any

from river import compose, ensemble, linear_model, multiclass, naive_bayes, tree

from ..mixed import MixedNB
from .votes import PASSING, is_adding, weights_of


def labels_of(model: Any) -> list[Any] | None:
    """The labels for which this model has probabilities, whatever the features; None if unknown.

    >>> labels_of(linear_model.LogisticRegression()), labels_of(naive_bayes.GaussianNB())
    ([False, True], [])
    """
    if type(model) is compose.Pipeline:
        model = list(model.steps.values())[-1]
    if isinstance(model, _OF_TWO):
        return [False, True]
    if type(model) in PASSING:
        return labels_of(getattr(model, PASSING[type(model)]))
    if is_adding(model):
        return _labels_of_members(model)
    attribute = _LABELS_IN.get(type(model))
    return None if attribute is None else sorted(getattr(model, attribute))


_OF_TWO = (
    linear_model.LogisticRegression,
    linear_model.PAClassifier,
    linear_model.ALMAClassifier,
)
_LABELS_IN: dict[type, str] = {
    linear_model.SoftmaxRegression: "weights",
    naive_bayes.GaussianNB: "class_counts",
    naive_bayes.MultinomialNB: "class_counts",
    naive_bayes.ComplementNB: "class_counts",
    naive_bayes.BernoulliNB: "class_counts",
    MixedNB: "class_counts",
    tree.HoeffdingTreeClassifier: "classes",
    multiclass.OneVsRestClassifier: "classifiers",
}


def _labels_of_members(model: Any) -> list[Any] | None:
    """The labels of members whose answers are added up; of BOLE's, of those with a weight."""
    if labels_of(model.model) is None:
        return None
    is_patches = type(model) is ensemble.SRPClassifier
    weights = weights_of(model)
    labels: dict[Any, None] = {}
    for member, weight in zip(model.models, weights, strict=True):
        if weight or type(model) is not ensemble.BOLEClassifier:
            labels.update(dict.fromkeys(labels_of(member.model if is_patches else member) or []))
    return list(labels)
