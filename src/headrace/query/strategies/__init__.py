"""Query strategies by name. A strategy is a callable `(Pool, Chance) -> utilities`, nothing else.

Utilities are finite float64, one a candidate, higher is better; only their order counts. A strategy
keeps no state and draws luck from the `Chance` it is given. Yours: pass the callable, or name it
`module:function`, or register it under the entry point group `headrace.strategies`;
`headrace.testing.check_strategy` tells whether it keeps the rules.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...chance import Chance
from ...errors import BadSettings
from ..pool import Pool
from .hybrid import hybrid
from .uncertainty import entropy, least_confidence, margin, random

__all__ = [
    "STRATEGIES",
    "Strategy",
    "entropy",
    "hybrid",
    "least_confidence",
    "margin",
    "random",
    "resolve",
    "utilities_of",
]

Strategy: TypeAlias = Callable[[Pool, Chance], NDArray[np.float64]]

STRATEGIES: dict[str, Strategy] = {
    "random": random,
    "least_confidence": least_confidence,
    "margin": margin,
    "entropy": entropy,
    "hybrid": hybrid,
}


def resolve(strategy: str | Strategy) -> tuple[str, Strategy]:
    """The name and the callable of a strategy: a known name, `module:function`, an entry point.

    >>> resolve("margn")
    Traceback (most recent call last):
    headrace.errors.BadSettings: query.strategy is 'margn'; known are random, least_confidence,
    margin, entropy, hybrid, or module:function; did you mean margin?
    """
    if not isinstance(strategy, str):
        return getattr(strategy, "__name__", type(strategy).__name__), strategy
    if strategy in STRATEGIES:
        return strategy, STRATEGIES[strategy]
    if ":" in strategy:
        return strategy, _imported(strategy)
    for point in entry_points(group="headrace.strategies", name=strategy):
        return strategy, point.load()
    near = difflib.get_close_matches(strategy, STRATEGIES, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    known = ", ".join(STRATEGIES)
    raise BadSettings(
        f"query.strategy is {strategy!r}; known are {known}, or module:function{hint}"
    )


def _imported(path: str) -> Strategy:
    module_name, _, name = path.partition(":")
    try:
        found: Strategy = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise BadSettings(f"query.strategy is {path!r}; it can't be imported: {error}") from error
    if not callable(found):
        raise BadSettings(f"query.strategy is {path!r}; that is not callable")
    return found


def utilities_of(strategy: Strategy, name: str, pool: Pool, chance: Chance) -> NDArray[np.float64]:
    """Call a strategy and hold it to its contract; raises `BadSettings` where it breaks it."""
    utilities = np.asarray(strategy(pool, chance), dtype=np.float64)
    if utilities.shape != (len(pool),):
        raise BadSettings(
            f"strategy {name} gave utilities of shape {utilities.shape} for {len(pool)} "
            "candidates; must be one a candidate"
        )
    if not np.isfinite(utilities).all():
        raise BadSettings(f"strategy {name} gave a utility that is not a finite number")
    return utilities
