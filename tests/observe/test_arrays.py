"""Events as arrays: the same as events as dicts."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from headrace import Engine, Event, EventBatch
from headrace.errors import BadInput
from headrace.query.budgets import Share


def test_arrays_lead_to_the_same_as_dicts_of_the_same_numbers() -> None:
    luck = np.random.default_rng(4)
    rows = luck.normal(size=(700, 3))
    rows[5, 1] = np.nan
    ids, names = [f"e{i}" for i in range(700)], ["a", "b", "c"]
    at = np.arange(700.0)
    found = []
    for is_array in (True, False):
        engine = Engine(budget=Share(0.1), seed=3, classes=["no", "yes"])
        if is_array:
            outputs = engine.feed([EventBatch.from_arrays(rows, names, ids=ids, at=at)])
        else:
            outputs = engine.feed(
                [
                    Event(
                        id=ids[i],
                        at=float(i),
                        features={n: x for n, x in zip(names, row, strict=True) if x == x},
                    )
                    for i, row in enumerate(rows.tolist())
                ]
            )
        found.append([msgspec.json.encode(one) for one in outputs])
    assert found[0] == found[1] and len(found[0]) > 20


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"X": [[1.0], [2.0]]}, r"X has shape \(2, 1\); must be \(2, 2\)"),
        ({"X": [["red", 1.0], [2.0, 3.0]]}, "X can't be read as numbers"),
        ({"at": [1.0]}, r"at has shape \(1,\); must be \(2,\)"),
        ({"names": ["a", "a"]}, "names must be texts, each once"),
        ({"ids": [1, 2]}, "ids must be texts"),
        ({"at": np.array(["2024-05-01"] * 2, "M8[s]")}, r"at has datetime64\[s\] values"),
        ({"at": [np.datetime64("2024-05-01")] * 2}, r"at has datetime64\[D\] values; must be numb"),
        ({"X": [[np.timedelta64(5, "m")] * 2] * 2}, r"X has timedelta64\[m\] values"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change: dict[str, Any], fault: str) -> None:
    given = {"X": [[1.0, 2.0], [3.0, 4.0]], "names": ["a", "b"], "ids": ["i", "j"], "at": [0, 1]}
    given |= change
    with pytest.raises(BadInput, match=fault):
        EventBatch.from_arrays(given["X"], given["names"], ids=given["ids"], at=given["at"])
