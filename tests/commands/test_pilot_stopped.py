"""A pilot that is stopped or killed leaves no process behind, and a stopped one no file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.commands.processes import headrace_command

WAIT_S = 90.0
EVENTS_N = 60_000

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not Path("/proc/self/maps").exists(), reason="children are listed in /proc, as on Linux"
    ),
]


def children_of(pid: int) -> list[int]:
    """The processes that a process has started; none if it is gone."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(parent) == pid and state != "Z":
            found.append(int(path.parent.name))
    return found


def has_begun(pid: int) -> bool:
    """Whether this process of a pilot has opened the numbers that all share."""
    try:
        return "headrace-pilot-" in Path(f"/proc/{pid}/maps").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(check: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + WAIT_S
    while not check():
        assert time.monotonic() < until, what
        time.sleep(0.05)


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_the_pilot(tmp_path: Path, number: signal.Signals) -> None:
    rows = [f"{i % 97},{i % 89},{'ab'[i * 7 % 97 > 40]}" for i in range(EVENTS_N)]
    (tmp_path / "long.csv").write_text("\n".join(["x,y,label", *rows]))
    shared = tmp_path / "shared"
    shared.mkdir()
    words = ["pilot", str(tmp_path / "long.csv"), "--processes", "2", "--model", "logistic"]
    with (tmp_path / "told").open("wb") as told:
        pilot = subprocess.Popen(
            headrace_command(*words, "--budget", "0.2"),
            stdout=told,
            stderr=told,
            env={**os.environ, "TMPDIR": str(shared), "PYTHONPATH": os.pathsep.join(sys.path)},
            # A group of its own: the signal is for the pilot alone.
            process_group=0,
        )
    try:
        wait_until(lambda: sum(map(has_begun, children_of(pilot.pid))) == 2, "no run has begun")
        started = children_of(pilot.pid)
        assert pilot.poll() is None, (tmp_path / "told").read_text()
        pilot.send_signal(number)
        code = pilot.wait(WAIT_S)
        wait_until(lambda: not any(map(is_there, started)), f"{started} are still there")
    finally:
        pilot.kill()
    assert code == {signal.SIGTERM: 143, signal.SIGKILL: -9, signal.SIGINT: 130}[number]
    if number != signal.SIGKILL:
        assert list(shared.iterdir()) == []
    assert "Traceback" not in (tmp_path / "told").read_text()
