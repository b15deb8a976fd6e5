"""Choosing the scorer of a river model; a model without one is scored by river, row by row.

`_MODELS` names the models that may be the last step of a pipeline, `_ENSEMBLES` those that are made
of such models. What may stand before them is said in `inputs`; trees and their ensembles have
nothing before them, and searches for neighbours say so themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from inspect import getattr_static
from typing import Any

from river import compose, ensemble, linear_model, multiclass, naive_bayes, optim

from ..mixed import MixedNB
from ..schema_view import SchemaView
from .bayes import BayesScorer
from .counts import BernoulliScorer, ComplementScorer, MultinomialScorer
from .ensembles import EnsembleScorer, HardVotingScorer, PassingScorer, PoolScorer, SoftVotingScorer
from .inputs import (
    ORIGINAL_NUMBERS,
    Inputs,
    Patch,
    StepPlace,
    asks_for_none,
    encodes_none,
    read_steps,
)
from .linear import LogisticScorer, MarginScorer, SoftmaxScorer
from .mondrian import MondrianScorer, is_of_mondrian_trees
from .multiclass import OneVsOneScorer, OneVsRestScorer, OutputCodeScorer
from .neighbours import NeighboursScorer, is_of_neighbours
from .scorer import Scorer
from .stacking import StackingScorer
from .trees import TreeScorer, is_of_trees
from .votes import BAGGINGS, BOOSTINGS, PASSING


@dataclass(frozen=True)
class _Model:
    """How a kind of model is scored. `refuses_texts`: it raises on a text; see `StepPlace`."""

    scorer: Callable[[Any, Inputs, SchemaView], Scorer]
    reads_codes: bool = False
    is_smooth: bool = True
    refuses_texts: bool = False
    takes: Callable[[Any, Inputs], bool] = lambda final, inputs: not inputs.has_intercept


def compile_model(
    model: Any,
    schema: SchemaView,
    steps_before: Sequence[Any] = (),
    entering: Inputs | None = None,
    *,
    gets_none: bool = False,
) -> Scorer | None:
    """Return a scorer for this model, or None if the model can't be compiled.

    Whether a model compiles depends on its steps alone, not on what it learned or on the schema.
    A member of an ensemble has the `steps_before` this, and what is `entering` there. `gets_none`:
    the model gets None for a missing feature, if that is another thing for it than absence.

    >>> from river import neighbors
    >>> compile_model(neighbors.KNNClassifier(), None) is None
    True
    """
    for is_of_kind, scorer in _ALONE:
        if is_of_kind(model):
            return None if steps_before else scorer(model, schema)
    *steps, final = *steps_before, *_flatten(model)
    has_none = asks_for_none(model) or (gets_none and encodes_none(model))
    before = entering or Inputs(has_none=has_none)
    of_members = _choose_ensemble(final)
    if of_members is not None:

        def compile_member(
            member: Any,
            own_schema: SchemaView | None = None,
            *,
            as_they_came: bool = False,
            patch: Patch | None = None,
        ) -> Scorer | None:
            inputs = replace(before, number_types=ORIGINAL_NUMBERS) if as_they_came else before
            patches = [] if patch is None else [patch]
            if own_schema is not None:
                return compile_model(member, own_schema, (), inputs)
            return compile_model(member, schema, [*steps, *patches], inputs)

        return of_members.compile(final, schema, steps, compile_member)
    kind = _kind_of(final)
    if kind is None:
        return None
    place = StepPlace(reads_codes=kind.reads_codes, is_smooth=kind.is_smooth)
    inputs = read_steps(before, steps, place)
    if inputs is None:
        return None
    is_refusing = inputs.is_refusing_texts or (kind.refuses_texts and inputs.has_texts)
    if is_refusing or inputs.reads_originals:
        # The model learns the events' own values, which may be of other types than those in rows.
        inputs = read_steps(replace(before, number_types=ORIGINAL_NUMBERS), steps, place)
    if inputs is None or not kind.takes(final, inputs):
        return None
    inputs = replace(inputs, is_refusing_texts=is_refusing, has_none=before.has_none)
    return kind.scorer(final, inputs, schema)


def _flatten(model: Any) -> list[Any]:
    """The steps of the model, also of pipelines at the end of pipelines."""
    if type(model) is not compose.Pipeline:
        return [model]
    *before, last = model.steps.values()
    return [*before, *_flatten(last)]


def _choose_ensemble(model: Any) -> type[EnsembleScorer] | None:
    """The scorer of an ensemble of any members; None if the model is none."""
    if type(model) is ensemble.VotingClassifier:
        return SoftVotingScorer if model.use_probabilities else HardVotingScorer
    return _ENSEMBLES.get(type(model))


def _kind_of(final: Any) -> _Model | None:
    """The kind of the model; a subclass is of its base's kind if it answers as its base does."""
    for base in type(final).__mro__:
        if base in _MODELS:
            is_same = all(
                getattr_static(type(final), name, None) is getattr_static(base, name, None)
                for name in _ANSWERING
            )
            return _MODELS[base] if is_same else None
    return None


_ANSWERING = (
    *("predict_proba_one", "weights", "_raw_dot_one", "_raw_dot", "joint_log_likelihood"),
    *("p_class", "p_feature_given_class", "n_terms", "log_chance", "_log_gaussian_pdf"),
)
"""The methods that a subclass must not change; those that a model has not are None."""


def _has_sigmoid(final: Any, inputs: Inputs) -> bool:
    return type(final.loss).mean_func is optim.losses.BinaryLoss.mean_func


def _compares_exactly(final: Any, inputs: Inputs) -> bool:
    return not inputs.has_intercept and (inputs.is_exact or final.true_threshold == 0.0)


_MODELS: dict[type, _Model] = {
    linear_model.LogisticRegression: _Model(
        LogisticScorer, reads_codes=True, refuses_texts=True, takes=_has_sigmoid
    ),
    linear_model.PAClassifier: _Model(
        MarginScorer, reads_codes=True, takes=lambda final, inputs: True
    ),
    linear_model.ALMAClassifier: _Model(
        MarginScorer, reads_codes=True, takes=lambda final, inputs: True
    ),
    linear_model.SoftmaxRegression: _Model(
        SoftmaxScorer, reads_codes=True, takes=lambda final, inputs: True
    ),
    naive_bayes.GaussianNB: _Model(BayesScorer, takes=lambda final, inputs: True),
    MixedNB: _Model(
        BayesScorer, takes=lambda final, inputs: not (inputs.has_none and inputs.has_texts)
    ),
    naive_bayes.MultinomialNB: _Model(MultinomialScorer, refuses_texts=True),
    naive_bayes.ComplementNB: _Model(ComplementScorer, refuses_texts=True),
    naive_bayes.BernoulliNB: _Model(
        BernoulliScorer, is_smooth=False, refuses_texts=True, takes=_compares_exactly
    ),
}

_ENSEMBLES: dict[type, type[EnsembleScorer]] = {
    **dict.fromkeys((*BAGGINGS, *BOOSTINGS, ensemble.SRPClassifier), PoolScorer),
    **dict.fromkeys(PASSING, PassingScorer),
    ensemble.StackingClassifier: StackingScorer,
    multiclass.OneVsRestClassifier: OneVsRestScorer,
    multiclass.OneVsOneClassifier: OneVsOneScorer,
    multiclass.OutputCodeClassifier: OutputCodeScorer,
}

_ALONE: tuple[tuple[Callable[[Any], bool], Callable[[Any, SchemaView], Scorer]], ...] = (
    (is_of_trees, TreeScorer),
    (is_of_mondrian_trees, MondrianScorer),
    (is_of_neighbours, NeighboursScorer),
)
