"""A shard counts the labels of what other shards asked, and passes by the rest of it."""

from collections import Counter

import msgspec
import pytest

from drivers.kafka.test_parts import lived, settings_of
from headrace.settings import parse
from headrace.shard.shard import Shard

SHARDS_N = 3
QUERIES = {
    "plain": {"query": {"cold_start": {"per_class_n": 4}}},
    "second opinions": {
        "query": {"budget": {"share": 0.4, "reserve": 0}, "cold_start": {"per_class_n": 4}},
        "label": {"second_opinion_share": 0.2},
    },
    "never cold": {"query": {"cold_start": {"per_class_n": 0}}},
    "quotas": {"query": {"quotas": {"per_class_n": 30}}},
    "classes that come up": {"schema": {"classes": []}},
}


def live(changes, seed):
    settings = parse(msgspec.to_builtins(settings_of(desk_partitions=2)) | changes)
    world = lived(settings, SHARDS_N, 240, seed=seed)
    return world, [
        *([record.value for record in log.records] for log in world.cluster.logs.values()),
        *(world.shards[number].shard.freeze() for number in range(SHARDS_N)),
    ]


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.default_n(2)
def test_whoever_passes_by_decides_as_one_who_looks_into_every_end(name, monkeypatch):
    seed = [*QUERIES].index(name)
    _, passing = live(QUERIES[name], seed)
    monkeypatch.setattr(Shard, "concerns", lambda *_: True)
    _, looking = live(QUERIES[name], seed)
    assert passing == looking


def test_once_the_model_is_warm_an_end_is_looked_into_by_one_shard_alone(monkeypatch):
    looked, take_end = Counter(), Shard.take_end

    def count_and_take(shard, entry):
        looked[entry.request_id] += 1
        return take_end(shard, entry)

    monkeypatch.setattr(Shard, "take_end", count_and_take)
    world, _ = live(QUERIES["plain"], 1)
    by_n = Counter(looked.values())
    assert set(by_n) == {1, SHARDS_N}
    assert by_n[1] > by_n[SHARDS_N] > 0
    labels_n = world.log.trainer.champion.learned_n
    assert {one.shard.shard.asking.labels_n for one in world.shards.values()} == {labels_n}
