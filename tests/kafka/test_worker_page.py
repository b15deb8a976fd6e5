"""docs/WORKER.md as it stands: its settings and its commands, on a real broker."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kafka.topics import Topics
from kafka.workers import TOPICS, Worker
from kafka.world import wait_until
from marks import long_ones
from repo.tree import ROOT

PAGE = (ROOT / "docs" / "WORKER.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent
WITHIN_S = 120.0


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """Every command of the page that can be tried without a terminal or an index of packages."""
    lines = [line.split("  #")[0] for block in blocks("") for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith("headrace ")]


@pytest.fixture
def written(broker: Any, prefix: str, tmp_path: Path) -> Written:
    """The page's settings in a folder, with this test's broker, topics and folder."""
    return Written(broker, prefix, tmp_path)


class Written(Worker):
    """The settings of the page as headrace.toml, and a program that runs on them."""

    def __init__(self, broker: Any, prefix: str, folder: Path) -> None:
        super().__init__({}, folder)
        (text,) = blocks("toml")
        names = "\n".join(f'{name} = "{prefix}.{name}"' for name in TOPICS if name != "events")
        for found, put in (
            ('servers = ["127.0.0.1:9092"]', f'servers = ["{broker.servers}"]\n{names}'),
            ('events = "payments.inference"', f'events = "{prefix}.events"\ngroup = "{prefix}"'),
            ('"s3://headrace/snapshots"', f'"{folder / "snapshots"}"'),
            ("port = 9464", f"port = {self.port}"),
        ):
            assert text.count(found) == 1, found
            text = text.replace(found, put)
        self.path = folder / "headrace.toml"
        self.path.write_text(text)
        self.topics: Topics = broker.topics
        broker.topics.create(f"{prefix}.events", partitions=2)

    def run(self, *command: str, **env: str) -> Iterator[subprocess.Popen[str]]:
        """A program beside the settings; stopped as an operator would."""
        with self.log.open("w") as log:
            started = subprocess.Popen(
                [str(BIN / command[0]), *command[1:]],
                cwd=self.path.parent,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, **env},
            )
        try:
            yield started
        finally:
            started.kill()
            started.communicate()

    def is_ready(self) -> bool:
        return not self.why_not_ready()


def test_the_commands_of_the_page_bring_a_worker_up(written: Written) -> None:
    create, work = (one for one in commands() if one[1] in ("topics", "worker"))
    assert create[:2] == ["headrace", "topics"] and work[:2] == ["headrace", "worker"]
    done = subprocess.run(
        [str(BIN / "headrace"), *create[1:]],
        cwd=written.path.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for started in written.run(*work):
        wait_until(written.is_ready, "it is not ready", WITHIN_S)
        started.terminate()
        assert started.wait(WITHIN_S) == 0


# A tool of Faust's own: what it prints of itself goes to standard output, log lines to the other.
@pytest.mark.parametrize("log_format", [*long_ones("text"), "json"])
def test_faust_runs_the_same_and_logs_as_the_settings_say(
    written: Written, log_format: str
) -> None:
    (told,) = re.findall(r"`(HEADRACE_SETTINGS=\S+) (faust -A \S+ worker)`", PAGE)
    name, _, value = told[0].partition("=")
    section = f'[worker]\nlog_format = "{log_format}"\nlog_level = "info"\n'
    text = written.path.read_text()
    assert text.count("[worker]\n") == 1
    written.path.write_text(text.replace("[worker]\n", section))
    for started in written.run(*shlex.split(told[1]), **{name: value}):
        wait_until(written.is_ready, "it is not ready", WITHIN_S)
        started.terminate()
        out, _ = started.communicate(timeout=WITHIN_S)
        assert started.returncode == 0
    # What is not served has no line in the banner.
    assert "localhost" not in out and "6066" not in out
    lines = written.log.read_text().splitlines()
    assert any("taken over" in line for line in lines)
    if log_format == "json":
        assert all("message" in json.loads(line) for line in lines)
    else:
        assert all(re.match(r"\d{4}-\d\d-\d\d \S+ (INFO|WARNING|ERROR) ", line) for line in lines)


@pytest.mark.long
def test_faust_ends_with_2_and_one_line_where_somebody_has_to_do_something(
    written: Written,
) -> None:
    text = written.path.read_text()
    written.path.write_text(text.replace('.events"', '.nowhere"'))
    command = ("faust", "-A", "headrace.drivers.faust", "worker")
    for started in written.run(*command, HEADRACE_SETTINGS="headrace.toml"):
        started.communicate(timeout=WITHIN_S)
        assert started.returncode == 2
    told = [line for line in written.log.read_text().splitlines() if " ERROR " in line]
    assert len(told) == 1 and "there is no such topic" in told[0]
    assert "Traceback" not in written.log.read_text()
