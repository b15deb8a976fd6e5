"""A confidence sequence: it hardly ever misses at any look, and it does get narrower."""

from __future__ import annotations

import math

import numpy as np
import pytest

from headrace import Engine
from headrace.learn.anytime import Bets
from headrace.learn.evaluation import Evaluation, join_evaluations
from headrace.settings import parse
from marks import long_ones

P = 0.05


def run(seed: int, anytime_min: float | None, n: int = 2_000) -> tuple[bool, list[float]]:
    """Whether it missed at any of twenty looks, and the half-widths."""
    rng = np.random.default_rng(seed)
    right = rng.random(n) < np.where(np.arange(n) < n // 2, 0.95, 0.6)
    asked = rng.random(n) < P
    evaluation, missed, halves = Evaluation(n, anytime_min), False, []
    for start in range(0, n, n // 20):
        evaluation.count_events(np.full(n // 20, 0.8))
        for i in np.flatnonzero(asked[start : start + n // 20]) + start:
            evaluation.note_asked(int(i), f"{i}", 0.8, 0.8)
            evaluation.note_chance(f"{i}", P)
            evaluation.note_label(f"{i}", bool(right[i]))
        found = evaluation.estimate_all()
        if found.low is not None and found.high is not None:
            missed |= not found.low <= right[: found.to_seq].mean() <= found.high
            halves.append((found.high - found.low) / 2.0)
    return missed, halves


@pytest.mark.parametrize("streams_n", [40, *long_ones(100)])
@pytest.mark.long
def test_it_ever_misses_in_at_most_one_stream_of_twenty_where_others_do(streams_n: int) -> None:
    ever = np.mean([run(seed, P)[0] for seed in range(streams_n)])
    once = np.mean([run(seed, None)[0] for seed in range(streams_n)])
    assert ever <= 0.05
    assert once > 0.10


def test_more_labels_make_it_narrower() -> None:
    short, long = (np.mean([run(s, P, n)[1][-1] for s in range(5)]) for n in (1_000, 6_000))
    assert long < 0.6 * short


def test_bets_are_added_as_one_set_of_labels() -> None:
    rng = np.random.default_rng(1)
    parts, whole = [Bets(P), Bets(P)], Bets(P)
    for i, difference in enumerate(rng.uniform(-1, 1, 200)):
        parts[i % 2].add(0.1, difference)
        whole.add(0.1, difference)
    assert (parts[0] + parts[1]).bounds() == pytest.approx(whole.bounds())
    assert Bets(P).bounds()[0] < 0.0 < Bets(P).bounds()[1]


def test_a_smaller_chance_than_promised_counts_as_the_promised_one() -> None:
    one, other = Bets(P), Bets(P)
    one.add(1e-6, -1.0)
    other.add(P, -1.0)
    assert one.bounds() == other.bounds()
    assert all(math.isfinite(bound) for bound in one.bounds())


def test_shards_are_joined_and_the_window_keeps_its_own_interval() -> None:
    def evaluated(anytime_min: float | None) -> Evaluation:
        evaluation = Evaluation(500, anytime_min)
        evaluation.count_events(np.full(500, 0.8))
        for i in range(0, 500, 10):
            evaluation.note_asked(i, f"{i}", 0.8, 0.8)
            evaluation.note_chance(f"{i}", 0.1)
            evaluation.note_label(f"{i}", i % 50 != 0)
        return evaluation

    plain, anytime = evaluated(None), evaluated(P)
    assert anytime.estimate() == plain.estimate()
    assert anytime.estimate_all().low < plain.estimate_all().low
    _, both, _ = join_evaluations([anytime, evaluated(P)])
    assert both.high - both.low < anytime.estimate_all().high - anytime.estimate_all().low


def test_the_setting_reaches_the_shard() -> None:
    settings = parse({"evaluation": {"interval": "anytime", "propensity_min": 0.01}})
    assert Engine(settings=settings).shard.evaluation.anytime_min == 0.01
    assert Engine().shard.evaluation.anytime_min is None
