"""The table of strategies by name, their options, and the parts of a pool that they read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from types import FunctionType
from typing import Any

from ...errors import BadSettings
from ...importing import suggest_nearest
from ..pool import PARTS
from .order import Strategy
from .state import keeps_state

KNOWN: dict[str, Strategy] = {}
"""The strategies by the names of the settings; the package fills it."""


def strategy_named(strategy: str | Strategy, setting: str = "query.strategy") -> Strategy:
    """Return a strategy that is part of another, given by name or as a callable.

    Raises `BadSettings` if it is unknown or keeps state: it would get no notifications.
    """
    if isinstance(strategy, str):
        if strategy not in KNOWN:
            raise BadSettings(describe_unknown(strategy, setting))
        strategy = KNOWN[strategy]
    elif not callable(strategy):
        raise BadSettings(f"{setting} is {strategy!r}; must be the name of a strategy")
    if keeps_state(strategy):
        raise BadSettings(
            f"{setting} is {strategy!r}, which keeps state; only query.strategy itself may"
        )
    return strategy


def describe_unknown(name: str, setting: str, also: str = "") -> str:
    """Return the message about an unknown name: the nearest known one, or all of them."""
    hint = suggest_nearest(name, KNOWN)
    if hint:
        return f"{setting} is {name!r}{hint} docs/STRATEGIES.md has all names"
    return f"{setting} is {name!r}; known are {', '.join(KNOWN)}{also}"


def needs_of(strategy: Any) -> tuple[str, ...]:
    """Name the parts of a pool that a strategy reads beside the candidates.

    They are those of its attribute `needs`, or for functions of this package of `OF_FUNCTIONS`.

    Args:
        strategy: The strategy, a callable.

    Returns:
        Names out of `pool.PARTS`; all of them for a strategy that declares nothing.

    >>> needs_of(lambda pool, chance: pool.at)
    ('members', 'asked', 'labelled', 'reservoir', 'costs')
    """
    declared = declared_needs(strategy)
    return PARTS if declared is None else declared


def check_needs(strategy: Any, name: str) -> None:
    """Raise `BadSettings` where `needs` is not a tuple of parts of a pool."""
    needs = getattr(strategy, "needs", None)
    if isinstance(needs, str) or not all(need in PARTS for need in needs or ()):
        raise BadSettings(
            f"strategy {name} has needs = {needs!r}; must be a tuple of names out of "
            f"{', '.join(PARTS)}"
        )


def declared_needs(strategy: Any) -> tuple[str, ...] | None:
    """Name the parts of a pool that a strategy declares to read.

    Args:
        strategy: The strategy, a callable.

    Returns:
        Names out of `pool.PARTS`, each once; None if it declares nothing.

    >>> declared_needs(lambda pool, chance: pool.at) is None
    True
    """
    needs = getattr(strategy, "needs", None)
    if needs is None and isinstance(strategy, FunctionType):
        needs = OF_FUNCTIONS.get(strategy)
    return None if needs is None else tuple(dict.fromkeys(needs))


OF_FUNCTIONS: dict[Any, tuple[str, ...]] = {}
"""The parts of a pool that functions of this package need; a class has the attribute `needs`."""


def with_options(name: str, strategy: Strategy, options: Mapping[str, Any]) -> Strategy:
    """Return the strategy with these options. Raises `BadSettings` with every fault."""
    if not options:
        return strategy
    known: list[str] = []
    if is_dataclass(strategy):
        known = [option_field.name for option_field in fields(strategy) if option_field.init]
    faults = []
    for option in options:
        if option not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            hint = suggest_nearest(option, known)
            faults.append(f"query.options.{option} is no option of {name}; {has}{hint}")
    if faults:
        raise BadSettings(faults)
    make: Callable[..., Strategy] = type(strategy)
    try:
        return make(**options)
    except TypeError as error:
        raise BadSettings(f"query.options of {name} can't be used: {error}") from None
