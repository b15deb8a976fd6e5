"""The broker that all other tests here stand on keeps its own promises."""

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from contextlib import closing, suppress

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from kafka import shared
from kafka.broker import Address, Broker, BrokerMissing, skip_unless_kafka
from repo.tree import ROOT

NUMBERS = [b"%d" % i for i in range(100)]
GONE_S_MAX = READ_S_MAX = 90.0
# A program that starts a broker, tells its process id, and waits to be killed.
OWNER = """
import sys
from kafka.broker import Broker
broker = Broker().start()
print(broker.pid, flush=True)
sys.stdin.read()
"""
SHARER = """
import pathlib, sys
from kafka.shared import join
share = join(pathlib.Path(sys.argv[1]))
print(share.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    """A broker with TLS, logins and access lists, and one letter in it."""
    # The controller, a part of the broker, speaks plain text to itself and so has no name.
    lists = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:headrace;User:ANONYMOUS",
    }
    try:
        broker = Broker(
            security="SASL_SSL",
            folder=tmp_path_factory.mktemp("secure"),
            users={"guest": "guests-password"},
            settings=lists,
        )
    except BrokerMissing as missing:
        pytest.skip(str(missing))
    with broker:
        broker.topics.create("letters")
        broker.topics.produce("letters", [b"a letter"])
        yield broker


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until_gone(pid):
    until = time.monotonic() + GONE_S_MAX
    while is_alive(pid):
        assert time.monotonic() < until, f"the broker {pid} still runs"
        time.sleep(0.05)


def program(code, *arguments):
    """Another Python with this code, and the number that it tells."""
    started = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT / "tests",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    return started, int(started.stdout.readline())


def end(started, number):
    started.send_signal(number)
    with started:
        pass


def is_reached(host, port):
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def read_once(client, topic):
    """The first value of a topic."""

    async def read():
        consumer = AIOKafkaConsumer(topic, auto_offset_reset="earliest", **client)
        try:
            await consumer.start()
            return (await asyncio.wait_for(consumer.getone(), READ_S_MAX)).value
        finally:
            await consumer.stop()

    return asyncio.run(read())


def test_what_was_produced_is_read_back_in_order(broker, prefix):
    topic = broker.topics.create(f"{prefix}.events", partitions=2)
    broker.topics.produce(topic, NUMBERS, partition=1)
    assert broker.topics.values(topic, at_least=100) == NUMBERS
    assert broker.topics.partitions(topic) == 2


def test_end_offsets_are_those_of_each_partition(broker, prefix):
    skip_unless_kafka(broker, "end offsets that count records")
    topic = broker.topics.create(f"{prefix}.events", partitions=2)
    broker.topics.produce(topic, NUMBERS, partition=1)
    assert broker.topics.end_offsets(topic) == {0: 0, 1: 100}


def test_equal_keys_share_a_partition(broker, prefix):
    topic = broker.topics.create(f"{prefix}.events", partitions=4)
    broker.topics.produce(topic, NUMBERS, keys=[b"a", b"b"] * 50)
    records = broker.topics.records(topic, at_least=100)
    assert len({record.partition for record in records if record.key == b"a"}) == 1


def test_what_was_aborted_is_no_committed_record(broker, prefix):
    skip_unless_kafka(broker, "transactions")
    topic = broker.topics.create(f"{prefix}.events")

    async def write():
        async with AIOKafkaProducer(**broker.client, transactional_id=prefix) as producer:
            async with producer.transaction():
                await producer.send(topic, b"kept")
            with suppress(ZeroDivisionError):
                async with producer.transaction():
                    await producer.send_and_wait(topic, b"dropped")
                    raise ZeroDivisionError

    asyncio.run(write())
    assert broker.topics.values(topic) == [b"kept", b"dropped"]
    assert broker.topics.values(topic, committed=True) == [b"kept"]
    # Each transaction ends with a record of its own.
    assert broker.topics.end_offsets(topic) == {0: 4}


def test_what_a_group_committed_is_told(broker, prefix):
    skip_unless_kafka(broker, "list of what a group committed")
    topic = broker.topics.create(f"{prefix}.events", partitions=2)
    broker.topics.produce(topic, NUMBERS, partition=1)

    async def read():
        at = TopicPartition(topic, 1)
        async with AIOKafkaConsumer(topic, **broker.client, group_id=prefix) as consumer:
            await consumer.commit({at: 42})

    asyncio.run(read())
    assert broker.topics.committed(prefix) == {(topic, 1): 42}


def test_a_deleted_topic_is_gone(broker, prefix):
    topic = broker.topics.create(f"{prefix}.events")
    assert topic in broker.topics.names()
    broker.topics.delete(topic)
    assert topic not in broker.topics.names()


def test_a_topic_that_nobody_made_is_missed(broker, prefix):
    skip_unless_kafka(broker, "topics that are missing")
    with pytest.raises(AssertionError, match="there is no topic"):
        broker.topics.records(f"{prefix}.nowhere")
    assert broker.topics.partitions(f"{prefix}.nowhere") == 0


def test_records_that_do_not_come_are_missed(broker, prefix):
    topic = broker.topics.create(f"{prefix}.events")
    broker.topics.produce(topic, [b"one"])
    with pytest.raises(AssertionError, match="has 1 records, not 2"):
        broker.topics.records(topic, at_least=2, within_s=0.0)


@pytest.mark.long
def test_all_who_share_get_the_same_broker_until_the_last_has_left(tmp_path):
    try:
        first, second = shared.join(tmp_path), shared.join(tmp_path)
    except BrokerMissing as missing:
        pytest.skip(str(missing))
    assert first.pid == second.pid
    first.leave()
    assert second.address.topics.names() == []
    second.leave()
    wait_until_gone(second.pid)
    third = shared.join(tmp_path)
    assert third.pid != second.pid
    third.leave()


@pytest.mark.long
def test_a_shared_broker_ends_when_all_its_users_were_killed(broker, tmp_path):
    one, pid = program(SHARER, str(tmp_path))
    other, same_pid = program(SHARER, str(tmp_path))
    assert same_pid == pid
    end(one, signal.SIGKILL)
    assert is_alive(pid)
    end(other, signal.SIGKILL)
    wait_until_gone(pid)


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_broker_outlives_the_program_that_started_it(broker, number):
    started, pid = program(OWNER)
    assert is_alive(pid)
    end(started, number)
    wait_until_gone(pid)


def test_only_this_machine_reaches_a_broker_and_stop_leaves_nothing_running(own_broker):
    """All of 127/8 is this machine: only who listens everywhere is reached at 127.0.0.2 too."""
    for each in (own_broker.port, own_broker.port + 1):
        assert is_reached("127.0.0.1", each)
        assert not is_reached("127.0.0.2", each)
    pid, port = own_broker.pid, own_broker.port
    assert is_alive(pid)
    own_broker.stop()
    assert not is_alive(pid)
    assert not is_reached("127.0.0.1", port)
    assert not own_broker.is_running


@pytest.mark.long
def test_a_restart_keeps_port_and_records(own_broker, prefix):
    topic = own_broker.topics.create(f"{prefix}.events")
    own_broker.topics.produce(topic, NUMBERS[:1])
    servers = own_broker.servers
    for n, is_graceful in ((2, True), (3, False)):
        pid = own_broker.pid
        own_broker.restart(graceful=is_graceful)
        own_broker.topics.produce(topic, NUMBERS[n - 1 : n])
        assert own_broker.topics.values(topic) == NUMBERS[:n]
        assert own_broker.servers == servers
        assert own_broker.pid != pid


@pytest.mark.long
def test_a_broker_that_hangs_goes_on_where_it_was(pausing_broker, prefix):
    topic = pausing_broker.topics.create(f"{prefix}.events")
    pausing_broker.pause()
    with pytest.raises(KafkaError):
        read_once({**pausing_broker.client, "request_timeout_ms": 1_000}, topic)
    pausing_broker.resume()
    pausing_broker.topics.produce(topic, [b"one"])
    assert pausing_broker.topics.values(topic) == [b"one"]


def test_a_broker_that_does_not_come_up_shows_its_log(tmp_path):
    try:
        broker = Broker(folder=tmp_path, settings={"broker.id": "seven"})
    except BrokerMissing as missing:
        pytest.skip(str(missing))
    with closing(broker), pytest.raises(AssertionError, match="seven"):
        broker.start()


def test_a_login_over_tls_is_let_in(secure):
    assert read_once(secure.client, "letters") == b"a letter"


@pytest.mark.usefixtures("collected")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"sasl_plain_password": "wrong"}, id="wrong password"),
        pytest.param({"sasl_plain_username": "nobody"}, id="unknown user"),
        pytest.param({"security_protocol": "SSL"}, id="no login"),
        pytest.param({"security_protocol": "SASL_PLAINTEXT"}, id="login without TLS"),
        pytest.param({"security_protocol": "PLAINTEXT"}, id="neither"),
        pytest.param({"ssl_context": ssl.create_default_context()}, id="another authority"),
    ],
)
def test_no_other_client_is_let_in(secure, wrong):
    with pytest.raises((KafkaError, ssl.SSLError)):
        read_once({**secure.client, **wrong}, "letters")


def test_a_user_may_do_only_what_the_access_lists_say(secure):
    guest = Address(secure.servers, True, secure.ca, "guest", "guests-password")
    with pytest.raises(TopicAuthorizationFailedError):
        read_once(guest.client, "letters")
