"""Every random choice: u = hash64(seed, purpose, id) / 2**64, in [0, 1).

There is no generator and no order of draws. The same event has the same luck on any partition, in
any order, in any replay; for another purpose its luck is a fresh number. Hashing ids one by one or
a million at once gives the same bits.

An id is hashed once (XXH3, seeded) to a *key*; each purpose then mixes the key with the finaliser
of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import repeat

import numpy as np
import xxhash
from numpy.typing import NDArray

_MASK = (1 << 64) - 1
_SHIFTS = (30, 27, 31)
_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)


@lru_cache(maxsize=4096)
def _purpose_key(purpose: str) -> int:
    return int(xxhash.xxh3_64_intdigest(purpose.encode()))


def _mix(z: int) -> int:
    z = ((z ^ (z >> _SHIFTS[0])) * _MULTIPLIERS[0]) & _MASK
    z = ((z ^ (z >> _SHIFTS[1])) * _MULTIPLIERS[1]) & _MASK
    return z ^ (z >> _SHIFTS[2])


class Chance:
    """The luck of one engine: all random numbers follow from its seed, and it has no other state.

    Args:
        seed: The seed, a whole number. Only its lowest 64 bits count.

    >>> chance = Chance(7)
    >>> keys = chance.keys(["a", "b"])
    >>> bool(chance.uniforms("control", keys)[1] == chance.uniform("control", "b"))
    True
    """

    __slots__ = ("seed",)

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def key(self, identity: str) -> int:
        """Hash one id, with the seed.

        Args:
            identity: The id, such as that of an event.

        Returns:
            The key, a whole number from 0 to 2**64 - 1.

        >>> Chance(7).key("a") == Chance(7).key("a"), Chance(7).key("a") == Chance(8).key("a")
        (True, False)
        """
        return int(
            xxhash.xxh3_64_intdigest(identity.encode("utf-8", "surrogatepass"), self.seed & _MASK)
        )

    def keys(self, identities: Iterable[str]) -> NDArray[np.uint64]:
        """Hash many ids, each as `key` does.

        Args:
            identities: n ids.

        Returns:
            The keys in the order of the ids, shape (n,).

        >>> chance = Chance(7)
        >>> chance.keys(["a", "b"]).tolist() == [chance.key("a"), chance.key("b")]
        True
        """
        names = [*identities]
        try:
            digests = [*map(xxhash.xxh3_64_intdigest, names, repeat(self.seed & _MASK))]
        except UnicodeEncodeError:
            # Texts that can't be UTF-8 are rare; `key` hashes their surrogates as they are.
            digests = [*map(self.key, names)]
        return np.array(digests, dtype=np.uint64)

    def uniform(self, purpose: str, identity: str) -> float:
        """Draw the number that an id has for a purpose; every call returns the same one.

        Args:
            purpose: What the number is for. For another purpose an id has another number.
            identity: The id.

        Returns:
            A number from 0, included, to 1, excluded.

        >>> Chance(7).uniform("control", "a") == Chance(7).uniform("control", "a")
        True
        """
        return self.uniform_of_key(purpose, self.key(identity))

    def uniform_of_key(self, purpose: str, key: int) -> float:
        """Draw as `uniform` does, for an id that is hashed already.

        Args:
            purpose: What the number is for.
            key: The hashed id, as `key` returns it.

        Returns:
            A number from 0, included, to 1, excluded.

        >>> chance = Chance(7)
        >>> chance.uniform_of_key("control", chance.key("a")) == chance.uniform("control", "a")
        True
        """
        return (_mix(key ^ _purpose_key(purpose)) >> 11) * 2.0**-53

    def uniforms(self, purpose: str, keys: NDArray[np.uint64]) -> NDArray[np.float64]:
        """Draw a number for each of many keys, with the same bits as `uniform_of_key`.

        Args:
            purpose: What the numbers are for.
            keys: Hashed ids, shape (n,), as `keys` returns them.

        Returns:
            Numbers from 0, included, to 1, excluded, shape (n,).

        >>> Chance(7).uniforms("control", Chance(7).keys(["a", "b", "c"])).shape
        (3,)
        """
        if len(keys) == 1:
            # For one key this costs a tenth of the computation by columns.
            return np.array([self.uniform_of_key(purpose, int(keys[0]))])
        z = keys ^ np.uint64(_purpose_key(purpose))
        z = (z ^ (z >> np.uint64(_SHIFTS[0]))) * np.uint64(_MULTIPLIERS[0])
        z = (z ^ (z >> np.uint64(_SHIFTS[1]))) * np.uint64(_MULTIPLIERS[1])
        z = z ^ (z >> np.uint64(_SHIFTS[2]))
        return np.asarray((z >> np.uint64(11)).astype(np.float64) * 2.0**-53)

    def integer(self, purpose: str) -> int:
        """Draw a seed for a library that needs one, such as a stochastic model of river.

        Args:
            purpose: What the seed is for.

        Returns:
            A whole number from 0 to 2**31 - 1.

        >>> 0 <= Chance(7).integer("model") < 2**31
        True
        """
        return _mix(self.seed & _MASK ^ _purpose_key(purpose)) >> 33
