"""Two states differ where they differ, and nowhere else."""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pytest
from river import forest, preprocessing

from headrace.state import frozen
from headrace.state.compare import find_differences


@dataclass
class Part:
    count: int = 0
    inner: Any = None


class Slots:
    __slots__ = ("a", "b")

    def __init__(self, a: Any, b: Any) -> None:
        self.a, self.b = a, b


class Cached:
    def __init__(self, kept: int) -> None:
        self.kept, self.cache = kept, object()

    def __getstate__(self) -> dict[str, Any]:
        return {"kept": self.kept}


class Record(msgspec.Struct, frozen=True):
    name: str
    values: list[int] = field(default_factory=list)


ALIKE = [
    lambda: {"a": [1, 2.5, None, True, b"x", "t"], "b": (math.nan, -0.0)},
    lambda: np.array([[1.0, math.nan], [-0.0, math.inf]]),
    lambda: np.array(["a", None, 2.0], dtype=object),
    lambda: Part(3, Part(4, deque([1, 2], maxlen=5))),
    lambda: Slots(Cached(1), {1, 2}),
    lambda: Record("n", [1]),
    lambda: random.Random(7),
    lambda: [Part, len, np.add, np.float64(2.0)],
]


@pytest.mark.parametrize("make", ALIKE)
def test_what_is_made_alike_does_not_differ(make: Any) -> None:
    assert find_differences(make(), make()) == []


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        (1, 1.0, "the whole: 1 and 1.0"),
        (1, True, "the whole: 1 and True"),
        (0.0, -0.0, "the whole: 0.0 and -0.0"),
        ([1, 2], [1, 2, 3], "the whole: 2 values and 3 values"),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, " order of keys: ['a', 'b'] and ['b', 'a']"),
        ({"a": 1}, {"b": 1}, " keys: ['a'] and ['b']"),
        ({1, 2}, {2, 3}, "the whole: {1} and {3}"),
        (Part(1, Part(2)), Part(1, Part(3)), ".inner.count: 2 and 3"),
        (Slots(1, [5]), Slots(1, [6]), ".b[0]: 5 and 6"),
        (Cached(1), Cached(2), ".kept: 1 and 2"),
        (Record("n", [1]), Record("n", [2]), ".values[0]: 1 and 2"),
        (np.zeros((2, 2)), np.array([[0.0, 0.0], [0.0, -0.0]]), "[1, 1]: 0.0 and -0.0"),
        (np.zeros(2), np.zeros(2, np.float32), "float64 of shape (2,) and float32 of shape (2,)"),
        (np.zeros(2), np.zeros(3), "float64 of shape (2,) and float64 of shape (3,)"),
        (deque([1], maxlen=2), deque([1], maxlen=3), "2 and 3"),
        (random.Random(7), random.Random(8), " and "),
        (len, max, "len"),
    ],
)
def test_what_differs_is_told_with_its_place(one: Any, other: Any, told: str) -> None:
    found = find_differences(one, other)
    assert found, "nothing was found"
    assert told in str(found[0])


def test_a_circle_ends_and_a_shared_part_must_be_shared_in_both() -> None:
    def circle(last: int) -> list[Any]:
        found: list[Any] = [last]
        found.append(found)
        return found

    assert find_differences(circle(1), circle(1)) == []
    assert len(find_differences(circle(1), circle(2))) == 1
    part, twin = Part(1), Part(1)
    assert find_differences([part, part], [twin, twin]) == []
    assert "stands elsewhere" in str(find_differences([part, part], [twin, Part(1)])[0])


def test_no_more_differences_are_told_than_wanted() -> None:
    assert len(find_differences(list(range(50)), list(range(1, 51)), found_max=3)) == 3


def test_a_forest_that_was_frozen_is_the_same_and_one_that_learned_more_is_not() -> None:
    model = preprocessing.StandardScaler() | forest.ARFClassifier(n_models=3, seed=1)
    luck = random.Random(1)
    for _ in range(300):
        x = {"a": luck.random(), "b": luck.random()}
        model.learn_one(x, x["a"] > x["b"])
    again = frozen.thaw(frozen.freeze(model, kind="model"), kind="model")
    assert find_differences(model, again) == []
    again.learn_one({"a": 0.5, "b": 0.1}, True)
    assert find_differences(model, again) != []
