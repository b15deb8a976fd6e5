"""An online decision: what it is told of one event, and how it answers.

A rule sees the events of a shard in their order, each once, and says with which probability it asks
about each. It draws nothing itself and knows nothing of money: `ruled` draws, joins the control
share to it, and holds it to the budget.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import BadSettings
from ...importing import nearest


class Arriving(NamedTuple):
    """One event as a rule sees it.

    `doubt` is what `query.strategy` gives it, higher for a closer call. `probabilities` has shape
    (k,), `x` (d,): numbers as they are, categories as codes, NaN where missing; `is_category` (d,).
    `members` has shape (m, k), the probabilities by each member of the model, or is None where
    they are not needed or not there. `rate` is how many labels an event the rule may ask now, 0 to
    1; at 0 nothing is asked whatever it says.
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
    """What was drawn of one event.

    `luck` is uniform in [0, 1); `is_chosen` says that the rule asks, which is that the luck is
    below its probability; `is_asked` that somebody is asked, be it by the control share alone.
    `propensity` is the probability of that, `key` the hash of the event's id.
    """

    luck: float
    is_chosen: bool
    is_asked: bool
    propensity: float = 1.0
    key: int = 0


class Rule(Protocol):
    """An online decision. Of each event `chance` is called once, then `passed` once.

    It has to be picklable and to copy with `copy.deepcopy`; nothing of it may depend on a clock, a
    generator or on anything but the calls. Attributes that it may have: `needs`, ("members",) if it
    reads those; `is_of_unit_doubt`, true if it compares the doubt with numbers from 0 to 1;
    `threshold`, the doubt from which it asks at present, which requests tell; a method
    `forget_events`, called when a person is erased: a rule that keeps events must leave none;
    methods `labelled(key, worth)`, called when the label of an event comes, with how little the
    model had expected it, 0 to 1, and `unanswered(key)`, called when none will.
    """

    def chance(self, event: Arriving) -> float:
        """The probability with which this event is to be asked, 0 to 1."""

    def passed(self, event: Arriving, draw: Draw) -> None:
        """The event went by, asked or not."""


@dataclass
class Spent:
    """How many of the latest events were asked, without a list of them.

        u <- u (w - 1) / w + asked

    (Zliobaite, Bifet, Pfahringer, Holmes, "Active learning with drifting streaming data", IEEE
    Transactions on Neural Networks and Learning Systems 25 (1), 2014.) Labels may be asked
    while u / w is below the rate.

    >>> spent = Spent(100)
    >>> spent.passed(True); spent.passed(False)
    >>> spent.labels, spent.allows(0.05), spent.allows(0.005)
    (0.99, True, False)
    """

    window: int
    labels: float = 0.0

    def allows(self, rate: float) -> bool:
        """Whether less than the rate was asked of late."""
        return self.labels / self.window < rate

    def passed(self, is_asked: bool) -> None:
        self.labels = self.labels * ((self.window - 1) / self.window) + is_asked


# ------------------------------------------------------------------------------------ options


class Bounds(NamedTuple):
    """What an option of a rule may be: a number from `low` to `high`, or one of `choices`."""

    low: float
    high: float
    text: str
    choices: tuple[str, ...] = ()


def option(default: Any, low: float, high: float, text: str) -> Any:
    """An option of a rule: a field of its dataclass with a default and bounds."""
    return field(default=default, metadata={"bounds": Bounds(low, high, text)})


def choice(default: str, others: tuple[str, ...], text: str) -> Any:
    """An option that is one of some names."""
    bounds = Bounds(0.0, 0.0, text, (default, *others))
    return field(default=default, metadata={"bounds": bounds})


def options_of(kind: Any) -> dict[str, tuple[Any, Bounds]]:
    """Default and bounds of each option of a kind of rule, by name; of dataclasses alone."""
    if not is_dataclass(kind):
        return {}
    return {
        one.name: (None if one.default is MISSING else one.default, one.metadata["bounds"])
        for one in fields(kind)
        if "bounds" in one.metadata
    }


def check_options(name: str, kind: Any, options: Mapping[str, Any]) -> None:
    """Raise `BadSettings` with every option that the rule does not have or can't use."""
    known = options_of(kind)
    faults = []
    for given, value in options.items():
        said = f"query.arrival.options.{given}"
        if given not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            faults.append(f"{said} is no option of {name}; {has}{nearest(given, known)}")
            continue
        default, bounds = known[given]
        if fault := _fault(value, default, bounds):
            faults.append(f"{said} is {value!r}; {fault}")
    if faults:
        raise BadSettings(faults)


def _fault(value: Any, default: Any, bounds: Bounds) -> str:
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
