"""Redis Streams as a bridge, on a real Redis."""

import json
import time
from contextlib import closing

import pytest

from bridges.test_carrier import request
from brokers.servers import RedisServer
from headrace.bridges.bridge import Delivery, Reply, Unreachable
from headrace.bridges.redis import Redis, RedisSettings
from headrace.errors import BadInput
from headrace.testing import check_bridge


class Rig:
    """Streams without entries; programs of annotators that read and write them."""

    def __init__(self, server, name, **settings):
        self.server = server
        self.settings = RedisSettings(
            url=server.url, tasks=f"{name}.tasks", answers=f"{name}.answers", **settings
        )
        self.client = server.client()
        for key in self.client.scan_iter(f"{name}.*"):
            self.client.delete(key)

    def bridge(self):
        return Redis(self.settings, None)

    def tasks(self):
        return [fields[b"request_id"].decode() for _, fields in self.entries("tasks")]

    def entries(self, which):
        main, _, beside = which.partition(".")
        name = getattr(self.settings, main) + (f".{beside}" if beside else "")
        return self.client.xrange(name)

    def answer(self, request_id, label, annotator, **more):
        body = {"request_id": request_id, "label": label, "annotator": annotator, **more}
        return self.client.xadd(self.settings.answers, {"answer": json.dumps(body)}).decode()

    def take(self, consumer, n=10):
        """The next tasks of the group, as an annotator's program takes them: ids and requests."""
        found = self.client.xreadgroup(
            self.settings.group, consumer, {self.settings.tasks: ">"}, count=n
        )
        return [(i, fields[b"request_id"].decode()) for i, fields in (found[0][1] if found else [])]

    def acknowledge(self, entry_id):
        self.client.xack(self.settings.tasks, self.settings.group, entry_id)


@pytest.fixture
def rig(redis_server, name):
    made = Rig(redis_server, name, idle_s=0.05)
    with closing(made.client):
        yield made


@pytest.fixture
def bridge(rig):
    with closing(rig.bridge()) as made:
        yield made


def sent(*names, **more):
    return [Delivery(name, request(name), **more) for name in names]


def receive(bridge, mark=""):
    """As after a while: the sweep of stuck tasks is due."""
    bridge._sweep_at = 0.0
    return bridge.receive(mark)


def test_the_bridge_keeps_the_contract_with_a_crash_at_every_step(redis_server, name):
    check_bridge(lambda folder: Rig(redis_server, name))


def test_a_task_has_the_whole_request_and_is_there_once(rig, bridge):
    bridge.send(sent("r1", "r2"))
    bridge.send(sent("r1", "r2", "r3", may_be_there=True))
    assert rig.tasks() == ["r1", "r2", "r3"]
    task = json.loads(rig.entries("tasks")[0][1][b"task"])
    assert task["features"] == {"x": 1}
    assert task["prediction"] == {"a": 1.0}


def test_an_answer_is_brought_with_its_time_and_again_from_an_old_mark(rig, bridge):
    first = rig.answer("r1", "spam", "eva", at=12.5)
    second = rig.answer("r2", None, "bob")
    third = rig.answer("r3", 1.0, "bob")
    receipt = bridge.receive("")
    put_at = [int(entry_id.partition("-")[0]) / 1000 for entry_id in (second, third)]
    assert receipt.replies == (
        Reply("r1", "spam", 12.5, "eva", first),
        Reply("r2", None, put_at[0], "bob", second),
        Reply("r3", "1", put_at[1], "bob", third),
    )
    assert receipt.mark == third
    assert bridge.receive("") == receipt
    # Only with its mark is it safe, and goes from the stream.
    assert len(rig.entries("answers")) == 3
    assert bridge.receive(receipt.mark).replies == ()
    assert rig.entries("answers") == []


@pytest.mark.parametrize(("trim", "left_n"), [(True, 0), (False, 1)])
def test_streams_are_trimmed_unless_they_are_to_stay(redis_server, name, trim, left_n):
    rig = Rig(redis_server, name, trim=trim)
    with closing(rig.bridge()) as bridge:
        bridge.send(sent("r1"))
        receive(bridge)
        ((entry, _),) = rig.take("eva")
        rig.acknowledge(entry)
        rig.answer("r1", "spam", "eva")
        mark = receive(bridge).mark
        receive(bridge, mark)
    assert (len(rig.entries("tasks")), len(rig.entries("answers"))) == (left_n, left_n)
    rig.client.close()


def test_answers_begun_anew_by_a_clock_that_is_behind_are_refused(rig, bridge):
    rig.answer("r1", "spam", "eva")
    mark = bridge.receive("").mark
    assert receive(bridge, mark).replies == ()
    rig.client.delete(rig.settings.answers)
    assert receive(bridge, mark).replies == ()
    rig.client.xadd(rig.settings.answers, {"answer": "{}"}, id="5-1")
    with pytest.raises(BadInput, match="by a clock that is behind"):
        receive(bridge, mark)


def test_answers_stay_for_a_group_of_yours(rig, bridge):
    rig.answer("r1", "spam", "eva")
    rig.client.xgroup_create(rig.settings.answers, "archive", "0")
    mark = bridge.receive("").mark
    bridge.receive(mark)
    assert len(rig.entries("answers")) == 1


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"answer": "spam"}, "JSON is malformed"),
        ({"answer": '{"request_id": "r1"}'}, "missing required field `label`"),
        ({"answer": '{"request_id": "", "label": "a"}'}, "request_id is empty"),
        ({"answer": '{"request_id": "r1", "label": ["a"]}'}, "got `array`"),
        ({"answer": b"\xff"}, "JSON is malformed"),
        ({"label": "spam"}, "there is no field `answer`"),
    ],
)
def test_an_answer_of_no_use_is_moved_aside_and_the_others_come(rig, bridge, fields, told):
    rig.client.xadd(rig.settings.answers, fields)
    rig.answer("r2", "ham", "eva")
    receipt = bridge.receive("")
    assert [reply.request_id for reply in receipt.replies] == ["r2"]
    (fault,) = [one for one in receipt.faults if "moved to" in one]
    assert told in fault
    # A process that is killed before its mark was kept comes by again.
    bridge.receive("")
    ((_, aside),) = rig.entries("answers.dead")
    assert told in aside.pop(b"fault").decode()
    assert len(aside) == 1


def test_a_task_of_a_program_that_died_is_given_to_another(rig, bridge):
    bridge.send(sent("r1", "r2"))
    receive(bridge)
    taken = rig.take("eva")
    assert [name for _, name in taken] == ["r1", "r2"]
    rig.acknowledge(taken[0][0])
    assert rig.take("bob") == []
    time.sleep(0.1)
    assert receive(bridge).faults == ()
    assert [name for _, name in rig.take("bob")] == ["r2"]
    assert rig.tasks() == ["r2"]


def test_a_task_that_nobody_survives_is_moved_aside_and_said(rig, bridge):
    bridge.send(sent("poison", "r2"))
    faults = []
    for _ in range(4):
        faults += receive(bridge).faults
        for entry_id, name in rig.take("eva"):
            if name == "r2":
                rig.acknowledge(entry_id)
        time.sleep(0.1)
    faults += receive(bridge).faults
    assert len(faults) == 1
    assert "task poison was given out 3 times and never answered" in faults[0]
    assert rig.tasks() == []
    ((_, aside),) = rig.entries("tasks.dead")
    assert json.loads(aside[b"task"])["request_id"] == "poison"
    # It does not come back by being sent again, and can still be withdrawn.
    bridge.send(sent("poison", may_be_there=True))
    bridge.send([Delivery("poison", reason="expired")])
    assert rig.tasks() == []
    assert rig.client.hlen(f"{rig.settings.tasks}.sent") == 1


def test_a_withdrawn_task_goes_wherever_it_is_and_is_announced(rig, bridge):
    bridge.send(sent("waiting", "held", "answered", "stuck"))
    receive(bridge)
    taken = {name: entry_id for entry_id, name in rig.take("eva")}
    time.sleep(0.1)
    receive(bridge)
    rig.take("bob")
    bridge.send(sent("waiting too"))
    gone = [Delivery(name, reason="moot") for name in (*taken, "waiting too", "never sent")]
    bridge.send(gone)
    bridge.send(gone)
    assert rig.tasks() == []
    announced = [fields[b"request_id"].decode() for _, fields in rig.entries("tasks.withdrawn")]
    assert sorted(announced) == sorted([*taken, "waiting too"])
    assert rig.client.xpending(rig.settings.tasks, rig.settings.group)["pending"] == 0
    assert rig.client.exists(f"{rig.settings.tasks}.sent") == 0


def test_what_is_answered_goes_from_the_stream_and_what_is_held_stays(redis_server, name):
    rig = Rig(redis_server, name)
    bridge = rig.bridge()
    bridge.send(sent(*(f"r{i}" for i in range(5))))
    receive(bridge)
    taken = rig.take("eva", n=4)
    for entry_id, _ in (taken[0], taken[1], taken[3]):
        rig.acknowledge(entry_id)
    receive(bridge)
    assert rig.tasks() == ["r2", "r3", "r4"]
    rig.acknowledge(taken[2][0])
    receive(bridge)
    assert rig.tasks() == ["r4"]
    bridge.close()
    rig.client.close()


def test_a_task_may_be_acknowledged_while_the_stream_is_looked_at(rig, bridge, monkeypatch):
    bridge.send(sent("r0", "r1"))
    receive(bridge)
    ((entry_id, _),) = rig.take("eva", n=1)
    look = bridge._client.xpending

    def acknowledge_and_look(*arguments):
        rig.acknowledge(entry_id)
        return look(*arguments)

    monkeypatch.setattr(bridge._client, "xpending", acknowledge_and_look)
    receive(bridge)
    assert rig.tasks() == ["r1"]


def test_a_server_that_dies_keeps_tasks_and_answers(redis_installed, tmp_path):
    with RedisServer(tmp_path / "own") as server:
        rig = Rig(server, "kept")
        bridge = rig.bridge()
        bridge.send(sent("r1"))
        rig.answer("r1", "spam", "eva")
        assert receive(bridge).faults == ()
        server.kill()
        with pytest.raises(Unreachable, match="redis at 127"):
            bridge.send(sent("r2"))
        with pytest.raises(Unreachable):
            bridge.receive("")
        server.start()
        bridge.send(sent("r2", may_be_there=True))
        assert [reply.label for reply in bridge.receive("").replies] == ["spam"]
        assert rig.tasks() == ["r1", "r2"]
        rig.client.config_set("appendonly", "no")
        rig.client.config_set("maxmemory", "100mb")
        rig.client.config_set("maxmemory-policy", "allkeys-lru")
        with closing(rig.bridge()) as other:
            told = other.receive("").faults
        assert ["appendonly off" in told[0], "evicts any key" in told[1]] == [True, True]
        # No memory is a fault that passes.
        rig.client.config_set("maxmemory-policy", "noeviction")
        rig.client.config_set("maxmemory", "1")
        with pytest.raises(Unreachable, match="maxmemory"):
            bridge.send(sent("r3"))
        rig.client.config_set("maxmemory", "0")
        bridge.send(sent("r3", may_be_there=True))
        assert rig.tasks() == ["r1", "r2", "r3"]
        bridge.close()
        rig.client.close()
