"""A user's own model that answers many events in one call, `predict_proba_many`.

It takes a list of features and returns a list of answers, each as `predict_proba_one` gives it.
River's method of this name takes a data frame and is not meant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from river import base

from .failures import Failures, describe_error

METHOD = "predict_proba_many"


def answers_many(model: Any) -> bool:
    """Whether the model has a `predict_proba_many` for lists of features.

    River's own, and that of any subclass of `base.MiniBatchClassifier`, is for data frames.

    >>> from river import linear_model
    >>> class Fair(linear_model.Perceptron):
    ...     def predict_proba_many(self, X):
    ...         return X
    >>> class Own(base.Classifier):
    ...     def learn_one(self, x, y): ...
    ...     def predict_proba_many(self, xs):
    ...         return [{True: 1.0} for _ in xs]
    >>> answers_many(Fair()), answers_many(linear_model.Perceptron()), answers_many(Own())
    (False, False, True)
    """
    if isinstance(model, base.MiniBatchClassifier):
        return False
    defining = next((cls for cls in type(model).__mro__ if METHOD in vars(cls)), None)
    if defining is None or not callable(vars(defining)[METHOD]):
        return False
    return not defining.__module__.startswith(_FOR_FRAMES)


_OURS = __name__.rpartition(".")[0]
_FOR_FRAMES = ("river.", f"{_OURS}.committee.", f"{_OURS}.estimator")
"""The modules whose methods of this name take data frames: river's, and ours for MLflow."""


def ask_many(
    model: Any, make_input: Callable[[int], dict[str, Any]], n: int, failures: Failures
) -> dict[int, Mapping[Any, float]]:
    """The model's answers for events 0 to n-1, without those on which its call fails.

    There are none if it has no call for many. `make_input(i)` returns the features of event i. If
    the call fails, each event is asked in a call of its own, so that its answer does not depend on
    the others; `failures` gets the error of one that fails then.

    >>> class Own:
    ...     def predict_proba_many(self, xs):
    ...         return [{True: 1.0 / x["amount"]} for x in xs]
    >>> ask_many(Own(), lambda i: {"amount": float(i)}, 3, Failures())
    {1: {True: 1.0}, 2: {True: 0.5}}
    """
    if not answers_many(model):
        return {}
    try:
        return dict(enumerate(call_many(model, [make_input(i) for i in range(n)])))
    except Exception:  # whatever a model of the user raises, we go on
        answers = {}
    for i in range(n):
        try:
            answers[i] = call_many(model, [make_input(i)])[0]
        except Exception as error:
            failures.note_failure("predict", f"{METHOD}: {describe_error(error)}")
    return answers


def call_many(model: Any, inputs: list[dict[str, Any]]) -> list[Mapping[Any, float]]:
    """The model's answers for these events, one for each; `TypeError` if they are anything else."""
    answers = model.predict_proba_many(inputs)
    if not isinstance(answers, list) or len(answers) != len(inputs):
        raise TypeError(
            f"{METHOD} has to return a list of {len(inputs)} answers, one for each event"
        )
    for answer in answers:
        if not isinstance(answer, Mapping):
            raise TypeError(f"{METHOD} has to return dicts of label and probability, as a list")
    return answers
