"""How every client of Headrace reaches the brokers: addresses, TLS, passwords, and our defaults.

The one place that sets aiokafka's and Faust's options for security, so that no consumer is safe
while another is not. Clients are returned before they are started; the caller starts and stops
them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from importlib import import_module
from types import ModuleType
from typing import Any

from ...adapters.secret_files import read_secret
from ...errors import BadInput, BadSettings
from ...settings.http import is_loopback
from ...settings.kafka import KafkaSettings, faults_of_kafka, host_of
from .assigning import Steady
from .options import passed_on, token_provider

__all__ = ["check_brokers", "make_admin", "make_consumer", "make_producer"]

PASSWORD = "HEADRACE_KAFKA_PASSWORD"
"""The environment variable of the password, where `kafka.password_file` names no file."""

SESSION_S = 10
HEARTBEAT_S = 1
"""Also how late a worker notices at most that another came or went."""

METADATA_S = 30
"""How late new partitions of the events are noticed at most."""

BETWEEN_POLLS_MAX_S = 300
REBALANCE_MAX_S = 60
"""How long the others wait for a worker that flushes and snapshots before it lets go."""

ANSWER_MAX_S = 15
"""How long a broker may take for its first answer."""

CLOSE_MAX_S = 1

PRODUCE_MAX_S = 120
"""An outage shorter than this raises nothing: what is to be sent waits."""

LINGER_S = 0.005
BATCH_BYTES_MAX = 131_072


class NoBroker(BadInput):
    """No broker can be reached now; that may pass."""


class Secret(str):
    """A password that is not shown where a mapping with it is printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def client_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Return the arguments that aiokafka's consumer, producer and admin client share.

    Raises `BadSettings` for settings that don't fit together, a file that can't be read or a
    password that is missing; no secret is in the text.

    >>> client_options(KafkaSettings())["security_protocol"]
    'PLAINTEXT'
    """
    faults = faults_of_kafka(kafka)
    if faults:
        raise BadSettings(faults)
    transport = "SSL" if kafka.tls else "PLAINTEXT"
    options: dict[str, Any] = {
        "bootstrap_servers": list(kafka.servers),
        "client_id": f"headrace-{kafka.group}",
        "security_protocol": transport if kafka.sasl == "none" else f"SASL_{transport}",
    }
    if kafka.tls:
        options["ssl_context"] = tls_context(kafka)
    if kafka.sasl != "none":
        # At the level DEBUG aiokafka logs every request, and one of them is the secret.
        logging.getLogger("aiokafka.conn").addFilter(_has_no_secret)
        options["sasl_mechanism"] = kafka.sasl
    if kafka.sasl == "OAUTHBEARER":
        options["sasl_oauth_token_provider"] = token_provider(kafka)
    elif kafka.sasl != "none":
        options["sasl_plain_username"] = kafka.username
        options["sasl_plain_password"] = read_password(kafka)
    return options


def faust_credentials(kafka: KafkaSettings) -> Any:
    """Return Faust's setting `broker_credentials`; None for plaintext.

    `SASLCredentials` without a context would silently mean plaintext: it has one wherever `tls` is
    set, and `client_options` has refused SASL without `tls` beyond loopback.
    """
    options = client_options(kafka)
    auth = import_extra("faust.auth")
    if kafka.sasl == "none":
        return auth.SSLCredentials(context=options["ssl_context"]) if kafka.tls else None
    if kafka.sasl == "OAUTHBEARER":
        return auth.OAuthCredentials(
            oauth_cb=options["sasl_oauth_token_provider"], ssl_context=options.get("ssl_context")
        )
    return auth.SASLCredentials(
        username=options["sasl_plain_username"],
        password=options["sasl_plain_password"],
        mechanism=options["sasl_mechanism"],
        ssl_context=options.get("ssl_context"),
    )


def faust_brokers(kafka: KafkaSettings) -> list[str]:
    """Return Faust's setting `broker`.

    >>> faust_brokers(KafkaSettings(servers=["127.0.0.1:9092", "[::1]:9093"]))
    ['kafka://127.0.0.1:9092', 'kafka://[::1]:9093']
    """
    return [f"kafka://{server}" for server in kafka.servers]


def make_producer(kafka: KafkaSettings, **changes: Any) -> Any:
    """Make a producer, not started: all replicas acknowledge, retries write once.

    While the brokers are away, `stop` waits: give it a deadline.

    Args:
        kafka: The section `[kafka]`.
        changes: Override its options.

    Returns:
        An `AIOKafkaProducer`.
    """
    options = {
        "acks": "all",
        "enable_idempotence": True,
        "linger_ms": int(LINGER_S * 1000),
        "max_batch_size": min(BATCH_BYTES_MAX, kafka.request_bytes_max),
        "max_request_size": kafka.request_bytes_max,
        "request_timeout_ms": PRODUCE_MAX_S * 1000,
    }
    kind = import_extra("aiokafka").AIOKafkaProducer
    return kind(**client_options(kafka), **(options | passed_on(kafka, kind) | changes))


def make_consumer(kafka: KafkaSettings, *, group: str | None = None, **changes: Any) -> Any:
    """Make a consumer, not started, that commits nothing by itself.

    Args:
        kafka: The section `[kafka]`.
        group: With a group it shares partitions with the other members: call `subscribe`. Without
            one it reads the partitions passed to `assign`, from where `seek` puts it: it never
            chooses a place by itself.
        changes: Override its options.

    Returns:
        An `AIOKafkaConsumer`.
    """
    options: dict[str, Any] = {
        "enable_auto_commit": False,
        "isolation_level": kafka.isolation,
        "metadata_max_age_ms": METADATA_S * 1000,
        "auto_offset_reset": "none",
        "max_partition_fetch_bytes": kafka.fetch_bytes_max,
    }
    if group is not None:
        options |= {
            # It looks for a place before we can seek one; the flow notices if it jumps later.
            "auto_offset_reset": "earliest",
            "group_id": group,
            "partition_assignment_strategy": [Steady()],
            "session_timeout_ms": SESSION_S * 1000,
            "heartbeat_interval_ms": HEARTBEAT_S * 1000,
            "max_poll_interval_ms": BETWEEN_POLLS_MAX_S * 1000,
            "rebalance_timeout_ms": REBALANCE_MAX_S * 1000,
        }
    kind = import_extra("aiokafka").AIOKafkaConsumer
    passed = passed_on(kafka, kind, is_member=group is not None)
    return kind(**client_options(kafka), **(options | passed | changes))


def make_admin(kafka: KafkaSettings, **changes: Any) -> Any:
    """Make an admin client, not started; end it with `close`, not `stop`.

    Args:
        kafka: The section `[kafka]`.
        changes: Override its options.

    Returns:
        An `AIOKafkaAdminClient`.
    """
    kind = import_extra("aiokafka.admin").AIOKafkaAdminClient
    return kind(**client_options(kafka), **(passed_on(kafka, kind) | changes))


async def check_brokers(kafka: KafkaSettings) -> None:
    """Check that a broker can be reached, and that none leads us off loopback unsafely.

    The settings have the first addresses only, whose brokers name the others. Only the first are
    connected to here.

    Args:
        kafka: The section `[kafka]`.

    Raises:
        NoBroker: None can be reached; with the reason of each, which aiokafka would only log.
        BadSettings: All refuse us or show a certificate that we don't trust, or brokers on loopback
            send their clients away from it without TLS.
    """
    failed = import_extra("aiokafka.errors").KafkaError
    reasons, may_pass = [], False
    for server in kafka.servers:
        try:
            brokers = await _brokers_of(kafka, server)
        except (OSError, failed) as error:
            reasons.append(f"{server}: {str(error) or type(error).__name__}")
            is_refusal = isinstance(error, failed) and not error.retriable
            may_pass |= not (is_refusal or isinstance(error, ssl.SSLCertVerificationError))
            continue
        if not brokers:
            # aiokafka takes a token for accepted once it is sent; a refusal is an empty answer.
            is_token = kafka.sasl == "OAUTHBEARER"
            reason = "it does not take our token" if is_token else "it names no broker"
            reasons.append(f"{server}: {reason}")
            may_pass |= not is_token
            continue
        beyond = sorted(broker for broker in brokers if not is_loopback(host_of(broker)))
        if beyond and not kafka.tls and (kafka.sasl != "none" or not kafka.allow_plaintext):
            raise BadSettings(
                f"kafka.tls is false and the broker at {server} sends its clients on to "
                f"{', '.join(beyond)}, which is not on loopback; set tls, or give the brokers "
                "advertised listeners on loopback"
            )
        return
    kind = NoBroker if may_pass else BadSettings
    raise kind(f"no broker can be spoken to; {'; '.join(reasons)}")


async def _brokers_of(kafka: KafkaSettings, server: str) -> list[str]:
    """Return the brokers' addresses as the broker at this one names them to its clients."""
    options = client_options(kafka) | {"request_timeout_ms": ANSWER_MAX_S * 1000}
    del options["bootstrap_servers"]
    host, _, port = server.rpartition(":")
    connection = import_extra("aiokafka.conn").AIOKafkaConnection(
        host.strip("[]"), int(port), **options
    )
    is_open = True
    try:
        await connection.connect()
        response = await connection.send(
            import_extra("aiokafka.protocol.metadata").MetadataRequest([])
        )
    except OSError:
        # There is no peer that a close would have to wait for.
        is_open = False
        raise
    finally:
        closed = connection.close()
        if is_open:
            await asyncio.wait({closed}, timeout=CLOSE_MAX_S)
    return [f"{host}:{port}" for _, host, port, *_ in response.brokers]


# ------------------------------------------------------------------------------------ parts


def import_extra(name: str) -> ModuleType:
    """Import a module of an optional library. Raises `BadSettings` if that is not installed."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in ("aiokafka", "faust", "mode"):
            raise
        raise BadSettings(
            f"Kafka needs {error.name}, which is not here; run pip install 'headrace[kafka]'"
        ) from error


def tls_context(kafka: KafkaSettings) -> ssl.SSLContext:
    """Return a context of TLS 1.2 or later that checks the brokers' certificates and names.

    Raises `BadSettings` for files that can't be used.
    """
    try:
        context = ssl.create_default_context(cafile=kafka.ca_file or None)
    except OSError as error:
        raise BadSettings(f"kafka.ca_file is {kafka.ca_file!r}: {_explain_error(error)}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if kafka.cert_file:
        try:
            context.load_cert_chain(kafka.cert_file, kafka.key_file, password=_no_passphrase)
        except OSError as error:
            raise BadSettings(
                f"kafka.cert_file is {kafka.cert_file!r} and kafka.key_file is "
                f"{kafka.key_file!r}: {_explain_error(error)}"
            ) from error
    return context


def _has_no_secret(record: logging.LogRecord) -> bool:
    arguments = record.args if isinstance(record.args, tuple) else ()
    return not any(type(argument).__name__.startswith("SaslAuthenticate") for argument in arguments)


def _no_passphrase() -> str:
    # Without this the library asks on the terminal, and a worker has none.
    raise BadSettings("kafka.key_file is encrypted; must be a key without a passphrase")


def _explain_error(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"not what PEM files hold, or key and certificate differ ({error.reason})"
    return f"can't be read ({error.strerror})"


def read_password(kafka: KafkaSettings) -> Secret:
    """Return the password, from its file or the environment, without white space around it.

    Raises `BadSettings` where there is none.
    """
    if not kafka.password_file:
        password = os.environ.get(PASSWORD, "").strip()
        if not password:
            raise BadSettings(
                f"kafka.sasl is {kafka.sasl!r} and there is no password; set kafka.password_file, "
                f"or the environment variable {PASSWORD}"
            )
        return Secret(password)
    return Secret(read_secret(kafka.password_file, "kafka.password_file"))
