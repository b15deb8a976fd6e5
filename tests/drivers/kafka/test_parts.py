"""The worker's parts between topics that are lists: like the engine, and the same again."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from drivers.kafka.calm import World
from headrace import Answer, Engine, Event, LabelRequested, Settings, Tick
from headrace.errors import BadSettings
from headrace.flow.saving import freeze_log
from headrace.flow.shards import PartitionShard, decoder_of
from headrace.flow.share import share_of
from headrace.flow.training import new_log
from headrace.learn.retrain import finish_job
from headrace.messages import LabelSettled, Output, RetrainRequested
from headrace.messages.request_ids import base_id, desk_of
from headrace.settings import parse
from simulation.cluster import Kept

N = 1_000


def record_of(offset: int, value: bytes, headers: tuple[tuple[str, bytes], ...] = ()) -> Kept:
    return Kept("inference", 0, offset, None, value, headers, 0)


def settings_of(**kafka: Any) -> Settings:
    return parse(
        {
            "seed": 5,
            # A committee is made fresh from its own evidence, and orders no retraining.
            "model": {"name": "logistic"},
            "schema": {"classes": ["high", "low"]},
            "observe": {"window_n": 200, "reservoir_n": 200},
            "query": {"budget": {"share": 0.2}, "rounds": {"every_n": 20}},
            "drift": {
                "check_every_n": 100,
                "hold_n": 100,
                "watch": [{"signal": "features", "detector": "psi", "level": "drift"}],
            },
            "learn": {"retrain_labels_min": 20, "retrain_every_n": 40},
            "kafka": {"desk_partitions": 1, **kafka},
        }
    )


def events_of(n: int, seed: int = 1) -> list[Event]:
    """Two numbers whose sum decides; in the middle one moves, and it decides the other way."""
    luck = random.Random(seed)
    return [
        Event(
            id=f"e{seed}-{i}",
            at=1_000.0 + i,
            features={"x": luck.random() + (i > n / 2), "y": luck.random()},
        )
        for i in range(n)
    ]


def label_of(features: dict[str, Any], at: float, n: int = N) -> str:
    is_turned = at > 1_000.0 + n / 2
    return "high" if (features["x"] - is_turned + features["y"] > 1.0) != is_turned else "low"


def answer_to(request: LabelRequested, n: int = N) -> Answer:
    label = label_of(request.features, request.event_at, n)
    return Answer(request_id=request.request_id, label=label, at=request.at + 1.0, annotator="eva")


def lived(settings: Settings, partitions_n: int, n: int, *, seed: int = 1) -> World:
    """A world that was fed in pieces and answered in part; it retrained by itself."""
    world, luck, answered_n = World(settings, partitions_n), random.Random(seed), 0
    for start in range(0, n, 50):
        for partition in range(partitions_n):
            world.feed(events_of(n, seed + partition)[start : start + 50], partition)
        requests = world.requests()
        waiting = [request for request in requests[answered_n:] if luck.random() < 0.9]
        answered_n = len(requests)
        world.give(*(answer_to(request, n) for request in waiting))
    return world


def retrained(engine: Engine) -> list[Output]:
    """What follows from the retraining that is open, if there is one."""
    outputs: list[Output] = []
    while (job := engine.open_job) is not None:
        outputs += engine.feed([finish_job(job, engine.now)])
    return outputs


def test_one_partition_decides_as_the_engine_does() -> None:
    settings = settings_of()
    world, engine = World(settings), Engine(settings=settings)
    decided: list[Output] = []
    events = events_of(N)
    for start in range(0, N, 30):
        piece = events[start : start + 30]
        outputs = engine.feed(piece)
        world.feed(piece)
        requests = [output for output in outputs if isinstance(output, LabelRequested)]
        answers = [answer_to(request) for request in requests]
        outputs += retrained(engine)
        for answer in answers:
            outputs += engine.feed([answer]) + retrained(engine)
            world.give(answer)
        decided += outputs
    kinds = {
        settings.kafka.requests: ("LabelRequested",),
        settings.kafka.training: (
            "LabelSettled",
            "LabelDisputed",
            "RetrainRequested",
            "ModelAdopted",
            "ModelKept",
        ),
        settings.kafka.drift: ("DriftChanged",),
    }
    for topic, names in kinds.items():
        theirs = [msgspec.json.encode(o) for o in decided if type(o).__name__ in names]
        assert world.values(topic) == theirs
        assert theirs
    assert any(isinstance(output, RetrainRequested) for output in decided)
    assert world.log.trainer.version == engine.trainer.version


def test_second_opinions_are_those_of_the_engine_and_found_again_in_the_logs() -> None:
    settings = parse(
        {
            **msgspec.to_builtins(settings_of(desk_partitions=3)),
            "query": {"budget": {"share": 0.4, "reserve": 0}},
            "label": {"second_opinion_share": 0.2},
            "drift": {"watch": []},
            "learn": {"retrain_labels_min": 2000},
        }
    )
    world, engine = World(settings), Engine(settings=settings)
    decided: list[Output] = []
    n = 600
    events = events_of(n)

    def follow(outputs: list[Output]) -> None:
        decided.extend(outputs)
        for output in outputs:
            if isinstance(output, LabelRequested):
                label, turn = label_of(output.features, output.event_at, n), output.opinion_n
                if (output.seq + turn) % 8 == 0:
                    label = "low" if label == "high" else "high"
                at = output.at + 1.0
                answer = Answer(
                    request_id=output.request_id, label=label, at=at, annotator=f"a{turn}"
                )
                world.give(answer)
                follow(engine.feed([answer]))

    for start in range(0, n, 30):
        piece = events[start : start + 30]
        world.feed(piece)
        follow(engine.feed(piece))
    theirs = [msgspec.json.encode(o) for o in decided if isinstance(o, LabelRequested)]
    assert world.values(settings.kafka.requests) == theirs
    opinions = [o for o in decided if isinstance(o, LabelRequested) and o.opinion_n > 1]
    assert {o.opinion_n for o in opinions} == {2, 3} and len(opinions) > 15
    counts = [desk.desk.desk.counts.requests for desk in world.desks.values()]
    assert sum(c.confirmed_n + c.overruled_n + c.undecided_n for c in counts) == len(opinions)
    assert [desk_of(o.request_id, 3) for o in opinions] == [
        desk_of(base_id(o.request_id), 3) for o in opinions
    ]
    shard = world.shards[0].shard
    assert world.replayed(0).freeze() == shard.freeze()


@given(st.integers(1, 3), st.integers(1, 4), st.integers(0, 99))
@given_settings(max_examples=4, deadline=None)
def test_a_shard_made_anew_from_its_journal_is_the_one_that_lived(
    partitions_n: int, desks_n: int, seed: int
) -> None:
    world = lived(settings_of(desk_partitions=desks_n), partitions_n, 400, seed=seed)
    for number, owned in world.shards.items():
        found = world.replayed(number)
        assert found.position == owned.shard.position
        assert found.shard.asking.budget.spent_n == owned.shard.shard.asking.budget.spent_n
        assert found.shard.evaluation.estimate_all() == owned.shard.shard.evaluation.estimate_all()
        assert found.shard.window.since(0).ids.tolist() == (
            owned.shard.shard.window.since(0).ids.tolist()
        )


def test_a_saved_shard_goes_on_from_its_snapshot() -> None:
    world = World(settings_of())
    events = events_of(400)
    for start in range(0, 400, 40):
        world.feed(events[start : start + 40])
        world.give(*(answer_to(request) for request in world.requests()[-3:]))
        if start == 160:
            world.save()
            saved = world.cluster.saved
            world.cluster.saved = {}
    world.cluster.saved = saved
    found, lived_on = world.recovered(), world.shards[0].shard
    assert found.cluster.saved[("shard", 0)][0].positions["events"] == 200
    assert found.shards[0].shard.freeze() == lived_on.freeze()
    assert freeze_log(found.log) == freeze_log(world.log)


def test_what_a_desk_says_again_changes_nothing() -> None:
    settings = settings_of()
    world = lived(settings, 1, 400)
    before = freeze_log(world.log)
    entries = world.of(settings.kafka.training)
    repeated = [record for record in entries if record.headers]
    # A desk that starts anew says its last ends again, between those of others.
    for record in repeated[-30:]:
        entries.append(record._replace(offset=len(entries)))
    world.settle()
    assert freeze_log(world.log) == before


def test_two_who_order_retraining_order_it_once() -> None:
    world = lived(settings_of(), 1, 400)
    trainer = world.log.trainer
    [entry] = trainer.order_retraining("drift", 2_000.0)
    jobs_n = trainer.retrainings.jobs_n
    world.say(entry)
    world.say(entry)
    world.settle()
    assert trainer.retrainings.jobs_n == jobs_n + 1
    assert trainer.retrainings.open_job is None
    [verdict] = world.values(world.kafka.training)[-1:]
    assert b"ModelAdopted" in verdict or b"ModelKept" in verdict
    judged = freeze_log(world.log)
    world.send(world.kafka.training, verdict)
    world.settle()
    assert freeze_log(world.log) == judged


def test_every_request_ends_when_its_time_has_come() -> None:
    world = lived(settings_of(desk_partitions=3), 2, 400)
    assert sum(desk.desk.desk.open_n for desk in world.desks.values()) > 0
    world.give(Tick(at=1_000.0 + 400 + world.settings.label.deadline_s + 1.0))
    assert sum(desk.desk.desk.open_n for desk in world.desks.values()) == 0
    for owned in world.shards.values():
        assert owned.shard.shard.asking.open_n == 0


def test_a_desk_folds_its_log_to_the_same_ends_again() -> None:
    settings = settings_of(desk_partitions=2)
    world = lived(settings, 1, 400)
    again = World(settings)
    for n in (0, 1):
        again.of(settings.kafka.desk, n).extend(world.of(settings.kafka.desk, n))
    again.settle()

    def ends(found: World, desk: int) -> list[tuple[bytes, Any]]:
        records = found.of(settings.kafka.training)
        start = f"{desk} ".encode()
        return [
            (record.value, record.headers)
            for record in records
            if record.headers and record.headers[0][1].startswith(start)
        ]

    for n in (0, 1):
        assert ends(again, n) == ends(world, n)
        assert ends(again, n)


def test_workers_that_see_other_events_hold_the_same_model() -> None:
    settings = parse(
        {
            "query": {"budget": {"share": 0.3}, "rounds": {"every_n": 10}},
            "kafka": {"desk_partitions": 1},
        }
    )
    world = World(settings, 2)
    # Neither classes nor features are declared, and the partitions show them in another order.
    for i in range(80):
        here, there = {"a": i / 7 % 1.0, "b": 1.0}, {"b": i / 7 % 1.0, "c": "red"}
        world.feed([Event(id=f"l{i}", at=float(i), features=here)], 0)
        world.feed([Event(id=f"r{i}", at=float(i), features=there)], 1)
        for request in world.requests()[-2:]:
            label = "x" if request.event_id.startswith("l") else "y"
            world.give(
                Answer(request_id=request.request_id, label=label, at=float(i), annotator="a")
            )
    assert world.log.trainer.champion.learned_n > 20
    other = World(settings, 2)
    other.flow.training.is_decider = False
    other.of(settings.kafka.training).extend(world.of(settings.kafka.training))
    other.settle()
    assert freeze_log(other.log) == freeze_log(world.log)
    for number in (0, 1):
        found = world.replayed(number)
        assert found.shard.asking.budget.spent_n > 0


def test_a_label_settles_once_however_often_it_is_answered() -> None:
    settings = settings_of()
    world = World(settings)
    world.feed(events_of(60))
    request = world.requests()[0]
    answer = answer_to(request)
    world.give(answer, answer, answer)
    settled = [v for v in world.values(settings.kafka.training) if b"LabelSettled" in v]
    assert len(settled) == 1
    assert msgspec.json.decode(settled[0], type=LabelSettled).label == answer.label


def test_an_answer_to_nothing_goes_to_rejects() -> None:
    settings = settings_of()
    world = World(settings)
    world.feed(events_of(20))
    world.give(Answer(request_id="nobody", label="high", at=1.0))
    [value] = world.values(settings.kafka.rejects)
    assert b"unknown_request" in value


def test_how_things_are_reached_is_no_part_of_what_a_shard_holds() -> None:
    raw = {"bridges": {"redis": {"idle_s": 60.0}}, "queue": {"batch_max": 7}, "http": {"port": 1}}
    assert share_of(parse(raw), 3, 0) == share_of(parse({}), 3, 0)


def test_the_parts_of_a_budget_do_not_exceed_the_whole() -> None:
    settings = parse({"query": {"budget": {"per_hour": 7.0, "cap": 10}}, "label": {"open_max": 7}})
    parts = [share_of(settings, 3, partition) for partition in range(3)]
    assert [part.query.budget.cap for part in parts] == [0, 0, 0]  # until they claim
    assert sum(part.query.budget.per_hour or 0.0 for part in parts) == pytest.approx(7.0)
    assert sum(part.label.open_max for part in parts) <= 7
    with pytest.raises(BadSettings, match=r"label.open_max is 7; must be at least 11"):
        share_of(settings, 11, 0)


def test_batches_and_every_limit_of_the_budget_are_divided_among_partitions() -> None:
    raw = {
        "query": {
            "ask": "rounds",
            "budget": {"share": 0.2, "per_period": 10, "money": 9.0},
            "workflow": {"kind": "hybrid", "warm_up_n": 20},
        }
    }
    parts = [share_of(parse(raw), 3, partition) for partition in range(3)]
    assert [part.query.budget.per_period for part in parts] == [4, 3, 3]
    # Of money, as of a cap, a shard has what it claims.
    assert [part.query.budget.money for part in parts] == [0.0, 0.0, 0.0]
    assert {(p.query.workflow.batch_n, p.query.workflow.warm_up_n) for p in parts} == {(4, 7)}


def test_a_cap_below_the_number_of_partitions_leaves_some_without_a_label() -> None:
    settings = settings_of(desk_partitions=1)
    budget = msgspec.structs.replace(settings.query.budget, cap=1, reserve=0)
    query = msgspec.structs.replace(settings.query, budget=budget)
    settings = msgspec.structs.replace(settings, query=query)
    asked, log = [], new_log(settings)
    for partition in range(2):
        shard = PartitionShard(settings, partition, 2, log.trainer)
        claim = shard.claim_caps(log.caps)
        assert claim is not None
        assert log.fold(claim)
        shard.hear_entry(claim, log)
        lines = [msgspec.json.encode(event) for event in events_of(200)]
        shard.feed(decoder_of(settings), [record_of(i, line) for i, line in enumerate(lines)], 200)
        outputs = shard.take_step(0, -1).outputs
        asked.append(sum(isinstance(output, LabelRequested) for output in outputs))
    assert asked == [1, 0]


def test_a_request_waits_for_its_response_in_the_state_of_a_shard():
    fields = {
        "decoder": "headrace.decoders:cloudevent",
        "id": "request.id",
        "at": "request.time",
        "batch": "kserve-v1",
        "batch_path": "request.data",
        "predicted": "response.data.predictions",
        "join": {"id": "id"},
    }
    settings = parse({"input": fields, "query": {"budget": {"share": 1.0, "start": 1}}})
    decoder, log = decoder_of(settings), new_log(settings)
    values = [b'{"predictions": ["a", "b"]}', b'{"instances": [{"x": 1}, {"x": 2}]}']
    common = (("ce_id", b"7"), ("ce_time", b"2024-05-01T10:00:00Z"))
    records = [
        record_of(4 + i, value, (*common, ("ce_type", b"a.inference." + role)))
        for i, (value, role) in enumerate(zip(values, (b"response", b"request"), strict=True))
    ]

    whole = PartitionShard(settings, 0, 1, log.trainer)
    whole.feed(decoder, records, 6)
    begun = PartitionShard(settings, 0, 1, log.trainer)
    begun.feed(decoder, records[:1], 5)
    assert begun.take_step(0, -1).outputs == []
    other = PartitionShard(settings, 0, 1, log.trainer)
    other.thaw(begun.freeze(), frozenset(), log.trainer)
    other.seek(5)
    other.feed(decoder, records[1:], 6)
    asked = other.take_step(0, -1).outputs
    assert [one.event_id for one in asked if isinstance(one, LabelRequested)] == ["7/0", "7/1"]
    assert asked == whole.take_step(0, -1).outputs
