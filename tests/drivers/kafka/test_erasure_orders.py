"""Orders to erase on Kafka: what is one, what a desk does at it, what is saved afterwards."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from headrace.drivers.kafka.states import States
from headrace.flow import wire
from headrace.flow.desks import ERASURES_MAX, PartitionDesk
from headrace.flow.effects import Part, Saving
from headrace.flow.order_outcomes import combine_erasures, find_labelled_requests
from headrace.flow.orders import ORDER_KEY, order_of
from headrace.flow.output_router import OutputRouter
from headrace.flow.saving import freeze_log
from headrace.flow.shards import answers_decoder_of
from headrace.flow.training import new_log
from headrace.learn.training_log import NOWHERE, Origin
from headrace.messages import (
    Answer,
    ErasureOrdered,
    InputRejected,
    LabelRequested,
    LabelSettled,
    QuestionChanged,
    RequestWithdrawn,
    Tick,
)
from headrace.privacy.erasing import REASON
from headrace.privacy.subject import Subject, digest_of
from headrace.query.requests import request_id
from headrace.settings import Settings, parse
from headrace.state import frozen

SALT = "5a" * 16
ADA = ErasureOrdered(
    at=50.0, key="ada", field="who", values=(digest_of("Ada", SALT),), salt=SALT, by="ann"
)


def settings() -> Settings:
    return parse({"stream": "s", "kafka": {"desk_partitions": 3}, "schema": {"classes": ["a"]}})


def asked(event_id: str, who: str = "Ada", event_at: float = 10.0, **more: Any) -> LabelRequested:
    fields: dict[str, Any] = {
        "request_id": request_id("s", event_id),
        "event_id": event_id,
        "at": event_at,
        "event_at": event_at,
        "deadline": 1e6,
        "features": {"who": who},
        "reason": "round",
        "strategy": "margin",
        "utility": 0.9,
        "threshold": 0.5,
        "propensity": 0.3,
        "model_version": 0,
        "prediction": {},
        "round_n": 0,
        "seq": 0,
    }
    return LabelRequested(**fields | more)


def desk_with(*entries: Any, partition: int = 1) -> PartitionDesk:
    desk = PartitionDesk(settings(), partition)
    for entry in entries:
        desk.fold(entry, 20.0, desk.position)
    return desk


def said_of(desk: PartitionDesk, entry: Any) -> list[Any]:
    return [said.output for said in desk.fold(entry, 60.0, desk.position)]


def read(order: Any) -> Any:
    value = msgspec.json.encode(order)
    record = SimpleNamespace(key=ORDER_KEY, value=value, offset=7, timestamp=12_000, headers=())
    return order_of(value, record, Part("answers", 0), 4)


# ---------------------------------------------------------------------------------- what is one


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"event_ids": ("e1",)}, "names somebody in clear"),
        ({"salt": ""}, "names somebody in clear"),
        ({"values": ()}, "names nobody"),
        ({"before": 3.0}, "it is for a run"),
        ({"salt": "no hex"}, "its salt must be"),
        ({"salt": "5a" * 40}, "its salt must be"),
        ({"by": "x" * 201}, "by must be a text"),
        ({"field": "a\nb"}, "field must be a text"),
    ],
)
def test_an_order_that_names_in_clear_or_nobody_is_refused(
    changed: dict[str, Any], told: str
) -> None:
    found = read(msgspec.structs.replace(ADA, **changed))
    assert isinstance(found, InputRejected) and found.reason == "bad_order"
    assert told in found.detail


def test_an_order_reaches_every_desk_and_says_how_many_shards_answer() -> None:
    assert read(ADA) == msgspec.structs.replace(ADA, shards_n=4)
    kafka, value = settings().kafka, msgspec.json.encode(ADA)
    record = SimpleNamespace(key=ORDER_KEY, value=value, offset=7, timestamp=12_000, headers=())
    records = OutputRouter(kafka, shards_n=2).route_answer(
        answers_decoder_of(settings()), Part(kafka.answers, 0), record, 1.0
    )
    assert [(record.topic, record.partition) for record in records] == [
        (kafka.desk, n) for n in range(3)
    ]
    assert not any(b"Ada" in record.value for record in records)


def test_digests_are_compared_with_texts_as_the_log_spells_them() -> None:
    order = msgspec.structs.replace(ADA, field="n", values=(digest_of("7", SALT),))
    assert Subject(order).names_event("e", None, {"n": 7.0}) and not Subject(order).names_event(
        "e", "7", {}
    )
    keyed = msgspec.structs.replace(order, field="key")
    assert Subject(keyed).names_event("e", "7", {}) and not Subject(keyed).names_event(
        "e", None, {"n": 7}
    )
    assert digest_of("7", SALT) != digest_of("7", "00" * 16)


# -------------------------------------------------------------------------------------- the desk


def test_a_desk_forgets_open_and_ended_requests_and_tells_all_who_may_have_them() -> None:
    open_one, ended, other = asked("e1"), asked("e2"), asked("e3", "Bob")
    answer = Answer(request_id=ended.request_id, label="a", at=15.0)
    desk = desk_with(open_one, ended, other, answer)
    *withdrawn, moot, passed_on = said_of(desk, ADA)
    assert [(one.request_id, one.reason) for one in withdrawn] == [(open_one.request_id, REASON)]
    assert isinstance(moot, QuestionChanged) and isinstance(moot.record, RequestWithdrawn)
    assert (moot.record.request_id, moot.record.event_id) == (ended.request_id, "")
    assert desk.desk.list_requests() == [other] and b"Ada" not in desk.freeze()
    assert passed_on.desk == 1 and passed_on.at == 60.0 and passed_on.is_learned
    assert passed_on.request_ids == tuple(sorted((open_one.request_id, ended.request_id)))
    assert passed_on.erased == {"open requests": 1, "ended requests": 1}
    assert said_of(desk, answer)[0].reason == "unknown_request"


def test_an_order_that_is_read_twice_is_carried_out_once() -> None:
    desk = desk_with(asked("e1"), ADA)
    before = desk.freeze()
    later = asked("e9", event_at=55.0)
    assert said_of(desk, later) == [] and desk.desk.open_n == 1
    assert said_of(desk, ADA) == [] and desk.desk.open_n == 1, "what came since is not covered"
    assert desk.erasures_n == 1 and before != desk.freeze()


def test_a_request_that_was_on_its_way_ends_at_once() -> None:
    desk = desk_with(ADA)
    [withdrawn] = said_of(desk, asked("e1", event_at=49.0))
    assert (withdrawn.reason, desk.desk.open_n) == (REASON, 0)
    assert b"Ada" not in desk.freeze()
    assert said_of(desk, asked("e2", "Bob", event_at=49.0)) == []
    by_id = msgspec.structs.replace(
        ADA, key="ids", values=(), salt="", request_ids=(request_id("s", "e3"),)
    )
    said_of(desk, by_id)
    [withdrawn] = said_of(desk, asked("e3", "Bob", event_at=49.0))
    assert withdrawn.request_id == request_id("s", "e3")


def test_a_desk_goes_on_from_its_state_and_from_one_of_before_erasures() -> None:
    desk = desk_with(asked("e1"), ADA)
    again = PartitionDesk(settings(), 1)
    again.thaw(desk.freeze(), desk.position)
    assert again.freeze() == desk.freeze() and again.erasures_n == 1
    assert [one.reason for one in said_of(again, asked("e4", event_at=3.0))] == [REASON]
    old = PartitionDesk(settings(), 1)
    old.thaw(frozen.freeze(desk_with(asked("e1")).state[:3], kind="desk"), 1)
    assert (old.desk.open_n, old.erasures_n) == (1, 0)


def test_a_desk_remembers_so_many_orders_at_most() -> None:
    desk = desk_with()
    for n in range(ERASURES_MAX + 5):
        desk.fold(msgspec.structs.replace(ADA, key=f"k{n}"), 60.0, desk.position)
    assert len(desk.state[4]) == ERASURES_MAX and desk.erasures_n == ERASURES_MAX + 5


# ------------------------------------------------------------------------------ the training log


def settled(event_id: str, who: str = "Ada", key: str | None = None) -> LabelSettled:
    return LabelSettled(
        request_id=request_id("s", event_id),
        event_id=event_id,
        at=20.0,
        event_at=10.0,
        label="a",
        features={"who": who, "x": float(len(event_id))},
        prediction={},
        reason="control",
        seq=0,
        answers_n=1,
        agreement=1.0,
        key=key,
    )


def test_each_desks_order_counts_once_and_the_model_is_made_anew() -> None:
    log = new_log(settings())
    for n, entry in enumerate((settled("e1"), settled("e2", "Bob"), settled("e33", "Ada"))):
        log.fold(entry, Origin(0, (n, 0), NOWHERE))
    assert b"Ada" in freeze_log(log)
    order = msgspec.structs.replace(ADA, desk=0)
    assert log.fold(order, Origin(0, (9, 0), (2, 0))) == order
    assert log.erased is not None and log.erased.erased["examples"] == 2 and log.erased.is_refitted
    assert b"Ada" not in freeze_log(log)
    assert [x.id for x in log.trainer.memory.examples()] == [request_id("s", "e2")]
    version = log.trainer.version
    assert log.fold(order, Origin(0, (11, 0), (9, 0))) is None
    assert log.fold(msgspec.structs.replace(ADA, desk=1), Origin(1, (5, 0), NOWHERE)) is not None
    assert (log.trainer.version, log.erasures_n) == (version + 1, 2)
    assert not log.erased.erased, "the second desk's order found nothing more"


def test_who_orders_finds_the_labels_that_are_not_erased_yet() -> None:
    entries = [settled("e1", key="k"), settled("e2", key="other"), settled("e3", key="k")]
    gone = msgspec.structs.replace(ADA, request_ids=(request_id("s", "e1"),))
    records = [
        SimpleNamespace(offset=n, value=wire.value_of(one), headers=(), key=None)
        for n, one in enumerate((*entries, gone))
    ]
    routine = find_labelled_requests(Part("training", 0), lambda label: label.key == "k")
    result: Any = None
    while True:
        try:
            request = routine.send(result)
        except StopIteration as ended:
            assert ended.value == {request_id("s", "e3")}
            return
        is_look = type(request).__name__ == "Look"
        bounds = {Part("training", 0): SimpleNamespace(first=0, end=4)}
        result = bounds if is_look else (records[request.start :], 4)


def test_an_erasure_is_over_when_all_desks_and_shards_say_so() -> None:
    over = {"state": "erased", "erased": {"window": 2}, "is_refitted": False, "stops": {0: 9, 1: 5}}
    last = {"state": "erased", "erased": {"window": 1}, "is_refitted": True, "stops": {0: 8, 1: 7}}
    assert combine_erasures([None, None]) is None
    assert combine_erasures([over, None]) == {"state": "ordered"}
    assert combine_erasures([over, {"state": "ordered"}]) == {"state": "ordered"}
    assert combine_erasures([over, last]) == {
        "state": "erased",
        "erased": {"window": 3},
        "is_refitted": True,
        "stops": {0: 8, 1: 5},
    }


# ------------------------------------------------------------------------------------ snapshots


@pytest.mark.parametrize("place", ["folder", "memory://erased-states"])
def test_what_was_saved_before_an_order_goes_with_what_is_saved_after_it(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_SNAPSHOT_KEY", "k" * 32)
    folder = str(tmp_path / "snapshots") if place == "folder" else place
    own = parse({"stream": "s", "worker": {"snapshots": folder, "snapshots_kept": 5}})
    store = States(own, lambda sentence: None)._open_store("desk-0")

    def save(states: States, position: int, text: bytes, erasures_n: int) -> None:
        states.write(Saving("desk", 0, text, {"desk": position}, erasures_n=erasures_n))

    states = States(own, lambda sentence: None)
    save(states, 3, b"Ada", 0)
    save(states, 5, b"Ada", 0)
    assert store.newest_seq() == 5
    # Nothing came in since: it has the number of the one before, and takes its place.
    save(states, 5, b"nobody", 1)
    assert [store.read_latest().blob, len(store._folder.list_names())] == [b"nobody", 1]
    save(states, 8, b"nobody", 1)
    save(states, 9, b"Ada", 1)
    assert len(store._folder.list_names()) == 3, "snapshots are kept as ever"
    # Killed before it removed them: whoever saves next does.
    save(States(own, lambda sentence: None), 12, b"nobody", 1)
    assert [store.read_latest().blob, len(store._folder.list_names())] == [b"nobody", 1]


def test_a_late_write_is_removed_by_the_next_and_takes_no_newer_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_SNAPSHOT_KEY", "k" * 32)
    worker = {"snapshots": str(tmp_path / "snapshots"), "snapshots_kept": 5}
    own = parse({"stream": "s", "worker": worker})
    owner, late = (States(own, lambda sentence: None) for _ in range(2))

    def save(states: States, journal: int, text: bytes, erasures_n: int) -> None:
        # No event comes: steps of labels and orders alone.
        places: dict[str, int | str] = {"events": 7, "training": 2 * journal, "journal": journal}
        states.write(Saving("shard", 0, text, places, erasures_n=erasures_n))

    def saved() -> list[bytes]:
        paths = sorted((tmp_path / "snapshots").glob("*shard-0/*.hr"))
        return [next(t for t in (b"Ada", b"nobody") if t in path.read_bytes()) for path in paths]

    save(owner, 3, b"Ada", 0)
    save(owner, 5, b"nobody", 1)
    # Thought dead, it ends a write that it began before the order.
    save(late, 3, b"Ada", 0)
    assert saved() == [b"Ada", b"nobody"]
    save(owner, 6, b"nobody", 1)
    assert saved() == [b"nobody", b"nobody"]


# ---------------------------------------------------------------------------------- by its age


def aged_desk(*entries: Any) -> PartitionDesk:
    """A desk that keeps nothing for more than a day, in steps of 8,640 s."""
    kept = msgspec.structs.replace(settings().retention, days=1)
    desk = PartitionDesk(msgspec.structs.replace(settings(), retention=kept), 1)
    for entry in entries:
        desk.fold(entry, 20.0, desk.position)
    return desk


def test_a_desk_forgets_what_is_too_old_once_in_a_step_and_has_all_forget_it() -> None:
    old, young = asked("e1"), asked("e2", event_at=90_000.0)
    desk = aged_desk(old, young)
    tick = Tick(at=10 * 8_640.0)
    withdrawn, order = (said.output for said in desk.fold(tick, tick.at, desk.position))
    assert (withdrawn.request_id, withdrawn.reason) == (old.request_id, "retention")
    assert (order.before, order.examples_before, order.desk) == (8_640.0, 8_640.0, 1)
    assert order.erased == {"open requests": 1} and desk.desk.list_requests() == [young]
    assert desk.fold(tick, tick.at + 1.0, desk.position) == []
    assert desk.erasures_n == 1, "what was saved before is to go"


def test_the_clock_of_a_desk_brings_the_next_step_and_its_first() -> None:
    desk = aged_desk()
    assert desk.tick_if_due(50.0) == Tick(at=50.0), "it begins without any request"
    desk.fold(Tick(at=50.0), 50.0, 0)
    assert desk.next_deadline == 8_640.0 and desk.tick_if_due(8_639.0) is None
    assert desk.tick_if_due(8_641.0) == Tick(at=8_641.0)
    never = PartitionDesk(settings(), 1)
    assert never.next_deadline is None and never.tick_if_due(1e9) is None


def test_a_trainer_forgets_old_examples_as_one_entry_of_its_log() -> None:
    log = new_log(settings())
    for n, at in enumerate((10.0, 20.0, 30.0)):
        label = msgspec.structs.replace(settled(f"e{n}"), event_at=at, at=at)
        log.fold(label, Origin(0, (n, 0), NOWHERE if n == 0 else (n - 1, 0)), None)
    version = log.trainer.version
    order = ErasureOrdered(at=99.0, key="retention 1", before=15.0, examples_before=25.0)
    log.fold(order, Origin(0, (3, 0), (2, 0)), None)
    assert [x.at for x in log.trainer.memory.examples()] == [30.0]
    assert log.trainer.version == version + 1
    assert log.erased is not None and log.erased.erased["examples"] == 2
