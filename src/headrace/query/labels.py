"""The labels of the latest events that this shard asked about, which pools show to strategies.

The events themselves are in window and reservoir; only their labels are kept here.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

LABELS_MAX = 1_000
"""At most this many labels are remembered, those of the events that were labelled last."""


class Labels:
    """The class of each event, by its hashed id.

    >>> labels = Labels()
    >>> labels.settle(7, "fraud"); labels.settle(9, "fine"); labels.drop(9)
    >>> labels.find_codes(np.array([7, 8, 9], np.uint64), {"fine": 0, "fraud": 1}.get).tolist()
    [1, -1, -1]
    """

    def __init__(self) -> None:
        self._label_of: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._label_of)

    def settle(self, key: int, label: str) -> None:
        """Set the label of the event with this hashed id, whatever it was before."""
        self._label_of[key] = label
        if len(self._label_of) > LABELS_MAX:
            del self._label_of[next(iter(self._label_of))]

    def drop(self, key: int) -> None:
        """Drop the label of an event whose answers contradict each other."""
        self._label_of.pop(key, None)

    def keep_only(self, keys: NDArray[np.uint64]) -> None:
        """Forget the labels of all events but these: the others were erased or are kept nowhere."""
        keys_kept = set(keys.tolist())
        self._label_of = {key: one for key, one in self._label_of.items() if key in keys_kept}

    def find_codes(
        self, keys: NDArray[np.uint64], code_of: Callable[[str], int | None]
    ) -> NDArray[np.int64]:
        """Return the code of each event's label, shape (n,); -1 where it has none.

        `keys`, shape (n,), are the hashed ids; `code_of` returns the place of a class.
        """
        codes = np.full(len(keys), -1, dtype=np.int64)
        for i, key in enumerate(keys.tolist()):
            label = self._label_of.get(key)
            code = None if label is None else code_of(label)
            codes[i] = -1 if code is None else code
        return codes
