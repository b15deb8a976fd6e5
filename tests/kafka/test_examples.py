"""The demo of docker/compose.yml without a container: its settings, its programs, a real broker."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from kafka.topics import Topics
from kafka.workers import TOPICS, Worker
from kafka.world import wait_until
from warm import Program, run_python, start_python

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "kafka"
RATE = 150
# Labels that must be settled before we believe that the loop is closed.
SETTLED_N = 5
WITHIN_S = 120.0


class Written(Worker):
    """A worker on a settings file that is there already; its port is in it."""

    def __init__(self, text: str, folder: Path) -> None:
        super().__init__({}, folder)
        self.path.write_text(text.replace("port = 9464", f"port = {self.port}"))


def demo_settings(servers: str, prefix: str, folder: Path) -> str:
    """docker/headrace.toml with the broker, topics and folder of this test, and less patience."""
    text = (ROOT / "docker" / "headrace.toml").read_text()
    names = "\n".join(f'{name} = "{prefix}.{name}"' for name in TOPICS)
    for found, put in (
        ('servers = ["kafka:9092"]', f'servers = ["{servers}"]\ngroup = "{prefix}"\n{names}'),
        ('snapshots = "/state/snapshots"', f'snapshots = "{folder / "snapshots"}"'),
        ('host = "0.0.0.0"', 'host = "127.0.0.1"'),
        ("share = 0.05", "share = 0.1"),
    ):
        assert text.count(found) == 1, found
        text = text.replace(found, put)
    return text


@contextmanager
def program(name: str, *arguments: str, log: Path) -> Iterator[Program]:
    """An example that runs while the block does; stopped as a container would be."""
    with log.open("wb") as output:
        started = start_python(str(EXAMPLES / name), *arguments, stdout=output, stderr=output)
    try:
        yield started
        assert started.poll() is None, f"{name} has ended by itself:\n{log.read_text()}"
        started.send_signal(signal.SIGTERM)
        assert started.wait(60) == 0, log.read_text()
    finally:
        started.kill()
        started.wait()


def value(metrics: str, name: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels."""
    total = 0.0
    for line in metrics.splitlines():
        found = re.fullmatch(rf"{name}(\{{.*\}})? (\S+)", line)
        if found and all(f'{key}="{text}"' in line for key, text in labels.items()):
            total += float(found[2])
    return total


def test_demo_asks_gets_answers_and_learns(broker, prefix, tmp_path) -> None:
    """Topics made, worker ready, events in, requests out, labels settled, metrics moved."""
    settings = tmp_path / "headrace.toml"
    worker = Written(demo_settings(broker.servers, prefix, tmp_path), tmp_path)
    settings.write_text(worker.path.read_text())
    where = ("--settings", str(settings))
    once(EXAMPLES / "producer.py", *where, "--events", "0", "--partitions", "2")
    assert broker.topics.partitions(f"{prefix}.events") == 2
    once("-m", "headrace", "topics", *where, "--create")

    producing = program(
        "producer.py", *where, "--rate", str(RATE), "--drift-every", "3000", log=tmp_path / "p.log"
    )
    answering = program("annotators.py", *where, "--delay", "2", log=tmp_path / "a.log")
    with worker, answering:
        worker.wait_ready()
        with producing:

            def is_learning() -> bool:
                worker.check()
                return value(worker.metrics(), "headrace_labels_total") >= SETTLED_N

            wait_until(is_learning, f"no {SETTLED_N} labels\n{worker.tail()}", WITHIN_S)
            metrics = worker.metrics()
            assert worker.why_not_ready() == ""
        assert worker.stop() == 0
    for line in worker.text().splitlines():
        assert line.startswith("===") or "message" in json.loads(line), line
    assert value(metrics, "headrace_events_observed_total", stream="demo") > 0
    assert value(metrics, "headrace_label_requests_total", stream="demo") >= SETTLED_N
    check_topics(broker, prefix)


def check_topics(broker: Any, prefix: str) -> None:
    """Nothing of the demo is rejected but answers after the end; what settled is what is true."""
    requests = [json.loads(v) for v in broker.topics.values(f"{prefix}.requests")]
    asked = {r["request_id"] for r in requests if r["type"] == "LabelRequested"}
    answers = [json.loads(v) for v in broker.topics.values(f"{prefix}.answers")]
    assert {a["request_id"] for a in answers} <= asked
    assert {a["annotator"] for a in answers} == {f"annotator-{i}" for i in range(1, 6)}
    entries = [json.loads(v) for v in broker.topics.values(f"{prefix}.training")]
    assert [e for e in entries if e["type"] == "LabelSettled"]
    assert broker.topics.values(f"{prefix}.rejects") == []


def once(*command: Any) -> None:
    """Run a program to its end, which must be a good one."""
    done = run_python(*map(str, command))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["producer.py", "annotators.py"])
def test_program_that_reaches_no_broker_says_so_and_ends_with_2(name: str, tmp_path: Path) -> None:
    settings = tmp_path / "headrace.toml"
    # Port 9 is nobody's.
    settings.write_text('[kafka]\nservers = ["127.0.0.1:9"]\n')
    done = run_python(str(EXAMPLES / name), "--settings", str(settings))
    assert done.returncode == 2
    assert done.stderr.startswith(f"{name.removesuffix('.py')}: no broker can be spoken to")
    assert "Traceback" not in done.stderr


def test_programs_refuse_plaintext_beyond_loopback(tmp_path: Path) -> None:
    settings = tmp_path / "headrace.toml"
    settings.write_text('[kafka]\nservers = ["kafka.example.org:9092"]\n')
    done = run_python(str(EXAMPLES / "producer.py"), "--settings", str(settings))
    assert done.returncode == 2
    assert "allow_plaintext" in done.stderr


@pytest.mark.long
def test_the_first_look_leads_to_a_request_for_a_label(broker: Any, tmp_path: Path) -> None:
    """`make kafka`, then what it prints, word for word but for the view of the terminal."""
    if not broker.is_kafka:
        pytest.skip("the stand-in Tansu keeps no groups long enough")
    look = subprocess.Popen(
        [sys.executable, "-m", "kafka.look", "--folder", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), *sys.path])},
        stdout=subprocess.PIPE,
        text=True,
    )
    started = [look]
    try:
        assert look.stdout is not None
        told = [look.stdout.readline() for _ in range(5)]
        servers = re.search(r"127\.0\.0\.1:\d+", told[0])
        assert servers is not None, told
        settings = tmp_path / "headrace.toml"
        settings.write_text(settings.read_text().replace("port = 9464", "port = 0"))
        for command in told[1:4]:
            words = [word for word in command.split() if word != "--live"]
            started.append(subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL))
        topics = Topics({"bootstrap_servers": servers[0]})

        def is_asked() -> bool:
            assert [one.poll() for one in started] == [None] * 4
            with contextlib.suppress(KafkaError):
                is_there = "headrace.requests" in topics.names()
                return is_there and bool(topics.values("headrace.requests"))
            return False

        wait_until(is_asked, "nobody asks", WITHIN_S)
    finally:
        for one in reversed(started):
            one.send_signal(signal.SIGTERM)
        for one in reversed(started):
            one.wait(60)
        if look.stdout is not None:
            look.stdout.close()
    assert look.returncode == 0
