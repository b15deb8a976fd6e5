"""What a strategy sees beside the candidates: neighbours, labelled examples, costs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from headrace import Answer, BadSettings, Engine, ErasureOrdered, Event, LabelRequested
from headrace.chance import Chance
from headrace.query import pool as pools
from headrace.query.pool import Labelled, Pool, Sample
from headrace.query.strategies import STRATEGIES, McPal, PerCost, ReservoirDensity, resolve
from headrace.settings import parse
from headrace.testing import check_strategy
from query.pools import pool_of
from test_engine import events, only

CHANCE = Chance(3)
NEEDY = ("mcpal", "reservoir_density", "per_cost")
MONEY = {"money": 500.0, "price": 2.0, "price_by_class": {"odd": 6.0}, "price_doubt": 3.0}


def settings_of(**query: Any) -> Any:
    rounds = {"ask": "rounds", "rounds": {"every_n": 20}, "cold_start": {"per_class_n": 2}}
    budget = {"share": 0.3, "reserve": 0, **query.pop("budget", {})}
    return parse({"query": {**rounds, **query, "budget": budget}, "drift": {"watch": []}})


class Sees:
    """Notes each pool that it is given."""

    def __init__(self, *needs: str) -> None:
        self.needs = needs
        self.pools: list[Pool] = []

    def __call__(self, pool: Pool, chance: Chance) -> Any:
        self.pools.append(pool)
        return pool.probabilities.max(axis=1, initial=0.0) * -1.0


def label_of(request: LabelRequested) -> str:
    return "odd" if int(request.event_id) % 2 else "even"


def lead(engine: Engine, stream: list[Event], batch_n: int = 1) -> list[Any]:
    """Feed in batches that end at every twentieth event at the latest, and answer after each."""
    outputs: list[Any] = []
    for start in range(0, len(stream), 20):
        piece, found = stream[start : start + 20], []
        for i in range(0, len(piece), batch_n):
            found += engine.feed(piece[i : i + batch_n])
        for request in only(found, LabelRequested):
            answer = Answer(request_id=request.request_id, label=label_of(request), at=request.at)
            found += engine.feed([answer])
        outputs += found
    return outputs


# --------------------------------------------------------------------------------- neighbours


@pytest.mark.parametrize("piece_n", [1, 10_000])
def test_neighbours_are_the_nearest_of_the_reservoir(
    piece_n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "PIECE_MAX", piece_n)
    luck = np.random.default_rng(1)
    X, rows = luck.normal(size=(9, 3)), luck.normal(size=(30, 3))
    X[:, 2], rows[:, 2] = np.arange(9) % 3, np.arange(30) % 4
    X[4, 0] = rows[7, 1] = np.nan
    pool = pool_of(np.full((9, 2), 0.5), X, is_category=[False, False, True])
    # The first candidate is in the sample too.
    rows[11] = X[0]
    keys = np.arange(30, dtype=np.uint64)
    keys[11] = pool.keys[0]
    pool = replace(pool, reservoir=Sample(rows, keys))
    found = pool.neighbours(5)
    points, others = pool.points_beside(rows)
    apart = np.sqrt(((points[:, None] - others) ** 2).sum(axis=2))
    apart[0, 11] = np.inf
    order = np.argsort(apart, axis=1)[:, :5]
    assert found.rows.tolist() == order.tolist()
    assert found.distances == pytest.approx(np.take_along_axis(apart, order, axis=1))
    # One is its own, so that all have 29 at most.
    assert pool.neighbours(99).rows.shape == (9, 29)


def test_without_a_reservoir_there_are_no_neighbours() -> None:
    pool = pool_of(np.full((3, 2), 0.5), np.arange(3.0)[:, None])
    assert pool.neighbours(5).rows.shape == (3, 0)
    own = replace(pool, reservoir=Sample(pool.X[:1], pool.keys[:1]))
    assert own.neighbours(5).rows.shape == (3, 0)
    assert pool.take(np.arange(0)).neighbours(5).rows.shape == (0, 0)


def test_what_is_like_nothing_in_the_stream_is_not_asked() -> None:
    X = np.append(np.linspace(0.0, 1.0, 11), 50.0)[:, None]
    pool = pool_of(np.full((12, 2), 0.5), X)
    among = Sample(np.linspace(-1.0, 2.0, 40)[:, None], np.arange(40, dtype=np.uint64))
    found = ReservoirDensity(neighbours_n=3)(replace(pool, reservoir=among), CHANCE)
    assert found[-1] < 0.01 and (found[:-1] > 0.3).all()
    # Without a reservoir, and without the density, it is the entropy.
    assert ReservoirDensity()(pool, CHANCE) == pytest.approx([np.log(2)] * 12)
    plain = ReservoirDensity(beta=0.0)(replace(pool, reservoir=among), CHANCE)
    assert plain == pytest.approx([np.log(2)] * 12)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"neighbours_n": 0}, "from 1 to 1000"), ({"neighbours_n": 2.5}, "whole number"),
     ({"beta": float("nan")}, "beta is nan; must be from 0 to 10"), ({"k": 3}, "it has neigh")],
)  # fmt: skip
def test_options_that_are_none_are_told(options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadSettings, match=said):
        resolve("reservoir_density", options)


# -------------------------------------------------------------------------- labels and costs


def test_labels_that_contradict_each_other_are_worth_another() -> None:
    pool = pool_of(np.full((3, 2), 0.5), np.array([[0.0], [1.0], [2.0]]))
    rows = np.array([[0.0], [0.5], [1.0], [2.0]])
    agreed = replace(pool, labelled=Labelled(rows, np.array([1, 1, 1, 1])))
    split = replace(pool, labelled=Labelled(rows, np.array([0, 1, 0, 1])))
    found = McPal(beta=0.0)(agreed, CHANCE), McPal(beta=0.0)(split, CHANCE)
    assert found[0] == pytest.approx([0.0] * 3, abs=1e-12)
    assert found[1].max() > 0.01


def test_the_dearer_label_is_worth_it_only_where_it_tells_more() -> None:
    pool = pool_of([[0.5, 0.5], [0.6, 0.4], [0.9, 0.1]])
    assert PerCost()(pool, CHANCE) == pytest.approx([1.0, 0.8, 0.2])
    priced = replace(pool, costs=np.array([5.0, 1.0, 1.0]))
    assert PerCost()(priced, CHANCE) == pytest.approx([0.2, 0.8, 0.2])
    with pytest.raises(BadSettings, match="did you mean margin"):
        PerCost("margn")


def test_a_pool_has_what_the_shard_knows() -> None:
    sees = Sees("labelled", "reservoir", "costs")
    engine = Engine(strategy=sees, settings=settings_of(budget=MONEY), seed=5)
    requests = only(lead(engine, events(300)), LabelRequested)
    shard, pool = engine.shard, sees.pools[-1]
    before = [one for one in requests if one.round_n < requests[-1].round_n]
    assert pool.labelled is not None and pool.reservoir is not None and pool.costs is not None
    assert len(pool.labelled.X) == len(before) > 20
    classes = shard.schema.classes
    # Feature x says what it is.
    x = shard.schema.names.index("x")
    names = [classes[code] for code in pool.labelled.codes]
    assert names == ["odd" if row[x] > 0 else "even" for row in pool.labelled.X]
    # All events of before this round, and those of the round.
    assert len(pool.reservoir.keys) == min(300, engine.settings.observe.reservoir_n)
    assert set(pool.keys.tolist()) <= set(pool.reservoir.keys.tolist())
    doubt = (1.0 - pool.probabilities.max(axis=1)) * 2.0
    by_class = pool.probabilities @ [6.0 if name == "odd" else 2.0 for name in classes]
    assert pool.costs == pytest.approx(by_class * (1.0 + 2.0 * doubt))
    assert pool.members is None and pool.asked is None


def test_a_label_that_is_taken_back_or_erased_is_no_example() -> None:
    sees = Sees("labelled")
    engine = Engine(strategy=sees, settings=settings_of(), seed=5)
    requests = only(lead(engine, events(100)), LabelRequested)
    labels = engine.shard.asking.labels
    assert len(labels) == len(requests)
    # The same annotator corrects the label.
    first, second = requests[0], requests[1]
    other = "odd" if label_of(first) == "even" else "even"
    engine.feed([Answer(request_id=first.request_id, label=other, at=200.0)])
    key = np.array([engine.chance.key(first.event_id)], np.uint64)
    assert labels.find_codes(key, engine.shard.schema.code_of) == engine.shard.schema.code_of(other)
    engine.feed([ErasureOrdered(at=300.0, event_ids=(second.event_id,), key="k")])
    erased = np.array([engine.chance.key(second.event_id)], np.uint64)
    assert engine.shard.asking.labels.find_codes(erased, engine.shard.schema.code_of) == -1
    assert len(engine.shard.asking.labels) == len(requests) - 1


def test_what_is_not_needed_is_not_built() -> None:
    sees = Sees()
    engine = Engine(strategy=sees, settings=settings_of(budget=MONEY), seed=5)
    lead(engine, events(100))
    assert all(getattr(pool, part) is None for pool in sees.pools for part in pools.PARTS)
    # What a plain function reads is not known: it gets all there is.
    seen: list[Pool] = []

    def plain(pool: Pool, chance: Chance) -> Any:
        seen.append(pool)
        return np.zeros(len(pool))

    engine = Engine(strategy=plain, settings=settings_of(budget=MONEY), seed=5)
    lead(engine, events(100))
    assert all(getattr(seen[-1], part) is not None for part in pools.PARTS)


def test_whether_models_disagree_is_no_label() -> None:
    sees = Sees("labelled")
    settings = settings_of(uncertainty_from="disagreement")
    lead(Engine(strategy=sees, settings=settings, seed=5), events(100))
    assert sees.pools and all(pool.labelled is None for pool in sees.pools)


@pytest.mark.parametrize("name", NEEDY)
@pytest.mark.default_n(1)
def test_the_same_is_asked_in_batches_of_any_size_and_after_a_restart(name: str) -> None:
    settings = settings_of(strategy=name, budget=MONEY)
    stream = events(240)
    whole = lead(Engine(settings=settings, seed=5), stream, batch_n=20)
    chosen = [one.event_at for one in only(whole, LabelRequested) if one.strategy == name]
    assert sum(at < stream[120].at for at in chosen) > 5
    assert sum(at >= stream[120].at for at in chosen) > 5
    assert lead(Engine(settings=settings, seed=5), stream, batch_n=1) == whole
    engine = Engine(settings=settings, seed=5)
    first = lead(engine, stream[:120], batch_n=7)
    again = Engine(settings=settings, seed=5)
    again.restore(engine.snapshot())
    assert first + lead(again, stream[120:], batch_n=7) == whole


# ------------------------------------------------------------------------------- the contract


def test_a_strategy_that_reads_what_it_does_not_name_is_told() -> None:
    def sly(pool: Pool, chance: Chance) -> Any:
        return np.zeros(len(pool)) if pool.costs is None else pool.costs

    check_strategy(sly)
    sly.needs = ("asked",)  # type: ignore[attr-defined]
    with pytest.raises(AssertionError, match=r"sly reads something of .* its needs do not name"):
        check_strategy(sly)


@pytest.mark.parametrize("needs", ["labelled", ("neighbors",), (3,)])
def test_needs_that_are_none_are_told(needs: Any) -> None:
    sees = Sees()
    sees.needs = needs
    with pytest.raises(BadSettings, match="must be a tuple of names out of members, asked"):
        resolve(sees)
    with pytest.raises(BadSettings, match="must be a tuple of names"):
        Engine(strategy=sees, settings=settings_of())


def test_each_part_is_read_by_a_strategy_that_is_there() -> None:
    read = {need for strategy in STRATEGIES.values() for need in getattr(strategy, "needs", ())}
    assert read | {"members"} == set(pools.PARTS)


@pytest.mark.parametrize("name", NEEDY)
def test_what_reads_a_part_is_for_rounds(name: str) -> None:
    with pytest.raises(BadSettings, match=f"strategy {name} reads .*set query.ask to rounds"):
        Engine(settings=parse({"query": {"strategy": name, "ask": "arrival"}}))
