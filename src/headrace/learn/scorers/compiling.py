"""Choosing the scorer of a river model; a model without one is scored by river, row by row.

`_MAKERS` names the models that may be the last step of a pipeline, `_ENSEMBLES` those that are made
of such models. What may stand before them is said in `inputs`; trees and their ensembles have
nothing before them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from river import compose, ensemble, linear_model, multiclass, naive_bayes, optim

from ..mixed import MixedNB
from ..schema_view import SchemaView
from .bayes import BayesScorer
from .ensembles import EnsembleScorer, HardVotingScorer, PassingScorer, PoolScorer, SoftVotingScorer
from .inputs import Inputs, pass_step
from .linear import LogisticScorer, SoftmaxScorer
from .multiclass import OneVsOneScorer, OneVsRestScorer, OutputCodeScorer
from .scorer import Scorer
from .stacking import StackingScorer
from .trees import TreeScorer, is_of_trees
from .votes import BAGGINGS, BOOSTINGS, PASSING


def compile_model(model: Any, schema: SchemaView, before: Sequence[Any] = ()) -> Scorer | None:
    """Return a scorer for this model, or None if the model can't be compiled.

    Whether a model compiles depends on its steps alone, not on what it learned or on the schema.
    `before` are the steps before an ensemble of which the model is a member.

    >>> from river import neighbors
    >>> compile_model(neighbors.KNNClassifier(), None) is None
    True
    """
    if is_of_trees(model):
        return None if before else TreeScorer(model, schema)
    own_steps = list(model.steps.values()) if type(model) is compose.Pipeline else [model]
    steps = [*before, *own_steps]
    of_members = _choose_ensemble(steps[-1])
    if of_members is not None:

        def compile_member(member: Any, own_schema: SchemaView | None = None) -> Scorer | None:
            if own_schema is not None:
                return compile_model(member, own_schema)
            return compile_model(member, schema, steps[:-1])

        return of_members.compile(steps[-1], schema, steps[:-1], compile_member)
    inputs = Inputs()
    for step in steps[:-1]:
        following = pass_step(inputs, step)
        if following is None:
            return None
        inputs = following
    make = _MAKERS.get(type(steps[-1]))
    return None if make is None else make(steps[-1], inputs, schema)


def _choose_ensemble(model: Any) -> type[EnsembleScorer] | None:
    """The scorer of an ensemble of any members; None if the model is none."""
    if type(model) is ensemble.VotingClassifier:
        return SoftVotingScorer if model.use_probabilities else HardVotingScorer
    return _ENSEMBLES.get(type(model))


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

_ENSEMBLES: dict[type, type[EnsembleScorer]] = {
    **dict.fromkeys((*BAGGINGS, *BOOSTINGS, ensemble.SRPClassifier), PoolScorer),
    **dict.fromkeys(PASSING, PassingScorer),
    ensemble.StackingClassifier: StackingScorer,
    multiclass.OneVsRestClassifier: OneVsRestScorer,
    multiclass.OneVsOneClassifier: OneVsOneScorer,
    multiclass.OutputCodeClassifier: OutputCodeScorer,
}
