"""How the steps before a river model's last step change its inputs.

Nothing is scored here; a scorer does that, with the resulting `Inputs`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from river import compose, preprocessing

from ..presets import Intercept


@dataclass(frozen=True)
class Inputs:
    """The inputs that reach a step. Texts without an encoder have no effect there.

    `scaler` and `encoder` are river's transformers on the way, or None. `is_refusing_texts`: some
    step raises on a text.
    """

    has_numbers: bool = True
    has_texts: bool = True
    has_intercept: bool = False
    scaler: Any = None
    encoder: Any = None
    is_refusing_texts: bool = False


def pass_step(inputs: Inputs, step: Any) -> Inputs | None:
    """The inputs behind this step, or None if the step can't be compiled."""
    if type(step) is compose.Pipeline:
        following: Inputs | None = inputs
        for inner in step.steps.values():
            following = pass_step(following, inner) if following else None
        return following
    if type(step) is compose.TransformerUnion:
        return _join_branches(inputs, list(step.transformers.values()))
    reader = _READERS.get(type(step))
    if reader is None or inputs.has_intercept or inputs.encoder is not None:
        return None
    return reader(inputs, step)


def _select_inputs(inputs: Inputs, step: Any) -> Inputs:
    return replace(
        inputs,
        has_numbers=inputs.has_numbers and issubclass(float, step.types),
        has_texts=inputs.has_texts and issubclass(str, step.types),
    )


def _set_constant(inputs: Inputs, step: Any) -> Inputs:
    return Inputs(has_numbers=False, has_texts=False, has_intercept=True)


def _encode_texts(inputs: Inputs, step: Any) -> Inputs | None:
    is_plain = step.categories is None and not step.drop_first and not inputs.has_numbers
    return replace(inputs, encoder=step) if is_plain else None


def _scale_inputs(inputs: Inputs, step: Any) -> Inputs | None:
    if step.window_size is not None or inputs.scaler is not None:
        return None
    # If river's scaler divides, it turns a text into the number 0, which affects no model compiled
    # here. Otherwise it subtracts from the text, and raises.
    raises = inputs.has_texts and not step.with_std
    return replace(
        inputs,
        scaler=step,
        has_texts=False,
        is_refusing_texts=inputs.is_refusing_texts or raises,
    )


_READERS: dict[type, Callable[[Inputs, Any], Inputs | None]] = {
    compose.SelectType: _select_inputs,
    Intercept: _set_constant,
    preprocessing.OneHotEncoder: _encode_texts,
    preprocessing.StandardScaler: _scale_inputs,
}


def _join_branches(inputs: Inputs, branches: list[Any]) -> Inputs | None:
    merged = Inputs(has_numbers=False, has_texts=False)
    for branch in branches:
        branch_inputs = pass_step(inputs, branch)
        if branch_inputs is None:
            return None
        doubled = (
            (merged.has_numbers and branch_inputs.has_numbers)
            or (merged.has_texts and branch_inputs.has_texts)
            or (merged.has_intercept and branch_inputs.has_intercept)
        )
        if doubled:
            return None
        merged = Inputs(
            has_numbers=merged.has_numbers or branch_inputs.has_numbers,
            has_texts=merged.has_texts or branch_inputs.has_texts,
            has_intercept=merged.has_intercept or branch_inputs.has_intercept,
            scaler=merged.scaler or branch_inputs.scaler,
            encoder=merged.encoder or branch_inputs.encoder,
            is_refusing_texts=merged.is_refusing_texts or branch_inputs.is_refusing_texts,
        )
    return merged
