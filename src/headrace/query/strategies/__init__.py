"""Query strategies by name. A strategy is a callable `(Pool, Chance) -> utilities`, nothing else.

Utilities are finite float64, one per candidate, higher is better; only their order counts. A
strategy draws its luck from the `Chance` argument. An optional attribute `needs` names what the
strategy reads of a pool beside the candidates, out of `pool.PARTS`. It may keep state; see `state`
for the notifications that it gets. To use a strategy of your own, pass the callable, or name it
`module:function`, or register it under the entry point group `headrace.strategies`;
`headrace.testing.check_strategy` checks that it keeps the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...chance import Chance
from ...errors import BadSettings
from ...importing import import_function
from ...settings.query import STRATEGIES_BY_ROW
from ..pool import Pool
from .change import ExpectedErrorReduction, ExpectedGradientLength, VarianceReduction
from .combined import PerCost, RankedBatch, TwoStage, WeightedSum
from .committee import consensus_entropy, kl_to_consensus, variation_ratio, vote_entropy
from .density import InformationDensity, ReservoirDensity, Typicality
from .diversity import Badge, Dpp, KCenter, KMeans, ProbCover
from .hybrid import hybrid
from .known import (
    KNOWN,
    OF_FUNCTIONS,
    check_needs,
    declared_needs,
    describe_unknown,
    needs_of,
    with_options,
)
from .mixed import Scheduled, StrategyBandit
from .order import Strategy, utilities_of
from .probabilistic import McPal
from .uncertainty import (
    ExpectedCost,
    closeness_of,
    entropies_of,
    entropy,
    least_confidence,
    margin,
    random,
    shortfalls_of,
)

__all__ = [
    "STRATEGIES",
    "Badge",
    "Dpp",
    "ExpectedCost",
    "ExpectedErrorReduction",
    "ExpectedGradientLength",
    "InformationDensity",
    "KCenter",
    "KMeans",
    "McPal",
    "PerCost",
    "ProbCover",
    "RankedBatch",
    "ReservoirDensity",
    "Scheduled",
    "Strategy",
    "StrategyBandit",
    "TwoStage",
    "Typicality",
    "VarianceReduction",
    "WeightedSum",
    "consensus_entropy",
    "declared_needs",
    "entropy",
    "hybrid",
    "kl_to_consensus",
    "least_confidence",
    "margin",
    "needs_of",
    "random",
    "resolve",
    "utilities_of",
    "variation_ratio",
    "vote_entropy",
]

OF_FUNCTIONS.update(
    dict.fromkeys((random, least_confidence, margin, entropy, hybrid), ())
    | dict.fromkeys(
        (vote_entropy, variation_ratio, consensus_entropy, kl_to_consensus), ("members",)
    )
)

STRATEGIES: dict[str, Strategy] = KNOWN
"""The query strategies by the names that `query.strategy` takes, with their default options."""

STRATEGIES |= {
    "random": random,
    "least_confidence": least_confidence,
    "margin": margin,
    "entropy": entropy,
    "expected_cost": ExpectedCost(),
    "hybrid": hybrid,
    "vote_entropy": vote_entropy,
    "variation_ratio": variation_ratio,
    "consensus_entropy": consensus_entropy,
    "kl_to_consensus": kl_to_consensus,
    "bald": kl_to_consensus,
    "information_density": InformationDensity(),
    "reservoir_density": ReservoirDensity(),
    "typicality": Typicality(),
    "k_center": KCenter(),
    "k_means": KMeans(),
    "prob_cover": ProbCover(),
    "dpp": Dpp(),
    "badge": Badge(),
    "expected_gradient_length": ExpectedGradientLength(),
    "expected_error_reduction": ExpectedErrorReduction(),
    "variance_reduction": VarianceReduction(),
    "mcpal": McPal(),
}
# These combine the ones above.
STRATEGIES |= {
    "ranked_batch": RankedBatch(),
    "weighted_sum": WeightedSum(),
    "two_stage": TwoStage(),
    "per_cost": PerCost(),
    "scheduled": Scheduled(),
    "bandit": StrategyBandit(),
}

BY_ROW: tuple[Strategy, ...] = tuple(STRATEGIES[name] for name in STRATEGIES_BY_ROW)
"""Strategies that look at each candidate alone, and return the same bits in any pool."""

_BY_PROBABILITIES: Mapping[Strategy, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    random: lambda p: np.zeros(len(p)),
    least_confidence: shortfalls_of,
    margin: closeness_of,
    entropy: entropies_of,
}


_TRIED_N = 16


def resolve(
    strategy: str | Strategy, options: Mapping[str, Any] | None = None
) -> tuple[str, Strategy]:
    """Find a strategy by a known name, `module:function`, or the name of an entry point.

    Args:
        strategy: A name, or a strategy itself.
        options: The options of a named strategy; a callable has its own.

    Returns:
        The name and the callable.

    Raises:
        BadSettings: No strategy has the name, or options or `needs` can't be used; with every
            fault.

    >>> resolve("margn")
    Traceback (most recent call last):
    headrace.errors.BadSettings: query.strategy is 'margn'; did you mean margin? ...
    >>> resolve("typicality", {"reach": 1})
    Traceback (most recent call last):
    headrace.errors.BadSettings: query.options.reach is no option of typicality; it has none
    >>> resolve("prob_cover", {"reach": 1.0})
    ('prob_cover', ProbCover(reach=1.0))
    """
    name, resolved = _resolve(strategy, options or {})
    check_needs(resolved, name)
    return name, resolved


def _resolve(strategy: str | Strategy, options: Mapping[str, Any]) -> tuple[str, Strategy]:
    if not isinstance(strategy, str):
        if not callable(strategy) or isinstance(strategy, type):
            raise BadSettings(
                f"the strategy is {strategy!r}; must be a name or a callable (Pool, Chance) -> "
                "utilities, and of a class an object"
            )
        return getattr(strategy, "__name__", type(strategy).__name__), strategy
    if strategy in STRATEGIES:
        return strategy, with_options(strategy, STRATEGIES[strategy], options)
    if ":" in strategy:
        return strategy, with_options(
            strategy, import_function("query.strategy", strategy), options
        )
    for point in entry_points(group="headrace.strategies", name=strategy):
        return strategy, with_options(strategy, point.load(), options)
    raise BadSettings(describe_unknown(strategy, "query.strategy", ", or module:function"))


def utilities_by_row(
    strategy: Strategy, name: str, pool: Pool, chance: Chance
) -> NDArray[np.float64]:
    """Return the utilities of candidates that are looked at one by one, as on arrival; shape (n,).

    A user's strategy is called once per candidate, with a pool of that one: so its utilities can't
    depend on which other events came in the same batch.
    """
    if strategy in BY_ROW:
        return utilities_of(strategy, name, pool, chance)
    alone = [utilities_of(strategy, name, pool.row(i), chance) for i in range(len(pool))]
    return np.concatenate([np.empty(0), *alone])


def rate_rows(strategy: Strategy, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what `utilities_by_row` does for one of `BY_ROW`, without a pool; shape (n,).

    `probabilities`, shape (n, k), are those of a pool of the n candidates.
    """
    return _BY_PROBABILITIES[strategy](probabilities)


def faults_by_row(strategy: Strategy, name: str, chance: Chance) -> list[str]:
    """Return why a strategy can't be used on arrival; empty if it can.

    It is tried on made-up candidates; a strategy that raises on those is trusted.
    """
    if strategy in BY_ROW:
        return []
    if needs := declared_needs(strategy):
        return [
            f"strategy {name} reads {' and '.join(needs)} of a pool, which are there in rounds "
            "only; set query.ask to rounds"
        ]
    keys = chance.keys([f"candidate {i}" for i in range(_TRIED_N)])
    numbers = np.column_stack([chance.uniforms(f"column {j}", keys) for j in range(4)])
    pool = Pool(
        ids=[f"candidate {i}" for i in range(_TRIED_N)],
        keys=keys,
        at=np.arange(_TRIED_N, dtype=np.float64),
        X=numbers[:, :2],
        is_category=np.zeros(2, dtype=np.bool_),
        probabilities=np.column_stack([numbers[:, 2], 1.0 - numbers[:, 2]]),
        wanted_n=1,
    )
    try:
        together = utilities_of(strategy, name, pool, chance)
        alone = utilities_by_row(strategy, name, pool, chance)
    except Exception:
        return []
    if np.allclose(together, alone, rtol=1e-6, atol=1e-9):
        return []
    return [
        f"strategy {name} gives a candidate another utility among others than alone, so it can't "
        "be asked on arrival; set query.ask to rounds"
    ]
