"""The sections of the worker on Kafka: `[kafka]`, the cluster, and `[worker]`, the process.

This module has the settings and their checks. Secrets are no settings: when
`headrace.drivers.kafka.client` connects, it reads the password from a file or the environment.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, field

from .fields import Count, Seconds, Section, about
from .http import is_loopback

TOPICS = (
    "events",
    "requests",
    "answers",
    "training",
    "drift",
    "rejects",
    "desk",
    "journal",
)
"""The settings of `[kafka]` that name a topic."""

SET_HERE = {
    "bootstrap_servers": "kafka.servers",
    "client_id": "kafka.group",
    "group_id": "kafka.group",
    "security_protocol": "kafka.tls and kafka.sasl",
    "ssl_context": "kafka.tls",
    "sasl_mechanism": "kafka.sasl",
    "sasl_plain_username": "kafka.username",
    "sasl_plain_password": "kafka.password_file",
    "sasl_oauth_token_provider": "kafka.token",
    "isolation_level": "kafka.isolation",
    "max_request_size": "kafka.request_bytes_max",
    "max_partition_fetch_bytes": "kafka.fetch_bytes_max",
    "max_poll_records": "worker.batch_max",
}
"""Options of aiokafka's clients that settings of ours replace, and the names of these."""

DEPENDED_ON = (
    "acks",
    "enable_idempotence",
    "transactional_id",
    "partitioner",
    "key_serializer",
    "value_serializer",
    "key_deserializer",
    "value_deserializer",
    "auto_offset_reset",
    "enable_auto_commit",
    "auto_commit_interval_ms",
    "partition_assignment_strategy",
    "consumer_timeout_ms",
    "check_crcs",
    "loop",
)
"""Options of aiokafka's clients that, set otherwise, could lose events or ask about them twice."""

_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_SERVER = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\s\[\]]+):([0-9]{1,5})")


class KafkaSettings(Section, frozen=True, kw_only=True):
    """[kafka]: the cluster, its topics and how it is reached. See [KAFKA.md](KAFKA.md)."""

    servers: Annotated[
        list[str], about("Brokers to connect to first, each `host:port`; they name the others.")
    ] = field(default_factory=lambda: ["127.0.0.1:9092"])
    group: Annotated[
        str,
        about("Consumer group of the workers, the same in all of them."),
    ] = "headrace"
    events: Annotated[
        str, about("Topic of the inference log. It is yours; Headrace never creates it.")
    ] = "inference"
    requests: Annotated[str, about("Topic of the requests for labels.")] = "headrace.requests"
    answers: Annotated[str, about("Topic of the answers, with any key.")] = "headrace.answers"
    training: Annotated[str, about("Topic of the training log: one partition, never deleted.")] = (
        "headrace.training"
    )
    drift: Annotated[str, about("Topic of the changes of the drift level: one partition.")] = (
        "headrace.drift"
    )
    rejects: Annotated[str, about("Topic of records that could not be used, with the reason.")] = (
        "headrace.rejects"
    )
    desk: Annotated[
        str, about("Topic of everything the desk was fed, in order, by desk partition.")
    ] = "headrace.desk"
    journal: Annotated[
        str,
        about(
            "Topic that records which events each shard was fed at which model version; it has as "
            "many partitions as the events."
        ),
    ] = "headrace.journal"
    desk_partitions: Annotated[
        Count, about("Partitions of requests, answers and desk. Can't be changed later.")
    ] = 4
    replication: Annotated[
        Annotated[int, Meta(ge=1, le=32_767)],
        about("Replication factor of the topics that are created."),
    ] = 1
    retention_s: Annotated[
        Seconds,
        about(
            "How long the topics of requests, answers, drift, rejects, desk and journal keep a "
            "record, if Headrace creates them. The training log is never deleted: it is the model. "
            "Seconds."
        ),
    ] = 2_592_000.0
    create_topics: Annotated[bool, about("A worker creates missing topics when it starts.")] = True
    check_topic_ids: Annotated[
        bool,
        about(
            "Workers stop if a log was deleted and created anew, however many records it has. "
            "`false`: topics that were restored with all their records count as the old ones."
        ),
    ] = True
    tls: Annotated[bool, about("Use TLS, 1.2 or later, and check the brokers' names.")] = False
    ca_file: Annotated[
        str, about("PEM file of the authorities that brokers are signed by; empty: the system's.")
    ] = ""
    cert_file: Annotated[str, about("PEM file of our certificate, where brokers ask for one.")] = ""
    key_file: Annotated[str, about("PEM file with the private key of that certificate.")] = ""
    sasl: Annotated[
        Literal["none", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"],
        about("How the client authenticates. Needs `tls`, except on loopback."),
    ] = "none"
    username: Annotated[str, about("The user name, for `PLAIN` and `SCRAM`.")] = ""
    token: Annotated[
        str,
        about(
            "For `OAUTHBEARER`: `module:function` of yours, which takes no arguments and returns a "
            "token. It is called in a thread at every new connection."
        ),
    ] = ""
    password_file: Annotated[
        str,
        about(
            "File that holds only the password; empty: it is in the environment variable "
            "`HEADRACE_KAFKA_PASSWORD`."
        ),
    ] = ""
    allow_plaintext: Annotated[
        bool,
        about(
            "Allow a connection without TLS to a broker that is not on loopback. Never with SASL."
        ),
    ] = False
    isolation: Annotated[
        Literal["read_committed", "read_uncommitted"],
        about(
            "`read_committed`: leave out records of transactions that are open or aborted, in all "
            "topics that are read. `read_uncommitted`: read them too."
        ),
    ] = "read_committed"
    request_bytes_max: Annotated[
        Count,
        about(
            "The largest record that is produced; bytes. An event or an answer may have a quarter "
            "of it, 250 kB by default, since a request repeats the content of its event."
        ),
    ] = 1_000_000
    fetch_bytes_max: Annotated[
        Count, about("The most that is read of one partition at a time; bytes.")
    ] = 1_048_576
    options: Annotated[
        dict[str, str | int | float | bool],
        about(
            "Other options of aiokafka's clients, by aiokafka's names; each goes to the clients "
            "that know it, `group_instance_id` to those in the group."
        ),
    ] = field(default_factory=dict)


class WorkerSettings(Section, frozen=True, kw_only=True):
    """[worker]: snapshots, batches, logs and the stop of each process `headrace worker`."""

    STATE_VERSION: ClassVar[int] = 2

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Drop `standby`, which was a setting before version 2."""
        return {name: value for name, value in fields.items() if name != "standby"}

    snapshots: Annotated[
        str,
        about(
            "Folder of the snapshots, or a URL that fsspec knows: `s3://...`, `gs://...`, "
            "`memory://...`. All workers of a group must use the same one. A relative path starts "
            "from the folder of the settings file, here and in the files of `[kafka]`."
        ),
    ] = "state/snapshots"
    snapshot_every_s: Annotated[Seconds, about("Time between two snapshots; seconds.")] = 60.0
    snapshots_kept: Annotated[Count, about("Snapshots kept of each part; older are removed.")] = 2
    batch_max: Annotated[Count, about("Events fed at a time, of one partition.")] = 2_000
    batches_in_flight_max: Annotated[
        Count, about("Batches whose requests wait for brokers to confirm, before reading pauses.")
    ] = 4
    stop_within_s: Annotated[
        Seconds,
        about("Time that a graceful stop may take; what is not done by then is repeated. Seconds."),
    ] = 20.0
    log_format: Annotated[
        Literal["text", "json"], about("Log lines for people, or one JSON object per line.")
    ] = "text"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], about("The lowest level that is logged.")
    ] = "info"
    faust_sensor: Annotated[
        bool,
        about(
            "Show Faust's own counters on /metrics too, with the prefix `faust_`, for a look into "
            "Faust. Their times are in milliseconds."
        ),
    ] = False
    quiet_tick_s: Annotated[
        Seconds,
        about(
            "Quiet time after which a worker does what is due by the clock of the day: rounds and "
            "deadlines. Seconds."
        ),
    ] = 1.0


# ----------------------------------------------------------------------------------- checks


def faults_of(kafka: KafkaSettings, worker: WorkerSettings) -> list[str]:
    """List contradictions between settings that are each valid alone, with their paths.

    >>> faults_of(KafkaSettings(servers=["kafka-1:9092"]), WorkerSettings())
    ['kafka.servers names kafka-1:9092, which is not on loopback, and kafka.tls is false; set tls
    (or allow_plaintext, where the network is trusted)']
    """
    faults = faults_of_kafka(kafka)
    if not worker.snapshots:
        faults.append("worker.snapshots is empty; must be a folder or a URL")
    return faults


def faults_of_kafka(kafka: KafkaSettings) -> list[str]:
    """List the faults of `[kafka]` alone."""
    return [
        *_faults_of_servers(kafka.servers),
        *_faults_of_names(kafka),
        *_faults_of_tls(kafka),
        *_faults_of_sasl(kafka),
        *_faults_of_options(kafka),
    ]


def host_of(server: str) -> str:
    """Return the host in `host:port`.

    >>> host_of("kafka:9092"), host_of("[::1]:9092")
    ('kafka', '::1')
    """
    return server.rpartition(":")[0].strip("[]")


def beyond_loopback(kafka: KafkaSettings) -> list[str]:
    """The well-formed servers that are not on loopback, in the order of the settings."""
    servers = [server for server in kafka.servers if _SERVER.fullmatch(server)]
    return [server for server in servers if not is_loopback(host_of(server))]


def _faults_of_servers(servers: list[str]) -> list[str]:
    faults = [] if servers else ["kafka.servers is empty; name a broker as host:port"]
    for i, server in enumerate(servers):
        match = _SERVER.fullmatch(server)
        if match is None or not 0 < int(match[2]) < 1 << 16:
            faults.append(f"kafka.servers[{i}] is {server!r}; must be host:port")
    return faults


def _faults_of_names(kafka: KafkaSettings) -> list[str]:
    """List the names that Kafka would refuse; its metrics can't tell `a.b` from `a_b`."""
    faults = []
    for setting in ("group", *TOPICS):
        name = getattr(kafka, setting)
        if not _NAME.fullmatch(name) or name in (".", ".."):
            faults.append(
                f"kafka.{setting} is {name!r}; must be 1 to 249 letters, digits, dots, dashes or "
                "underscores"
            )
    first: dict[str, str] = {}
    for setting in TOPICS:
        name = getattr(kafka, setting)
        other = first.setdefault(name.replace(".", "_"), setting)
        if other != setting:
            faults.append(
                f"kafka.{setting} is {name!r}, the same topic as kafka.{other}; each needs its own "
                "(a dot and an underscore count as the same)"
            )
    return faults


def _faults_of_tls(kafka: KafkaSettings) -> list[str]:
    faults = []
    if not kafka.tls:
        faults += [
            f"kafka.{name} is set and kafka.tls is false; set tls = true, or remove {name}"
            for name in ("ca_file", "cert_file", "key_file")
            if getattr(kafka, name)
        ]
        beyond = beyond_loopback(kafka)
        if beyond and not kafka.allow_plaintext and kafka.sasl == "none":
            faults.append(
                f"kafka.servers names {beyond[0]}, which is not on loopback, and kafka.tls is "
                "false; set tls (or allow_plaintext, where the network is trusted)"
            )
    for name, other in (("cert_file", "key_file"), ("key_file", "cert_file")):
        if getattr(kafka, name) and not getattr(kafka, other):
            faults.append(f"kafka.{name} is set without kafka.{other}; set both or neither")
    return faults


def _faults_of_sasl(kafka: KafkaSettings) -> list[str]:
    has_password = kafka.sasl not in ("none", "OAUTHBEARER")
    needed = {"username": has_password, "token": kafka.sasl == "OAUTHBEARER"}
    allowed = {**needed, "password_file": has_password}
    faults = [
        f"kafka.{name} is set and kafka.sasl is {kafka.sasl!r}; set sasl, or remove {name}"
        for name, is_allowed in allowed.items()
        if getattr(kafka, name) and not is_allowed
    ]
    faults += [
        f"kafka.sasl is {kafka.sasl!r} without kafka.{name}; set it"
        for name, is_needed in needed.items()
        if is_needed and not getattr(kafka, name)
    ]
    beyond = beyond_loopback(kafka)
    if kafka.sasl != "none" and beyond and not kafka.tls:
        faults.append(
            f"kafka.sasl is {kafka.sasl!r} and kafka.tls is false; SASL without TLS would send the "
            f"password, or what it can be guessed from, in plaintext to {beyond[0]}: set tls"
        )
    return faults


def _faults_of_options(kafka: KafkaSettings) -> list[str]:
    """List the options that Headrace sets itself; `drivers.kafka.options` finds unknown ones."""
    faults = []
    for name in kafka.options:
        if name in SET_HERE:
            faults.append(f"kafka.options.{name} is set by {SET_HERE[name]}; set that instead")
        elif name in DEPENDED_ON:
            faults.append(
                f"kafka.options.{name} can't be set: that nothing is lost or done twice rests on it"
            )
    return faults
