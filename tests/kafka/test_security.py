"""A broker with TLS, passwords and access rules: who gets in, and who may do what."""

import asyncio
import base64
import contextlib
import json
import logging
import re
import socket
import time
from pathlib import Path

import msgspec
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError
from aiokafka.protocol.admin import CreateAclsRequest

from headrace.drivers.kafka import client
from headrace.drivers.kafka.cluster import connect_cluster
from headrace.drivers.kafka.topics import ensure_topics, survey_topics
from headrace.errors import BadSettings
from headrace.settings import Settings, parse
from headrace.settings.kafka import KafkaSettings
from kafka import certificates
from kafka.broker import Broker, BrokerMissing

# Clients are refused in the middle of a login here, and leave their sockets to the collector.
pytestmark = [
    pytest.mark.usefixtures("collected"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

PAGE = Path(__file__).parents[2] / "docs" / "KAFKA.md"
SECRETS = {user: f"secret of the {user}" for user in ("worker", "tool", "model")}
PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
BEARER = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"
RULES = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    # The controller's own listener knows no users.
    "super.users": "User:headrace;User:ANONYMOUS",
    "auto.create.topics.enable": "true",
    "sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN,OAUTHBEARER",
    # This broker takes tokens that nobody signed; a real one checks who did.
    "listener.name.sasl_ssl.oauthbearer.sasl.jaas.config": f"{BEARER} required;",
    "listener.name.sasl_ssl.plain.sasl.jaas.config": f'{PLAIN} user_headrace="plain and secret";',
}

AWAY = "kafka.example.org"
RESOURCES = {"topic": (2, 3), "group": (3, 3)} | {
    "topics that begin with": (2, 4),
    "groups that begin with": (3, 4),
}
OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Alter": 7, "DescribeConfigs": 10}
ALLOW = 3


@pytest.fixture(scope="module")
def secured():
    """A broker with the access rules of docs/KAFKA.md, and the inference log of the page."""
    try:
        broker = Broker(security="SASL_SSL", users=SECRETS, settings=RULES)
    except BrokerMissing as missing:
        pytest.skip(str(missing))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        broker.away_port = probe.getsockname()[1]
    broker.settings |= two_listeners(broker.port, broker.away_port)
    with broker:
        make(broker, "inference")
        asyncio.run(allow(broker))
        yield broker


@pytest.fixture(scope="module")
def created(secured):
    """The states of all topics, which the worker's user has created."""
    return asyncio.run(ensure_topics(settings_of(secured, "worker")))


def two_listeners(port: int, away_port: int) -> dict[str, str]:
    """Beside the secured listener a plain one, which tells its clients an address elsewhere."""
    own, away = f"SASL_SSL://127.0.0.1:{port}", f"127.0.0.1:{away_port}"
    return {
        "listeners": f"{own},CONTROLLER://127.0.0.1:{port + 1},AWAY://{away}",
        "advertised.listeners": f"{own},AWAY://{AWAY}:{away_port}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,AWAY:PLAINTEXT",
    }


def make(broker, name: str) -> None:
    """A topic, and the broker knows it: the answer to creating one comes a little before."""
    broker.topics.create(name)

    async def known():
        async with connect_cluster(settings_of(broker).kafka) as cluster:
            await cluster.await_topics({name: 1})

    asyncio.run(known())


def rules_of_the_page() -> list[tuple[str, str, str, str]]:
    """User, resource, name and operation of each access rule in the documentation."""
    rules = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        if len(cells) == 5 and cells[1] in RESOURCES:
            rules += [(*cells[:3], operation) for operation in cells[3].split(", ")]
    return rules


async def allow(broker) -> None:
    admin = client.make_admin(settings_of(broker).kafka)
    await admin.start()
    try:
        for user, resource, name, operation in rules_of_the_page():
            kind, pattern = RESOURCES[resource]
            request = CreateAclsRequest(
                kind, name, pattern, f"User:{user}", "*", OPERATIONS[operation], ALLOW
            )
            # The admin client has no call for this.
            response = await admin._send_request(request)
            assert [code for code, _ in response.creation_responses] == [0]
    finally:
        await admin.close()


def settings_of(broker, user="headrace", secret=None, **kafka) -> Settings:
    folder = broker.folder / "secrets"
    folder.mkdir(exist_ok=True)
    file = folder / f"{user}-{abs(hash(secret))}"
    file.write_text((secret or SECRETS.get(user) or broker.password) + "\n")
    chosen = {
        "servers": [broker.servers],
        "tls": True,
        "ca_file": str(broker.ca),
        "sasl": "SCRAM-SHA-512",
        "username": user,
        "password_file": str(file),
    }
    return parse({"kafka": chosen | kafka})


async def sent(kafka, topic: str, value: bytes) -> None:
    async with client.make_producer(kafka, request_timeout_ms=5_000) as producer:
        await producer.send_and_wait(topic, value, partition=0)


async def read(kafka, topic: str, group: str | None = None, wait_s: float = 20) -> list[bytes]:
    """What is in partition 0 of a topic; as a member of a group it commits as well."""
    async with client.make_consumer(kafka, group=group, auto_offset_reset="earliest") as consumer:
        if group:
            consumer.subscribe([topic])
        else:
            consumer.assign([TopicPartition(topic, 0)])
        found = await consumer.getmany(timeout_ms=int(wait_s * 1000))
        if group:
            await consumer.commit()
        return [record.value for records in found.values() for record in records]


# ------------------------------------------------------------------------------- who gets in


def test_scram_over_tls_lets_in_who_knows_the_password(secured):
    settings = settings_of(secured)
    make(secured, "scram")
    asyncio.run(sent(settings.kafka, "scram", b"hello"))
    assert asyncio.run(read(settings.kafka, "scram", "scram-readers")) == [b"hello"]


def test_a_wrong_password_is_told_and_not_shown(secured):
    kafka = settings_of(secured, secret="not this one").kafka
    with pytest.raises(BadSettings, match="invalid credentials") as caught:
        asyncio.run(client.check_brokers(kafka))
    assert "not this one" not in str(caught.value)


def test_a_broker_of_another_authority_is_not_given_the_password(secured, tmp_path):
    certificates.write(tmp_path)
    kafka = settings_of(secured, ca_file=str(tmp_path / "ca.pem")).kafka
    with pytest.raises(BadSettings, match="CERTIFICATE_VERIFY_FAILED"):
        asyncio.run(client.check_brokers(kafka))


def test_brokers_that_are_away_may_come_back_where_others_refuse(secured):
    servers = [secured.servers, "127.0.0.1:9"]
    kafka = settings_of(secured, secret="not this one", servers=servers).kafka
    with pytest.raises(client.NoBroker, match=r"invalid credentials.*; 127\.0\.0\.1:9: "):
        asyncio.run(client.check_brokers(kafka))


def test_plaintext_gets_nowhere(secured):
    kafka = parse({"kafka": {"servers": [secured.servers]}}).kafka
    with pytest.raises(client.NoBroker, match=re.escape(secured.servers)):
        asyncio.run(client.check_brokers(kafka))


def test_no_log_at_any_level_holds_the_password(secured, caplog):
    kafka = settings_of(secured, secret="plain and secret", sasl="PLAIN").kafka
    # Commands that ran before in this very process may have made the library quiet.
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, logger="aiokafka"):
        asyncio.run(client.check_brokers(kafka))
        asyncio.run(survey_topics(settings_of(secured)))
    assert "Request to" in caplog.text
    assert "plain and secret" not in caplog.text
    assert secured.password not in caplog.text


def test_brokers_on_loopback_that_send_us_away_without_tls_are_refused(secured):
    kafka = parse({"kafka": {"servers": [f"127.0.0.1:{secured.away_port}"]}}).kafka
    with pytest.raises(BadSettings, match=rf"on to {AWAY}:\d+, which is not on loopback"):
        asyncio.run(client.check_brokers(kafka))
    asyncio.run(client.check_brokers(msgspec.structs.replace(kafka, allow_plaintext=True)))


def test_faust_gets_in_with_its_credentials(secured):
    faust = pytest.importorskip("faust", reason="the extra headrace[kafka] is not installed")
    kafka = settings_of(secured).kafka
    make(secured, "faust")

    async def run():
        app = faust.App(
            "headrace-test",
            broker=client.faust_brokers(kafka),
            broker_credentials=client.faust_credentials(kafka),
            web_enabled=False,
        )
        await app.producer.start()
        try:
            await (await app.topic("faust").send(value=b"from faust"))
        finally:
            await app.producer.stop()

    asyncio.run(run())
    assert secured.topics.values("faust") == [b"from faust"]


def token_until(end: float) -> str:
    """One of the broker's own user that nobody signed, from two hours before its end.

    A token of this very millisecond is refused now and then: the broker rounds both times.
    """
    claims = {"sub": "headrace", "iat": end - 7_200, "exp": end}
    return ".".join([*(in_base64(part) for part in ({"alg": "none"}, claims)), ""])


def a_token() -> str:
    return token_until(time.time() + 3_600)


def a_stale_token() -> str:
    return token_until(7_201.0)


def in_base64(part: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def bearer(broker, function: str) -> KafkaSettings:
    return parse(
        {
            "kafka": {
                "servers": [broker.servers],
                "tls": True,
                "ca_file": str(broker.ca),
                "sasl": "OAUTHBEARER",
                "token": f"{__name__}:{function}",
            }
        }
    ).kafka


def test_a_token_lets_in_and_a_stale_one_does_not(secured, caplog):
    make(secured, "bearer")
    kafka = bearer(secured, "a_token")
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, logger="aiokafka"):
        asyncio.run(client.check_brokers(kafka))
        asyncio.run(sent(kafka, "bearer", b"hello"))
    assert asyncio.run(read(kafka, "bearer", "bearer-readers")) == [b"hello"]
    assert in_base64({"alg": "none"}) not in caplog.text
    with pytest.raises(BadSettings, match="does not take our token"):
        asyncio.run(client.check_brokers(bearer(secured, "a_stale_token")))


# ------------------------------------------------------------------------- who may do what


def test_the_worker_may_do_what_it_needs_and_no_more(secured, created):
    settings = settings_of(secured, "worker")
    kafka = settings.kafka
    assert [state.word for state in created] == ["ok"] * 8
    for state in created[1:]:
        asyncio.run(sent(kafka, state.topic.name, b"written"))
        assert b"written" in asyncio.run(read(kafka, state.topic.name))
    asyncio.run(sent(settings_of(secured, "model").kafka, kafka.events, b"event"))
    assert b"event" in asyncio.run(read(kafka, kafka.events, kafka.group))
    grow(secured, kafka.events, 3)
    assert asyncio.run(ensure_topics(settings))[-1].found.partitions_n == 3
    with pytest.raises(TopicAuthorizationFailedError):
        asyncio.run(sent(kafka, kafka.events, b"forged"))
    with pytest.raises(GroupAuthorizationFailedError):
        asyncio.run(read(kafka, kafka.events, "somebody-else"))


def test_the_tool_reads_requests_and_writes_answers_and_no_more(secured, created):
    kafka = settings_of(secured, "tool").kafka
    asyncio.run(sent(settings_of(secured, "worker").kafka, kafka.requests, b"request"))
    assert b"request" in asyncio.run(read(kafka, kafka.requests, "tool"))
    asyncio.run(sent(kafka, kafka.answers, b"answer"))
    for topic in (kafka.training, kafka.desk, kafka.journal, kafka.requests):
        with pytest.raises(TopicAuthorizationFailedError):
            asyncio.run(sent(kafka, topic, b"forged"))
    asyncio.run(sent(settings_of(secured).kafka, kafka.events, b"event"))
    for topic in (kafka.events, kafka.training, kafka.answers):
        # What may be seen but not read raises; what may not be seen is as if it were empty.
        with contextlib.suppress(TopicAuthorizationFailedError):
            assert asyncio.run(read(kafka, topic, wait_s=1)) == []


@pytest.mark.long
def test_a_user_without_rights_sees_no_topic_and_makes_none(secured):
    settings = settings_of(secured, "model", requests="model.requests")
    before = secured.topics.names()
    states = asyncio.run(survey_topics(settings))
    assert [state.word for state in states] == ["ok", *["missing"] * 7]
    with pytest.raises(BadSettings, match="TOPIC_AUTHORIZATION_FAILED"):
        asyncio.run(ensure_topics(settings))
    assert secured.topics.names() == before


def grow(broker, name: str, partitions_n: int) -> None:
    async def run():
        async with connect_cluster(settings_of(broker).kafka) as cluster:
            await cluster.grow_topic(name, partitions_n)
            await cluster.await_topics({name: partitions_n})

    asyncio.run(run())
