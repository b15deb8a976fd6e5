"""The engine as a peer of others: what its runs tell."""

import numpy as np
import pytest
from bench.engine_plugin import (
    Asked,
    Linear,
    bare_loop,
    committee,
    engine_run,
    peers,
    plain_model,
)
from river import tree

RATIOS_MAX = {
    "linear, 2 % asked": 150.0,
    "linear, 2 % asked, one at a time": 1_500.0,
    "watching": 40.0,
    "committee, 5 % asked": 900.0,
    "tree, 2 % asked": 200.0,
}
"""CPU of the engine over that of the bare loop: 35, 400, 7, 220 and 40 when this was written."""


@pytest.fixture(scope="module")
def stream():
    return Linear.of(2_000, 4, seed=3)


@pytest.mark.long
def test_each_run_learns_and_keeps_to_its_budget(stream):
    task = Asked(budget=0.1, seed=7)
    runs = {name: run for name, _, run in peers(stream, task)}
    found = {name: runs[name]() for name in ("headrace:batches", "headrace:one at a time")}
    for one in found.values():
        assert one["events"] == len(one["correct"]) == 2_000
        assert 100 <= one["labels"] <= 200
        assert one["correct"][-500:].mean() > 0.8
        assert one["wall_s"] > 0.0 and one["cpu_s"] > 0.0
    # The way it is fed changes no decision.
    in_batches, one_by_one = found.values()
    assert np.array_equal(in_batches["correct"], one_by_one["correct"])
    assert in_batches["labels"] == one_by_one["labels"]


def test_a_run_stops_at_its_cap(stream):
    (_, _, run), *_ = peers(stream, Asked(budget=0.1, seed=7, time_cap=0.0))
    assert run()["events"] == 0


@pytest.mark.parametrize(
    ("what", "model", "share", "chunk_n"),
    [
        ("linear, 2 % asked", plain_model, 0.02, 1_000),
        ("linear, 2 % asked, one at a time", plain_model, 0.02, 1),
        ("watching", plain_model, 0.001, 1_000),
        ("committee, 5 % asked", committee, 0.05, 1_000),
        ("tree, 2 % asked", lambda seed: tree.HoeffdingTreeClassifier(), 0.02, 1_000),
    ],
)
def test_the_engine_is_within_a_wide_margin_of_the_bare_loop(stream, what, model, share, chunk_n):
    """A guard against a cost that grows by a factor: a ratio in one process, never a time."""
    run = engine_run(stream, model, share, chunk_n=chunk_n)
    bare = bare_loop(stream, Asked(budget=0.02, seed=7))
    ratios = [run()["cpu_s"] / bare()["cpu_s"] for _ in range(2)]
    assert min(ratios) < RATIOS_MAX[what], ratios
