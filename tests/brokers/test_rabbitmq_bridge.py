"""Queues of RabbitMQ as a bridge, on a real RabbitMQ."""

import json
from contextlib import closing, suppress

import pika
import pytest

from bridges.test_carrier import request
from headrace.bridges.bridge import Delivery, Receipt, Reply, Unreachable
from headrace.bridges.rabbitmq import RabbitMQ, RabbitSettings
from headrace.errors import BadInput
from headrace.testing import check_bridge


class Rig:
    """Queues without messages, and a program that takes tasks and hears of those withdrawn."""

    def __init__(self, server, name, **settings):
        self.server = server
        self.settings = RabbitSettings(
            url=server.url, tasks=f"{name}.tasks", answers=f"{name}.answers", **settings
        )
        with closing(self.bridge()) as bridge:
            bridge.receive("")
        self.connection = server.connect()
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()
        for queue in self.queues:
            self.channel.queue_purge(queue)
        self.gone_queue = self.channel.queue_declare("", exclusive=True).method.queue
        self.channel.queue_bind(self.gone_queue, f"{self.settings.tasks}.withdrawn")
        self.taken, self.gone, self.answers_n = [], [], 0

    @property
    def queues(self):
        names = (self.settings.tasks, self.settings.answers)
        return [*names, *(f"{name}.dead" for name in names)]

    def bridge(self):
        return RabbitMQ(self.settings, None)

    def get(self, queue, *, auto_ack=False):
        method, properties, body = self.channel.basic_get(queue, auto_ack=auto_ack)
        return None if method is None else (method, properties, json.loads(body))

    def tasks(self):
        while found := self.get(self.settings.tasks):
            self.taken.append(found[2]["request_id"])
        while found := self.get(self.gone_queue, auto_ack=True):
            self.gone.append(found[2]["request_id"])
        return [name for name in self.taken if name not in self.gone]

    def answer(self, request_id, label, annotator, **more):
        self.answers_n += 1
        body = {"request_id": request_id, "label": label, "annotator": annotator, "at": 1.0} | more
        self.put(json.dumps(body).encode(), message_id=str(self.answers_n))

    def put(self, body, **properties):
        self.channel.basic_publish(
            "", self.settings.answers, body, pika.BasicProperties(**properties), mandatory=True
        )

    def close(self):
        # The server may be another one by now.
        with suppress(pika.exceptions.AMQPError):
            self.connection.close()


@pytest.fixture
def rig(rabbit_server, name):
    with closing(Rig(rabbit_server, name)) as made:
        yield made


@pytest.fixture
def bridge(rig):
    with closing(rig.bridge()) as made:
        yield made


def sent(*names, **more):
    return [Delivery(name, request(name), **more) for name in names]


def test_the_bridge_keeps_the_contract_with_crashes(rabbit_server, name):
    rigs = []

    def new(folder):
        # An old program gives back what it has taken.
        for old in rigs:
            old.close()
        rigs.append(Rig(rabbit_server, name))
        return rigs[-1]

    # Killed before each act of the steps in which most happens.
    check_bridge(new, may_repeat=True, acts=[*range(3, 9), *range(18, 25)])
    rigs[-1].close()


def test_a_task_is_confirmed_and_has_the_whole_request(rig, bridge):
    bridge.send(sent("r1"))
    method, properties, body = rig.get(rig.settings.tasks)
    assert (properties.message_id, properties.delivery_mode) == ("r1", 2)
    assert (body["features"], body["prediction"]) == ({"x": 1}, {"a": 1.0})
    assert not method.redelivered


def test_priorities_are_the_two_that_quorum_queues_know(rabbit_server, name):
    with closing(Rig(rabbit_server, name, high_utility=0.5)) as rig, closing(rig.bridge()) as one:
        one.send(sent("r1"))
        assert rig.get(rig.settings.tasks)[1].priority == 5
    with closing(Rig(rabbit_server, f"{name}-2", high_utility=0.6)) as rig:
        with closing(rig.bridge()) as one:
            one.send(sent("r1"))
        assert rig.get(rig.settings.tasks)[1].priority == 4


def test_an_answer_is_acknowledged_when_its_mark_comes_back_and_not_before(rig, bridge):
    rig.answer("r1", "spam", "eva")
    rig.answer("r2", None, "bob", at=2.5)
    first = bridge.receive("")
    assert [(r.request_id, r.label, r.at, r.annotator) for r in first.replies] == [
        ("r1", "spam", 1.0, "eva"),
        ("r2", None, 2.5, "bob"),
    ]
    rig.answer("r3", 2, "bob")
    # Its replies could not be kept: they come again, and nothing else does.
    assert bridge.receive("") == first
    second = bridge.receive(first.mark)
    assert [(r.request_id, r.label) for r in second.replies] == [("r3", "2")]
    bridge.close()
    # The process died; only what was called safe is gone, and what comes again has the same id.
    again = bridge.receive(first.mark)
    assert again.replies == second.replies
    assert again.mark != second.mark
    assert bridge.receive(again.mark) == Receipt((), again.mark)
    bridge.close()
    assert bridge.receive(again.mark).replies == ()


def test_the_same_answer_twice_is_one_and_a_change_of_mind_is_three(rig, bridge):
    for label in ("spam", "ham", "spam"):
        rig.answer("r1", label, "eva")
    rig.put(b'{"request_id": "r1", "label": "x", "at": 3}')
    rig.put(b'{"request_id": "r1", "label": "x", "at": 3}')
    ids = [reply.reply_id for reply in bridge.receive("").replies]
    assert (len(ids), len(set(ids))) == (5, 4)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"spam", "JSON is malformed"),
        (b'{"request_id": "r1", "at": 1}', "missing required field `label`"),
        (b'{"request_id": "r1", "label": "a"}', "neither `at` nor a timestamp"),
    ],
)
def test_an_answer_of_no_use_goes_to_the_dead_letters_and_the_others_come(rig, bridge, body, told):
    rig.put(body)
    rig.put(b'{"request_id": "r2", "label": "ham"}', timestamp=7)
    receipt = bridge.receive("")
    assert receipt.replies == (Reply("r2", "ham", 7.0, "", receipt.replies[0].reply_id),)
    (fault,) = receipt.faults
    assert told in fault
    assert bridge.receive(receipt.mark).replies == ()
    wait_for_dead(rig, rig.settings.answers, body)


def wait_for_dead(rig, queue, body):
    """A dead letter moves a moment later."""
    for _ in range(200):
        method, _, found = rig.channel.basic_get(f"{queue}.dead", auto_ack=True)
        if method is not None:
            assert found == body
            return
        rig.connection.sleep(0.05)
    raise AssertionError("nothing came to the dead letters")


def test_tasks_of_a_program_that_dies_come_again_and_a_poison_one_is_moved_aside(rig, bridge):
    bridge.send(sent("poison"))
    for _ in range(rig.settings.deliveries_max):
        with closing(rig.server.connect()) as program:
            channel = program.channel()
            found = None
            while found is None:
                found, _, body = channel.basic_get(rig.settings.tasks)
            assert json.loads(body)["request_id"] == "poison"
    wait_for_dead_n(rig, bridge, 1)
    bridge._look_at = 0.0
    (fault,) = bridge.receive("").faults
    assert fault.startswith("1 tasks more were given out 3 times")
    assert rig.tasks() == []


def wait_for_dead_n(rig, bridge, n):
    for _ in range(200):
        dead = rig.channel.queue_declare(f"{rig.settings.tasks}.dead", passive=True)
        if dead.method.message_count == n:
            return
        rig.connection.sleep(0.05)
    raise AssertionError("the poison task is not among the dead letters")


def test_a_withdrawn_task_is_announced_to_whoever_listens(rig, bridge):
    bridge.send(sent("r1", "r2"))
    bridge.send([Delivery("r1", reason="moot")])
    assert rig.tasks() == ["r2"]
    assert rig.gone == ["r1"]


def test_queues_of_another_shape_are_refused_and_your_own_taken(rig, name):
    other = RabbitSettings(
        url=rig.server.url, tasks=rig.settings.tasks, answers=f"{name}.answers", deliveries_max=9
    )
    refused = pytest.raises(BadInput, match="inequivalent arg 'x-delivery-limit'")
    with closing(RabbitMQ(other, None)) as bridge, refused:
        bridge.send(sent("r1"))
    fields = {name: getattr(other, name) for name in other.__struct_fields__}
    with closing(RabbitMQ(RabbitSettings(**fields | {"declare": False}), None)) as bridge:
        bridge.send(sent("r1"))
    missing = {"declare": False, "tasks": f"{name}.none"}
    refused = pytest.raises(BadInput, match="no queue")
    with closing(RabbitMQ(RabbitSettings(**fields | missing), None)) as bridge, refused:
        bridge.send(sent("r1"))
    assert rig.tasks() == ["r1"]


def test_a_server_that_is_restarted_keeps_tasks_and_answers(rabbit_server, name):
    with closing(Rig(rabbit_server, name)) as rig, closing(rig.bridge()) as bridge:
        bridge.send(sent("r1"))
        rig.answer("r1", "spam", "eva")
        rabbit_server.stop()
        for act in (lambda: bridge.send(sent("r2")), lambda: bridge.receive("")):
            with pytest.raises(Unreachable, match="rabbitmq at 127"):
                act()
        rabbit_server.start()
        bridge.send(sent("r2", may_be_there=True))
        assert [reply.label for reply in bridge.receive("").replies] == ["spam"]
    with closing(rabbit_server.connect()) as connection:
        channel = connection.channel()
        bodies = [channel.basic_get(rig.settings.tasks)[2] for _ in range(2)]
    assert [json.loads(body)["request_id"] for body in bodies] == ["r1", "r2"]
