"""A real broker on loopback that a test or a benchmark starts, stops, kills and starts again.

Apache Kafka on this machine's Java where that can be had, else Tansu (`is_kafka` is False: nothing
survives a stop, no transactions, no SASL). No broker outlives the program that started it, even if
that is killed. `PYTHONPATH=tests python -m kafka.broker` fetches all ahead of the tests.

    with Broker() as broker:
        broker.topics.create("events", partitions=4)
        broker.topics.produce("events", [b"one", b"two"])
        broker.kill()
        broker.start()                                    # the same port, the same records
        print(broker.topics.values("events"))
"""

import asyncio
import fcntl
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from kafka import certificates, jars, server
from kafka.jars import BrokerMissing
from kafka.topics import Topics

HERE = Path(__file__).parent
UP_S_MAX = 90.0
STOP_S_MAX = 30.0
LOG_TAIL_LINES = 30
# Below the ports that Linux gives to outgoing connections, or one could be taken during a restart.
PORTS = range(20_000, 32_000)


@dataclass(frozen=True)
class Address:
    """How clients reach a broker, and what it is."""

    servers: str
    is_kafka: bool
    ca: Path | None = None
    user: str | None = None
    password: str | None = None

    @property
    def client(self) -> dict[str, Any]:
        """aiokafka's arguments: `AIOKafkaConsumer(topic, **broker.client)`."""
        if self.ca is None:
            return {"bootstrap_servers": self.servers}
        return {
            "bootstrap_servers": self.servers,
            "security_protocol": "SASL_SSL",
            "ssl_context": ssl.create_default_context(cafile=str(self.ca)),
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": self.user,
            "sasl_plain_password": self.password,
        }

    @property
    def topics(self) -> Topics:
        return Topics(self.client)


class Broker:
    """One broker with a port and a folder of its own, both kept from start to start.

    `security` is "PLAINTEXT" or "SASL_SSL" (TLS with a certificate signed by `ca`, login with
    SCRAM-SHA-512 as `user`, or as one of `users`, a password by name). `settings` are settings of
    Kafka's own that are added or put in place of ours, `jvm` more flags for Java. Without `folder`
    it takes a new one and removes it in `close`.

    Raises `BrokerMissing` if no broker, or none that can do this, is to be had here.
    """

    def __init__(
        self,
        *,
        security: str = "PLAINTEXT",
        folder: Path | None = None,
        users: Mapping[str, str] | None = None,
        settings: Mapping[str, str] | None = None,
        jvm: Sequence[str] = (),
    ) -> None:
        self.program = jars.prepare()
        self.is_kafka = self.program.is_kafka
        if security not in ("PLAINTEXT", "SASL_SSL"):
            raise ValueError(f"security is {security!r}; must be PLAINTEXT or SASL_SSL")
        self.security = security
        if not self.is_kafka and (security != "PLAINTEXT" or users or settings):
            raise BrokerMissing(
                f"the stand-in Tansu has no security and no settings. {jars.HOW_TO}"
            )
        self._is_folder_ours = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="headrace-broker-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port, self._port_lock = _claim_port()
        self.user, self.password = "headrace", "only-for-tests"
        self.users = {self.user: self.password, **(users or {})}
        self.settings, self.jvm = dict(settings or {}), tuple(jvm)
        self._guard: subprocess.Popen[bytes] | None = None
        self.pid: int | None = None

    @property
    def address(self) -> Address:
        servers = f"127.0.0.1:{self.port}"
        if self.security == "PLAINTEXT":
            return Address(servers, self.is_kafka)
        return Address(servers, self.is_kafka, self.ca, self.user, self.password)

    @property
    def servers(self) -> str:
        return self.address.servers

    @property
    def client(self) -> dict[str, Any]:
        return self.address.client

    @property
    def topics(self) -> Topics:
        return self.address.topics

    @property
    def ca(self) -> Path:
        """The authority that clients have to trust, in PEM; there with `security="SASL_SSL"`."""
        return self.folder / "tls" / "ca.pem"

    @property
    def is_running(self) -> bool:
        return self._guard is not None and self._guard.poll() is None

    def start(self) -> Self:
        """Start it and wait until it answers a client; nothing if it runs."""
        if self.is_running:
            return self
        if self.is_kafka and not (self.folder / "records").exists():
            self._format()
        self._launch(self._command())
        until = time.monotonic() + UP_S_MAX
        while not self._is_up():
            if not self.is_running or time.monotonic() > until:
                ended = "does not answer" if self.is_running else "ended"
                self.kill()
                raise AssertionError(f"the broker {ended}; its log:\n{self.log_tail()}")
            time.sleep(0.05)
        return self

    def stop(self, graceful: bool = True) -> None:
        """End it and wait until it is gone: with SIGTERM, or as a crash would."""
        if self._guard is None:
            return
        self.signal(signal.SIGTERM if graceful else signal.SIGKILL)
        try:
            self._guard.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self._guard.wait(STOP_S_MAX)
        for pipe in (self._guard.stdin, self._guard.stdout):
            assert pipe is not None
            pipe.close()
        self._guard = self.pid = None

    def kill(self) -> None:
        """End it as a crash would: SIGKILL. The next `start` takes some seconds longer."""
        self.stop(graceful=False)

    def restart(self, graceful: bool = True) -> None:
        """Stop and start: the same port, the same records."""
        self.stop(graceful)
        self.start()

    def pause(self) -> None:
        """Hang: connections stay open and nothing answers, until `resume`."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    def close(self) -> None:
        """Stop for good: gives up the port, the records, and the folder unless it was given."""
        self.kill()
        self._port_lock.close()
        left = self.folder if self._is_folder_ours else self.folder / "records"
        shutil.rmtree(left, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def signal(self, number: signal.Signals) -> None:
        """Send the broker a signal; nothing if it has ended."""
        if self.is_running:
            assert self._guard is not None
            assert self._guard.stdin is not None
            # It may end just now.
            with suppress(BrokenPipeError):
                os.write(self._guard.stdin.fileno(), bytes([number]))

    def log_tail(self, lines_n: int = LOG_TAIL_LINES) -> str:
        """The last lines that the broker wrote."""
        log = self.folder / "broker.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return "\n".join(lines[-lines_n:])

    def _format(self) -> None:
        """Write the settings, the certificates, and the empty log with its users."""
        if self.security == "SASL_SSL":
            certificates.write(self.ca.parent)
        chosen = server.settings_of(self.folder, self.port, self.security, self.user, self.password)
        chosen |= self.settings
        lines = [f"{name}={value}\n" for name, value in chosen.items()]
        (self.folder / "server.properties").write_text("".join(lines))
        empty, records = self.program.archive.with_name("empty"), self.folder / "records"
        if self.security == "PLAINTEXT" and empty.exists():
            # As the first broker was given it: Java takes a second and a half to make another.
            shutil.copytree(empty, records)
            return
        command = self.java("kafka.tools.StorageTool", "format", "--cluster-id", server.CLUSTER)
        command += ["--config", str(self.folder / "server.properties")]
        if self.security == "SASL_SSL":
            for user, password in self.users.items():
                login = f"SCRAM-SHA-512=[name={user},password={password}]"
                command += ["--add-scram", login]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, check=False)
        if done.returncode != 0:
            raise AssertionError(
                f"the broker's log can't be formatted:\n{done.stdout}{done.stderr}"
            )
        if self.security == "PLAINTEXT":
            part = Path(tempfile.mkdtemp(dir=empty.parent, prefix="empty-"))
            shutil.copytree(records, part, dirs_exist_ok=True)
            try:
                part.rename(empty)
            except OSError:
                # Another process was first.
                shutil.rmtree(part)

    def java(self, *arguments: str) -> list[str]:
        """The command that runs a class of Kafka's jars."""
        found = jars.java()
        assert found is not None, jars.HOW_TO
        path = ":".join(str(jar) for jar in self.program.jars)
        log = f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}"
        archive = self.program.archive
        # Java itself sees whether the archive is its own, and does without it if not.
        shared = [f"-XX:SharedArchiveFile={archive}"] if archive.exists() else []
        return [str(found), *server.JVM, *shared, *self.jvm, log, "-cp", path, *arguments]

    def _command(self) -> list[str]:
        if self.is_kafka:
            return self.java("kafka.Kafka", str(self.folder / "server.properties"))
        url = f"tcp://127.0.0.1:{self.port}"
        listeners = ["--listener-url", url, "--advertised-listener-url", url]
        storage = ["--storage-engine", "memory://tansu/"]
        return [str(self.program.tansu), "broker", *listeners, *storage]

    def _launch(self, command: list[str]) -> None:
        """Start the command under a guard, in a session of its own: Ctrl-C is for the tests."""
        guard = [sys.executable, "-S", "-E", str(HERE / "guard.py"), *command]
        with (self.folder / "broker.log").open("ab") as log:
            self._guard = subprocess.Popen(
                guard,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        assert self._guard.stdout is not None
        self.pid = int(self._guard.stdout.readline() or 0)

    def _is_up(self) -> bool:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self.port)) != 0:
                return False
        try:
            asyncio.run(_list_topics(self.client))
        except KafkaError:
            return False
        return True


def skip_unless_kafka(broker: Broker | Address, feature: str) -> None:
    """Skip a test that the stand-in can't pass: `skip_unless_kafka(broker, "transactions")`."""
    if not broker.is_kafka:
        import pytest  # noqa: PLC0415  benchmarks use this module without pytest

        pytest.skip(f"the stand-in Tansu has no {feature}. {jars.HOW_TO}")


def prepare() -> str:
    """Fetch the program, and have Java archive its loaded classes: half the time of each start.

    What there is now, as a sentence.
    """
    try:
        program = jars.prepare(is_retry=True)
    except BrokerMissing as missing:
        return f"no broker for the tests: {missing}"
    if not program.is_kafka:
        why = (jars.cache() / jars.FAILURE).read_text()
        return f"tests/kafka runs on Tansu in part, and skips the rest. {why}"
    with jars.locked(program.archive.with_suffix(".lock")):
        if not program.archive.exists():
            try:
                _archive(program)
            except AssertionError as failed:
                # The tests will tell more, and all those without a broker can still run.
                return f"Apache Kafka does not run here: {failed}"
    return f"tests/kafka runs on Apache Kafka from {program.folder}"


def _archive(program: jars.Program) -> None:
    part = program.archive.with_suffix(".part")
    with Broker(jvm=[f"-XX:ArchiveClassesAtExit={part}"]) as broker:
        broker.topics.create("events")
        broker.topics.produce("events", [b"one"])
        broker.topics.records("events", at_least=1)
        broker.stop()
    # A Java that can't make one has left none, and is only slower.
    if part.exists():
        part.rename(program.archive)


async def _list_topics(client: Mapping[str, Any]) -> None:
    admin = AIOKafkaAdminClient(**client, request_timeout_ms=5_000)
    try:
        await admin.start()
        await admin.list_topics()
    finally:
        await admin.close()


def _claim_port() -> tuple[int, IO[str]]:
    """A free port whose next one is free too, and the lock that keeps other brokers off them."""
    locks = Path(tempfile.gettempdir()) / f"headrace-ports-{os.getuid()}"
    locks.mkdir(exist_ok=True)
    for port in random.SystemRandom().sample(PORTS[::2], len(PORTS) // 2):
        file = (locks / str(port)).open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for each in (port, port + 1):
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", each))
        except OSError:
            file.close()
        else:
            return port, file
    raise BrokerMissing(f"no free port in {PORTS}")


if __name__ == "__main__":
    print(prepare())
