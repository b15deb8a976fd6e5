"""Chance is a hash: scalar and batch give the same bits, and the bits are uniform."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.chance import Chance

KEY = 1701925883416547338
UNIFORM = 0.7468828581448167
INTEGER = 721153059

seeds = st.integers(0, (1 << 62) - 1)
names = st.text(st.characters(), max_size=30)


@given(seeds, names, st.lists(names, max_size=20))
def test_one_id_and_many_give_the_same_bits(seed: int, purpose: str, ids: list[str]) -> None:
    chance = Chance(seed)
    keys = chance.keys(ids)
    assert keys.tolist() == [chance.key(each) for each in ids]
    found = chance.uniforms(purpose, keys).tolist()
    assert found == [chance.uniform(purpose, each) for each in ids]
    assert found == [chance.uniform_of_key(purpose, key) for key in keys.tolist()]
    assert all(0.0 <= u < 1.0 for u in found)


@pytest.mark.parametrize("purpose", ["control", "round 0", "round 1", "reservoir"])
@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_it_is_uniform_over_consecutive_ids(purpose: str, seed: int) -> None:
    n, bins = 100_000, 100
    u = Chance(seed).uniforms(purpose, Chance(seed).keys(map(str, range(n))))
    counts = np.bincount((u * bins).astype(int), minlength=bins)
    statistic = ((counts - n / bins) ** 2 / (n / bins)).sum()
    assert statistic < (bins - 1) + 4.5 * np.sqrt(2.0 * (bins - 1))


def test_purposes_and_seeds_are_independent() -> None:
    ids = [str(i) for i in range(20_000)]
    draws = [
        Chance(seed).uniforms(purpose, Chance(seed).keys(ids))
        for seed in (1, 2)
        for purpose in ("control", "round 0", "round 1")
    ]
    correlations = np.corrcoef(draws) - np.eye(len(draws))
    assert np.abs(correlations).max() < 4.5 / np.sqrt(len(ids))


def test_the_bits_are_these_for_ever() -> None:
    """A change here would give every recorded run other decisions."""
    chance = Chance(7)
    assert chance.key("event-1") == KEY
    assert chance.uniform("control", "event-1") == UNIFORM
    assert chance.integer("model") == INTEGER


def test_lone_surrogates_are_hashed_too() -> None:
    assert 0.0 <= Chance(1).uniform("control", "\ud800") < 1.0


def test_another_process_has_the_same_luck() -> None:
    code = "from headrace.chance import Chance; print(Chance(7).uniform('control', 'event-1'))"
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(ended.stdout) == UNIFORM


@pytest.mark.parametrize("seed", [0, 1, (1 << 62) - 1])
def test_integers_fit_a_library(seed: int) -> None:
    assert 0 <= Chance(seed).integer("model") < 1 << 31
