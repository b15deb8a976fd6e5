"""Duplicates: found by hash and distance, asked by the blind draw alone, in any batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headrace import Answer, Engine, Event, LabelRequested
from headrace.chance import Chance
from headrace.query.duplicates import Duplicates, hash_row
from headrace.settings import parse
from headrace.settings.query import DuplicateSettings
from query.test_quotas import ASKED
from worlds import encoded, events_of, played, settings_with

NUMBERS = np.zeros(2, dtype=bool)
KEYS = np.arange(100, dtype=np.uint64)


def duplicates_with(distance: float | None, rows: Any = (), **settings: Any) -> Duplicates:
    found = Duplicates(DuplicateSettings(distance=distance, **settings))
    for i, row in enumerate(rows):
        found.note_asked(1_000 + i, np.asarray(row, dtype=float))
    return found


def which(found: Duplicates, rows: Any, is_category: Any = NUMBERS) -> list[bool]:
    array = np.asarray(rows, dtype=float)
    told = found.of_asked(array, KEYS[: len(array)], np.asarray(is_category))
    assert told is not None
    return told.tolist()


def test_without_a_distance_nothing_is_looked_at_or_remembered() -> None:
    found = duplicates_with(None, [[1.0, 2.0]])
    assert found.of_asked(np.ones((3, 2)), KEYS[:3], NUMBERS) is None
    assert not found._rows


def test_the_same_row_is_found_by_its_hash() -> None:
    found = duplicates_with(0.0, [[1.0, np.nan], [-0.0, 2.0]])
    rows = [[1.0, np.nan], [1.0, 2.0], [0.0, 2.0], [1.0, 1e-9]]
    assert which(found, rows) == [True, False, True, False]
    # A feature that came later, and has no value, makes no difference.
    wide = np.column_stack([np.asarray(rows), np.full(4, np.nan)])
    assert which(found, wide, np.zeros(3, bool)) == [True, False, True, False]
    assert hash_row(np.array([np.nan])) == hash_row(np.empty(0))


def test_near_is_in_deviations_of_what_was_asked_and_per_feature() -> None:
    rng = np.random.default_rng(1)
    asked = rng.normal(size=(200, 2)) * [1.0, 1_000.0] + [0.0, 50_000.0]
    found = duplicates_with(0.1, asked)
    row = asked[7]
    steps = np.array([[0.0, 0.0], [0.05, 0.0], [0.0, 50.0], [9.0, 0.0], [0.0, 9_000.0]])
    moved = row + steps
    assert which(found, moved) == [True, True, True, False, False]


def test_categories_and_missing_values_are_apart_or_not() -> None:
    rng = np.random.default_rng(1)
    asked = np.column_stack([rng.normal(size=50), np.zeros(50)])
    found = duplicates_with(0.3, asked)
    row = asked[3]
    rows = [row, [row[0], 1.0], [row[0], np.nan]]
    assert which(found, rows, [False, True]) == [True, False, False]


def test_with_few_rows_only_the_same_is_a_duplicate() -> None:
    found = duplicates_with(5.0, [[1.0, 2.0]])
    assert which(found, [[1.0, 2.0], [1.0, 2.1]]) == [True, False]


def test_no_event_is_its_own_duplicate() -> None:
    found = Duplicates(DuplicateSettings(distance=1e-6))
    rows = np.random.default_rng(2).normal(size=(20, 2))
    for key, row in zip(KEYS.tolist(), rows, strict=False):
        found.note_asked(key, row)
    assert not any(which(found, rows[:20]))
    few = Duplicates(DuplicateSettings(distance=0.0))
    few.note_asked(0, rows[0])
    assert which(few, rows[[0, 0]]) == [False, True]


def test_only_the_latest_are_remembered() -> None:
    found = duplicates_with(0.0, [[float(i), 0.0] for i in range(5)], remembered_n=3)
    assert which(found, [[0.0, 0.0], [4.0, 0.0]]) == [False, True]
    found.forget_events()
    assert which(found, [[4.0, 0.0]]) == [False]


def test_of_a_round_the_first_of_each_kind_is_left() -> None:
    found = duplicates_with(0.05)
    rng = np.random.default_rng(3)
    kinds = rng.normal(size=(10, 2))
    rows = np.concatenate([kinds, kinds + 0.001, kinds])
    assert found.of_earlier(rows, NUMBERS).tolist() == [False] * 10 + [True] * 20


def test_a_row_has_the_same_answer_in_any_batch() -> None:
    rng = np.random.default_rng(4)
    found = duplicates_with(0.2, rng.normal(size=(300, 2)))
    rows = rng.normal(size=(90, 2))
    whole = which(found, rows)
    assert 0 < sum(whole) < 90
    singly = [
        bool(told[0])
        for i in range(90)
        if (told := found.of_asked(rows[i : i + 1], KEYS[i : i + 1], NUMBERS)) is not None
    ]
    assert singly == whole


# ---------------------------------------------------------------------------- in the engine


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.default_n(1)
def test_any_batches_ask_the_same_without_duplicates(asked: str) -> None:
    settings = settings_with(
        model={"name": "naive-bayes"},
        query={
            "budget": {"share": 0.25, "reserve": 2},
            "cold_start": {"per_class_n": 2, "labels_max": 10},
            "duplicates": {"distance": 0.4, "remembered_n": 30},
            **ASKED[asked],
        },
    )
    run = played(settings, events_of(3, 200), 3)
    engine, outputs = Engine(settings=settings), []
    for start in range(0, len(run.inputs), 37):
        outputs += engine.feed(run.inputs[start : start + 37])
        engine.restore(engine.snapshot())
    assert encoded(outputs) == encoded(run.outputs)
    assert engine.report.asking.duplicates_n > 5


@pytest.mark.parametrize(
    ("runs", "off_max"), [(16, 0.25), pytest.param(40, 0.2, marks=pytest.mark.long)]
)
@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.default_n(1)
def test_a_burst_of_the_same_event_is_asked_by_the_blind_draw_alone(
    asked: str, runs: int, off_max: float
) -> None:
    """Weighted by their propensities the requests count the events of the burst all the same."""
    n = 300
    chance = Chance(1)
    x = 4.0 * chance.uniforms("x", chance.keys([str(i) for i in range(n)])) - 2.0
    is_burst = np.arange(n) % 2 == 1
    x[is_burst] = 0.01
    events = [Event(id=str(i), at=float(i), features={"x": float(x[i])}) for i in range(n)]
    asked_n, weights, by_reason = np.zeros(2), np.zeros(n), set()
    for seed in range(runs):
        query = {
            "budget": {"share": 0.2, "reserve": 0},
            "cold_start": {"per_class_n": 0},
            "duplicates": {"distance": 0.0},
            **ASKED[asked],
        }
        engine = Engine(
            settings=parse({"seed": seed, "model": {"name": "naive-bayes"}, "query": query})
        )
        for start in range(0, n, 50):
            outputs = engine.feed(events[start : start + 50])
            requests = [o for o in outputs if isinstance(o, LabelRequested)]
            for one in requests:
                asked_n[int(is_burst[one.seq])] += 1
                if is_burst[one.seq] and start > 50:
                    by_reason.add(one.reason)
                found = engine.shard.evaluation._find_request(one.request_id)
                if found is not None and found.propensity:
                    weights[one.seq] += 1.0 / found.propensity / runs
            engine.feed(
                [
                    Answer(request_id=o.request_id, label="pq"[int(x[o.seq] > 0)], at=o.at)
                    for o in requests
                ]
            )
    # Half of a round that drift opened is drawn blindly too.
    assert "control" in by_reason <= {"control", "drift"}
    assert asked_n[1] < 0.6 * asked_n[0]
    inner = (np.arange(n) >= 100) & (np.arange(n) < n - 10)
    assert weights[is_burst & inner].mean() == pytest.approx(1.0, abs=off_max)
