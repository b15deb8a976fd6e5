"""docs/FIRST-RUN.md: Headrace says to the first mistakes what the page says; see `test_console`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from headrace import cli
from repo.tree import ROOT
from warm import run_python

PAGE = (ROOT / "docs" / "FIRST-RUN.md").read_text(encoding="utf-8")
(SETTINGS,) = re.findall(
    r'^```toml title="out/headrace.toml"\n(.*?)^```', PAGE, re.MULTILINE | re.DOTALL
)
SECTION = PAGE[PAGE.index("## What goes wrong first") : PAGE.index("## What next")]
TOLD = re.findall(r"`([^`]+)`", SECTION)
ROWS_N = 200


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the page's settings and the first rows of its log."""
    monkeypatch.chdir(tmp_path)
    done = run_python(str(ROOT / "examples" / "payments_log.py"), "csv", cwd=tmp_path)
    (tmp_path / "out").mkdir()
    rows = done.stdout.splitlines(keepends=True)[: ROWS_N + 1]
    (tmp_path / "out" / "payments.csv").write_text("".join(rows))
    (tmp_path / "out" / "headrace.toml").write_text(SETTINGS)
    return tmp_path / "out"


def assert_told(beginning: str, printed: str) -> None:
    """The page has one text that begins so, and it was printed."""
    (text,) = [one for one in TOLD if one.startswith(beginning)]
    assert text in printed, printed


@pytest.mark.parametrize(
    ("line", "instead", "beginning"),
    [
        ('at_unit = "ms"\n', "", "created_ms is"),
        (re.findall("class_names.*\n", SETTINGS)[0], "", "schema.classes has no"),
        ('predicted = "decision"\n', 'predicted = "decison"\n', "no predictions of"),
    ],
)
def test_a_mistake_in_the_settings(
    folder: Path, line: str, instead: str, beginning: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert line in SETTINGS
    settings = SETTINGS.replace(line, instead)
    if beginning == "no predictions of":
        settings = re.sub("probabilities = .*\n", "", settings)
    (folder / "headrace.toml").write_text(settings)
    cli.main(["check", "out/headrace.toml", "--events", "out/payments.csv"])
    assert_told(beginning, capsys.readouterr().out)


def test_an_id_that_comes_twice(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "payments.csv"
    path.write_text(path.read_text() + path.read_text().splitlines(keepends=True)[-1])
    cli.main(["check", "out/headrace.toml", "--events", "out/payments.csv"])
    assert_told("1 rejected as", capsys.readouterr().out)


def test_answers_and_settings_that_do_not_fit(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "--events", "out/payments.csv", "--requests", "out/requests.jsonl"]
    words += ["--state", "out/state", "--answers", "out/answers.jsonl"]
    words += ["--settings", "out/headrace.toml"]
    assert cli.main(words) == 0
    asked = json.loads((folder / "requests.jsonl").read_text().splitlines()[0])
    answer = {"request_id": asked["request_id"], "label": "legit"}
    (folder / "answers.jsonl").write_text(json.dumps(answer) + "\n")
    assert cli.main(words) == 0
    rejects = (folder / "state" / "rejects.jsonl").read_text().splitlines()
    assert_told("class 'legit'", json.loads(rejects[0])["detail"])
    (folder / "headrace.toml").write_text(SETTINGS.replace("share = 0.05", "share = 0.1"))
    assert cli.main(words) == 2
    assert_told("query.budget.share is", capsys.readouterr().err)
