"""The examples in the window of a river search, as arrays; after a label only new ones are read."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..schema_view import Floats
from .routes import Numbers
from .scorer import code_of


class ExampleWindow:
    """The m examples of a window, after `read`.

    - `values`: their numbers, shape (places, m), 0 where an example has none; `labels`: shape (m,).
    - `texts_n`: how many features made of texts each has, shape (m,).
    - `label_of`: the number of each label of the model.

    The first places are those of the names given to `read`; what else examples have has a place
    behind them, but for features made of texts.
    """

    def __init__(self, *, has_texts: bool) -> None:
        self._has_texts = has_texts
        self._lacking: dict[str, Floats] = {}
        self._start_anew([], ())

    def _start_anew(self, names: list[str], labels: Iterable[Any]) -> None:
        """Forget all examples."""
        self._items: list[Any] = []
        self._places: dict[Any, int] = {name: i for i, name in enumerate(names)}
        self.values: Floats = np.zeros((0, 0))
        self.labels: Numbers = np.zeros(0, dtype=np.intp)
        self.texts_n: Numbers = np.zeros(0, dtype=np.intp)
        self.label_of: dict[Any, int] = {
            label: i for i, label in enumerate(sorted(labels, key=_order_of))
        }

    def __len__(self) -> int:
        return len(self._items)

    def read(self, window: Iterable[Any], names: list[str], labels: set[Any]) -> None:
        """Read the examples that were added since the last time; `labels` are all of the model.

        All are read if a name is new, or a label: votes are added in the order of labels.
        """
        items = [entry[0] for entry in window]
        kept = _count_kept(self._items, items)
        is_known = list(self._places)[: len(names)] == names and self.label_of.keys() == labels
        if not kept or not is_known:
            kept = 0
            self._start_anew(names, labels)
        read = [*map(self._read_example, items[kept:])]
        values = np.zeros((len(self._places), len(items)))
        first = self.values.shape[1] - kept
        values[: len(self.values), :kept] = self.values[:, first:]
        for i, (by_place, _, _) in enumerate(read, start=kept):
            values[list(by_place), i] = list(by_place.values())
        self.values, self._items, self._lacking = values, items, {}
        added = np.array([label for _, label, _ in read], dtype=np.intp)
        self.labels = np.append(self.labels[first:], added)
        added = np.array([texts_n for _, _, texts_n in read], dtype=np.intp)
        self.texts_n = np.append(self.texts_n[first:], added)

    def _read_example(self, item: tuple[dict[Any, Any], Any]) -> tuple[dict[int, float], int, int]:
        """An example's numbers, by place, its label, and how many of its features are texts."""
        by_place, texts_n = {}, 0
        for name, value in item[0].items():
            place = self._places.get(name)
            if place is None and self._has_texts and type(value) is int:
                # The encoder's 0 or 1.
                texts_n += value
                continue
            if place is None:
                place = self._places[name] = len(self._places)
            by_place[place] = float(value) if isinstance(value, int | float) else math.nan
        return by_place, self.label_of[item[1]], texts_n

    def find_lacking(self, feature: str) -> Floats:
        """1 for each example without this feature made of a text, 0 for one with it, shape (m,)."""
        if feature not in self._lacking:
            self._lacking[feature] = np.array([1.0 - x.get(feature, 0) for x, _ in self._items])
        return self._lacking[feature]


def _order_of(label: Any) -> tuple[int, str]:
    return code_of(label), str(label)


def _count_kept(before: list[Any], now: list[Any]) -> int:
    """How many of the examples that were in a window are still there: the first of those now.

    >>> a, b, c = [1], [2], [3]
    >>> _count_kept([a, b], [b, c]), _count_kept([a], [b])
    (1, 0)
    """
    dropped = next((i for i, item in enumerate(before) if now and item is now[0]), len(before))
    kept = len(before) - dropped
    return kept if kept and kept <= len(now) and before[-1] is now[kept - 1] else 0
