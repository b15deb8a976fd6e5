"""Choosing the scorer of a river model; a model without one is scored by river, row by row.

`_MAKERS` names the models that may be the last step of a pipeline. What may stand before it is said
in `inputs`; trees, their ensembles and searches for neighbours say so themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from river import compose, linear_model, naive_bayes, optim

from ..mixed import MixedNB
from ..schema_view import SchemaView
from .bayes import BayesScorer
from .inputs import Inputs, pass_step
from .linear import LogisticScorer, SoftmaxScorer
from .mondrian import MondrianScorer, is_of_mondrian_trees
from .neighbours import NeighboursScorer, is_of_neighbours
from .scorer import Scorer
from .trees import TreeScorer, is_of_trees


def compile_model(model: Any, schema: SchemaView) -> Scorer | None:
    """Return a scorer for this model, or None if the model can't be compiled.

    Whether a model compiles depends on its steps alone, not on what it learned or on the schema.

    >>> from river import neighbors
    >>> compile_model(neighbors.KNNClassifier(), None) is None
    True
    """
    if is_of_trees(model):
        return TreeScorer(model, schema)
    if is_of_mondrian_trees(model):
        return MondrianScorer(model, schema)
    if is_of_neighbours(model):
        return NeighboursScorer(model, schema)
    steps = list(model.steps.values()) if type(model) is compose.Pipeline else [model]
    inputs = Inputs()
    for step in steps[:-1]:
        following = pass_step(inputs, step)
        if following is None:
            return None
        inputs = following
    make = _MAKERS.get(type(steps[-1]))
    return None if make is None else make(steps[-1], inputs, schema)


def _make_logistic(final: Any, inputs: Inputs, schema: SchemaView) -> Scorer | None:
    if type(final.loss).mean_func is not optim.losses.BinaryLoss.mean_func:
        return None
    raises = inputs.has_texts and inputs.encoder is None
    inputs = replace(inputs, is_refusing_texts=inputs.is_refusing_texts or raises)
    return LogisticScorer(final, inputs, schema)


def _make_bayes(final: Any, inputs: Inputs, schema: SchemaView) -> Scorer | None:
    return BayesScorer(final, inputs, schema) if inputs.encoder is None else None


_MAKERS: dict[type, Callable[[Any, Inputs, SchemaView], Scorer | None]] = {
    linear_model.LogisticRegression: _make_logistic,
    linear_model.SoftmaxRegression: SoftmaxScorer,
    naive_bayes.GaussianNB: _make_bayes,
    MixedNB: _make_bayes,
}
