"""The interface of rules that decide about events one by one, and their options.

A rule sees the events of a shard in their order, each once, and returns the probability with which
it asks about each. It draws nothing itself and knows nothing of the budget: `ruled` draws, adds the
control draw, and holds the rule to the budget.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import BadSettings
from ...importing import suggest_nearest


class Arriving(NamedTuple):
    """One event as a rule sees it.

    Attributes:
        doubt: Its utility by `query.strategy`, higher for a closer call.
        probabilities: Those of the k classes, shape (k,).
        x: Its d features, shape (d,): numbers as they are, categories as codes, NaN where missing.
        is_category: Whether each feature is a category, shape (d,).
        rate: How many labels per event the rule may ask now, 0 to 1; at 0 nothing is asked whatever
            the rule returns.
        members: The probabilities by each of the m members of the model, shape (m, k); None where
            the rule does not need them or there are none.

    >>> event = Arriving(0.4, np.array([0.7, 0.3]), np.array([1.5]), np.zeros(1, bool), rate=0.1)
    >>> round(event.margin, 3)
    0.4
    """

    doubt: float
    probabilities: NDArray[np.float64]
    x: NDArray[np.float64]
    is_category: NDArray[np.bool_]
    rate: float
    members: NDArray[np.float64] | None = None

    @property
    def margin(self) -> float:
        """How far the likeliest class is ahead of the next one, 0 to 1."""
        if len(self.probabilities) < 2:
            return 1.0
        ordered = np.sort(self.probabilities)
        return float(ordered[-1] - ordered[-2])


class Draw(NamedTuple):
    """The outcome of the draw for one event.

    Attributes:
        luck: Uniform, from 0, included, to 1, excluded.
        is_chosen: Whether the rule asks, because the luck is below the rule's probability.
        is_asked: Whether the event is asked, be it by the control draw alone.
        propensity: The probability of that.
        key: The hashed id of the event.

    >>> Draw(luck=0.3, is_chosen=False, is_asked=True, propensity=0.02).key
    0
    """

    luck: float
    is_chosen: bool
    is_asked: bool
    propensity: float = 1.0
    key: int = 0


class Rule(Protocol):
    """A rule. For each event `chance` is called once, then `passed` once.

    A rule has to be picklable and to work with `copy.deepcopy`; its state may depend on these calls
    alone, not on a clock or a random generator. `headrace.testing.check_online` checks this.
    Optional members:

    - `needs`: ("members",) if it reads `Arriving.members`;
    - `is_of_unit_doubt`: true if it compares the doubt with numbers from 0 to 1;
    - `threshold`: the doubt from which it asks at present, which requests state;
    - `forget_events()`: called when a person is erased; a rule that keeps events drops them all;
    - `labelled(key, worth)`: the label of an event came; `worth`, 0 to 1, is how little the model
      had expected it; `unanswered(key)`: no label will come.

    >>> class Closest:
    ...     def chance(self, event): return min(1.0, 2.0 * event.rate * event.doubt)
    ...     def passed(self, event, draw): pass
    >>> Closest().chance(Arriving(0.5, np.ones(1), np.ones(1), np.zeros(1, bool), rate=0.2))
    0.2
    """

    def chance(self, event: Arriving) -> float:
        """Decide about one event.

        Args:
            event: The event.

        Returns:
            The probability with which to ask it, 0 to 1.
        """

    def passed(self, event: Arriving, draw: Draw) -> None:
        """Note that an event went by, asked or not.

        Args:
            event: The event.
            draw: The outcome of its draw.
        """


@dataclass
class Spent:
    """An estimate of how many of the latest events were asked, without a list of them.

        u <- u (w - 1) / w + asked

    (Zliobaite, Bifet, Pfahringer, Holmes, "Active learning with drifting streaming data", IEEE
    Transactions on Neural Networks and Learning Systems 25 (1), 2014.) Labels may be asked
    while u / w is below the rate.

    Attributes:
        window: The number of latest events, w.
        labels: The estimate, u.

    >>> spent = Spent(100)
    >>> spent.passed(True); spent.passed(False)
    >>> spent.labels, spent.allows(0.05), spent.allows(0.005)
    (0.99, True, False)
    """

    window: int
    labels: float = 0.0

    def allows(self, rate: float) -> bool:
        """Say whether fewer of the latest events were asked than a rate allows.

        Args:
            rate: Labels per event, 0 to 1.

        Returns:
            Whether another may be asked.
        """
        return self.labels / self.window < rate

    def passed(self, is_asked: bool) -> None:
        """Count one event.

        Args:
            is_asked: Whether it was asked.
        """
        self.labels = self.labels * ((self.window - 1) / self.window) + is_asked


class Spending:
    """The common part of rules that stop where the latest events cost what the rate allows."""

    window: int
    spent: Spent

    def __post_init__(self) -> None:
        # A window of 0 events, which only `Random` has, is no limit.
        self.spent = Spent(max(1, self.window))

    def passed(self, event: Arriving, draw: Draw) -> None:
        self.spent.passed(draw.is_chosen)


# ------------------------------------------------------------------------------------ options


class OptionRange(NamedTuple):
    """The values of an option: numbers from `low` to `high`, or `choices`; `text` describes it."""

    low: float
    high: float
    text: str
    choices: tuple[str, ...] = ()


def option(default: Any, low: float, high: float, text: str) -> Any:
    """Return a dataclass field for an option of a rule, with a default and bounds."""
    return field(default=default, metadata={"bounds": OptionRange(low, high, text)})


def choice(default: str, others: tuple[str, ...], text: str) -> Any:
    """Return a dataclass field for an option that is one of several names."""
    bounds = OptionRange(0.0, 0.0, text, (default, *others))
    return field(default=default, metadata={"bounds": bounds})


def options_of(kind: Any) -> dict[str, tuple[Any, OptionRange]]:
    """Return default and bounds of each option of a rule class, by name; {} if no dataclass."""
    if not is_dataclass(kind):
        return {}
    return {
        option_field.name: (
            None if option_field.default is MISSING else option_field.default,
            option_field.metadata["bounds"],
        )
        for option_field in fields(kind)
        if "bounds" in option_field.metadata
    }


def check_options(name: str, kind: Any, options: Mapping[str, Any]) -> None:
    """Raise `BadSettings` with every option that the rule does not have or can't use."""
    known = options_of(kind)
    faults = []
    for option, value in options.items():
        path = f"query.arrival.options.{option}"
        if option not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            faults.append(f"{path} is no option of {name}; {has}{suggest_nearest(option, known)}")
            continue
        default, bounds = known[option]
        if fault := _find_fault(value, default, bounds):
            faults.append(f"{path} is {value!r}; {fault}")
    if faults:
        raise BadSettings(faults)


def _find_fault(value: Any, default: Any, bounds: OptionRange) -> str:
    if bounds.choices:
        return "" if value in bounds.choices else f"must be one of {', '.join(bounds.choices)}"
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "must be true or false"
    is_whole = isinstance(default, int)
    is_number = isinstance(value, int if is_whole else int | float) and not isinstance(value, bool)
    if not is_number or not bounds.low <= value <= bounds.high:
        kind = "a whole number" if is_whole else "a number"
        return f"must be {kind} from {bounds.low:g} to {bounds.high:g}"
    return ""
