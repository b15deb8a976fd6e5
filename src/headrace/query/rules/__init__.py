"""Rules by which events are asked on arrival, by name; docs/ARRIVALS.md compares them.

`rank` is none of these: it is the default, which `arrivals` draws by. A rule of yours is a class or
a function that returns one, named `module:attribute`; `headrace.testing.check_online` tells whether
it keeps the contract of `Rule`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from typing import Any

from ...errors import BadSettings
from ...importing import imported, nearest
from .bandit import Bandit
from .density import (
    CognitiveDual,
    CognitiveFixed,
    CognitiveRandom,
    CognitiveRandomised,
    DensityStream,
)
from .quantile import ProbabilisticStream, QuantileFilter
from .rule import Arriving, Bounds, Draw, Rule, Spent, check_options, options_of
from .sampling import ImportanceWeighted, Periodic, Random, SelectiveSampling
from .threshold import (
    FixedUncertainty,
    RandomisedVariableUncertainty,
    Split,
    VariableUncertainty,
)

__all__ = [
    "RANK",
    "RULES",
    "Arriving",
    "Bounds",
    "Draw",
    "Rule",
    "Spent",
    "made",
    "options_of",
]

RANK = "rank"
"""The default: no rule, but the draw by ranks of doubt."""

RULES: dict[str, Callable[..., Rule]] = {
    "random": Random,
    "periodic": Periodic,
    "fixed_uncertainty": FixedUncertainty,
    "variable_uncertainty": VariableUncertainty,
    "randomised_variable_uncertainty": RandomisedVariableUncertainty,
    "split": Split,
    "selective_sampling": SelectiveSampling,
    "iwal": ImportanceWeighted,
    "quantile_filter": QuantileFilter,
    "probabilistic": ProbabilisticStream,
    "density": DensityStream,
    "cognitive_random": CognitiveRandom,
    "cognitive_fixed": CognitiveFixed,
    "cognitive_variable": CognitiveDual,
    "cognitive_randomised": CognitiveRandomised,
    "bandit": Bandit,
}


def made(name: str, options: Mapping[str, Any]) -> Rule:
    """The rule of this name with these options. Raises `BadSettings` with every fault.

    >>> made("split", {"share": 0.2}).share
    0.2
    >>> made("split", {"share": 2})
    Traceback (most recent call last):
    headrace.errors.BadSettings: query.arrival.options.share is 2; must be a number from 0 to 1
    >>> made("splitt", {})
    Traceback (most recent call last):
    headrace.errors.BadSettings: query.arrival.rule is 'splitt'; did you mean split? ...
    """
    if ":" in name:
        make: Callable[..., Rule] = imported("query.arrival.rule", name)
    elif name in RULES:
        make = RULES[name]
    else:
        hint = nearest(name, (RANK, *RULES)) or f"; known are {', '.join((RANK, *RULES))}"
        raise BadSettings(f"query.arrival.rule is {name!r}{hint} docs/ARRIVALS.md has all rules")
    if is_dataclass(make) and ":" not in name:
        check_options(name, make, options)
    try:
        rule = make(**options)
    except TypeError as error:
        raise BadSettings(f"query.arrival.options of {name} can't be used: {error}") from None
    if not (callable(getattr(rule, "chance", None)) and callable(getattr(rule, "passed", None))):
        raise BadSettings(
            f"query.arrival.rule is {name!r}, which makes a {type(rule).__name__}; a rule has the "
            "methods chance and passed"
        )
    return rule
