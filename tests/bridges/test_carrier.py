"""The outbox and the carrier: nothing lost, nothing twice in the tool, faults said."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from bridges.programs import wait_for
from bridges.requests import request
from headrace.bridges.bridge import Delivery, Receipt, Reply, Unreachable
from headrace.bridges.carrier import BridgeCarrier
from headrace.bridges.folder import FolderEnd
from headrace.bridges.outbox import KEPT_N, BridgeOutbox
from headrace.errors import BadInput
from headrace.messages import Answer, RequestRescored, RequestWithdrawn, Withdrawal
from headrace.testing import check_bridge
from headrace.testing.bridges import ListRig, MemoryEnd


def withdrawn(name: str) -> RequestWithdrawn:
    return RequestWithdrawn(request_id=name, event_id=f"of {name}", at=1.0, reason="moot")


class Tool:
    """Takes what it is sent, gives the receipts it was told to, and may be away."""

    def __init__(self) -> None:
        self.got: list[Delivery] = []
        self.receipts: list[Receipt] = []
        self.marks: list[str] = []
        self.is_away = False

    def send(self, deliveries: Sequence[Delivery]) -> None:
        if self.is_away:
            raise Unreachable("no route to the tool")
        self.got += deliveries

    def receive(self, mark: str) -> Receipt:
        self.marks.append(mark)
        return self.receipts.pop(0) if self.receipts else Receipt(mark=mark)


@pytest.fixture
def outbox(tmp_path):
    with closing(BridgeOutbox(tmp_path / "one.sqlite")) as opened:
        yield opened


@pytest.fixture
def tool():
    return Tool()


@pytest.fixture
def end():
    return MemoryEnd()


def test_a_request_reaches_the_tool_once_however_often_the_log_has_it(tool, end, outbox):
    carrier = BridgeCarrier(tool, end, outbox, clock=lambda: 5.0)
    end.requests += [request("r1"), request("r1"), request("r2")]
    while carrier.step():
        pass
    assert [one.request_id for one in tool.got] == ["r1", "r2"]
    assert not any(one.may_be_there for one in tool.got)


def test_a_request_withdrawn_before_it_was_sent_is_never_sent(tool, end, outbox):
    end.requests += [request("r1"), withdrawn("r1"), withdrawn("unknown")]
    BridgeCarrier(tool, end, outbox).step()
    assert tool.got == []
    assert outbox.count_requests().gone_n == 1


def test_a_request_withdrawn_and_one_expired_leave_the_tool_with_the_reason(tool, end, outbox):
    now = [0.0]
    carrier = BridgeCarrier(tool, end, outbox, clock=lambda: now[0])
    end.requests += [request("r1"), request("r2", deadline=60.0)]
    carrier.step()
    end.requests.append(withdrawn("r1"))
    now[0] = 59.0
    carrier.step()
    now[0] = 60.0
    carrier.step()
    gone = [(one.request_id, one.reason) for one in tool.got if one.request is None]
    assert gone == [("r1", "moot"), ("r2", "expired")]


def test_a_late_bridge_gives_people_the_time_that_was_meant(tool, end, outbox):
    now = [1_000.0]
    carrier = BridgeCarrier(tool, end, outbox, clock=lambda: now[0])
    end.requests.append(request("r1", at=0.0, deadline=60.0))
    carrier.step()
    now[0] = 1_059.0
    carrier.step()
    assert outbox.count_requests().sent_n == 1
    now[0] = 1_061.0
    carrier.step()
    assert outbox.count_requests().gone_n == 1


def test_a_tool_that_is_away_loses_nothing_and_is_told_what_may_be_there(tool, end, outbox):
    said: list[str] = []
    carrier = BridgeCarrier(tool, end, outbox, note=said.append)
    end.requests.append(request("r1"))
    tool.is_away = True
    stop = threading.Event()
    runner = threading.Thread(target=carrier.run, args=(stop, 0.01))
    runner.start()
    try:
        wait_for(lambda: said, "word of the tool")
        tool.is_away = False
        wait_for(lambda: len(said) > 1, "word that it is back")
    finally:
        stop.set()
        runner.join()
    assert said == [
        "the tool is away: no route to the tool; trying again until it is back",
        "the tool is back",
    ]
    assert [(one.request_id, one.may_be_there) for one in tool.got] == [("r1", True)]


def test_answers_reach_the_log_while_the_tool_is_away_for_tasks(tool, end, outbox):
    outbox.take_replies(Receipt((Reply("r0", "a", 3.0, "eva"),), "m"))
    tool.is_away = True
    end.requests.append(request("r1"))
    with pytest.raises(Unreachable):
        BridgeCarrier(tool, end, outbox).step()
    assert end.answers == [Answer(request_id="r0", label="a", at=3.0, annotator="eva")]


def test_replies_come_once_by_their_id_and_the_mark_goes_on(tool, end, outbox):
    same = Reply("r1", "a", 3.0, "eva", reply_id="17:1")
    nameless = Reply("r1", None, 4.0)
    moot = Reply("r2", None, 5.0, withdraw="a twin")
    tool.receipts = [Receipt((same, nameless), "m1"), Receipt((same, nameless, moot), "m2")]
    carrier = BridgeCarrier(tool, end, outbox)
    while carrier.step():
        pass
    assert end.answers == [
        Answer(request_id="r1", label="a", at=3.0, annotator="eva"),
        Answer(request_id="r1", label=None, at=4.0),
        Withdrawal(request_id="r2", at=5.0, reason="a twin"),
    ]
    assert tool.marks == ["", "m1", "m2"]
    assert carrier.replies_n == 3


def test_faults_of_the_tool_are_said_and_counted_and_stop_nothing(tool, end, outbox):
    said: list[str] = []
    faults = tuple(f"task {i} has no class" for i in range(8))
    tool.receipts = [Receipt((Reply("r1", "a", 1.0),), "m", faults)]
    carrier = BridgeCarrier(tool, end, outbox, note=said.append)
    carrier.step()
    assert said == [*faults[:5], "and 3 more like these"]
    assert carrier.faults_n == 8
    assert len(end.answers) == 1


def test_what_is_no_request_is_said_once_and_stops_nothing(tool, outbox, tmp_path):
    line = msgspec.json.encode(request("r1"))
    (tmp_path / "requests.jsonl").write_bytes(b"not JSON\n" + line + b"\n")
    said: list[str] = []
    end = FolderEnd(tmp_path / "requests.jsonl", tmp_path / "answers.jsonl")
    with closing(end):
        carrier = BridgeCarrier(tool, end, outbox, note=said.append)
        while carrier.step():
            pass
    assert [one.request_id for one in tool.got] == ["r1"]
    [told] = said
    assert "requests.jsonl: a line is no request" in told
    assert (carrier.faults_n, end.faults) == (1, [])


def test_the_outbox_forgets_the_oldest_that_are_over(outbox, monkeypatch):
    monkeypatch.setattr("headrace.bridges.outbox.KEPT_N", 3)
    assert KEPT_N > 3
    for i in range(10):
        outbox.take_in([request(f"r{i}"), withdrawn(f"r{i}")], str(i), 0.0)
        outbox.take_replies(Receipt((Reply(f"r{i}", "a", float(i)),), "m"))
        outbox.handed_on([reply_id for reply_id, _ in outbox.to_hand_on(10)])
        outbox.note_sent([])
    counts = outbox.count_requests()
    assert counts.gone_n == 3
    assert counts.replies_n == 3


def test_a_file_that_is_no_outbox_is_refused(tmp_path):
    path = tmp_path / "notes.sqlite"
    path.write_text("milk, eggs, bread" * 100)
    with pytest.raises(BadInput, match="no outbox of a bridge"):
        BridgeOutbox(path)


class Forgetful(ListRig):
    """A bridge that gives its replies out once, and not again after a crash."""

    def receive(self, mark: str) -> Receipt:
        receipt = super().receive("0")
        self._replies = []
        return receipt


class Clinging(ListRig):
    """A bridge that never takes a task away."""

    def send(self, deliveries: Sequence[Delivery]) -> None:
        super().send([one for one in deliveries if one.request is not None])


class Eager(ListRig):
    """A bridge that says it has sent what it drops when it is cut."""

    def send(self, deliveries: Sequence[Delivery]) -> None:
        super().send([one for one in deliveries if not one.may_be_there])


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (Forgetful, "bob to r1 was lost|the log has fine last"),
        (Clinging, "still has tasks for r5"),
        (Eager, "has no task for"),
        (lambda folder: ListRig(folder, looks=False), "has 2 tasks for"),
    ],
)
def test_check_bridge_catches_what_is_broken(broken, told):
    with pytest.raises(AssertionError, match=told):
        check_bridge(broken)


def test_check_bridge_lets_a_queue_repeat_tasks(tmp_path: Path):
    check_bridge(lambda folder: ListRig(folder, looks=False), may_repeat=True, acts=range(5, 9))


# -------------------------------------------------------------------------- the best are first


def rescored(name: str, priority: float, why: str = "") -> RequestRescored:
    return RequestRescored(request_id=name, at=2.0, priority=priority, withdrawn=why)


def test_the_best_are_sent_first_by_the_priority_that_they_have_now(tool, end, outbox):
    end.requests += [request(f"r{n}", priority=n / 10, judges=False) for n in range(4)]
    end.requests += [rescored("r0", 0.9), rescored("r3", 0.1), rescored("unknown", 1.0)]
    BridgeCarrier(tool, end, outbox).step()
    assert [(one.request_id, one.request.priority) for one in tool.got] == [
        ("r0", 0.9),
        ("r2", 0.2),
        ("r1", 0.1),
        ("r3", 0.1),
    ]


@pytest.mark.parametrize("reorders", [False, True])
def test_what_the_tool_has_is_sent_again_only_where_the_tool_reorders(tool, end, outbox, reorders):
    tool.reorders = reorders
    carrier = BridgeCarrier(tool, end, outbox)
    end.requests += [request("r1"), request("r2")]
    carrier.step()
    end.requests += [rescored("r2", 0.7), rescored("r1", 0.2, "redundant")]
    while carrier.step():
        pass
    again = [(one.request_id, one.may_be_there) for one in tool.got[2:]]
    assert again == ([("r2", True)] if reorders else [])
    end.requests += [withdrawn("r2")]
    while carrier.step():
        pass
    assert (tool.got[-1].request_id, tool.got[-1].request) == ("r2", None)
    assert outbox.count_requests().gone_n == 1


def test_an_outbox_of_the_version_before_is_taken_over(tmp_path, tool, end):
    path = tmp_path / "one.sqlite"
    with closing(BridgeOutbox(path)) as outbox:
        end.requests += [request("r1"), request("r2")]
        BridgeCarrier(tool, end, outbox).step()
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            "DROP INDEX by_move; ALTER TABLE requests DROP COLUMN priority; "
            "ALTER TABLE requests DROP COLUMN is_moved; PRAGMA user_version = 1;"
        )
    with closing(BridgeOutbox(path)) as outbox:
        assert outbox.count_requests().sent_n == 2
        end.requests += [request("r3", priority=0.5)]
        BridgeCarrier(tool, end, outbox).step()
    assert [one.request_id for one in tool.got] == ["r1", "r2", "r3"]
