"""Batching is transport, not meaning: any split of the inputs gives the same bits."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace import Answer, Engine, Event, LabelRequested
from headrace.messages import Input
from headrace.observe.decode import batch_of
from headrace.settings import parse
from worlds import Played, digest, encoded, reference

MODELS = ("logistic", "naive-bayes", "tree")
SEEDS = {"logistic": 1, "naive-bayes": 2, "tree": 3}
"""One world a model: to play a world takes longer than to split it once."""
TESTS = Path(__file__).parents[1]
RESTORED_N = 12
"""Pieces after which an engine may be restored, once round the longest list: it costs the most."""


@st.composite
def ways(draw: st.DrawFn) -> tuple[str, bool, list[tuple[int, bool, bool]]]:
    """A model with its world, asked on arrival or in rounds, and how it is fed: pieces of so many
    inputs, as columns or not, restored or not."""
    pieces = st.tuples(st.integers(1, 90), st.booleans(), st.booleans())
    return (
        draw(st.sampled_from(MODELS)),
        draw(st.booleans()),
        draw(st.lists(pieces, min_size=1, max_size=12)),
    )


@given(ways())
@settings(max_examples=25, deadline=None)
def test_any_split_through_any_snapshots_gives_the_same_bits(
    way: tuple[str, bool, list[tuple[int, bool, bool]]],
) -> None:
    model, is_arrival, pieces = way
    run = reference(SEEDS[model], model, 140, is_arrival=is_arrival)
    engine = Engine(settings=run.settings)
    outputs, start, turn = [], 0, 0
    while start < len(run.inputs):
        size, is_columnar, is_restored = pieces[turn % len(pieces)]
        inputs = list(run.inputs[start : start + size])
        outputs += engine.feed(as_columns(inputs) if is_columnar else inputs)
        if is_restored and turn < RESTORED_N:
            blob = engine.snapshot()
            engine = Engine(settings=run.settings)
            engine.restore(blob)
        start, turn = start + size, turn + 1
    assert encoded(outputs) == encoded(run.outputs)
    assert msgspec.json.encode(engine.report) == run.report


def as_columns(inputs: list[Input]) -> list[Input]:
    """The same inputs with each stretch of events as one `EventBatch`."""
    found: list[Input] = []
    stretch: list[Event] = []
    for message in inputs:
        if isinstance(message, Event):
            stretch.append(message)
            continue
        found += [batch_of(stretch)] if stretch else []
        stretch = []
        found.append(message)
    return found + ([batch_of(stretch)] if stretch else [])


def short_world(is_arrival: bool) -> Played:
    return reference(4, "adaptive-tree", 140, is_arrival=is_arrival)


def long_world(is_arrival: bool) -> Played:
    """One with every reason to ask and every output in it, a drift and an adopted model too."""
    return reference(1, "logistic", 320, is_arrival=is_arrival)


@pytest.mark.parametrize("is_arrival", [False, True])
@pytest.mark.parametrize("chunk", [1, 3, 7, 64, 10_000])
@pytest.mark.default_n(3)
def test_fixed_chunks_give_the_same_bits_with_a_snapshot_after_each(
    chunk: int, is_arrival: bool
) -> None:
    # Small chunks mean many snapshots, so they get the shorter world.
    run = short_world(is_arrival) if chunk < 64 else long_world(is_arrival)
    engine, outputs = Engine(settings=run.settings), []
    for start in range(0, len(run.inputs), chunk):
        outputs += engine.feed(run.inputs[start : start + chunk])
        if chunk > 1:
            engine.restore(engine.snapshot())
    assert encoded(outputs) == encoded(run.outputs)
    assert msgspec.json.encode(engine.report) == run.report


@pytest.mark.parametrize("chunk", [64, 10_000])
def test_a_class_that_an_answer_brings_is_named_alike_at_any_batching(chunk: int) -> None:
    """A round asks about an event that was served before anybody knew the class."""
    run = reference(6, "adaptive-tree", 320)
    engine, outputs = Engine(settings=run.settings), []
    for start in range(0, len(run.inputs), chunk):
        outputs += engine.feed(run.inputs[start : start + chunk])
    assert encoded(outputs) == encoded(run.outputs)
    served = [output.served for output in outputs if isinstance(output, LabelRequested)]
    assert len({len(named) for named in served if named}) > 1


def served_event(name: str, at: float, **probabilities: float) -> Event:
    return Event(id=name, at=at, features={"x": at % 3}, probabilities=probabilities)


@pytest.mark.parametrize("size", [1, 100])
def test_a_class_that_a_deadline_brings_is_judged_within_a_batch(size: int) -> None:
    engine = Engine(
        settings=parse(
            {
                "model": {"name": "naive-bayes"},
                "schema": {"classes": ["p", "q"]},
                "query": {"budget": {"share": 1.0, "start": 5}, "cold_start": {"per_class_n": 5}},
                "label": {"deadline_s": 10.0, "answers_wanted": 2, "answers_max": 3},
                "evaluation": {"judged": "served"},
            }
        )
    )
    events = [served_event(str(i), 1_000.0 + i, p=0.4, q=0.6) for i in range(40)]
    asked = [one for one in engine.feed(events[:4]) if isinstance(one, LabelRequested)]
    engine.feed(
        Answer(request_id=one.request_id, label="third", at=one.at, annotator="al") for one in asked
    )
    for start in range(4, 40, size):
        engine.feed(events[start : start + size])
    assert asked and list(engine.shard.schema.classes) == ["p", "q", "third"]
    assert engine.report.events.observed_n == 40


@pytest.mark.parametrize("size", [1, 3])
def test_classes_new_in_one_event_have_the_order_of_their_names(size: int) -> None:
    """The one before, whose id is known, names one of them in the batch first."""
    engine = Engine(settings=parse({"model": {"name": "naive-bayes"}}))
    events = [
        served_event("a", 1.0, q=1.0),
        served_event("a", 2.0, bb=1.0),
        served_event("c", 3.0, aa=0.6, bb=0.4),
    ]
    for start in range(0, 3, size):
        engine.feed(events[start : start + size])
    assert list(engine.shard.schema.classes) == ["q", "aa", "bb"]


def test_the_long_worlds_have_every_reason_to_ask_in_them() -> None:
    reasons = {
        is_arrival: {
            output.reason
            for output in long_world(is_arrival).outputs
            if isinstance(output, LabelRequested)
        }
        for is_arrival in (False, True)
    }
    assert reasons[False] >= {"control", "cold start", "round", "ordered"}
    assert reasons[True] >= {"control", "doubt", "cold start", "ordered"}
    assert "doubt" not in reasons[False] and "round" not in reasons[True]


def test_the_long_world_has_every_output_in_it() -> None:
    kinds = Counter(type(output).__name__ for output in long_world(False).outputs)
    assert {
        "LabelRequested",
        "LabelSettled",
        "LabelDisputed",
        "RequestExpired",
        "RoundOpened",
        "RoundClosed",
        "RetrainRequested",
        "ModelAdopted",
        "ModelKept",
        "DriftChanged",
        "InputRejected",
    } <= kinds.keys()


def test_two_processes_with_other_hash_seeds_give_the_same_bits() -> None:
    names = [*MODELS, "forest"]
    # This process has a seed of its own: a random one, or that of its environment.
    hash_seed = "0" if os.environ.get("PYTHONHASHSEED") == "4242" else "4242"
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, str(TESTS / "worlds.py"), *names]
    run = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=120)
    assert run.stdout.decode().splitlines() == [f"{name} {digest(name)}" for name in names]
