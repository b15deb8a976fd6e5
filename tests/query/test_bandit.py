"""The bandit over rules: exact mixtures, credit for late labels, and regret against random."""

from __future__ import annotations

import copy
import math
import pickle
from collections import deque
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace.chance import Chance
from headrace.errors import BadSettings
from headrace.query.rules import Arriving, Draw, make_rule
from headrace.query.rules.bandit import Bandit
from headrace.settings import parse
from headrace.testing import check_online

RATE = 0.1
NOTHING = np.empty(0)


def arriving(doubt: float, rate: float = RATE) -> Arriving:
    said = np.array([1.0 - doubt / 2.0, doubt / 2.0])
    return Arriving(doubt, said, NOTHING, np.empty(0, dtype=np.bool_), rate)


@dataclass
class Told:
    """An arm that asks as the doubt of an event tells it, one bit of it an arm."""

    place: int

    def chance(self, event: Arriving) -> float:
        return float(int(event.doubt) >> self.place & 1)

    def passed(self, event: Arriving, draw: Draw) -> None:
        """It learns nothing."""


def with_arms(n: int, **options: Any) -> Bandit:
    bandit = Bandit(["split", "quantile_filter", "periodic", "iwal"][:n], **options)
    bandit.arms[1:] = [Told(place) for place in range(n)]
    return bandit


@cache
def draws_of(seed: int, events_n: int, arms_n: int) -> tuple[list[list[int]], list[float]]:
    """Of each event the arms that ask it, one in ten, and its luck."""
    chance = Chance(seed)
    keys = chance.keys(map(str, range(events_n)))
    asks = np.stack([chance.uniforms(f"arm {i}", keys) < RATE for i in range(arms_n)], axis=1)
    return [np.flatnonzero(row).tolist() for row in asks], chance.uniforms("luck", keys).tolist()


def played(
    bandit: Bandit, arm_worth: Any, events_n: int, late_n: int, seed: int
) -> tuple[float, float]:
    """Expected worth of random alone and of the bandit, its labels `late_n` labels late.

    `arm_worth(t, i)` is what event t is worth if arm i asks it: an arm asks in its own tenth of
    the events.
    """
    waiting = deque[tuple[int, float]]()
    by_random = by_bandit = 0.0
    for t, (asking, luck) in enumerate(
        zip(*draws_of(seed, events_n, len(bandit.arms) - 1), strict=True)
    ):
        worth = max([arm_worth(t, i) for i in asking], default=0.3)
        event = arriving(float(sum(1 << i for i in asking)))
        p = bandit.chance(event)
        assert p >= bandit.credit.random_share * RATE
        by_random += RATE * worth
        by_bandit += p * worth
        bandit.passed(event, Draw(luck, luck < p, luck < p, p, t))
        if luck < p:
            waiting.append((t, worth))
        while len(waiting) > late_n:
            bandit.labelled(*waiting.popleft())
    return by_random, by_bandit


WORLDS = {
    "arms are worthless": lambda t, i: 0.0,
    "one arm is good": lambda t, i: 1.0 if i == 0 else 0.0,
    "what was good is bad later": lambda t, i: float((t < 1_500) == (i == 0)),
    "good until it is trusted, then bad": lambda t, i: float(t < 1_000),
    "in turns": lambda t, i: float(t // 200 % 2 == i % 2),
}


@pytest.mark.parametrize("late_n", [0, 20])
@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.default_n(3)
def test_it_is_never_worse_than_random_beyond_the_regret_it_states(world: str, late_n: int) -> None:
    seeds_n, labels_n = 4, 600
    short, stated = [], []
    for seed in range(seeds_n):
        bandit = with_arms(2, labels_n=labels_n)
        by_random, by_bandit = played(bandit, WORLDS[world], 3_000, late_n, seed)
        assert 0 < bandit.credit.credited_n < labels_n
        short.append(by_random - by_bandit)
        stated.append(bandit.credit.regret_max)
    error = float(np.std(short, ddof=1)) / math.sqrt(seeds_n)
    assert float(np.mean(short)) + 2.0 * error <= float(np.mean(stated))
    # The bound says something: it is less than all that random could be worth.
    if late_n == 0:
        assert max(stated) < 3_000 * RATE


def test_it_takes_up_an_arm_that_is_worth_more_and_drops_it_when_it_is_not() -> None:
    gained = []
    for seed in range(8):
        bandit = with_arms(2, labels_n=2_000)
        by_random, by_bandit = played(bandit, WORLDS["one arm is good"], 4_000, 5, seed)
        assert bandit.credit.shares[1] > bandit.credit.shares[2]
        gained.append(by_bandit / by_random)
        useless = with_arms(2, labels_n=2_000)
        played(useless, WORLDS["arms are worthless"], 4_000, 5, seed)
        assert useless.credit.shares[0] > 0.66 > with_arms(2).credit.shares[0]
    assert np.mean(gained) > 1.4


def test_gains_are_what_each_arm_would_have_been_worth() -> None:
    """Importance weights make the credit of an arm unbiased, whoever asked, but for eta."""
    found = []
    for seed in range(200):
        bandit, chance = with_arms(2, labels_n=100_000), Chance(seed)
        for t in range(40):
            event = arriving(float(t % 4))
            p, luck = bandit.chance(event), chance.uniform("luck", str(t))
            bandit.passed(event, Draw(luck, luck < p, luck < p, p, t))
            if luck < p:
                bandit.labelled(t, 0.5)
        found.append(bandit.credit.gains)
    error = np.std(found, axis=0) / math.sqrt(200)
    real = np.array([40 * RATE * 0.5, 20 * 0.5, 20 * 0.5])
    assert (np.abs(np.mean(found, axis=0) - real) < 4.0 * error + 0.05 * real).all()


def test_the_mixture_is_exact() -> None:
    bandit = with_arms(2)
    bandit.credit.gains = np.array([0.0, 30.0, -10.0])
    q = bandit.credit.shares
    assert q.sum() == pytest.approx(1.0) and q[0] >= bandit.credit.random_share
    assert bandit.chance(arriving(1.0)) == pytest.approx(q[0] * RATE + q[1])
    assert bandit.chance(arriving(3.0)) == pytest.approx(q[0] * RATE + q[1] + q[2])
    assert bandit.chance(arriving(3.0, rate=0.0)) == 0.0


def test_late_labels_slow_it_down_and_all_begins_anew_in_time() -> None:
    bandit = with_arms(1, labels_n=10)
    quick = bandit.credit.eta
    for t in range(8):
        bandit.chance(arriving(1.0))
        bandit.passed(arriving(1.0), Draw(0.0, True, True, 0.5, t))
    assert bandit.credit.late_max == 7 and bandit.credit.eta < quick
    bandit.unanswered(7)
    for t in range(8):
        bandit.labelled(t, 1.0)
    assert bandit.credit.credited_n == 7 and bandit.credit.gains[1] > bandit.credit.gains[0] > 0.0
    for t in range(20, 23):
        bandit.passed(arriving(1.0), Draw(0.0, True, True, 0.5, t))
        bandit.labelled(t, 1.0)
    assert (
        bandit.credit.credited_n == 0
        and not bandit.credit.gains.any()
        and bandit.credit.eta == quick
    )


def test_a_copy_shares_nothing_that_moves() -> None:
    bandit = with_arms(2)
    bandit.chance(arriving(1.0))
    bandit.passed(arriving(1.0), Draw(0.0, True, True, 0.5, 3))
    before = pickle.dumps(bandit)
    other = copy.deepcopy(bandit)
    other.labelled(3, 1.0)
    other.passed(arriving(1.0), Draw(0.0, True, True, 0.5, 4))
    assert pickle.dumps(bandit) == before


def test_it_keeps_the_contract_of_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    # `make test-long` has all the seeds, of every rule.
    monkeypatch.setattr("headrace.testing.online.SEEDS_N", 80)
    check_online(lambda: make_rule("bandit", {"arms": ["split", "quantile_filter"]}))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"arms": ["splitt"]}, "arms names 'splitt': .*did you mean split"),
        ({"arms": ["bandit"]}, "must name each rule once, and not the bandit itself"),
        ({"arms": ["split", "split"]}, "must name each rule once"),
        ({"arms": "split"}, "must be a list of 1 to 15 names of rules"),
        ({"labels_n": 0}, "labels_n is 0; must be a whole number from 1"),
        ({"random_share": 2}, "random_share is 2; must be a number from 0.01 to 1"),
        ({"arm": []}, "can't be used"),
    ],
)
def test_options_that_cannot_be_used_are_told(options: dict[str, Any], says: str) -> None:
    with pytest.raises(BadSettings, match=says):
        make_rule("bandit", options)


def engine_of(seed: int) -> hr.Engine:
    arrival = {"rule": "bandit", "options": {"arms": ["split", "randomised_variable_uncertainty"]}}
    query = {"arrival": arrival, "budget": {"share": 0.2}}
    return hr.Engine(settings=parse({"seed": seed, "model": {"name": "logistic"}, "query": query}))


def fed(engine: hr.Engine, size: int, start: int = 0) -> list[Any]:
    """1,200 events in batches of this size; answers come 40 to 79 events late."""
    outputs: list[Any] = []
    events = [
        hr.Event(id=f"{i}", at=float(i), features={"x": float(i * 37 % 101), "y": float(i % 7)})
        for i in range(start, start + 1_200)
    ]
    open_now: list[Any] = []
    for block in range(0, 1_200, 40):
        due, open_now = open_now, []
        for one in due:
            label = "b" if int(one.event_id) * 37 % 101 > 50 else "a"
            at = events[block].at
            outputs += engine.feed([hr.Answer(request_id=one.request_id, label=label, at=at)])
        for i in range(block, block + 40, size):
            outputs += engine.feed(events[i : min(i + size, block + 40)])
        open_now = [o for o in outputs[-80:] if isinstance(o, hr.LabelRequested)]
        open_now = [o for o in open_now if block <= int(o.event_id) - start < block + 40]
    return outputs


def test_an_engine_learns_which_arm_is_worth_asking_in_any_batches_and_after_a_restart() -> None:
    one, other = engine_of(3), engine_of(3)
    assert fed(one, 40) == fed(other, 7)
    rule: Any = one.shard.asking.arrivals.rule  # type: ignore[union-attr]
    assert rule.credit.gains.min() > 0.0 and rule.credit.credited_n > 50
    revived = engine_of(3)
    revived.restore(one.snapshot())
    assert fed(revived, 40, 1_200) == fed(one, 40, 1_200)
