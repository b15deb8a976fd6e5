"""The labelled examples that retraining starts from: bounded, biased towards recent ones.

Not the training log, which keeps everything: this is what one retraining can afford to read.

With a half life, the memory is a weighted sample without replacement (Efraimidis, Spirakis,
"Weighted random sampling with a reservoir", IPL 2006) under forward decay (Cormode, Shkapenyuk,
Srivastava, Xu, "Forward decay", ICDE 2009). An example weighs 2**(at / half_life), its luck u is a
hash of its id, and the smallest keys (-log u) / weight stay. In logarithms, so that no weight
overflows, the key is log(-log u) - at * ln 2 / half_life: it never changes, and nothing is drawn.
Without a half life the keys are -at: the oldest leaves, because a half life taken from the span of
the memory would change with every example, and keys of two half lives cannot be compared.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..chance import Chance
from ..messages import Context, Features
from ..settings import LearnSettings

SPANS_MAX = 8
"""An event older than so many times the newer half of the examples is hardly what it says."""

FRESH_MIN = 20
"""The newest so many examples weigh at least one half, however short ago the drift was."""


@dataclass(frozen=True, eq=False, slots=True)
class Example:
    """A settled label with its event.

    `at` is when the event happened, `row` its features over the schema's columns, `code` the class.
    `original` are the features as they came, for models that read them.
    `champion_right` is whether the model in use had it right before learning it; None: not known.
    `context` is what the members of a committee said of it on arrival, kept where it is judged by.
    `weight` is what the label counts beside others: 1, or how sure it is (`learn.soft_labels`).
    """

    id: str
    at: float
    row: NDArray[np.float64]
    code: int
    is_control: bool
    champion_right: bool | None = None
    context: Context | None = None
    original: Features | None = None
    weight: float = 1.0

    STATE_VERSION: ClassVar[int] = 2

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before 2 all labels counted the same."""
        return fields | {"weight": 1.0}


class Memory:
    """At most `memory_n` examples; the latest `adopt_labels_n` control ones are never evicted.

    At the limit the example with the largest key leaves, which may be the one just added. Should
    `adopt_labels_n` reach `memory_n`, only the latest control examples are kept.

    >>> memory = Memory(LearnSettings(memory_n=2, adopt_labels_n=1), Chance(7))
    >>> row = np.zeros(1)
    >>> memory.add("a", 1.0, row, 0, True, True)
    >>> memory.add("b", 2.0, row, 1, False, None)
    >>> memory.add("c", 3.0, row, 1, False, None)
    >>> [example.id for example in memory.examples()]
    ['a', 'c']
    """

    def __init__(self, settings: LearnSettings, chance: Chance) -> None:
        self.evicted_n = 0
        self._memory_n = settings.memory_n
        self._protected_n = min(settings.adopt_labels_n, settings.memory_n)
        self._half_life_s = settings.half_life_s
        self._chance = chance
        self._by_id: dict[str, Example] = {}
        self._order: list[tuple[float, str]] = []
        self._control: list[tuple[float, str]] = []
        self._keys: list[tuple[float, float, str]] = []

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, example_id: str) -> bool:
        return example_id in self._by_id

    def add(  # noqa: PLR0917 - the fields of an Example, in its order
        self,
        example_id: str,
        at: float,
        row: NDArray[np.float64],
        code: int,
        is_control: bool,
        champion_right: bool | None,
        context: Context | None = None,
        original: Features | None = None,
        weight: float = 1.0,
    ) -> None:
        """Take an example; one with the same id is replaced. The row is copied."""
        self.remove(example_id)
        kept = np.array(row, dtype=np.float64)
        self._by_id[example_id] = Example(
            example_id, at, kept, code, is_control, champion_right, context, original, weight
        )
        bisect.insort(self._order, (at, example_id))
        if is_control:
            bisect.insort(self._control, (at, example_id))
        bisect.insort(self._keys, self._key(at, example_id))
        if len(self._by_id) > self._memory_n:
            self._evict()

    def revise(self, example_id: str, code: int, weight: float = 1.0) -> bool:
        """The label was corrected; False if the example is not (or no longer) here.

        Where the class changes, whether the champion had it right is no longer known.
        """
        example = self._by_id.get(example_id)
        if example is None:
            return False
        right = example.champion_right if example.code == code else None
        self._by_id[example_id] = replace(example, code=code, champion_right=right, weight=weight)
        return True

    def remove(self, example_id: str) -> bool:
        """Forget an example, such as one disputed after all; False if it is not here."""
        example = self._by_id.pop(example_id, None)
        if example is None:
            return False
        _take_out(self._order, (example.at, example_id))
        if example.is_control:
            _take_out(self._control, (example.at, example_id))
        _take_out(self._keys, self._key(example.at, example_id))
        return True

    def examples(self) -> list[Example]:
        """All, by `at`, then by id."""
        return [self._by_id[example_id] for _, example_id in self._order]

    def dated(self, at: float, now: float) -> float:
        """When an event of this time counts as having been, its label given at `now`; seconds.

        A wild time must not stretch what is remembered, whose span says how fast it ages: no event
        came after its label, and none counts as older than `SPANS_MAX` times the newer half.
        """
        if now <= 0.0:
            # Nobody knew what time it was.
            return at
        middle = self._order[(len(self._order) - 1) // 2][0] if self._order else None
        oldest = at if middle is None else now - SPANS_MAX * (now - middle)
        return min(max(at, oldest), now)

    def latest_control(self, n: int) -> list[Example]:
        """The latest n control examples (or as many as there are), by `at`, then by id."""
        return [self._by_id[example_id] for _, example_id in self._control[-n:]] if n > 0 else []

    def _key(self, at: float, example_id: str) -> tuple[float, float, str]:
        luck = self._chance.uniform("memory", example_id)
        if self._half_life_s is None:
            return -at, luck, example_id
        u = max(luck, 2.0**-60)
        return math.log(-math.log(u)) - at * math.log(2.0) / self._half_life_s, luck, example_id

    def _evict(self) -> None:
        protected = self._control[-self._protected_n :]
        first_protected = protected[0] if protected else (math.inf, "")
        for _, _, example_id in reversed(self._keys):
            example = self._by_id[example_id]
            if not (example.is_control and (example.at, example_id) >= first_protected):
                self.remove(example_id)
                self.evicted_n += 1
                return


def _take_out(found: list[Any], value: Any) -> None:
    """Remove a value from a sorted list that holds it."""
    del found[bisect.bisect_left(found, value)]


def half_life_s_of(examples: Sequence[Example], drift_at: float) -> float:
    """Half of the span that the memory covers, or a third of the time since the last drift.

    So what came after a drift weighs seven times what came before it, as soon as there is enough of
    it. `drift_at` and the answer are in seconds.
    """
    if not examples:
        return 1.0
    newest = examples[-1].at
    fresh_s = newest - examples[-min(len(examples), FRESH_MIN)].at
    span_s = newest - examples[0].at
    return max(fresh_s, min(span_s / 2.0, (newest - drift_at) / 3.0), 1e-9)


def weights_of(examples: Sequence[Example], half_life_s: float) -> tuple[float, ...]:
    """The weight of each example: 1 of the newest, half of it `half_life_s` before, seconds."""
    newest = examples[-1].at if examples else 0.0
    return tuple(0.5 ** ((newest - example.at) / half_life_s) for example in examples)
