"""Small pools for tests of strategies and rounds."""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace.chance import Chance
from headrace.query.pool import Pool


def pool_of(probabilities: Any, X: Any = None, wanted_n: int = 1, is_category: Any = None) -> Pool:
    """A pool with these probabilities, shape (n, k), and rows, shape (n, d)."""
    p = np.asarray(probabilities, dtype=np.float64)
    n = len(p)
    rows = np.zeros((n, 1)) if X is None else np.asarray(X, dtype=np.float64)
    ids = [f"e{i}" for i in range(n)]
    return Pool(
        ids=ids,
        keys=Chance(1).keys(ids),
        at=np.arange(n, dtype=np.float64),
        X=rows,
        is_category=np.asarray(
            np.zeros(rows.shape[1], bool) if is_category is None else is_category
        ),
        probabilities=p,
        wanted_n=wanted_n,
    )
