"""`headrace desk --demo`, started for a first look: a run, a link, questions, an end."""

from __future__ import annotations

import re
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

from headrace.commands.processes import headrace_command

WAIT_S = 90.0


def test_a_desk_to_try_asks_from_a_run_of_its_own_and_ends_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    command = headrace_command("desk", "--demo", "--port", "0", "--state", str(folder))
    desk = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert desk.stdout is not None
    try:
        links = (re.search(r"(http://127\.0\.0\.1:\d+)/#token=\S+", line) for line in desk.stdout)
        link = next(found for found in links if found)
        with urllib.request.urlopen(link[1]) as answer:
            assert answer.status == 200 and b"<html" in answer.read()
        until = time.monotonic() + WAIT_S
        requests = folder / "requests.jsonl"
        while not (requests.exists() and b"LabelRequested" in requests.read_bytes()):
            assert time.monotonic() < until and desk.poll() is None
            time.sleep(0.1)
    finally:
        desk.send_signal(signal.SIGTERM)
        desk.communicate(timeout=WAIT_S)
    assert desk.returncode == 0
    assert "labels asked" in (folder / "run.log").read_text(), "the run ended before it could say"
