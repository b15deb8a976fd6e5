"""Strategies by name, and what each reads of a pool beside the candidates."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from types import FunctionType
from typing import Any

from ...errors import BadSettings
from ...importing import nearest
from ..pool import PARTS
from .order import Strategy
from .state import keeps_state

KNOWN: dict[str, Strategy] = {}
"""Filled by the package; the names of the settings."""


def strategy_named(strategy: str | Strategy, setting: str = "query.strategy") -> Strategy:
    """A strategy that is part of another: by name, or a callable. Raises `BadSettings`.

    One that keeps state is none: nobody would tell it what became of its questions.
    """
    if isinstance(strategy, str):
        if strategy not in KNOWN:
            raise BadSettings(unknown(strategy, setting))
        strategy = KNOWN[strategy]
    elif not callable(strategy):
        raise BadSettings(f"{setting} is {strategy!r}; must be the name of a strategy")
    if keeps_state(strategy):
        raise BadSettings(
            f"{setting} is {strategy!r}, which keeps state; only query.strategy itself may"
        )
    return strategy


def unknown(name: str, setting: str, also: str = "") -> str:
    """The fault of a name that is no strategy's: the nearest one, or all there are."""
    found = difflib.get_close_matches(name, KNOWN, n=1)
    if found:
        return f"{setting} is {name!r}; did you mean {found[0]}? docs/STRATEGIES.md has all names"
    return f"{setting} is {name!r}; known are {', '.join(KNOWN)}{also}"


def needs_of(strategy: Any) -> tuple[str, ...]:
    """Which parts of a pool a strategy reads beside the candidates, out of `pool.PARTS`.

    What it says itself in `needs`. A function that says nothing gets all: what it reads is not
    known. That of this package are told here.
    """
    said = declared_needs(strategy)
    return PARTS if said is None else said


def check_needs(strategy: Any, name: str) -> None:
    """Raise `BadSettings` where `needs` names no part of a pool."""
    said = getattr(strategy, "needs", None)
    if isinstance(said, str) or not all(need in PARTS for need in said or ()):
        raise BadSettings(
            f"strategy {name} has needs = {said!r}; must be a tuple of names out of "
            f"{', '.join(PARTS)}"
        )


def declared_needs(strategy: Any) -> tuple[str, ...] | None:
    """The same as far as it is said; None for a function that says nothing."""
    said = getattr(strategy, "needs", None)
    if said is None and isinstance(strategy, FunctionType):
        said = OF_FUNCTIONS.get(strategy)
    return None if said is None else tuple(dict.fromkeys(said))


OF_FUNCTIONS: dict[Any, tuple[str, ...]] = {}
"""What the functions of this package need; a class says so itself."""


def with_options(name: str, strategy: Strategy, options: Mapping[str, Any]) -> Strategy:
    """The strategy with these settings. Raises `BadSettings` with every fault."""
    if not options:
        return strategy
    known: list[str] = []
    if is_dataclass(strategy):
        known = [one.name for one in fields(strategy) if one.init]
    faults = []
    for option in options:
        if option not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            hint = nearest(option, known)
            faults.append(f"query.options.{option} is no option of {name}; {has}{hint}")
    if faults:
        raise BadSettings(faults)
    make: Callable[..., Strategy] = type(strategy)
    try:
        return make(**options)
    except TypeError as error:
        raise BadSettings(f"query.options of {name} can't be used: {error}") from None
