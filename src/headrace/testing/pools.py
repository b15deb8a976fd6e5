"""The pools on which `check_strategy` tries a strategy: small, large, odd, with parts or none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..chance import Chance
from ..query.pool import Labelled, Pool, Sample


def make_pools() -> Iterator[Pool]:
    """Yield all pools that a strategy is tried on."""
    chance = Chance(11)
    for n in (1, 2, 17, 60):
        for classes_n in (0, 1, 2, 5):
            for wanted_n in (1, 5, 100):
                pool = make_pool(chance, n, classes_n, wanted_n)
                yield pool
                yield with_more(chance, pool)
            yield _with_nothing_known(pool)
    for pool in _odd_pools(make_pool(chance, 12, 3, 4)):
        yield pool
        yield with_more(chance, pool)


def _odd_pools(pool: Pool) -> Iterator[Pool]:
    """Yield the pool without candidates, without features, and with candidates that are alike."""
    yield pool.take(np.arange(0))
    yield replace(pool, X=pool.X[:, :0], is_category=pool.is_category[:0])
    yield replace(pool, X=np.full_like(pool.X, np.nan))
    yield replace(pool, X=np.ones_like(pool.X), probabilities=np.full((12, 3), 1.0 / 3.0))
    twins = np.arange(12) // 2 * 2
    yield replace(pool, X=pool.X[twins], probabilities=pool.probabilities[twins])


def with_more(chance: Chance, pool: Pool) -> Pool:
    """Return the pool with three members, one of which has learned nothing, and all other parts.

    The events asked before have one feature less; every second of them has a label. Some events of
    the reservoir are candidates, and the costs of labels are arbitrary.
    """
    n, k = pool.probabilities.shape
    members = np.stack([pool.probabilities, pool.probabilities[:, ::-1], np.ones((n, k))])
    members[2] /= max(1, k)
    asked = pool.X[: (n + 1) // 2, : min(3, pool.X.shape[1])].copy()
    labelled = asked[:: 2 if k else 1][: len(asked) if k else 0]
    codes = np.arange(len(labelled)) % max(1, k)
    others = make_pool(chance, 30, k, 1)
    width = pool.X.shape[1]
    keys = np.concatenate([others.keys, pool.keys[::2]])
    reservoir = Sample(np.vstack([others.X[:, :width], pool.X[::2]]), keys)
    costs = 0.5 + 3.0 * chance.uniforms("costs", pool.keys)
    return replace(
        pool,
        members=members,
        asked=asked,
        labelled=Labelled(labelled.copy(), codes),
        reservoir=reservoir,
        costs=costs,
    )


def _with_nothing_known(pool: Pool) -> Pool:
    """Return the pool as at the very start: nothing was asked or labelled, no event was kept."""
    width = pool.X.shape[1]
    return replace(
        pool,
        asked=np.empty((0, width)),
        labelled=Labelled(np.empty((0, width)), np.empty(0, dtype=np.int64)),
        reservoir=Sample(np.empty((0, width)), np.empty(0, dtype=np.uint64)),
    )


def make_pool(chance: Chance, n: int, classes_n: int, wanted_n: int) -> Pool:
    """Return n candidates with four features, one of them always missing, one a category."""
    ids = [f"{n}/{classes_n}/{i}" for i in range(n)]
    keys = chance.keys(ids)
    X = np.stack([chance.uniforms(f"x{j}", keys) for j in range(4)], axis=1)
    X[:, 2] = np.floor(X[:, 2] * 3.0)
    X[::3, 0] = np.nan
    X[:, 3] = np.nan
    p = np.stack([chance.uniforms(f"p{j}", keys) for j in range(max(1, classes_n))], axis=1)
    if classes_n:
        # Some are certain, some uniform: zeros and ties are where strategies fail.
        p[::4] = 1.0
        p[1::5] = 0.0
        p[1::5, 0] = 1.0
    p = (p / p.sum(axis=1, keepdims=True))[:, :classes_n]
    is_category = np.array([False, False, True, False])
    at = 1_000.0 + np.arange(n, dtype=np.float64)
    return Pool(ids, keys, at, X, is_category, np.ascontiguousarray(p), wanted_n)
