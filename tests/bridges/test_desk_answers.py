"""No answer at the desk is lost, counted twice or kept against the will of who gave it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from bridges.requests import request
from headrace.adapters.sealing import Sealer
from headrace.bridges.bridge import Delivery
from headrace.bridges.desk.features import Usual
from headrace.bridges.desk.notes import DeskNote
from headrace.bridges.desk.store import UNDO_S, DeskStore
from headrace.errors import BadInput


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[DeskStore]:
    path = tmp_path / "desk.sqlite"
    with closing(DeskStore(path, lease_s=60.0, clock=clock, outlives_power=False)) as opened:
        opened.take_deliveries([Delivery(name, request(name)) for name in ("r1", "r2")])
        yield opened


def labels_of(store: DeskStore, mark: str = "") -> list[tuple[str, str, str | None]]:
    replies = store.read_replies(mark).replies
    return [(one.request_id, one.annotator, one.label) for one in replies]


def test_a_clock_that_is_set_back_loses_no_answer(store, clock):
    store.add_answer("ann", "r1", "spam")
    clock.now += 1.0
    mark = store.read_replies("").mark
    clock.now -= 3.0
    store.add_answer("bob", "r2", "ham")
    clock.now += UNDO_S + 1.0  # Ann's answer is 4 seconds old by this clock, Bob's is 6.
    assert labels_of(store, mark) == []
    clock.now += UNDO_S
    assert labels_of(store, mark) == [("r1", "ann", "spam"), ("r2", "bob", "ham")]


def test_an_answer_from_the_future_waits_for_no_clock(store, clock):
    store.add_answer("ann", "r1", "spam")
    clock.now -= 86_400.0
    assert labels_of(store) == [("r1", "ann", "spam")]


def test_a_correction_is_later_than_what_it_corrects_by_any_clock(store, clock):
    before = store.add_answer("ann", "r1", "spam")
    clock.now -= 60.0
    assert store.add_answer("ann", "r1", "ham") > before


def test_an_answer_that_is_sent_again_is_the_same_answer(store, clock):
    # The reply to the first call was lost, and the page calls again.
    first = store.add_answer("ann", "r1", "spam", note="odd", took_s=4.0)
    clock.now += 1.0
    assert store.add_answer("ann", "r1", "spam", note="odd", took_s=4.0) == first
    assert store.count_questions("ann")["answered_n"] == 1
    clock.now += 1.0
    assert store.undo_answer("ann") == "r1"
    clock.now += UNDO_S
    assert labels_of(store) == []
    # It is no longer there, so the same label is an answer again.
    assert store.add_answer("ann", "r1", "spam") == clock.now


def test_who_corrects_an_answer_at_once_takes_back_both(store, clock):
    store.add_answer("ann", "r1", "spam")
    clock.now += 0.1
    store.add_answer("ann", "r1", "ham")
    assert store.undo_answer("ann") == "r1"
    store.pass_on("ann", "r1")
    clock.now += UNDO_S
    assert labels_of(store) == []


def test_a_question_that_is_over_is_shown_again_to_who_corrects_it_alone(store, clock):
    store.add_answer("ann", "r1", "spam")
    clock.now += UNDO_S
    assert labels_of(store) == [("r1", "ann", "spam")]
    store.take_deliveries([Delivery("r1", None, "withdrawn"), Delivery("r2", None, "withdrawn")])
    assert store.undo_answer("ann") == "r1"
    assert store.lease_next("ann").request.request_id == "r1"
    store.pass_on("ann", "r1")
    assert store.lease_next("bob") is None
    assert store.count_questions("ann")["open_n"] == 0


def test_a_file_with_fewer_answers_than_were_read_is_refused(store, clock, tmp_path):
    for name in ("r1", "r2"):
        store.add_answer("ann", name, "spam")
    clock.now += UNDO_S
    mark = store.read_replies("").mark
    with (
        closing(DeskStore(tmp_path / "new.sqlite", lease_s=60.0, clock=clock)) as new,
        pytest.raises(BadInput, match=r"new\.sqlite has 0 answers, and 2 were read of it; put it"),
    ):
        new.read_replies(mark)


def test_who_skips_a_question_takes_back_an_answer_to_it(store, clock):
    # It arrived, but the page did not hear of it; or the page has shown it again on `u`.
    store.add_answer("ann", "r1", "spam")
    store.pass_on("ann", "r1")
    assert {store.lease_next(one).request.request_id for one in ("bob", "cyd")} == {"r1", "r2"}
    clock.now += UNDO_S
    assert labels_of(store) == []
    store.add_answer("ann", "r1", "spam", note="odd")
    clock.now += UNDO_S
    receipt = store.read_replies("")
    assert [one.label for one in receipt.replies] == ["spam"]
    assert store.undo_answer("ann") == "r1"
    store.pass_on("ann", "r1")
    store.pass_on("ann", "r1")
    clock.now += UNDO_S
    assert labels_of(store, receipt.mark) == [("r1", "ann", None)]


def test_a_class_keeps_its_place_when_its_first_answer_is_corrected(store, clock):
    store.take_deliveries([Delivery("r3", request("r3"))])
    for name, label in (("r1", "ham"), ("r2", "spam"), ("r1", "spam"), ("r3", "ham")):
        clock.now += 1.0
        store.add_answer("ann", name, label)
    assert store.list_named_classes() == ["ham", "spam"]
    store.undo_answer("ann")
    assert store.list_named_classes() == ["spam"]
    store.add_answer("ann", "r3", "ham")
    assert store.list_named_classes() == ["ham", "spam"]


def test_what_people_are_to_read_stands_before_all_figures():
    features = {"amount": 9_000.0, "colour": "red", "comment": "hello"}
    usual = Usual([request(f"r{i}") for i in range(30)], texts=["comment"])
    one = msgspec.structs.replace(request("r"), features=features | {f"x{i}": i for i in range(20)})
    assert usual.rank_features(one)[0]["name"] == "comment"


@pytest.mark.parametrize("sealer", [None, Sealer([b"k" * 32], "default")])
def test_notes_can_be_read_with_what_they_are_about(tmp_path, clock, sealer):
    path = tmp_path / "sealed.sqlite"
    with closing(DeskStore(path, lease_s=60.0, sealer=sealer, clock=clock)) as store:
        store.take_deliveries([Delivery(name, request(name)) for name in ("r1", "r2", "r3")])
        store.add_answer("ann", "r1", "spam", note="two amounts, one of them crossed out")
        store.add_answer("ann", "r2", "ham")
        store.add_answer("bob", "r1", None, note="né à Zürich?")
        clock.now += UNDO_S
        store.add_answer("cyd", "r3", "ham", note="the wrong key")
        store.undo_answer("cyd")
        first, second = store.list_notes()
    assert first == DeskNote(
        note="two amounts, one of them crossed out",
        label="spam",
        annotator="ann",
        at=1_000.0,
        request_id="r1",
        event_id=request("r1").event_id,
    )
    assert (second.note, second.label) == ("né à Zürich?", None)
    assert (b"crossed out" in path.read_bytes()) == (sealer is None)
