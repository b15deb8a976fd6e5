"""The steps before a search for neighbours: what they do to numbers, to texts, and in which order.

Distances are sums of many terms, and their last bits depend on the order. So unlike `inputs`, which
serves models that only add, this knows in which order river's steps pass the features on.
"""

from __future__ import annotations

from itertools import repeat
from typing import Any

import numpy as np
from river import compose, preprocessing

from ..schema_view import Floats


class Preparation:
    """The steps before the search: what they do to numbers, to texts, and in which order.

    River's union of branches passes the features of its last branch first. If no step selects the
    numbers or encodes the texts, the search meets texts, and raises.
    """

    def __init__(self) -> None:
        self.scaler: Any = None
        self.encoder: Any = None
        self.has_numbers = True
        self.meets_texts = True
        self.are_texts_first = False

    @property
    def encodes_texts(self) -> bool:
        """Whether texts become features."""
        return self.encoder is not None

    @classmethod
    def of(cls, steps: list[Any]) -> Preparation | None:
        """The preparation by these steps, or None if it can't be compiled."""
        prepared = cls()
        if not steps:
            return prepared
        if len(steps) == 1 and _is_scaler(steps[0]):
            prepared.scaler = steps[0]
            return prepared
        if len(steps) != 1 or type(steps[0]) is not compose.TransformerUnion:
            return None
        kinds = [prepared._read_branch(b) for b in steps[0].transformers.values()]
        prepared.meets_texts = False
        prepared.has_numbers = "numbers" in kinds
        prepared.are_texts_first = kinds == ["numbers", "texts"]
        return prepared if None not in kinds and len(set(kinds)) == len(kinds) else None

    def _read_branch(self, branch: Any) -> str | None:
        """Read numbers, scaled or not, or encoded texts; None if it is neither."""
        steps = list(branch.steps.values()) if type(branch) is compose.Pipeline else [branch]
        if type(steps[0]) is not compose.SelectType:
            return None
        takes = {kind for kind in (int, float, str) if issubclass(kind, tuple(steps[0].types))}
        if takes == {int, float} and len(steps) == 1:
            return "numbers"
        if takes == {int, float} and len(steps) == 2 and _is_scaler(steps[1]):
            self.scaler = steps[1]
            return "numbers"
        if takes == {str} and len(steps) == 2 and _is_encoder(steps[1]):
            self.encoder = steps[1]
            return "texts"
        return None

    def read_scaler(self, names: list[str]) -> tuple[Floats, Floats]:
        """What is subtracted from each of these numbers, and by what it is divided then."""
        if self.scaler is None:
            return np.zeros(0), np.zeros(0)
        shifts = [*map(self.scaler.means.get, names, repeat(0.0))]
        variances = map(self.scaler.vars.get, names, repeat(0.0))
        widths = [v**0.5 for v in variances] if self.scaler.with_std else [1.0] * len(names)
        return np.array(shifts, dtype=float), np.array(widths, dtype=float)


def _is_scaler(step: Any) -> bool:
    return type(step) is preprocessing.StandardScaler and step.window_size is None


def _is_encoder(step: Any) -> bool:
    is_one_hot = type(step) is preprocessing.OneHotEncoder
    return is_one_hot and step.categories is None and not step.drop_first
