"""The consoles of a page are so: each command is run, and prints what stands below it.

    PYTHONPATH=src:tests python -m repo.test_console

writes what they print now into the pages.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from repo.tree import ROOT

PAGES = [ROOT / "docs" / "RUN.md"]
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
SECONDS_MAX = 120


def commands_of(console: str) -> list[str]:
    """The commands of one console, which stand behind `$ `."""
    return [line.removeprefix("$ ") for line in console.splitlines() if line.startswith("$ ")]


def record_consoles(text: str, folder: Path) -> str:
    """The page with what its consoles print in `folder`, all in one shell's order."""
    (folder / "examples").symlink_to(ROOT / "examples")

    def record_console(console: re.Match[str]) -> str:
        printed = [f"$ {command}\n{run(command, folder)}" for command in commands_of(console[1])]
        return f"```console\n{''.join(printed)}```"

    return CONSOLE.sub(record_console, text)


def run(command: str, folder: Path) -> str:
    """What a command prints on standard output; `check` ends with 1 where it finds faults."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert done.returncode in (0, 1), (command, done.stderr)
    return done.stdout


@pytest.mark.long
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_consoles_of_a_page_print_what_they_show(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert CONSOLE.search(text)
    assert record_consoles(text, tmp_path) == text


if __name__ == "__main__":
    for page in PAGES:
        with tempfile.TemporaryDirectory() as made:
            page.write_text(record_consoles(page.read_text(encoding="utf-8"), Path(made)), "utf-8")
