"""A run that goes on and a desk beside it, both as programs."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from commands.runs import Stream
from warm import Program, start_python

WITHIN_S = 120.0
SETTINGS = """
[schema]
classes = ["a", "b"]
[query.budget]
share = 0.1
start = 20
[label]
deadline_s = 1e9
"""


def wait_for(found: Callable[[], Any], what: str) -> Any:
    until = time.monotonic() + WITHIN_S
    while time.monotonic() < until:
        if got := found():
            return got
        time.sleep(0.05)
    raise AssertionError(f"no {what} within {WITHIN_S:g} s")


def answered(stream: Stream) -> set[str]:
    """The requests with a whole answer; a kill within a line leaves it cut, and closed later."""
    path = stream.places.answers
    found = set()
    for line in path.read_bytes().split(b"\n")[:-1] if path.exists() else []:
        with suppress(json.JSONDecodeError):
            found.add(str(json.loads(line)["request_id"]))
    return found


class Programs:
    """A run that goes on, and desks beside it."""

    def __init__(self, folder: Path) -> None:
        self.stream = Stream(folder)
        self.places = self.stream.places
        self.settings = folder / "headrace.toml"
        self.settings.write_text(SETTINGS)
        self.stream.write_events(0, 300)
        self._started: list[Program] = []
        self.url = self.token = ""

    def start(self, *words: str) -> Program:
        process = start_python("-m", "headrace", *words, stderr=subprocess.PIPE)
        self._started.append(process)
        return process

    def start_run(self) -> None:
        named = [("events", self.places.events), ("requests", self.places.requests)]
        named += [("answers", self.places.answers), ("state", self.places.state)]
        words = [word for name, path in named for word in (f"--{name}", str(path))]
        self.start("run", "--follow", "--settings", str(self.settings), *words)
        wait_for((self.places.state / "places.json").exists, "run")
        wait_for(lambda: len(self.stream.requests()) >= 20, "requests")

    def start_desk(self, *where: str) -> Program:
        """Beside the run, unless `where` says beside what."""
        where = where or ("--state", str(self.places.state))
        desk = self.start("desk", *where, "--port", "0")
        assert desk.stderr is not None
        for line in desk.stderr:
            if found := re.search(r"(http://127\.0\.0\.1:\d+)/(?:#token=(\S+))?$", line):
                self.url = found[1]
                self.token = found[2] or self.token
                return desk
        raise AssertionError("the desk gave no link")

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", **headers},
        )
        with urllib.request.urlopen(request, timeout=WITHIN_S) as reply:
            text = reply.read()
        return json.loads(text) if text else None

    def label(self) -> str | None:
        question = self.call("POST", "/v1/questions/next", {})
        if question is None:
            return None
        body = {"request_id": question["request_id"], "label": "a"}
        self.call("POST", "/v1/answers", body)
        return str(question["request_id"])

    def stop(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()
            if process.stderr is not None:
                process.stderr.close()


@contextmanager
def a_run_and_a_desk(folder: Path) -> Iterator[Programs]:
    """Both, until the end of the block."""
    made = Programs(folder)
    try:
        made.start_run()
        made.start_desk()
        yield made
    finally:
        made.stop()
