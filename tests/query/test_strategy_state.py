"""Strategies that keep state: what they are told, and that it travels as everything else does."""

from __future__ import annotations

import copy
import math
from collections import deque
from typing import Any

import numpy as np
import pytest

import headrace as hr
from headrace.chance import Chance
from headrace.errors import BadSettings
from headrace.messages import ErasureOrdered
from headrace.query.choosing import choose_by
from headrace.query.pool import Pool
from headrace.query.strategies import STRATEGIES, Scheduled, StrategyBandit, resolve
from headrace.query.strategies.state import Pick, keeps_state
from headrace.settings import parse
from headrace.testing import check_strategy


class Remembers:
    """Prefers what is unlike the latest events that it had asked."""

    def __init__(self) -> None:
        self.rows: dict[int, list[float]] = {}
        self.told: list[str] = []

    def __call__(self, pool: Pool, chance: Chance) -> Any:
        means = np.nan_to_num(np.array([list(row) for row in self.rows.values()] or [[0.0]]))
        return np.abs(np.nan_to_num(pool.X)[:, :1] - means[:, 0].mean()).sum(axis=1)

    def asked(self, pick: Pick) -> None:
        assert 0.0 < pick.propensity <= 1.0 and pick.by_arm == ()
        self.rows[pick.key] = pick.x.tolist()

    def labelled(self, key: int, worth: float) -> None:
        assert 0.0 <= worth <= 1.0
        self.told.append("labelled" if key in self.rows else "labelled another")

    def unanswered(self, key: int) -> None:
        self.told.append("unanswered")

    def drifted(self) -> None:
        self.told.append("drifted")

    def forget_events(self) -> None:
        self.rows = {}


def test_the_contract_is_kept_by_what_is_there_and_by_one_of_yours() -> None:
    check_strategy(Remembers())
    for strategy in (Scheduled(), StrategyBandit(("margin",))):
        assert keeps_state(strategy)
        check_strategy(strategy)


class Counts(Remembers):
    def __call__(self, pool: Pool, chance: Chance) -> Any:
        self.told.append("called")
        return super().__call__(pool, chance)


class Keeps(Remembers):
    def forget_events(self) -> None:
        self.told.append("forgotten, they say")


class Loses(Remembers):
    def __getstate__(self) -> dict[str, Any]:
        return {"rows": {}, "told": []}


@pytest.mark.parametrize(
    ("strategy", "says"),
    [
        (Counts(), "Counts changes when it is called"),
        (Keeps(), "Keeps still has features of events after forget_events"),
        (Loses(), "Loses forgets something when it is copied or pickled"),
    ],
)
def test_what_breaks_the_contract_is_told(strategy: Any, says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        check_strategy(strategy)


# ------------------------------------------------------------------------------ in an engine


def engine_of(strategy: Any, **query: Any) -> hr.Engine:
    settings = {
        "seed": 3,
        "model": {"name": "logistic"},
        "query": {"ask": "rounds", "budget": {"share": 0.2}, **query},
    }
    return hr.Engine(strategy=strategy, settings=parse(settings))


def events_from(start: int, n: int) -> list[hr.Event]:
    return [
        hr.Event(id=f"{i}", at=float(i), features={"x": i * 37 % 101 + 0.25, "y": float(i % 7)})
        for i in range(start, start + n)
    ]


def fed(engine: hr.Engine, size: int, start: int = 0, n: int = 800) -> list[Any]:
    """So many events in batches of this size; answers come 40 to 79 events late."""
    outputs: list[Any] = []
    due: list[Any] = []
    for block in range(start, start + n, 40):
        for one in due:
            label = "b" if int(one.event_id) * 37 % 101 > 50 else "a"
            answer = hr.Answer(request_id=one.request_id, label=label, at=float(block))
            outputs += engine.feed([answer])
        found: list[Any] = []
        for i in range(block, block + 40, size):
            found += engine.feed(events_from(i, min(size, block + 40 - i)))
        outputs += found
        due = [one for one in found if isinstance(one, hr.LabelRequested)]
    return outputs


@pytest.mark.parametrize("ask", ["rounds", "arrival"])
def test_state_is_told_alike_in_any_batches_and_goes_on_after_a_restart(ask: str) -> None:
    given = Remembers()
    one, other = engine_of(given, ask=ask), engine_of(given, ask=ask)
    assert fed(one, 40) == fed(other, 7)
    mine, theirs = (e.shard.asking.strategy.__dict__ for e in (one, other))
    assert mine == theirs and given.rows == {}
    assert {"labelled", "labelled another"} <= set(mine["told"])
    revived = engine_of(Remembers(), ask=ask)
    revived.restore(one.snapshot())
    assert revived.shard.asking.strategy.__dict__ == mine
    assert fed(revived, 40, 800, 200) == fed(one, 40, 800, 200)


def test_events_are_forgotten_when_a_person_is_erased() -> None:
    engine = engine_of(Remembers())
    fed(engine, 40)
    kept: Any = engine.shard.asking.strategy
    assert kept.rows
    engine.feed([ErasureOrdered(at=800.0, event_ids=("3",), key="k")])
    assert kept.rows == {}


def test_a_state_without_the_strategy_is_refused() -> None:
    engine = engine_of("margin")
    fed(engine, 40, n=80)
    with pytest.raises(BadSettings, match="'Remembers', and the state was made with 'margin'"):
        engine_of(Remembers()).restore(engine.snapshot())


def test_drift_is_told() -> None:
    engine = engine_of(Remembers())
    engine.shard.asking.tell_drift()
    assert engine.shard.asking.strategy.__dict__["told"] == ["drifted"]


# -------------------------------------------------------------------------------- turns


def pool_of(n: int, seed: int = 5, wanted_n: int = 4) -> Pool:
    chance = Chance(seed)
    keys = chance.keys(map(str, range(n)))
    p = chance.uniforms("p", keys)
    return Pool(
        ids=list(map(str, range(n))),
        keys=keys,
        at=np.arange(n, dtype=np.float64),
        X=np.stack([chance.uniforms("x", keys), chance.uniforms("y", keys)], axis=1),
        is_category=np.zeros(2, dtype=np.bool_),
        probabilities=np.stack([p, 1.0 - p], axis=1),
        wanted_n=wanted_n,
    )


def test_the_first_labels_go_to_one_strategy_and_again_after_a_drift() -> None:
    strategy, pool, chance = Scheduled("k_center", "margin", labels_n=2), pool_of(20), Chance(1)
    first, then = (STRATEGIES[name](pool, chance).tolist() for name in ("k_center", "margin"))
    assert strategy(pool, chance).tolist() == first
    for key in (1, 2):
        strategy.labelled(key, 0.5)
    assert strategy(pool, chance).tolist() == then
    strategy.drifted()
    assert strategy(pool, chance).tolist() == first
    steady = Scheduled("k_center", "margin", labels_n=1, after_drift=False)
    steady.labelled(1, 0.5)
    steady.drifted()
    assert steady(pool, chance).tolist() == then


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("bandit", {"arms": ["margn"]}, "query.options.arms is 'margn'; did you mean margin"),
        ("bandit", {"arms": ["scheduled"]}, "which keeps state; only query.strategy itself may"),
        ("bandit", {"arms": "margin"}, "must be a list of 1 to 15 names of strategies"),
        ("bandit", {"arms": ["margin", "margin"]}, "must name each strategy once"),
        ("bandit", {"labels_n": 0}, "query.options.labels_n is 0; must be a whole number from 1"),
        ("bandit", {"random_share": 2}, "query.options.random_share is 2; must be a number"),
        ("bandit", {"credit": 1}, "query.options.credit is no option of bandit"),
        ("scheduled", {"first": "bandit"}, "query.options.first is .* which keeps state"),
        ("scheduled", {"labels_n": 0}, "query.options.labels_n is 0; must be at least 1"),
        ("scheduled", {"labels_n": 1.5}, "query.options.labels_n is 1.5; must be a whole number"),
        ("weighted_sum", {"of": {"bandit": 1.0}}, "query.options.of is .* which keeps state"),
    ],
)
def test_options_that_cannot_be_used_are_told(name: str, options: Any, says: str) -> None:
    with pytest.raises(BadSettings, match=says):
        resolve(name, options)


# ------------------------------------------------------------------------------ the bandit


def drawn(strategy: Any, pool: Pool, seed: int, purpose: str) -> Any:
    return choose_by(
        strategy, "bandit", pool, np.ones(len(pool), np.bool_),
        k=pool.wanted_n, sharpness=1.5, chance=Chance(seed), purpose=purpose,
    )  # fmt: skip


def test_the_draw_is_the_mixture_of_what_each_arm_would_draw() -> None:
    bandit, pool = StrategyBandit(("margin", "entropy", "k_center")), pool_of(30)
    bandit.credit.gains = np.array([0.0, 20.0, -5.0, 3.0])
    choice = drawn(bandit, pool, 1, "round 0")
    assert choice.by_arm.shape == (4, 30)
    assert choice.by_arm.sum(axis=1) == pytest.approx([4.0] * 4)
    alone = [
        choose_by(
            STRATEGIES[name], name, pool, np.ones(30, np.bool_),
            k=4, sharpness=1.5, chance=Chance(1), purpose="round 0",
        ).inclusion
        for name in bandit.names
    ]  # fmt: skip
    assert np.allclose(choice.by_arm, alone, atol=1e-12)
    assert np.allclose(choice.inclusion, bandit.shares @ np.array(alone), atol=1e-12)
    assert choice.inclusion.min() >= bandit.random_share * 4 / 30 - 1e-12


def test_propensities_match_frequencies() -> None:
    bandit, pool = StrategyBandit(("margin", "k_center")), pool_of(12, wanted_n=3)
    hits, n = np.zeros(12), 3_000
    for seed in range(n):
        choice = drawn(bandit, pool, 1, f"round {seed}")
        hits[choice.chosen] += 1
    p = choice.inclusion
    assert (np.abs(hits / n - p) < 4.5 * np.sqrt(p * (1.0 - p) / n) + 1e-9).all()


def rounds_of(bandit: StrategyBandit, worth: Any, rounds_n: int, late_n: int, seed: int) -> Any:
    """Expected worth of random alone and of the bandit; labels come so many rounds late."""
    waiting: deque[list[tuple[int, float]]] = deque()
    by_random = by_bandit = 0.0
    for t in range(rounds_n):
        pool = pool_of(40, seed=1_000 * seed + t)
        worths = np.array([worth(p) for p in pool.probabilities[:, 0]])
        choice = drawn(bandit, pool, seed, f"round {t}")
        by_random += float(pool.wanted_n / 40 * worths.sum())
        by_bandit += float((choice.inclusion * worths).sum())
        for row in choice.chosen.tolist():
            by_arm, p = tuple(choice.by_arm[:, row].tolist()), float(choice.inclusion[row])
            key = int(pool.keys[row])
            bandit.asked(Pick(key, pool.X[row], float(choice.utilities[row]), p, by_arm))
        waiting.append([(int(pool.keys[row]), float(worths[row])) for row in choice.chosen])
        while len(waiting) > late_n:
            for key, value in waiting.popleft():
                bandit.labelled(key, value)
    return by_random, by_bandit


WORLDS = {
    "what is doubted is worth most": lambda p: 1.0 - abs(2.0 * p - 1.0),
    "what is doubted is worth nothing": lambda p: abs(2.0 * p - 1.0),
}


@pytest.mark.parametrize("late_n", [0, 5])
@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.default_n(2)
def test_it_is_never_worse_than_random_beyond_the_regret_it_states(world: str, late_n: int) -> None:
    short, stated = [], []
    for seed in range(8):
        bandit = StrategyBandit(("margin",), labels_n=2_000)
        by_random, by_bandit = rounds_of(bandit, WORLDS[world], 80, late_n, seed)
        short.append(by_random - by_bandit)
        stated.append(bandit.credit.regret_max)
    error = float(np.std(short, ddof=1)) / math.sqrt(len(short))
    assert float(np.mean(short)) + 2.0 * error <= float(np.mean(stated))


def test_it_takes_up_the_arm_that_is_worth_more_and_leaves_one_that_is_not() -> None:
    good, bad = StrategyBandit(("margin",)), StrategyBandit(("margin",))
    by_random, by_bandit = rounds_of(good, WORLDS["what is doubted is worth most"], 100, 2, 3)
    rounds_of(bad, WORLDS["what is doubted is worth nothing"], 100, 2, 3)
    assert good.shares[1] > StrategyBandit(("margin",)).shares[1] > bad.shares[1]
    assert by_bandit > 1.15 * by_random


def test_credit_is_what_each_arm_would_have_found() -> None:
    """Importance weights make it unbiased, whoever asked, but for eta."""
    found, real = [], np.zeros(2)
    pool = pool_of(40)
    worths = 1.0 - np.abs(2.0 * pool.probabilities[:, 0] - 1.0)
    for t in range(800):
        bandit = StrategyBandit(("margin",), labels_n=100_000)
        choice = drawn(bandit, pool, 1, f"round {t}")
        real = choice.by_arm @ worths
        for row in choice.chosen.tolist():
            by_arm, p = tuple(choice.by_arm[:, row].tolist()), float(choice.inclusion[row])
            bandit.asked(Pick(int(pool.keys[row]), pool.X[row], 0.0, p, by_arm))
            bandit.labelled(int(pool.keys[row]), float(worths[row]))
        found.append(bandit.credit.gains)
    error = np.std(found, axis=0) / math.sqrt(len(found))
    assert (np.abs(np.mean(found, axis=0) - real) < 4.0 * error + 0.01 * real).all()


def test_in_an_engine_it_learns_from_late_labels_in_any_batches_and_after_a_restart() -> None:
    options = {"arms": ["margin", "k_center"]}
    one, other = (engine_of("bandit", options=options) for _ in range(2))
    assert fed(one, 40) == fed(other, 7)
    bandit: Any = one.shard.asking.strategy
    assert bandit.credit.credited_n > 40 and bandit.credit.gains.min() > 0.0
    assert STRATEGIES["bandit"].credit.credited_n == 0  # type: ignore[attr-defined]
    revived = engine_of("bandit", options=options)
    revived.restore(one.snapshot())
    assert fed(revived, 40, 800, 200) == fed(one, 40, 800, 200)
    assert copy.deepcopy(bandit).shares.tolist() == bandit.shares.tolist()
