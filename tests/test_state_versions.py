"""States that were written earlier are read: those in `tests/states`, one a way of asking.

When a test here fails, the fields of a class that stands in snapshots have changed. Say how an old
state gets the new ones (CONTRIBUTING.md, "a part of the state"), then write the states anew:

    PYTHONPATH=src:tests python tests/test_state_versions.py
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from headrace import Chance, Engine
from headrace.errors import BadInput
from headrace.label.desk import Desk
from headrace.observe.decode import Decoder
from headrace.query.rules import RULES, Arriving, Draw, Rule, make_rule
from headrace.settings import LabelSettings
from headrace.state import codec
from headrace.state.codec import _class_named, decode_state, encode_state
from headrace.state.frozen import FORMAT, _list_versions, freeze, thaw
from headrace.state.names import name_of, present_name
from worlds import ON_ARRIVAL, SMALL, Played, encoded, events_of, played, reference, settings_with

STATES = Path(__file__).parent / "states"
WORLDS = {"arrival": ("committee", True), "rounds": ("naive-bayes", False), "everything": None}
SIGNALS = {
    "error": ("glr", "page_hinkley", "kswin", "ddm", "eddm", "hddm_a", "hddm_w", "fhddm"),
    "confidence": ("adwin", "ks"),
    "expected_accuracy": ("welch",),
    "class_mix": ("psi",),
    "features": ("psi", "ks"),
    "inputs": ("domain_classifier",),
}
RARELY_HELD = {
    "learn.anytime:Bets",
    "learn.parked:Parked",
    "learn.parked:Trial",
    "learn.retrain:RetrainJob",
    "learn.retrainings:OpenJob",
    "observe.drift.glr:Glr",
    "observe.joining:Half",
    "query.budgets.plain:Cap",
    "query.budgets.plain:PerHour",
}


@cache
def run_of(world: str) -> Played:
    asked = WORLDS[world]
    if asked is not None:
        model, is_arrival = asked
        return reference(5, model, 150, is_arrival=is_arrival)
    watch = [
        {"signal": signal, "detector": detector, "level": "warning"}
        for signal, detectors in SIGNALS.items()
        for detector in detectors
    ]
    settings = settings_with(
        seed=5,
        model={"name": "adaptive-tree"},
        input={"join": {"id": "id"}, "id": "request.id", "at": "request.at"},
        query={**ON_ARRIVAL, "budget": {"share": 0.25, "per_hour": 400.0, "cap": 500}},
        drift={**SMALL["drift"], "watch": watch},
        learn={
            **SMALL["learn"],
            "retrain_every_n": 8,
            "retrain_labels_min": 4,
            "adopt_labels_n": 10,
        },
        evaluation={"window_n": 100, "interval": "anytime", "propensity_min": 0.02},
    )
    return played(settings, events_of(5, 900), 5)


def fed(world: str) -> Engine:
    """An engine after the inputs of a world; after a model was parked, amid the next retraining."""
    run = run_of(world)
    engine = Engine(settings=run.settings)
    if WORLDS[world] is not None:
        engine.feed(run.inputs)
        return engine
    half = b'{"id": "e", "type": "request"}'
    Decoder(run.settings.input).decode([half], halves=engine.shard.admission.halves)
    for message in run.inputs:
        engine.feed([message])
        if engine.open_job is not None and held(engine.snapshot()) >= RARELY_HELD:
            break
    return engine


def held(blob: bytes) -> set[str]:
    return {present_name(name) for name, _ in fields_of(blob)}


def parts_of(blob: bytes) -> tuple[dict[str, Any], bytes]:
    size = 12 + int.from_bytes(blob[8:12], "big")
    return msgspec.json.decode(blob[12:size]), blob[size:]


def stored(world: str) -> bytes:
    """The stored state as if today's river and numpy had written the models in it."""
    blob = (STATES / f"{world}.hr").read_bytes()
    header, body = parts_of(blob)
    text = msgspec.json.encode(header | _list_versions())
    return blob[:8] + len(text).to_bytes(4, "big") + text + body


def fields_of(blob: bytes) -> dict[tuple[str, int], set[str]]:
    """The fields of every class in a state, by its present name and its version."""
    header, body = parts_of(blob)
    shapes, _ = msgspec.msgpack.decode(body[: header["data"]])
    fields: dict[tuple[str, int], set[str]] = {}
    for name, version, names in shapes:
        fields.setdefault((present_name(name), version), set()).update(names)
    return fields


def with_default(name: str) -> set[str]:
    """The fields that an old state may lack, as a setting that is new: those of a struct."""
    kind = _class_named(name)
    if not issubclass(kind, msgspec.Struct):
        return set()
    return {field.name for field in msgspec.structs.fields(kind) if not field.required}


def test_a_setting_that_is_new_has_its_default_in_an_old_state():
    data, _ = encode_state(LabelSettings(deadline_s=7.0))
    shapes, (kind, number, *values) = msgspec.msgpack.decode(data)
    [[name, version, fields]] = shapes
    assert name == "settings.label:LabelSettings" and "answers_wanted" in fields
    lacking = [i for i, field in enumerate(fields) if field != "answers_wanted"]
    old = (
        [[name, version, [fields[i] for i in lacking]]],
        [kind, number, *(values[i] for i in lacking)],
    )
    assert decode_state(msgspec.msgpack.encode(old), []) == LabelSettings(deadline_s=7.0)


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("settings_kafka:WorkerSettings", "settings.kafka:WorkerSettings"),
        ("settings:LabelSettings", "settings.label:LabelSettings"),
        ("settings:Settings", "settings.sections:Settings"),
        ("messages:Answer", "messages.inputs:Answer"),
        ("messages:Reason", "messages.rejected:Reason"),
        ("messages_rejected:Reason", "messages.rejected:Reason"),
        ("label.desk:Counts", "label.counts:Counts"),
        ("learn.trainer:OpenJob", "learn.retrainings:OpenJob"),
        ("scoring_model:ScoringModel", "learn.scoring_model:ScoringModel"),
        ("shard:Shard", "shard.shard:Shard"),
        ("query.budgets:Share", "query.budgets.plain:Share"),
        ("query.budgets:Reserve", "query.budgets.reserve:Reserve"),
        ("query.budgets:Budget", "query.budgets.budget:Budget"),
    ],
)
def test_a_class_that_moved_is_found_by_its_name_of_then(then: str, now: str):
    assert name_of(_class_named(then)) == now


@pytest.mark.parametrize("world", WORLDS)
def test_fields_change_only_with_the_version_of_their_class(world: str):
    then, now = fields_of(stored(world)), fields_of(fed(world).snapshot())
    assert len(then) > 40
    changed = {
        name: different
        for (name, version), fields in now.items()
        if (name, version) in then
        and (different := (then[name, version] ^ fields) - with_default(name))
    }
    assert not changed, f"see the top of {__file__}"


@pytest.mark.parametrize("world", WORLDS)
def test_a_stored_state_is_read_and_the_engine_goes_on(world: str):
    run = run_of(world)
    engine = Engine(settings=run.settings)
    engine.restore(stored(world))
    assert engine.report.events.observed_n > 100
    assert engine.trainer.has_learned
    events = [
        msgspec.structs.replace(event, id=f"later {i}", at=engine.now + 1.0 + i)
        for i, event in enumerate(events_of(6, 80))
    ]
    outputs = engine.feed(events)
    assert outputs
    # What was read is also what is written: the engine after it goes on alike.
    twin = Engine(settings=run.settings)
    twin.restore(stored(world))
    again = Engine(settings=run.settings)
    again.restore(twin.snapshot())
    assert encoded(again.feed(events)) == encoded(outputs)


@pytest.mark.parametrize("world", WORLDS)
def test_a_state_is_encoded_in_one_go(world: str, monkeypatch: pytest.MonkeyPatch):
    """Numbers beyond 64 bits have everything encoded a second time, more slowly."""
    engine, tries = fed(world), list[object]()
    write = codec._write_state
    monkeypatch.setattr(codec, "_write_state", lambda *of: (tries.append(of), write(*of))[1])
    engine.snapshot()
    assert len(tries) == 1


def test_a_state_of_the_version_before_is_brought_to_the_present_one(
    monkeypatch: pytest.MonkeyPatch,
):
    """As if this version had given desks a field."""

    def upgraded_desk(fields: dict[str, Any], version: int) -> dict[str, Any]:
        assert version == 2
        return fields | {"hints_n": 0}

    engine = Engine(settings=run_of("rounds").settings)
    monkeypatch.setattr(Desk, "STATE_VERSION", 3)
    monkeypatch.delattr(Desk, "upgrade_state")
    with pytest.raises(BadInput, match=r"label.desk:Desk of version 2 can't be brought"):
        engine.restore(stored("rounds"))
    monkeypatch.setattr(Desk, "upgrade_state", staticmethod(upgraded_desk), raising=False)
    engine.restore(stored("rounds"))
    assert engine.desk.hints_n == 0  # type: ignore[attr-defined]  # this test's own
    newer = engine.snapshot()
    assert ("label.desk:Desk", 3) in fields_of(newer)
    monkeypatch.undo()
    with pytest.raises(
        BadInput, match=r"label\.desk:Desk is of version 3, this Headrace knows up to"
    ):
        engine.restore(newer)


def test_what_is_seldom_held_is_in_a_stored_state_too():
    assert held(stored("everything")) >= RARELY_HELD


def test_the_stored_states_are_of_the_present_format():
    for world in WORLDS:
        assert parts_of((STATES / f"{world}.hr").read_bytes())[0]["format"] == FORMAT


# ------------------------------------------------------------------------ rules on arrival


def led(rules: list[Rule], start: int, stop: int) -> list[float]:
    """What these rules say of some events, one after the other."""
    chance, said = Chance(1), []
    for i in range(start, stop):
        key = chance.key(f"e{i}")
        p, x, luck = (chance.uniform_of_key(purpose, key) for purpose in ("p", "x", "luck"))
        shares, row = np.array([p, 1.0 - p]), np.array([x, float(i % 3)])
        event = Arriving(
            min(p, 1.0 - p), shares, row, np.array([False, True]), 0.2, np.stack([shares] * 2)
        )
        for rule in rules:
            said.append(rule.chance(event))
            rule.passed(event, Draw(luck, luck < said[-1], luck < said[-1]))
    return said


def rules_blob() -> bytes:
    rules = [make_rule(name, {}) for name in RULES]
    led(rules, 0, 60)
    return freeze(rules, kind="rules")


def test_a_stored_rule_is_read_and_goes_on():
    then = (STATES / "rules.hr").read_bytes()
    assert fields_of(then) == fields_of(rules_blob()), f"see the top of {__file__}"
    rules = thaw(then, kind="rules")
    assert [type(rule) for rule in rules] == [type(make_rule(name, {})) for name in RULES]
    fresh = [make_rule(name, {}) for name in RULES]
    led(fresh, 0, 60)
    assert led(rules, 60, 120) == led(fresh, 60, 120)


if __name__ == "__main__":
    STATES.mkdir(exist_ok=True)
    (STATES / "rules.hr").write_bytes(rules_blob())
    for name in WORLDS:
        (STATES / f"{name}.hr").write_bytes(fed(name).snapshot())
