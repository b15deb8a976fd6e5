"""The draw on arrival by itself: chances of ranks, exact probabilities and spending, the lean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.chance import Chance
from headrace.query.online import (
    ONE,
    Lean,
    Place,
    RankChances,
    choose_lean,
    deviations_of,
    for_both,
    in_hand_of,
    place_drawn,
    rate_knowledge,
    rate_of,
)

KEYS = Chance(5).keys([f"e{i}" for i in range(2_000)])


def drawn_of(chances: np.ndarray, seed: int, cuts: list[int] | None = None) -> list[int]:
    """All rows drawn, going through the events in pieces of these sizes, in turn."""
    place, start, turn, found = Place(), 0, 0, []
    luck = Chance(seed)
    keys = luck.keys([f"e{i}" for i in range(len(chances))])
    cuts = cuts or [len(chances)]
    while start < len(chances):
        stop = min(len(chances), start + cuts[turn % len(cuts)])
        while start < stop:
            place, row = place_drawn(place, chances[start:stop], keys[start:stop], luck)
            start = stop if row is None else start + row + 1
            if row is not None:
                found.append(start - 1)
        turn += 1
    return found


# ------------------------------------------------------------------------------------ draw


chances_of_events = st.lists(
    st.one_of(
        st.integers(0, ONE), st.sampled_from([0, 1, ONE - 1, ONE]), st.integers(0, 50_000_000)
    ),
    min_size=1,
    max_size=60,
)


@given(
    chances_of_events, st.integers(0, 1_000), st.lists(st.integers(1, 9), min_size=1, max_size=5)
)
@settings(max_examples=50, deadline=None)
def test_any_cut_draws_the_same_and_the_number_is_the_sum_to_one_label(
    values: list[int], seed: int, cuts: list[int]
) -> None:
    chances = np.array(values, dtype=np.int64)
    found = drawn_of(chances, seed)
    assert found == drawn_of(chances, seed, cuts)
    assert all(values[row] > 0 for row in found)
    sums, counts = np.cumsum(chances), np.zeros(len(chances), dtype=np.int64)
    counts[found] = 1
    assert (np.abs(sums - np.cumsum(counts) * ONE) <= ONE).all()


def test_each_event_is_drawn_as_often_as_its_probability_says() -> None:
    p = np.array([0.05, 0.6, 0.9, 0.3, 1.0, 0.02, 0.45, 0.7, 0.001, 0.98, 0.25, 0.75])
    chances = np.rint(p * ONE).astype(np.int64)
    n, counts = 8_000, np.zeros(len(p))
    for seed in range(n):
        counts[drawn_of(chances, seed)] += 1
    error = np.sqrt(p * (1 - p) / n)
    assert (np.abs(counts / n - p) <= 4.5 * error + 1e-12).all()


def test_what_is_ahead_is_the_sum_less_the_labels_drawn() -> None:
    chances = np.rint(np.linspace(0.01, 0.7, 300) * ONE).astype(np.int64)
    place, start, drawn_n = Place(), 0, 0
    while start < len(chances):
        place, row = place_drawn(place, chances[start:], KEYS[start : len(chances)], Chance(1))
        stop = len(chances) if row is None else start + row + 1
        drawn_n += row is not None
        start = stop
        assert place.ahead == int(chances[:stop].sum()) - drawn_n * ONE


# --------------------------------------------------------------------------- chances of ranks


@pytest.mark.parametrize("rate", [0.0005, 0.01, 0.05, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("shape", [Lean(1.0, 15.0), Lean(0.25, 15.0), Lean(0.5, 3.0)])
def test_the_mean_over_ranks_is_the_rate_whatever_the_scale(rate: float, shape: Lean) -> None:
    for scale in (1e-9, 1.0, 1e6):
        ordered = np.sort(Chance(1).uniforms("doubt", KEYS[:1_000])) * scale
        between = np.concatenate([[-1.0], (ordered[1:] + ordered[:-1]) / 2, [2 * scale]])
        p = RankChances(ordered, rate, shape).of(between) / ONE
        assert p.mean() == pytest.approx(rate, rel=1e-6)
        assert p.max() <= 1.0
        assert p.min() >= shape.share * rate - 1e-9
        assert (np.diff(p) >= 0).all()


def test_equal_doubts_have_equal_chances_and_their_mean_is_the_rate() -> None:
    ordered = np.sort(np.repeat([0.0, 0.3, 1.0], [500, 300, 200]))
    chances = RankChances(ordered, 0.05, Lean(0.25, 15.0))
    p = chances.of(np.array([0.0, 0.3, 1.0])) / ONE
    assert np.average(p, weights=[501, 301, 201]) == pytest.approx(0.05, rel=0.02)
    assert p[0] < 0.05 < p[2]
    assert chances.preferred_from == 1.0
    blind = RankChances(np.zeros(1_000), 0.05, Lean(0.25, 15.0))
    assert blind.of(np.zeros(3)).tolist() == [50_000_000] * 3


@given(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=80), st.integers(1, 79))
@settings(deadline=None)
def test_chances_do_not_depend_on_the_others_of_their_batch(doubts: list[float], cut: int) -> None:
    ordered = np.sort(Chance(2).uniforms("doubt", KEYS[:200]))
    chances, column = RankChances(ordered, 0.04, Lean(0.3, 7.3)), np.array(doubts)
    parts = [chances.of(column[:cut]), chances.of(column[cut:])]
    assert np.concatenate(parts).tolist() == chances.of(column).tolist()


def test_the_blind_part_of_a_chance_is_the_share_of_the_rate() -> None:
    chances = RankChances(np.linspace(0.0, 1.0, 500), 0.02, Lean(0.25, 15.0))
    for doubt in (0.0, 0.5, 0.9, 1.0):
        p = int(chances.of(np.array([doubt]))[0])
        assert chances.blind_part(p) * p / ONE == pytest.approx(0.25 * 0.02, rel=1e-6)


# -------------------------------------------------------------------------- lean and rate


def test_few_labels_and_late_labels_lean_to_random_smoothly() -> None:
    assert rate_knowledge(0, 0) == rate_knowledge(50, 1) == 0.0
    assert choose_lean(0.25, 0.0, 0.0).share == 1.0
    shares = [choose_lean(0.25, rate_knowledge(n, 2), 0.0).share for n in (2, 5, 10, 50, 1_000)]
    assert shares == sorted(shares, reverse=True)
    assert shares[1] < 0.7 and shares[-1] < 0.26
    late = [choose_lean(0.25, 1.0, late) for late in (0.0, 1.0, 10.0, 50.0, 500.0)]
    assert late == sorted(late, key=lambda found: (found.share, -found.sharpness))
    assert late[0] == (0.25, 15.0) and late[3] == (0.5, 3.0) and late[4].share > 0.85


def test_the_rate_follows_what_is_earned_and_stops_in_debt() -> None:
    rates = [rate_of(0.02, credit) for credit in (-9.0, -4.1, -2.0, -0.5, 0.0, 0.5, 3.0, 100.0)]
    assert rates == sorted(rates)
    assert rates[:2] == [0.0, 0.0] and rates[4] == 0.02
    assert rates[-1] > 0.4
    assert rate_of(0.5, 1_000.0) == 1.0


# ------------------------------------------------------------------------- for the estimate


def test_a_part_is_drawn_for_the_estimate_and_the_mean_stays_the_rate() -> None:
    luck = np.random.default_rng(3)
    guesses = luck.uniform(0.5, 1.0, 1_000)
    doubts, errors = 1.0 - guesses, deviations_of(guesses)
    by_doubt = RankChances(np.sort(doubts), 0.05, Lean(0.2, 15.0))
    chances = for_both(by_doubt, doubts, errors, float(errors.mean()), 0.25)
    assert chances.mean() / ONE == pytest.approx(0.05, rel=0.01)
    assert chances.min() >= round(0.2 * 0.05 * ONE)
    # What is certain is asked about less than by doubt alone; a middling doubt more.
    alone = by_doubt.of(doubts)
    middle = np.abs(doubts - 0.25) < 0.05
    assert (chances[middle] > alone[middle] + 0.5 * 0.25 * 0.04 * ONE).all()
    assert chances[np.argmax(doubts)] < alone[np.argmax(doubts)]


def test_without_a_known_error_doubt_alone_decides_and_no_chance_is_above_one() -> None:
    doubts, errors = np.array([0.1, 0.9]), np.array([0.0, 0.5])
    by_doubt = RankChances(np.linspace(0.0, 1.0, 99), 0.05, Lean(0.2, 15.0))
    assert (for_both(by_doubt, doubts, errors, 0.0, 0.5) == by_doubt.of(doubts)).all()
    assert for_both(by_doubt, doubts, errors, 1e-9, 0.5).max() <= ONE
    blind = RankChances(np.linspace(0.0, 1.0, 99), 0.05, Lean(1.0, 15.0))
    assert (for_both(blind, doubts, errors, 0.3, 0.5) == blind.of(doubts)).all()


def test_a_guess_beyond_certainty_by_rounding_has_no_deviation() -> None:
    assert deviations_of(np.array([0.0, 0.5, 1.0 + 1e-15])).tolist() == [0.0, 0.5, 0.0]


def test_what_is_kept_in_hand_is_a_half_at_first_and_one_later() -> None:
    assert [in_hand_of(n) for n in (0, 100, 150, 200, 10_000)] == [0.5, 0.5, 0.75, 1.0, 1.0]
