"""What Apache Kafka is told: small, quick to start, one node that is broker and controller."""

from pathlib import Path

CLUSTER = "aGVhZHJhY2UtdGVzdHM-AA"
# One compiler and one collector: half the CPU of a start on a small machine.
JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Xmx512m", "-Xms64m")
SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    # A topic that nobody made is a mistake, in tests more than elsewhere.
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    # Neither a pause nor a busy machine is a death.
    "broker.session.timeout.ms": "60000",
    "log.cleaner.dedupe.buffer.size": "4000000",
    # Events of tests happened years ago.
    "log.retention.ms": "-1",
}
# A killed broker may come back only when its old session is over: this much sooner for one that
# is to be killed.
KILLED = {"broker.session.timeout.ms": "3000", "broker.heartbeat.interval.ms": "500"}


def settings_of(folder: Path, port: int, security: str, user: str, password: str) -> dict[str, str]:
    """The settings of a broker that keeps its records in a folder, its controller at the next port.

    With "SASL_SSL" it takes `tls/server.pem` and `tls/ca.pem` of the folder, and is a client of
    itself as `user`.
    """
    own, controller = f"127.0.0.1:{port}", f"127.0.0.1:{port + 1}"
    chosen = {
        **SETTINGS,
        "log.dirs": str(folder / "records"),
        "controller.quorum.voters": f"1@{controller}",
        "listeners": f"{security}://{own},CONTROLLER://{controller}",
        "advertised.listeners": f"{security}://{own}",
        "inter.broker.listener.name": security,
        "listener.security.protocol.map": f"{security}:{security},CONTROLLER:PLAINTEXT",
    }
    if security == "SASL_SSL":
        login = "org.apache.kafka.common.security.scram.ScramLoginModule required"
        jaas = f'{login} username="{user}" password="{password}";'
        chosen |= {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(folder / "tls" / "server.pem"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(folder / "tls" / "ca.pem"),
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": jaas,
        }
    return chosen
