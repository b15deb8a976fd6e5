"""Real worker processes: `headrace worker`, started, killed, stopped, paused; their logs and state.

Each has a settings file and a log of its own, in one folder; the snapshots below it they share. No
worker outlives the program that started it, even if that is killed.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from kafka.auditor import Audit, Book, audit
from kafka.broker import Address, Broker
from kafka.world import CLASSES, Traffic, wait_until
from warm import Program, run_python, start_python

READY_S_MAX = 120.0
STOP_S_MAX = 60.0
COMMAND_S_MAX = 300.0
OVER_S_MAX = 150.0
LOG_TAIL_LINES = 60
TOPICS = ("events", "requests", "answers", "training", "drift", "rejects", "desk", "journal")


def settings_of(prefix: str, servers: str, folder: Path, **sections: Mapping[str, Any]) -> Any:
    """Settings for tests, as a mapping: small limits, quick ends; `sections` go on top."""
    base: dict[str, dict[str, Any]] = {
        "schema": {
            "classes": list(CLASSES),
            "features": dict.fromkeys(("x", "y", "z"), "numeric"),
        },
        "observe": {"window_n": 500, "reservoir_n": 500},
        # A committee orders no retraining, and these tests want some.
        "model": {"name": "logistic"},
        "query": {"budget": {"share": 0.1}},
        "drift": {"check_every_n": 500, "hold_n": 500},
        "label": {"deadline_s": 10.0},
        "learn": {"retrain_every_n": 300, "memory_n": 500},
        "kafka": {
            "servers": [servers],
            "group": prefix,
            "desk_partitions": 2,
            **{name: f"{prefix}.{name}" for name in TOPICS},
        },
        "worker": {"snapshots": str(folder / "snapshots"), "snapshot_every_s": 3.0},
        "http": {},
    }
    for name, section in sections.items():
        base[name] = base.get(name, {}) | dict(section)
    return {"seed": 3, "stream": prefix, **base}


def names_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """The topics' names by setting."""
    return {name: settings["kafka"][name] for name in TOPICS}


def toml_of(settings: Mapping[str, Any]) -> str:
    """A mapping as TOML: values and tables, no arrays of tables."""
    lines: list[str] = []

    def write(table: Mapping[str, Any], path: str) -> None:
        if path:
            lines.append(f"[{path}]")
        lines.extend(
            f"{key} = {json.dumps(value)}"
            for key, value in table.items()
            if not isinstance(value, dict)
        )
        for key, value in table.items():
            if isinstance(value, dict):
                write(value, f"{path}.{key}" if path else key)

    write(settings, "")
    return "\n".join(lines) + "\n"


class Worker:
    """One worker process of these settings; `start` after `kill` is another life of it.

    `python` starts one: a benchmark gives one that shares no memory with others. `options` are
    more words of its command.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        folder: Path,
        name: str = "w0",
        python: Callable[..., Program | subprocess.Popen[bytes]] = start_python,
        options: Sequence[str] = (),
    ) -> None:
        self.name, self.settings, self._options = name, settings, options
        self.port = _free_port()
        self.log = folder / f"{name}.log"
        self.path = folder / f"{name}.toml"
        own = {**settings, "http": {**settings.get("http", {}), "port": self.port}}
        self.path.write_text(toml_of(own))
        self.lives_n = 0
        self._python = python
        self._program: Program | subprocess.Popen[bytes] | None = None
        self.pid = 0

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> Self:
        """Start it; it is not ready yet."""
        assert not self.is_running, f"{self.name} runs"
        self.lives_n += 1
        words = ("-m", "headrace", "worker", "--settings", str(self.path), *self._options)
        with self.log.open("ab") as log:
            log.write(f"=== life {self.lives_n}\n".encode())
            log.flush()
            self._program = self._python(*words, stdout=log, stderr=log, cwd=self.path.parent)
        self.pid = self._program.pid
        return self

    @property
    def is_running(self) -> bool:
        return self._program is not None and self._program.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing if it has ended."""
        if self._program is not None:
            self._program.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone; nothing if it does not run."""
        self.signal(signal.SIGKILL)
        self.wait()

    def stop(self) -> int:
        """SIGTERM, and wait until it is gone; its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Wait until it is gone; its exit code."""
        if self._program is None:
            return 0
        try:
            code = self._program.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self._program.wait(STOP_S_MAX)
            raise AssertionError(f"{self.name} does not stop; its log:\n{self.tail()}") from None
        self._program, self.pid = None, 0
        return code

    def headrace(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command of Headrace with these settings."""
        words = ("-m", "headrace", *arguments, "--settings", str(self.path))
        return run_python(*words, timeout=COMMAND_S_MAX)

    # ------------------------------------------------------------------------------- its state

    def why_not_ready(self) -> str:
        """What /readyz says against it; empty when it is ready."""
        status, text = self._get("/readyz")
        return "" if status == 200 else text or "not ready"

    def wait_ready(self, within_s: float = READY_S_MAX) -> Self:
        """Wait until it does its work; fails with its log if it ends or takes too long."""

        def is_ready() -> bool:
            self.check()
            return not self.why_not_ready()

        try:
            wait_until(is_ready, f"{self.name} is not ready", within_s)
        except AssertionError as fault:
            raise AssertionError(f"{fault}: {self.why_not_ready()}\n{self.tail()}") from None
        return self

    def check(self) -> None:
        """Fail with the end of its log if it has ended by itself."""
        assert self.is_running, f"{self.name} has ended; its log:\n{self.tail()}"

    def metrics(self) -> str:
        return self._get("/metrics")[1]

    def _get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as found:
                return found.status, found.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()
        except OSError as error:
            return 0, str(error)

    def rss_mib(self) -> float:
        """Resident memory now; MiB."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise AssertionError(f"{self.name} has no memory: it has ended")

    def cpu_s(self) -> float:
        """CPU of the process so far; seconds."""
        ticks = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

    def listens_on(self) -> set[str]:
        """Addresses it listens on, as `address:port`, from the kernel's tables."""
        inodes = set()
        for link in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                target = str(link.readlink())
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
        found = set()
        for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
            for line in Path(f"/proc/{self.pid}/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and fields[9] in inodes:
                    found.add(_address(fields[1], family))
        return found

    def tail(self, lines_n: int = LOG_TAIL_LINES) -> str:
        """The last lines it wrote."""
        return "\n".join(self.text().splitlines()[-lines_n:])

    def text(self) -> str:
        """All that it wrote, in all its lives."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def _without_noise(log: str) -> str:
    """A log without what aiokafka leaves to asyncio when a group has gone on without a member."""
    lines = re.split(r"^(?=\d{4}-\d\d-\d\d )", log, flags=re.MULTILINE)
    return "".join(
        line for line in lines if not ("never retrieved" in line and "UnknownMemberId" in line)
    )


class Fleet:
    """Some workers of one group, by name; those that still run are killed at the end."""

    def __init__(self, settings: Mapping[str, Any], folder: Path) -> None:
        self.settings, self.folder = settings, folder
        self.workers: dict[str, Worker] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers.values():
            worker.kill()

    def start(self, *names: str) -> list[Worker]:
        """Start these; they need not be ready yet."""
        for name in names:
            if name not in self.workers:
                self.workers[name] = Worker(self.settings, self.folder, name)
            self.workers[name].start()
        return [self.workers[name] for name in names]

    @property
    def running(self) -> list[Worker]:
        return [worker for worker in self.workers.values() if worker.is_running]

    def wait_ready(self, within_s: float = READY_S_MAX) -> None:
        for worker in self.running:
            worker.wait_ready(within_s)

    def is_ready(self) -> bool:
        """All that should run do, and all are ready."""
        return all(not worker.why_not_ready() for worker in self.running)

    def check(self) -> None:
        """Fail if one broke, or decided otherwise when it did so for the second time."""
        for worker in self.workers.values():
            told = _without_noise(worker.text())
            for sign in ("Traceback", "decided again", "what was asked then holds"):
                assert sign not in told, f"{worker.name}:\n{worker.tail(200)}"

    def stop(self) -> None:
        """Stop all at once, as a deployment would; each must end well."""
        running = self.running
        for worker in running:
            worker.signal(signal.SIGTERM)
        for worker in running:
            code = worker.wait()
            assert code == 0, f"{worker.name} ended with {code}; its log:\n{worker.tail()}"


def wait_over(
    fleet: Fleet,
    traffic: Traffic,
    book: Book,
    *,
    share: float,
    may_repeat: bool = False,
    within_s: float = OVER_S_MAX,
) -> Audit:
    """Stop the events, wait until every request has ended, and recount it all.

    What is wrong may only be late: the audit is done again until it is clean or the time is up.
    """
    traffic.rate = 0.0
    until = time.monotonic() + within_s
    # Of a request that nobody answers, only the clock of the day says that it ends.
    while True:
        for worker in fleet.running:
            worker.check()
        traffic.check()
        # Looked at first: what comes while the topics are read would be in some of them alone.
        left = [] if traffic.waiting_n == 0 else [f"{traffic.waiting_n} answers are to come"]
        left += _behind(book, fleet.settings)
        book.read()
        found = audit(book, share=share, sent=traffic.sent, may_repeat=may_repeat)
        if not left and not found.faults:
            return found
        if time.monotonic() > until:
            found.faults += left
            return found
        time.sleep(1.0)


def _behind(book: Book, settings: Mapping[str, Any]) -> list[str]:
    """What the groups have not committed yet, as sentences."""
    kafka = settings["kafka"]
    left = []
    committed = book.topics.committed(kafka["group"])
    for name in (kafka["events"], kafka["desk"], kafka["answers"]):
        lag = sum(
            end - committed.get((name, partition), 0)
            for partition, end in book.topics.end_offsets(name).items()
        )
        left += [f"{name} has {lag} records that are not committed"] if lag else []
    return left


def make_events(broker: Address | Broker, settings: Mapping[str, Any], partitions: int) -> None:
    """The inference log: the one topic that no worker creates."""
    broker.topics.create(settings["kafka"]["events"], partitions=partitions)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _address(text: str, family: socket.AddressFamily) -> str:
    """`0100007F:1F90` as the kernel writes it to `127.0.0.1:8080`."""
    host, _, port = text.partition(":")
    words = [host[i : i + 8] for i in range(0, len(host), 8)]
    packed = b"".join(bytes.fromhex(word)[::-1] for word in words)
    return f"{socket.inet_ntop(family, packed)}:{int(port, 16)}"
