"""docs/LOGS.md: the files of each section are written, its commands run, what it shows compared.

A block is known by its first line: a language and a file's name write that file; `sh` and `python`
are run; `json first request` is a part of the first line of requests.jsonl, `json first label` of
the first settled label; the lines of `text` stand in what the command before printed.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from repo.tree import ROOT
from warm import run_python

PAGE = ROOT / "docs" / "LOGS.md"
SECTION = re.compile(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SECTIONS = SECTION.findall(PAGE.read_text(encoding="utf-8"))
SECONDS_MAX = 120


@pytest.mark.parametrize("title, body", SECTIONS, ids=[title for title, _ in SECTIONS])
def test_a_section_is_as_it_says(title: str, body: str, tmp_path: Path) -> None:
    told, compared_n = "", 0
    for info, content in BLOCK.findall(body):
        language, _, rest = info.partition(" ")
        if language in ("sh", "python") and not rest:
            told = run(language, content, tmp_path)
        elif rest in ("first request", "first label"):
            assert_part(json.loads(content), first(tmp_path, rest), rest)
            compared_n += 1
        elif language == "text":
            lines = [line.strip() for line in told.splitlines()]
            assert [one for one in content.splitlines() if one.strip() not in lines] == [], told
            compared_n += 1
        else:
            assert rest, f"a block of {title} has no file's name"
            (tmp_path / rest).write_text(content, encoding="utf-8")
    assert compared_n, f"{title} shows nothing that could be compared"


def run(language: str, content: str, folder: Path) -> str:
    """Run the commands, or the program, in the folder; what was printed."""
    path = os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(ROOT / "src")])
    environment = {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}
    commands = [["-c", content]]
    if language == "sh":
        lines = [shlex.split(line) for line in content.replace("\\\n", " ").splitlines()]
        # A folder of Python's own is there already: that of the command.
        lines = [line[line[:1] == ["PYTHONPATH=."] :] for line in lines]
        assert [line for line in lines if line[:1] != ["headrace"]] == []
        commands = [["-m", "headrace", *line[1:]] for line in lines]
    told = ""
    for command in commands:
        done = run_python(*command, cwd=folder, env=environment, timeout=SECONDS_MAX)
        told += done.stdout + done.stderr
        assert done.returncode == 0, told
    return told


def first(folder: Path, what: str) -> Any:
    """The first request, or the first label that was settled."""
    name = "requests.jsonl" if what == "first request" else "state/decisions.jsonl"
    kind = "LabelRequested" if what == "first request" else "LabelSettled"
    lines = (folder / name).read_text(encoding="utf-8").splitlines()
    return next(one for line in lines if (one := json.loads(line))["type"] == kind)


def assert_part(part: Any, whole: Any, where: str) -> None:
    """Every field that the page shows stands there with this value."""
    assert sorted(part.keys() - whole.keys()) == [], where
    assert part == {name: whole[name] for name in part}, where
