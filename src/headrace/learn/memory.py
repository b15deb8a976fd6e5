"""The labelled examples that retraining starts from: bounded, biased towards recent ones.

The training log keeps everything; the memory keeps as many examples as one retraining can read.

With a half-life, the memory is a weighted sample without replacement (Efraimidis, Spirakis,
"Weighted random sampling with a reservoir", IPL 2006) under forward decay (Cormode, Shkapenyuk,
Srivastava, Xu, "Forward decay", ICDE 2009). An example weighs 2**(at / half_life), its uniform
number u is a hash of its id, and the examples with the smallest keys (-log u) / weight stay. The
key is stored as its logarithm, log(-log u) - at * ln 2 / half_life, so that no weight overflows; it
never changes, and no random number is drawn. Without a half-life the key is -at, so the oldest
example leaves: a half-life from the span of the memory would change with every example, and keys of
two half-lives cannot be compared.
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
"""No event counts as older than this many times the span of the newer half of the examples: a
larger age is probably a wrong time."""

FRESH_MIN = 20
"""This many of the newest examples weigh at least one half, however recent the last drift is."""


@dataclass(frozen=True, eq=False, slots=True)
class Example:
    """A settled label with its event.

    - `id`: the id of its request.
    - `at`: when the event happened, in seconds.
    - `row`: its features over the schema's columns, shape (d,); `code`: the code of its class.
    - `is_control`: whether the event was drawn blindly, so that the label may judge a model.
    - `champion_right`: whether the model in use predicted the class before learning it, or None.
    - `context`: the opinions of a committee's members on arrival, kept if challengers need them.
    - `original`: the features as they came, for models that read them.
    - `weight`: 1, or how sure the label is (`learn.soft_labels`).
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
        """Before version 2 all labels had the same weight."""
        return fields | {"weight": 1.0}


class Memory:
    """At most `memory_n` examples; the latest `adopt_labels_n` control ones are never evicted.

    At the limit the example with the largest key leaves, which may be the one just added. Should
    `adopt_labels_n` reach `memory_n`, only the latest control examples are kept.

    >>> memory = Memory(LearnSettings(memory_n=2, adopt_labels_n=1), Chance(7))
    >>> row = np.zeros(1)
    >>> memory.add(Example("a", 1.0, row, 0, is_control=True))
    >>> memory.add(Example("b", 2.0, row, 1, is_control=False))
    >>> memory.add(Example("c", 3.0, row, 1, is_control=False))
    >>> [example.id for example in memory.examples()]
    ['a', 'c']
    """

    STATE_VERSION: ClassVar[int] = 2

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before version 2 evictions were counted."""
        return {name: value for name, value in fields.items() if name != "evicted_n"}

    def __init__(self, settings: LearnSettings, chance: Chance) -> None:
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

    def add(self, example: Example) -> None:
        """Add an example, with a copy of its row, in place of one with the same id.

        Above `memory_n` an example is evicted.
        """
        self.remove(example.id)
        self._by_id[example.id] = replace(example, row=example.row.copy())
        bisect.insort(self._order, (example.at, example.id))
        if example.is_control:
            bisect.insort(self._control, (example.at, example.id))
        bisect.insort(self._keys, self._key_of(example.at, example.id))
        if len(self._by_id) > self._memory_n:
            self._evict_examples()

    def revise(self, example_id: str, code: int, weight: float = 1.0) -> bool:
        """Correct the label of an example; False if the memory does not have it.

        If the class changes, `champion_right` becomes unknown.
        """
        example = self._by_id.get(example_id)
        if example is None:
            return False
        right = example.champion_right if example.code == code else None
        self._by_id[example_id] = replace(example, code=code, champion_right=right, weight=weight)
        return True

    def remove(self, example_id: str) -> bool:
        """Remove an example, e.g. after a dispute; False if the memory does not have it."""
        example = self._by_id.pop(example_id, None)
        if example is None:
            return False
        _take_out(self._order, (example.at, example_id))
        if example.is_control:
            _take_out(self._control, (example.at, example_id))
        _take_out(self._keys, self._key_of(example.at, example_id))
        return True

    def examples(self) -> list[Example]:
        """All examples, ordered by `at`, then by id."""
        return [self._by_id[example_id] for _, example_id in self._order]

    def limit_time(self, at: float, now: float) -> float:
        """The event time `at`, limited to a plausible range before its label at `now`; seconds.

        A wrong time must not stretch the memory, because its span sets the half-life: no event
        comes after its label, and none counts as older than `SPANS_MAX` times the newer half.
        """
        if now <= 0.0:
            # The time of the label is unknown.
            return at
        middle = self._order[(len(self._order) - 1) // 2][0] if self._order else None
        oldest = at if middle is None else now - SPANS_MAX * (now - middle)
        return min(max(at, oldest), now)

    def latest_control(self, n: int) -> list[Example]:
        """The latest n control examples, or as many as there are, ordered by `at`, then by id."""
        return [self._by_id[example_id] for _, example_id in self._control[-n:]] if n > 0 else []

    def _key_of(self, at: float, example_id: str) -> tuple[float, float, str]:
        luck = self._chance.uniform("memory", example_id)
        if self._half_life_s is None:
            return -at, luck, example_id
        u = max(luck, 2.0**-60)
        return math.log(-math.log(u)) - at * math.log(2.0) / self._half_life_s, luck, example_id

    def _evict_examples(self) -> None:
        protected = self._control[-self._protected_n :]
        first_protected = protected[0] if protected else (math.inf, "")
        for _, _, example_id in reversed(self._keys):
            example = self._by_id[example_id]
            if not (example.is_control and (example.at, example_id) >= first_protected):
                self.remove(example_id)
                return


def _take_out(found: list[Any], value: Any) -> None:
    """Remove a value from a sorted list that contains it."""
    del found[bisect.bisect_left(found, value)]


def half_life_s_of(examples: Sequence[Example], drift_at: float) -> float:
    """The half-life in seconds: half of the memory's span, or a third of the time since the drift.

    The smaller one counts, but it is at least the span of the newest `FRESH_MIN` examples. So once
    there are enough of them, examples from after a drift weigh seven times as much as those from
    before it. `examples` are ordered by time; `drift_at` is the time of the last drift, seconds.
    """
    if not examples:
        return 1.0
    newest = examples[-1].at
    fresh_s = newest - examples[-min(len(examples), FRESH_MIN)].at
    span_s = newest - examples[0].at
    return max(fresh_s, min(span_s / 2.0, (newest - drift_at) / 3.0), 1e-9)


def weights_of(examples: Sequence[Example], half_life_s: float) -> tuple[float, ...]:
    """The weight of each example: 1 for the newest, 0.5 for one `half_life_s` seconds older."""
    newest = examples[-1].at if examples else 0.0
    return tuple(0.5 ** ((newest - example.at) / half_life_s) for example in examples)
