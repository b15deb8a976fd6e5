"""How the steps before a river model's last step change its inputs.

`read_steps` says what reaches the model, and with which `BlockStep` each of river's steps is
computed; it knows the steps, not the schema. Nothing is scored here.

A step that no row can tell exactly is not compiled: river then scores row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from river import compose, feature_extraction, feature_selection, preprocessing

from ..parts import parts_of
from ..presets import Intercept
from .block import BlockStep, Chain, Union
from .encoding import Code, OneHot, Ordinal
from .naming import DropFlat, Impute, KeepNames, PickNames, Rename, Replace, SelectTypes
from .scaling import (
    Multiply,
    Normalise,
    ScaleByQuantiles,
    ScaleToLargest,
    ScaleToRange,
    Standardise,
    StandardiseFading,
    Threshold,
)

ROW_NUMBERS = frozenset({float})
"""The types of numbers that a row has."""

ORIGINAL_NUMBERS = frozenset({float, int, bool})
"""The types of numbers that events have."""


@dataclass(frozen=True)
class Inputs:
    """The inputs that reach a step, and the steps that they have passed.

    - `number_types`: the types that numbers may have, empty without numbers.
    - `has_texts`: whether texts arrive as texts, `had_texts` whether they arrive as numbers under
      their own names, `has_codes` whether they arrive as `Text.is_coded`.
    - `has_none`: whether what is missing may be None, since a step before asks for that.
    - `is_exact`: whether numbers have the bits of river's.
    - `is_refusing_texts`: some step raises on a text.
    - `reads_texts`: some step looks at texts; `reads_originals`: it may see the difference between
      an event's own values and a row's.
    """

    number_types: frozenset[type] = ROW_NUMBERS
    has_texts: bool = True
    had_texts: bool = False
    has_codes: bool = False
    has_intercept: bool = False
    has_none: bool = False
    is_exact: bool = True
    is_refusing_texts: bool = False
    reads_texts: bool = False
    reads_originals: bool = False
    steps: tuple[BlockStep, ...] = ()

    def pass_on(self, *steps: BlockStep, **changes: Any) -> Inputs:
        """The inputs behind these steps."""
        return replace(self, steps=(*self.steps, *steps), **changes)


@dataclass(frozen=True)
class Patch:
    """A step that river does not have: of these features, a member of random patches sees no other.

    It stands between the steps before an ensemble and the member.
    """

    names: frozenset[Any] = frozenset()


@dataclass(frozen=True)
class StepPlace:
    """Where a step stands: `is_last` in front of the model, `is_branch` in a union.

    `reads_codes`: the model reads texts by their codes. `is_smooth`: the last bit of a number moves
    no more than the last bits of the model's answer.
    """

    reads_codes: bool
    is_smooth: bool
    is_last: bool = True
    is_branch: bool = False


def asks_for_none(model: Any) -> bool:
    """Whether the model has a step that may need None in place of a missing feature.

    >>> asks_for_none(compose.Select("amount") | preprocessing.StandardScaler())
    True
    """
    kinds = (compose.Select, preprocessing.StatImputer, preprocessing.PreviousImputer)
    return any(type(part) in kinds for _, part in parts_of(model))


def encodes_none(model: Any) -> bool:
    """Whether the model has a step for which None is a value of a feature, as a text is.

    >>> encodes_none(preprocessing.OrdinalEncoder()), encodes_none(preprocessing.StandardScaler())
    (True, False)
    """
    kinds = (preprocessing.OneHotEncoder, preprocessing.OrdinalEncoder)
    return any(type(part) in kinds for _, part in parts_of(model))


def read_steps(inputs: Inputs, steps: Iterable[Any], place: StepPlace) -> Inputs | None:
    """The inputs behind these steps, or None if one of them can't be compiled."""
    left = list(steps)
    for i, step in enumerate(left):
        here = replace(place, is_last=place.is_last and i == len(left) - 1)
        following = _read_step(inputs, step, here)
        if following is None:
            return None
        inputs = following
    return inputs


def _read_step(inputs: Inputs, step: Any, place: StepPlace) -> Inputs | None:
    if type(step) is compose.Pipeline:
        return read_steps(inputs, step.steps.values(), place)
    if type(step) is compose.TransformerUnion:
        return _join_branches(inputs, list(step.transformers.values()), place)
    reader = _READERS.get(type(step))
    if reader is None or inputs.has_intercept or inputs.has_codes:
        return None
    return reader(inputs, step, place)


def _join_branches(inputs: Inputs, branches: list[Any], place: StepPlace) -> Inputs | None:
    here = replace(place, is_branch=True)
    passed = [read_steps(replace(inputs, steps=()), [branch], here) for branch in branches]
    known = [branch for branch in passed if branch is not None]
    if len(known) < len(passed) or not known:
        return None
    texts_n = sum(branch.has_texts for branch in known)
    if (
        texts_n > 1
        or (texts_n and any(branch.had_texts for branch in known))
        or sum(branch.has_codes for branch in known) > 1
        or sum(branch.has_intercept for branch in known) > 1
    ):
        return None
    names = (
        *("has_texts", "had_texts", "has_codes", "has_intercept", "has_none"),
        *("is_refusing_texts", "reads_texts", "reads_originals"),
    )
    return inputs.pass_on(
        Union(Chain(branch.steps) for branch in known),
        number_types=frozenset().union(*(branch.number_types for branch in known)),
        is_exact=all(branch.is_exact for branch in known),
        **{name: any(getattr(branch, name) for branch in known) for name in names},
    )


# ------------------------------------------------------------------------------ names and types


def _select_types(inputs: Inputs, step: Any, place: StepPlace) -> Inputs | None:
    chosen = {kind for kind in inputs.number_types if issubclass(kind, step.types)}
    if chosen not in (set(), inputs.number_types) or issubclass(type(None), step.types):
        return None
    wants_whole = any(issubclass(kind, step.types) for kind in (int, bool))
    if not chosen and wants_whole and inputs.number_types == ROW_NUMBERS:
        return None  # Whole numbers without fractions: a row has no such type.
    has_texts = inputs.has_texts and issubclass(str, step.types)
    return inputs.pass_on(
        SelectTypes(has_numbers=bool(chosen), has_texts=has_texts),
        number_types=frozenset(chosen),
        has_texts=has_texts,
        has_none=False,
    )


def _pick_features(inputs: Inputs, step: Any, place: StepPlace) -> Inputs:
    return inputs.pass_on(PickNames(step.keys, is_discarding=type(step) is compose.Discard))


def _keep_patch(inputs: Inputs, step: Any, place: StepPlace) -> Inputs:
    return inputs.pass_on(KeepNames(step.names))


def _add_affix(inputs: Inputs, step: Any, place: StepPlace) -> Inputs:
    return inputs.pass_on(Rename(step._rename))


def _rename(inputs: Inputs, step: Any, place: StepPlace) -> Inputs | None:
    # It changes the dict that it gets, which the other branches of a union get too.
    if place.is_branch or inputs.had_texts:
        return None
    return inputs.pass_on(*(Replace(old, new) for old, new in step.mapping.items()))


def _set_constant(inputs: Inputs, step: Any, place: StepPlace) -> Inputs | None:
    if not place.is_last or not place.is_smooth:
        return None
    none = SelectTypes(has_numbers=False, has_texts=False)
    return Inputs(number_types=frozenset(), has_texts=False, has_intercept=True, steps=(none,))


def _drop_flat(inputs: Inputs, step: Any, place: StepPlace) -> Inputs | None:
    return None if inputs.has_none and inputs.has_texts else inputs.pass_on(DropFlat(step))


def _impute_statistics(inputs: Inputs, step: Any, place: StepPlace) -> Inputs:
    stats = step.stats

    def find(name: str) -> Any:
        return stats[name].get() if name in stats else None

    types = frozenset({*inputs.number_types, float, int, bool})
    return inputs.pass_on(Impute(find, tuple(stats)), number_types=types)


def _impute_previous(inputs: Inputs, step: Any, place: StepPlace) -> Inputs:
    return inputs.pass_on(Impute(step._latest.get, None))


# ------------------------------------------------------------------------------------- encoders


def _encode_texts(inputs: Inputs, step: Any, place: StepPlace) -> Inputs:
    # Numbers may only arrive through a step that knows names: then the schema decides, and the
    # model learns the events' own values.
    is_coded = (
        place.is_last and place.reads_codes and step.categories is None and not step.drop_first
    )
    return inputs.pass_on(
        Code() if is_coded else OneHot(step),
        number_types=frozenset() if is_coded else frozenset({int}),
        has_texts=False,
        has_codes=is_coded,
        has_none=False,
        reads_texts=True,
        reads_originals=inputs.reads_originals or bool(inputs.number_types),
    )


def _number_texts(inputs: Inputs, step: Any, place: StepPlace) -> Inputs | None:
    if not inputs.is_exact and inputs.number_types:
        return None
    return inputs.pass_on(
        Ordinal(step),
        number_types=frozenset({int}),
        has_texts=False,
        had_texts=inputs.had_texts or inputs.has_texts,
        has_none=step.unknown_value is None or step.none_value is None,
        is_exact=True,
        reads_texts=True,
    )


# -------------------------------------------------------------------------------------- numbers


def _scale(inputs: Inputs, scaler: BlockStep, *, zeroes_texts: bool, **changes: Any) -> Inputs:
    """The inputs behind a scaler that turns a text into the number 0, or raises."""
    raises = inputs.has_texts and not zeroes_texts
    return inputs.pass_on(
        scaler,
        number_types=frozenset({float}),
        has_texts=False,
        had_texts=inputs.had_texts or (inputs.has_texts and zeroes_texts),
        has_none=False,
        is_refusing_texts=inputs.is_refusing_texts or raises,
        **changes,
    )


def _standardise(inputs: Inputs, step: Any, place: StepPlace) -> Inputs:
    is_quick = place.is_last and place.is_smooth
    return _scale(inputs, Standardise(step, is_last=is_quick), zeroes_texts=step.with_std)


def _scale_by_quantiles(inputs: Inputs, step: Any, place: StepPlace) -> Inputs | None:
    scaler = ScaleByQuantiles(step)
    if step.with_scaling:
        return _scale(inputs, scaler, zeroes_texts=True)
    return None if inputs.has_none else inputs.pass_on(scaler, number_types=frozenset({float}))


def _binarise(inputs: Inputs, step: Any, place: StepPlace) -> Inputs | None:
    if step.dtype not in (bool, int, float) or not (inputs.is_exact or step.threshold == 0):
        return None
    types = frozenset({step.dtype}) if inputs.number_types else frozenset()
    return inputs.pass_on(Threshold(step.threshold), number_types=types)


def _normalise(inputs: Inputs, step: Any, place: StepPlace) -> Inputs | None:
    # What other norms of no numbers are depends on numpy's version.
    if step.order not in (1, 2):
        return None
    return _scale(inputs, Normalise(step.order), zeroes_texts=False, is_exact=False)


def _multiply(inputs: Inputs, step: Any, place: StepPlace) -> Inputs | None:
    # A text by itself is a product with one factor.
    if inputs.has_texts and (step.interaction_only or step.degree < 2):
        return None
    following = _scale(inputs, Multiply(step), zeroes_texts=False)
    is_exact = inputs.is_exact and step.degree <= 2
    types = frozenset({*inputs.number_types, int}) if inputs.number_types else frozenset({int})
    return replace(following, number_types=types, is_exact=is_exact)


_READERS: dict[type, Callable[[Inputs, Any, StepPlace], Inputs | None]] = {
    Intercept: _set_constant,
    Patch: _keep_patch,
    compose.SelectType: _select_types,
    compose.Select: _pick_features,
    compose.Discard: _pick_features,
    compose.Prefixer: _add_affix,
    compose.Suffixer: _add_affix,
    compose.Renamer: _rename,
    feature_selection.VarianceThreshold: _drop_flat,
    feature_extraction.PolynomialExtender: _multiply,
    preprocessing.StatImputer: _impute_statistics,
    preprocessing.PreviousImputer: _impute_previous,
    preprocessing.OneHotEncoder: _encode_texts,
    preprocessing.OrdinalEncoder: _number_texts,
    preprocessing.Binarizer: _binarise,
    preprocessing.Normalizer: _normalise,
    preprocessing.StandardScaler: _standardise,
    preprocessing.RobustScaler: _scale_by_quantiles,
    preprocessing.MinMaxScaler: lambda inputs, step, place: _scale(
        inputs, ScaleToRange(step), zeroes_texts=False
    ),
    preprocessing.MaxAbsScaler: lambda inputs, step, place: _scale(
        inputs, ScaleToLargest(step), zeroes_texts=True
    ),
    preprocessing.AdaptiveStandardScaler: lambda inputs, step, place: _scale(
        inputs, StandardiseFading(step), zeroes_texts=False
    ),
}
