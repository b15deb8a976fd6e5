"""The consoles of a page are so: each command is run, and prints what stands below it.

    PYTHONPATH=src:tests python -m repo.test_console

writes what they print now into the pages. A console with a title is a terminal of its own: its
command goes on beside the others until `^C`, or to the end of the page. A block of TOML with a
title is that file, and the lines of a text with a title stand in that page of HTML.
"""

from __future__ import annotations

import html
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from repo.tree import ROOT

PAGES = [ROOT / "docs" / name for name in ("RUN.md", "FIRST-RUN.md")]
BLOCK = re.compile(
    r'^```(?P<kind>console|toml|text)(?: title="(?P<title>[^"]+)")?\n(?P<body>.*?)^```',
    re.MULTILINE | re.DOTALL,
)
TAG = re.compile(r"<[^>]+>")
SECONDS_MAX = 120
QUIET_S = 5
"""A command beside the others has done its work when no file has changed for so long."""


def record_page(text: str, folder: Path) -> str:
    """The page with what its consoles print in `folder`, in the order in which they stand."""
    (folder / "examples").symlink_to(ROOT / "examples")
    with ExitStack() as opened:
        terminals: dict[str, Terminal] = {}

        def record_block(block: re.Match[str]) -> str:
            kind, title, body = block["kind"], block["title"], block["body"]
            if kind == "toml" and title:
                (folder / title).write_text(body, "utf-8")
            if kind == "text" and title:
                page = html.unescape(TAG.sub("", (folder / title).read_text("utf-8")))
                page = " ".join(page.split())  # Spaces of all kinds are one.
                assert [line for line in body.splitlines() if line not in page] == []
            if kind != "console":
                return block[0]
            if not title:
                printed = "".join(f"$ {line}\n{run(line, folder)}" for line in commands_of(body))
                return f"```console\n{printed}```"
            if title not in terminals:
                terminals[title] = opened.enter_context(Terminal(commands_of(body)[0], folder))
                return f'```console title="{title}"\n{terminals[title].read_until(body)}```'
            assert body.startswith("^C\n"), f"what does {title} do?"
            return f'```console title="{title}"\n{terminals[title].interrupt()}```'

        return BLOCK.sub(record_block, text)


def commands_of(console: str) -> list[str]:
    """The commands of one console, which stand behind `$ `; one goes on behind a backslash."""
    lines = console.replace("\\\n", "\\\0").splitlines()
    return [line[2:].replace("\0", "\n") for line in lines if line.startswith("$ ")]


def run(command: str, folder: Path) -> str:
    """What a command prints; `check` ends with 1 where it finds faults, with 2 where it can't."""
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert done.returncode in (0, 1, 2), (command, done.stdout)
    return done.stdout


def environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1"}


class Terminal:
    """A command that goes on; a desk gets a free port, and tells the usual one and no token."""

    def __init__(self, command: str, folder: Path) -> None:
        self._shown, self._at, self._read_n = f"$ {command}\n", 0, 0
        self._folder = folder
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the terminal
        words = command.replace("headrace desk", "headrace desk --port 0")
        self._process = subprocess.Popen(
            ["bash", "-c", f"exec {words}"],
            cwd=folder,
            env=environment(),
            stdout=self._printed,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(SECONDS_MAX)
        self._printed.close()

    def read_until(self, body: str) -> str:
        """What it has printed when that is `body`, or when the time is up."""
        ends = time.monotonic() + SECONDS_MAX / 2
        while (read := self._read()) != body and time.monotonic() < ends:
            time.sleep(0.1)
        self._at += self._read_n
        return read

    def interrupt(self) -> str:
        """Press Ctrl-C when the work is done; what was printed from then on."""
        seen, since = "", time.monotonic()
        while time.monotonic() - since < QUIET_S:
            sizes = {str(path): path.stat().st_size for path in self._folder.rglob("*.jsonl")}
            if (now := repr(sizes)) != seen:
                seen, since = now, time.monotonic()
            time.sleep(0.1)
        self._shown = "^C\n"
        self._process.send_signal(signal.SIGINT)
        self._process.wait(SECONDS_MAX)
        return self._read()

    def _read(self) -> str:
        """What was printed since the last time that it was told."""
        content = os.pread(self._printed.fileno(), 1 << 20, self._at)
        self._read_n = len(content)
        text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8780", content.decode())
        return self._shown + re.sub(r"#token=\S+", "#token=...", text)


@pytest.mark.long
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_consoles_of_a_page_print_what_they_show(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert BLOCK.search(text)
    assert record_page(text, tmp_path) == text


if __name__ == "__main__":
    for page in PAGES:
        with tempfile.TemporaryDirectory() as made:
            page.write_text(record_page(page.read_text(encoding="utf-8"), Path(made)), "utf-8")
