"""The notifications of a strategy that keeps state, by which alone its state changes.

A strategy is a callable. It keeps state if it also has any of the methods of `NotifiedStrategy`;
then its attributes are that state. They are part of every snapshot, and are restored after a
restart; a replay and a rebuilt worker send the same notifications. A call to the strategy itself
changes nothing: it may be called for a round that asks about no event, or to score open questions
again. State changes in these methods alone, so that the batching of events makes no difference.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class Pick(NamedTuple):
    """An event that was asked because a strategy had a say.

    `key` is the hash of its id, `x`, shape (d,), its features as in `Pool.X`. `utility` is the
    strategy's, `propensity` the probability with which the event was drawn. For a mixture `by_arm`
    has the probability with which each arm alone would have drawn it.
    """

    key: int
    x: NDArray[np.float64]
    utility: float
    propensity: float
    by_arm: tuple[float, ...] = ()


class NotifiedStrategy(Protocol):
    """The notifications that a strategy may get; each method is optional."""

    def asked(self, pick: Pick) -> None:
        """An event was asked because of this strategy; events of a round come best first."""

    def labelled(self, key: int, worth: float) -> None:
        """A label of the shard came, whatever draw asked it; once per event.

        `worth`, 0 to 1, is how little the model had expected the label when it was asked.
        """

    def unanswered(self, key: int) -> None:
        """No label will come of this event."""

    def drifted(self) -> None:
        """A drift was found."""

    def forget_events(self) -> None:
        """A person is erased: forget the features of all events. Hashes of ids may stay."""


METHODS = ("asked", "labelled", "unanswered", "drifted", "forget_events")


def keeps_state(strategy: object) -> bool:
    """Whether a strategy keeps state: it has at least one of the methods of `NotifiedStrategy`.

    >>> keeps_state(lambda pool, chance: pool.at)
    False
    """
    return any(callable(getattr(strategy, name, None)) for name in METHODS)


def tell_strategy(strategy: object, method: str, *arguments: Any) -> None:
    """Call this method of the strategy, if it has one."""
    notify = getattr(strategy, method, None)
    if notify is not None:
        notify(*arguments)
