"""The demo's stream: patches of outdoor photographs, one after the other, with a drift that recurs.

An event and what is true of it follow from its number and the seed alone, so that annotators can
know the truth without being told. Shared by producer.py and annotators.py; does nothing by itself.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from river import datasets

from headrace import Chance


class Pictures:
    """River's `ImageSegments`, 2,310 patches in seven classes, each time round in another order.

    Every `drift_every_n` events a release shifts the columns by one: each of the 18 features then
    holds the values of its neighbour. The next release mends it.
    """

    def __init__(self, seed: int, drift_every_n: int) -> None:
        self.drift_every_n = drift_every_n
        self._pairs = [
            ({str(name): float(value) for name, value in features.items()}, str(label))
            for features, label in datasets.ImageSegments()
        ]
        self._names = list(self._pairs[0][0])
        self._chance = Chance(seed)
        self._keys = self._chance.keys(str(i) for i in range(len(self._pairs)))
        self._order = lru_cache(maxsize=8)(self._drawn_order)

    @property
    def classes(self) -> list[str]:
        """The seven classes, in order."""
        return sorted({label for _, label in self._pairs})

    def features(self, n: int) -> dict[str, float]:
        """What is seen of the event of this number, from 0."""
        features = self._pairs[self._place(n)][0]
        if not self.is_shifted(n):
            return features
        neighbours = [*self._names[1:], self._names[0]]
        return {name: features[other] for name, other in zip(self._names, neighbours, strict=True)}

    def label(self, n: int) -> str:
        """What is true of it."""
        return self._pairs[self._place(n)][1]

    def is_shifted(self, n: int) -> bool:
        """Whether it comes after a release that shifted the columns."""
        return n // self.drift_every_n % 2 == 1

    def _place(self, n: int) -> int:
        turn, place = divmod(n, len(self._pairs))
        return int(self._order(turn)[place])

    def _drawn_order(self, turn: int) -> np.ndarray:
        return np.argsort(self._chance.uniforms(f"order {turn}", self._keys), kind="stable")


def event_id(run: str, n: int) -> str:
    """The id of an event; `run` keeps apart what several runs of the producer wrote."""
    return f"{run}-{n}"


def number_of(event_id: str) -> int | None:
    """The number in an id; None if it is not one of ours."""
    _, dash, number = event_id.rpartition("-")
    return int(number) if dash and number.isascii() and number.isdecimal() else None
