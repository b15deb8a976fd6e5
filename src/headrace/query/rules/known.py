"""The published rules by name, and the construction of a rule from its name and options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from typing import Any

from ...errors import BadSettings
from ...importing import import_function, suggest_nearest
from .density import (
    CognitiveDual,
    CognitiveFixed,
    CognitiveRandom,
    CognitiveRandomised,
    DensityStream,
)
from .quantile import ProbabilisticStream, QuantileFilter
from .rule import Rule, check_options
from .sampling import ImportanceWeighted, Periodic, Random, SelectiveSampling
from .threshold import (
    FixedUncertainty,
    RandomisedVariableUncertainty,
    Split,
    VariableUncertainty,
)

RANK = "rank"
"""The name of the default: not a rule, but the draw by ranks of doubt."""

PUBLISHED: dict[str, Callable[..., Rule]] = {
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
}


def make_rule_among(
    name: str, options: Mapping[str, Any], rules: Mapping[str, Callable[..., Rule]]
) -> Rule:
    """Make the rule of this name, among `rules` or `module:attribute`.

    Raises `BadSettings` with every fault.
    """
    if ":" in name:
        kind: Callable[..., Rule] = import_function("query.arrival.rule", name)
    elif name in rules:
        kind = rules[name]
    else:
        hint = suggest_nearest(name, (RANK, *rules)) or f"; known are {', '.join((RANK, *rules))}"
        raise BadSettings(f"query.arrival.rule is {name!r}{hint} docs/ARRIVALS.md has all rules")
    if is_dataclass(kind) and ":" not in name:
        check_options(name, kind, options)
    try:
        rule = kind(**options)
    except TypeError as error:
        raise BadSettings(f"query.arrival.options of {name} can't be used: {error}") from None
    if not (callable(getattr(rule, "chance", None)) and callable(getattr(rule, "passed", None))):
        raise BadSettings(
            f"query.arrival.rule is {name!r}, which makes a {type(rule).__name__}; a rule has the "
            "methods chance and passed"
        )
    return rule
