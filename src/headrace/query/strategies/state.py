"""What a strategy that keeps state is told, and where it changes.

A strategy is a callable. It keeps state if it has any of the methods of `Told` beside; then its
attributes are that state. They are part of every snapshot, and there again after a restart; a
replay and a rebuilt worker tell it the same. To be called changes nothing: it may be called for a
round that asks nobody, or to score open questions again. It changes in these methods alone, so that
how events are batched makes no difference.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class Pick(NamedTuple):
    """An event that was asked because a strategy had a say.

    `key` is the hash of its id, `x`, shape (d,), its features as `Pool.X` has them. `utility` is
    what the strategy gave it, `propensity` the probability with which it was drawn. Of a mixture,
    `by_arm` has the probability with which each of its arms alone would have had it drawn.
    """

    key: int
    x: NDArray[np.float64]
    utility: float
    propensity: float
    by_arm: tuple[float, ...] = ()


class Told(Protocol):
    """What a strategy may be told; each method may be there or not."""

    def asked(self, pick: Pick) -> None:
        """It had this event asked; those of a round come one after the other, best first."""

    def labelled(self, key: int, worth: float) -> None:
        """A label of the shard came, whoever had it asked; once for an event.

        `worth` is how little the model had expected it when it was asked, 0 to 1.
        """

    def unanswered(self, key: int) -> None:
        """No label will come of this event."""

    def drifted(self) -> None:
        """The world has changed: a drift was found."""

    def forget_events(self) -> None:
        """A person is erased: no feature of any event may be left. Hashes of ids may stay."""


METHODS = ("asked", "labelled", "unanswered", "drifted", "forget_events")


def keeps_state(strategy: object) -> bool:
    """Whether a strategy wants to be told something.

    >>> keeps_state(lambda pool, chance: pool.at)
    False
    """
    return any(callable(getattr(strategy, name, None)) for name in METHODS)


def tell(strategy: object, method: str, *arguments: Any) -> None:
    """Call this method of the strategy, if it has it."""
    told = getattr(strategy, method, None)
    if told is not None:
        told(*arguments)
