"""Rules by which events are asked on arrival, by name; docs/ARRIVALS.md compares them.

The default, `rank`, is not one of them: `arrivals` draws by it. A rule of your own is a class, or a
function that returns an object, named `module:attribute`; `headrace.testing.check_online` checks
that it keeps the contract of `Rule`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .bandit import Bandit
from .known import PUBLISHED, RANK, make_rule_among
from .rule import Arriving, Draw, Rule, options_of

__all__ = ["RANK", "RULES", "Arriving", "Draw", "Rule", "make_rule", "options_of"]

RULES: dict[str, Callable[..., Rule]] = {**PUBLISHED, "bandit": Bandit}


def make_rule(name: str, options: Mapping[str, Any]) -> Rule:
    """Make the rule of this name with these options. Raises `BadSettings` with every fault.

    >>> make_rule("split", {"share": 0.2}).share
    0.2
    >>> make_rule("split", {"share": 2})
    Traceback (most recent call last):
    headrace.errors.BadSettings: query.arrival.options.share is 2; must be a number from 0 to 1
    >>> make_rule("splitt", {})
    Traceback (most recent call last):
    headrace.errors.BadSettings: query.arrival.rule is 'splitt'; did you mean split? ...
    """
    return make_rule_among(name, options, RULES)
