"""River classifiers ready to use: numbers scaled, categories encoded where the learner needs it.

Names and checks are in `models`; this module only builds the classifiers.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, TypeAlias

from river import (
    base,
    compose,
    forest,
    linear_model,
    neighbors,
    optim,
    preprocessing,
    tree,
)

from .mixed import MixedNB

RiverClassifier: TypeAlias = Any
"""A classifier of river, or a pipeline that ends in one: the two have no common type."""

LEARNING_RATE = 0.1
"""The learning rate of the logistic preset: river's 0.01 is meant for streams in which every event
is labelled, here labels are few."""

NEIGHBOURS_WINDOW_N = 500
"""Labelled events that the `knn` preset searches, exactly."""


class Intercept(base.Transformer):
    """A feature that is always 1, for learners without an intercept.

    >>> Intercept().transform_one({"amount": 12.0})
    {'(intercept)': 1.0}
    """

    def transform_one(self, x: dict[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the constant alone, as one branch of a union."""
        return {"(intercept)": 1.0}


def build_logistic(seed: int, classes_n: int) -> RiverClassifier:
    """Logistic regression for exactly two classes, softmax regression for any other number."""
    if classes_n == 2:
        binary = linear_model.LogisticRegression(
            optimizer=optim.SGD(LEARNING_RATE), intercept_lr=LEARNING_RATE
        )
        return compose.Pipeline(("features", _encode_features()), ("model", binary))
    learner = linear_model.SoftmaxRegression(optimizer=optim.SGD(LEARNING_RATE))
    features = compose.TransformerUnion(*_branches(), ("intercept", Intercept()))
    return compose.Pipeline(("features", features), ("model", learner))


def build_naive_bayes(seed: int, classes_n: int) -> RiverClassifier:
    """Naive Bayes over numbers and categories."""
    # Not scaled: a Gaussian for each class and feature has its own scale.
    return MixedNB()


def build_tree(seed: int, classes_n: int) -> RiverClassifier:
    """A Hoeffding tree that splits early."""
    return tree.HoeffdingTreeClassifier(grace_period=50)


def build_adaptive_tree(seed: int, classes_n: int) -> RiverClassifier:
    """A Hoeffding tree whose branches are replaced on drift."""
    return tree.HoeffdingAdaptiveTreeClassifier(grace_period=50, seed=seed)


def build_forest(seed: int, classes_n: int) -> RiverClassifier:
    """An adaptive random forest of ten trees."""
    return forest.ARFClassifier(n_models=10, seed=seed)


def build_knn(seed: int, classes_n: int) -> RiverClassifier:
    """The classes of the five nearest among the latest labelled events."""
    # The search is exact and draws nothing, so it needs no seed.
    engine = neighbors.LazySearch(window_size=NEIGHBOURS_WINDOW_N)
    learner = neighbors.KNNClassifier(n_neighbors=5, engine=engine)
    return compose.Pipeline(("features", _encode_features()), ("model", learner))


def _encode_features() -> compose.TransformerUnion:
    return compose.TransformerUnion(*_branches())


def _branches() -> list[tuple[str, compose.Pipeline]]:
    """Scaled numbers, and one-hot categories without zeros, which move no linear model."""
    return [
        ("numbers", compose.SelectType(float, int) | preprocessing.StandardScaler()),
        ("texts", compose.SelectType(str) | preprocessing.OneHotEncoder(drop_zeros=True)),
    ]


def long_memory_members() -> list[RiverClassifier]:
    """Softmax regression and naive Bayes: the long memory that a committee otherwise lacks."""
    return [build_logistic(0, 0), build_naive_bayes(0, 0)]
