"""What bridges keep in SQLite is sealed where there are keys, and read back as it was."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bridges import requests
from headrace.adapters.sealing import Sealer
from headrace.bridges import make_bridge
from headrace.bridges.bridge import Delivery, Receipt, Reply
from headrace.bridges.desk.bridge import DeskBridge, DeskSettings
from headrace.bridges.desk.store import DeskStore
from headrace.bridges.erasing import erase_requests
from headrace.bridges.outbox import BridgeOutbox
from headrace.errors import BadInput, BadSettings

SEALER = Sealer([b"k" * 32], "default")
OTHER = Sealer([b"o" * 32], "default")
HIDDEN = b"s3cret"


class Clock:
    now = 1_000.0

    def __call__(self):
        return self.now


def request(number):
    told = {"features": {"x": "s3cret"}, "reason": "control", "seq": number}
    return requests.request(f"r{number}", at=1_000.0, deadline=9_000.0, **told)


def outbox_in(folder, sealer):
    return closing(BridgeOutbox(folder / "one.sqlite", sealer=sealer, outlives_power=False))


def fill(outbox):
    outbox.take_in([request(1), request(2)], "2", 1_000.0)
    replies = (Reply("r1", "s3cret", 1_001.0, "eva", "7"), Reply("r2", None, 1_002.0, "ann"))
    outbox.take_replies(Receipt(replies, "t"))
    return replies


def store_in(folder, sealer, clock):
    return closing(
        DeskStore(
            folder / "desk.sqlite", lease_s=60.0, sealer=sealer, clock=clock, outlives_power=False
        )
    )


def fill_store(store):
    store.take_deliveries([Delivery(request_id=f"r{n}", request=request(n)) for n in (1, 2, 3)])
    store.add_answer("eva", "r1", "s3cret-class", note="s3cret note")
    store.add_answer("ann", "r2", None)
    store.add_answer("eva", "r3", "ham")


def content(folder):
    return b"".join(path.read_bytes() for path in folder.iterdir())


@pytest.mark.parametrize("begun", [None, SEALER], ids=["begun plain", "begun sealed"])
def test_an_outbox_gives_what_it_was_given_and_no_page_holds_it_in_plain(tmp_path, begun):
    with outbox_in(tmp_path, begun) as outbox:
        replies = fill(outbox)
    assert (HIDDEN in content(tmp_path)) == (begun is None)
    with outbox_in(tmp_path, SEALER) as outbox:
        assert [one.request for one in outbox.to_send(10)] == [request(1), request(2)]
        assert [reply for _, reply in outbox.to_hand_on(10)] == list(replies)
        assert outbox.find_mark("log") == "2"
    assert HIDDEN not in content(tmp_path)


@pytest.mark.parametrize("begun", [None, SEALER], ids=["begun plain", "begun sealed"])
def test_a_desk_works_alike_and_no_page_holds_questions_labels_or_notes_in_plain(tmp_path, begun):
    clock = Clock()
    with store_in(tmp_path, begun, clock) as store:
        fill_store(store)
    with store_in(tmp_path, SEALER, clock) as store:
        assert store.list_recent(9) == [request(n) for n in (3, 2, 1)]
        assert store.list_named_classes() == ["s3cret-class", "ham"]
        assert store.undo_answer("eva") == "r3"
        leased = store.lease_next("eva")
        assert leased is not None and leased.request == request(3)
        store.add_answer("eva", "r3", "s3cret-class")
        clock.now += 60.0
        given = [
            (one.request_id, one.label, one.annotator) for one in store.read_replies("").replies
        ]
        assert given[:2] == [("r1", "s3cret-class", "eva"), ("r2", None, "ann")]
        assert given[-1] == ("r3", "s3cret-class", "eva")
    assert HIDDEN not in content(tmp_path)
    with closing(sqlite3.connect(tmp_path / "desk.sqlite")) as db:
        rows = db.execute("SELECT n, request_id, person, note FROM answers WHERE n = 1").fetchall()
    ((n, request_id, person, note),) = rows
    assert SEALER.unseal(note, "desk.answers.note", f"{n} {request_id} {person}") == b"s3cret note"


def test_a_sealed_file_wants_its_keys(tmp_path):
    with outbox_in(tmp_path, SEALER) as outbox:
        fill(outbox)
    with pytest.raises(BadSettings, match=r"is sealed, and sealing\.keys_file names no keys"):
        BridgeOutbox(tmp_path / "one.sqlite")
    with outbox_in(tmp_path, OTHER) as outbox, pytest.raises(BadSettings, match="not hold it"):
        outbox.to_send(10)
    both = Sealer([b"o" * 32, b"k" * 32], "default")
    with outbox_in(tmp_path, both) as outbox:
        assert len(outbox.to_send(10)) == 2


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE requests SET body = (SELECT body FROM requests WHERE request_id = 'r2')",
        'UPDATE requests SET body = CAST(\'{"type":"LabelRequested"}\' AS BLOB)',
        "UPDATE requests SET body = (SELECT body FROM replies WHERE reply_id = '7')",
        "UPDATE requests SET request_id = CASE request_id WHEN 'r1' THEN 'x' ELSE request_id END",
    ],
    ids=["swapped", "plain", "of another column", "renamed"],
)
def test_a_cell_that_is_not_where_it_was_sealed_is_refused(tmp_path: Path, change: str) -> None:
    with outbox_in(tmp_path, SEALER) as outbox:
        fill(outbox)
    with closing(sqlite3.connect(tmp_path / "one.sqlite")) as db:
        db.execute(change)
        db.commit()
    with (
        outbox_in(tmp_path, SEALER) as outbox,
        pytest.raises(BadInput, match=r"requests\.body of row"),
    ):
        outbox.to_send(10)


def test_a_bridge_that_seals_is_given_the_keys_and_one_that_does_not_is_made_as_before(tmp_path):
    with closing(make_bridge("desk", {}, tmp_path, SEALER)) as desk:
        assert isinstance(desk, DeskBridge) and desk.store._cells.are_sealed
    with closing(make_bridge("files", {"files": {"format": "csv"}}, tmp_path, SEALER)):
        pass
    with pytest.raises(BadSettings, match="names no keys"):
        DeskBridge(DeskSettings(), tmp_path / "desk")


@pytest.mark.parametrize("sealer", [SEALER, None, OTHER], ids=["ours", "none", "other"])
def test_replies_are_erased_from_a_sealed_outbox_or_it_is_told_that_they_were_not(tmp_path, sealer):
    with outbox_in(tmp_path, SEALER) as outbox:
        fill(outbox)
    erased, busy = erase_requests(tmp_path, ["r1"], sealer)
    with outbox_in(tmp_path, SEALER) as outbox:
        left = [reply.request_id for _, reply in outbox.to_hand_on(10)]
    if sealer is SEALER:
        assert (erased, busy, left) == ({"one.sqlite": 2}, [], ["r2"])
    else:
        assert (erased, busy, left) == ({}, ["one.sqlite"], ["r1", "r2"])


@pytest.mark.parametrize("sealer", [SEALER, None], ids=["sealed", "plain"])
def test_questions_for_one_more_answer_go_with_their_request(tmp_path, sealer):
    names = ("r1", "r1:w2", "r1:w17", "r1:2", "r2", "r2:w2")
    kept = {"at": 1_000.0, "deadline": 9_000.0}
    with outbox_in(tmp_path, sealer) as outbox:
        outbox.take_in([requests.request(name, **kept) for name in names], "1", 1_000.0)
        outbox.take_replies(Receipt(tuple(Reply(name, "a", 1_001.0, "eva") for name in names), "t"))
    erase_requests(tmp_path, ["r1"], sealer)
    with outbox_in(tmp_path, sealer) as outbox:
        left = [reply.request_id for _, reply in outbox.to_hand_on(10)]
        sent = [delivery.request_id for delivery in outbox.to_send(10)]
    assert sorted(left) == sorted(sent) == ["r1:2", "r2", "r2:w2"]
