"""At most one false DRIFT in N events, of all default watches together: `false_alarm_every_n`."""

import math

import numpy as np
import pytest

from headrace.chance import Chance
from headrace.observe.drift import DriftMonitor
from headrace.observe.reservoir import Reservoir
from headrace.observe.schema import Schema
from headrace.observe.window import Columns, Window
from headrace.settings import DriftSettings, SchemaSettings

EVENTS_N, CHECK_N = 40_000, 500


def drifts(seed: int, every_n: int, correlation: float, moves_at: int | None = None) -> list[int]:
    """Event numbers at which the level rose to DRIFT, on a stream steady up to `moves_at`."""
    rng, chance = np.random.default_rng(seed), Chance(seed)
    schema = Schema(
        SchemaSettings(features={f"f{j}": "numeric" for j in range(8)}, classes=["a", "b"])
    )
    monitor = DriftMonitor(
        DriftSettings(false_alarm_every_n=every_n, check_every_n=CHECK_N), chance
    )
    monitor.end_cold_start(0)
    window, reservoir, found = Window(2_000), Reservoir(1_000, None, chance), []
    for seq0 in range(0, EVENTS_N, CHECK_N):
        rows = math.sqrt(correlation) * rng.normal(size=(CHECK_N, 1))
        rows = rows + math.sqrt(1 - correlation) * rng.normal(size=(CHECK_N, 8))
        p = 1 / (1 + np.exp(-3 * rows[:, 0]))
        has_moved = moves_at is not None and seq0 >= moves_at
        ids = [str(seq0 + i) for i in range(CHECK_N)]
        block = Columns.of(
            seq0=seq0,
            ids=ids,
            at=seq0 + np.arange(float(CHECK_N)),
            keys=chance.keys(ids),
            rows=rows,
            probabilities=np.column_stack([p, 1 - p]),
        )
        predicted, i, changes = block.probabilities.argmax(axis=1), 0, []
        while i < CHECK_N:
            n, change = monitor.watch_confidences(
                block.confidence[i:], predicted[i:], block.at[i:], seq0 + i
            )
            i, changes = i + n, [*changes, change]
        window.append(block)
        reservoir.offer(block)
        seq = seq0 + CHECK_N
        for i in range(0, CHECK_N, 20):
            guess = float(block.confidence[i])
            wrong = bool(rng.random() > (1 - guess if has_moved else guess))
            label = "ab"[int(predicted[i]) ^ wrong]
            changes.append(monitor.watch_surprise(wrong, guess, float(seq), seq))
            if i % 100 == 0:
                changes.append(monitor.watch_error(wrong, float(seq), seq))
                changes.append(monitor.watch_recall(label, wrong, float(seq), seq))
        changes.append(
            monitor.compare_windows(window.since(0), reservoir.columns(), schema, float(seq), seq)
        )
        found += [
            seq for change in changes if change and change.level == "DRIFT" != change.previous
        ]
    return found


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_no_more_false_drifts_than_the_setting_allows(correlation):
    """80,000 steady events: 40 are allowed at one in 2,000, and none at one in 100 million."""
    found = sum(len(drifts(seed, 2_000, correlation)) for seed in (1, 2))
    assert found <= 2 * EVENTS_N / 2_000
    assert drifts(1, 100_000_000, correlation) == []


def test_a_world_turned_round_is_found_all_the_same():
    found = drifts(3, 10_000, 0.5, moves_at=20_000)
    assert found and [seq for seq in found if seq < 20_000] == []
    assert found[0] <= 21_000
