"""Gold questions of an engine and of workers: alike at any batching, paid by nobody, erasable."""

from __future__ import annotations

from functools import lru_cache

import msgspec
import pytest

from drivers.kafka.calm import World
from headrace import Answer, Engine, Event, LabelRequested
from headrace.drivers.files.erasing import ConcernedLines
from headrace.messages import (
    ErasureOrdered,
    Input,
    Output,
    QuestionChanged,
    RequestWithdrawn,
)
from headrace.messages.request_ids import gold_ids
from headrace.privacy import Privacy
from headrace.settings import parse
from headrace.state.frozen import freeze
from worlds import encoded

SETTINGS = parse(
    {
        "seed": 3,
        "stream": "gold",
        "model": {"name": "logistic"},
        "schema": {"classes": ["high", "low"]},
        "query": {"budget": {"share": 0.4, "reserve": 0}},
        "label": {"experts": ["eve"], "gold_share": 0.3},
        "drift": {"watch": []},
        "learn": {"retrain_labels_min": 2000},
        "kafka": {"desk_partitions": 3},
    }
)
EVENTS = [
    Event(id=f"e{i}", at=1_000.0 + i, features={"x": (i * 37 % 100) / 100.0}) for i in range(300)
]


def answer(question: LabelRequested, turn: int) -> Answer:
    """Eve answers every fourth; al is right, and bo is not, in two of three."""
    who = ("eve", "al", "bo", "al")[turn % 4]
    is_high = bool(question.features["x"] > 0.5) ^ (who == "bo" and turn % 3 > 0)
    label = "high" if is_high else "low"
    return Answer(request_id=question.request_id, label=label, at=question.at, annotator=who)


@lru_cache
def lived() -> tuple[Engine, list[Input], list[Output]]:
    """Every event and every answer, fed one by one."""
    engine = Engine(settings=SETTINGS)
    inputs: list[Input] = []
    outputs: list[Output] = []
    turn = 0

    def feed(message: Input) -> None:
        nonlocal turn
        inputs.append(message)
        found = engine.feed([message])
        outputs.extend(found)
        for output in found:
            record = output.record if isinstance(output, QuestionChanged) else output
            if isinstance(record, LabelRequested):
                turn += 1
                feed(answer(record, turn))

    for event in EVENTS:
        feed(event)
    return engine, inputs, outputs


def gold_of(outputs: list[Output]) -> list[LabelRequested]:
    changed = [one.record for one in outputs if isinstance(one, QuestionChanged)]
    return [record for record in changed if isinstance(record, LabelRequested)]


def test_people_are_measured_and_the_budget_pays_nothing() -> None:
    engine, _, outputs = lived()
    report, gold = engine.report, gold_of(outputs)
    assert report.answers.gold_questions_n == report.answers.gold_answers_n == len(gold) > 10
    assert engine.shard.asking.budget.spent_n == report.asking.requests_n == report.labels.settled_n
    # What people's time costs is told whole.
    assert report.answers.accepted_n == report.asking.requests_n + len(gold)
    people = {one.name: one for one in report.annotators.most_active}
    assert people["al"].gold_right_n == people["al"].gold_n > 3
    assert 0 < people["bo"].gold_right_n < people["bo"].gold_n
    low, high = people["bo"].gold_between or (0.0, 0.0)
    assert 0.0 < low < people["bo"].gold_right_n / people["bo"].gold_n < high < 1.0
    assert people["eve"].gold_between is None


@pytest.mark.parametrize("size", [37, 10_000])
def test_gold_questions_are_the_same_at_any_batching_and_over_a_restart(size: int) -> None:
    engine, inputs, outputs = lived()
    other, found = Engine(settings=SETTINGS), list[Output]()
    for start in range(0, len(inputs), size):
        found += other.feed(inputs[start : start + size])
        blob = other.snapshot()
        other = Engine(settings=SETTINGS)
        other.restore(blob)
    assert encoded(found) == encoded(outputs)
    assert freeze(other.desk, kind="desk") == freeze(engine.desk, kind="desk")


def test_workers_on_kafka_ask_the_gold_questions_of_the_same_desk() -> None:
    world, turn = World(SETTINGS), 0
    for start in range(0, len(EVENTS), 50):
        world.feed(EVENTS[start : start + 50])
        while turn < len(asked := world.requests()):
            turn += 1
            world.give(answer(asked[turn - 1], turn))
    desks = [one.desk.desk for one in world.desks.values()]
    asked_n = sum(desk.counts.gold.asked_n for desk in desks)
    assert asked_n == sum(desk.counts.gold.answers_n for desk in desks) > 10
    assert sum(desk.counts.answers.unknown_n for desk in desks) == 0
    spent_n = world.shards[0].shard.shard.asking.budget.spent_n
    assert spent_n == len(asked) - asked_n
    measured = [desk.annotators.by_name.get("bo") for desk in desks]
    assert sum(one.gold_n for one in measured if one is not None) > 3


def test_an_erased_event_takes_its_gold_questions_out_of_memory_and_tools() -> None:
    _, inputs, outputs = lived()
    engine = Engine(settings=SETTINGS)
    engine.feed(inputs)
    gold = gold_of(outputs)[0]
    ended = engine.feed([ErasureOrdered(at=engine.now, key="k", event_ids=(gold.event_id,))])
    gone = [one.record for one in ended if isinstance(one, QuestionChanged)]
    assert gold.request_id in [one.request_id for one in gone]
    assert all(isinstance(one, RequestWithdrawn) and not one.event_id for one in gone)
    assert gold.event_id.encode() + b'"' not in engine.snapshot()
    assert not engine.desk.knows(gold.request_id)


def test_lines_about_gold_questions_of_an_erased_event_are_found_in_the_files() -> None:
    _, _, outputs = lived()
    gold = gold_of(outputs)[0]
    order = ErasureOrdered(at=0.0, key="k", event_ids=(gold.event_id,))
    lines = ConcernedLines([order], SETTINGS, Privacy())
    shown = msgspec.structs.replace(gold, event_id="", features={})
    assert lines.of_request(msgspec.json.encode(shown), 0)
    given = {"request_id": gold.request_id, "label": "high", "annotator": "al", "at": 5.0}
    assert lines.of_answer(msgspec.json.encode(given), 0)
    given["request_id"] = gold_ids("0" * 32, 3)[0]
    assert not lines.of_answer(msgspec.json.encode(given), 0)
