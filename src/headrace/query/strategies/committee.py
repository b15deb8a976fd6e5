"""How far the members of a model disagree about one candidate; all strategies read `pool.members`.

The members are those of a committee or of one of river's ensembles. A pool without members counts
as one with a single member, which agrees with itself: then no candidate has any disagreement.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...chance import Chance
from ..pool import Pool
from .uncertainty import entropies_of


def _members_of(pool: Pool) -> NDArray[np.float64]:
    return pool.probabilities[np.newaxis] if pool.members is None else pool.members


def _entropy_of(p: NDArray[np.float64]) -> NDArray[np.float64]:
    # Adding 0.0 turns -0.0 into 0.0.
    return entropies_of(p) + 0.0


def _count_votes(pool: Pool) -> NDArray[np.float64]:
    """Return the share of members that vote for each class, shape (n, k); a tie is split."""
    members = _members_of(pool)
    if members.shape[2] == 0:
        return np.zeros((len(pool), 0))
    is_best = members == members.max(axis=2, keepdims=True)
    return np.asarray((is_best / is_best.sum(axis=2, keepdims=True)).mean(axis=0))


def vote_entropy(pool: Pool, chance: Chance) -> NDArray[np.float64]:
    """The entropy of the members' votes, in nats (Dagan and Engelson, "Committee-based sampling for
    training probabilistic classifiers", ICML 1995, eq. 1, not divided by its largest value).

    Args:
        pool: The n candidates, with `members`.
        chance: Not used.

    Returns:
        Utilities, shape (n,), in nats, from 0 where all members vote alike to log k.

    >>> said = np.array([[[0.9, 0.1], [0.9, 0.1]], [[0.8, 0.2], [0.2, 0.8]]])
    >>> pool = Pool(ids=["a", "b"], keys=np.arange(2, dtype=np.uint64), at=np.zeros(2),
    ...     X=np.zeros((2, 1)), is_category=np.zeros(1, bool), probabilities=said.mean(axis=0),
    ...     wanted_n=1, members=said)
    >>> vote_entropy(pool, Chance(0)).round(3).tolist()
    [0.0, 0.693]
    """
    return _entropy_of(_count_votes(pool))


def variation_ratio(pool: Pool, chance: Chance) -> NDArray[np.float64]:
    """The share of members that do not vote for the most frequent class (Freeman, "Elementary
    applied statistics", 1965; for active learning Gal, Islam, Ghahramani, ICML 2017, section 4).

    Args:
        pool: The n candidates, with `members`.
        chance: Not used.

    Returns:
        Utilities, shape (n,), from 0 where all members vote alike to 1 - 1 / k.

    >>> said = np.array([[[0.9, 0.1], [0.9, 0.1]], [[0.8, 0.2], [0.2, 0.8]]])
    >>> pool = Pool(ids=["a", "b"], keys=np.arange(2, dtype=np.uint64), at=np.zeros(2),
    ...     X=np.zeros((2, 1)), is_category=np.zeros(1, bool), probabilities=said.mean(axis=0),
    ...     wanted_n=1, members=said)
    >>> variation_ratio(pool, Chance(0)).tolist()
    [0.0, 0.5]
    """
    votes = _count_votes(pool)
    return 1.0 - votes.max(axis=1) if votes.shape[1] else np.zeros(len(pool))


def consensus_entropy(pool: Pool, chance: Chance) -> NDArray[np.float64]:
    """The entropy of the mean of the members' probabilities, in nats (Settles, "Active learning
    literature survey", 2009, section 3.2: soft votes).

    Args:
        pool: The n candidates, with `members`.
        chance: Not used.

    Returns:
        Utilities, shape (n,), in nats, from 0 to log k.

    >>> said = np.array([[[0.9, 0.1], [0.9, 0.1]], [[0.8, 0.2], [0.2, 0.8]]])
    >>> pool = Pool(ids=["a", "b"], keys=np.arange(2, dtype=np.uint64), at=np.zeros(2),
    ...     X=np.zeros((2, 1)), is_category=np.zeros(1, bool), probabilities=said.mean(axis=0),
    ...     wanted_n=1, members=said)
    >>> consensus_entropy(pool, Chance(0)).round(3).tolist()
    [0.423, 0.688]
    """
    return _entropy_of(_members_of(pool).mean(axis=0))


def kl_to_consensus(pool: Pool, chance: Chance) -> NDArray[np.float64]:
    """The mean divergence of the members from their mean, in nats.

    McCallum and Nigam, "Employing EM and pool-based active learning for text classification", ICML
    1998, section 4.

    It is the entropy of the mean less the mean entropy, which is what BALD maximises (Houlsby,
    Huszár, Ghahramani, Lengyel, arXiv 1112.5745, eq. 2): `bald` is this function.

    Args:
        pool: The n candidates, with `members`.
        chance: Not used.

    Returns:
        Utilities, shape (n,), in nats, 0 where all members agree.

    >>> said = np.array([[[0.9, 0.1], [0.9, 0.1]], [[0.8, 0.2], [0.2, 0.8]]])
    >>> pool = Pool(ids=["a", "b"], keys=np.arange(2, dtype=np.uint64), at=np.zeros(2),
    ...     X=np.zeros((2, 1)), is_category=np.zeros(1, bool), probabilities=said.mean(axis=0),
    ...     wanted_n=1, members=said)
    >>> kl_to_consensus(pool, Chance(0)).round(3).tolist()
    [0.01, 0.275]
    """
    members = _members_of(pool)
    apart = _entropy_of(members.mean(axis=0)) - _entropy_of(members).mean(axis=0)
    return np.asarray(np.maximum(apart, 0.0))
