"""The tools themselves take our tasks, and we take their exports: `make formats` fetches them."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bridges.formats.test_round_trip import HOSTILE
from bridges.formats.tools import format_of, request
from headrace.bridges.formats.format import text_of
from headrace.bridges.formats.settings import FilesSettings
from repo.tree import ROOT

INSIDE = Path(__file__).parent / "inside"
IDS = [f"{i:032x}" for i in range(len(HOSTILE) - 1)] + ["12345678901234567890123456789012:2"]
ASKED = [request(name, {"text": held, "n": -3.5}) for name, held in zip(IDS, HOSTILE, strict=True)]
SHOWN = [text_of(one, FilesSettings()) for one in ASKED]


def asked_inside(tools: list[str], script: str, folder: Path) -> dict:
    """What a script says that runs beside a tool."""
    places = [ROOT / ".formats" / tool for tool in tools]
    if not all((place / ".ready").exists() for place in places):
        pytest.skip("the labelling tools are not here; make formats fetches them")
    paths = [*places, *[place / "backend" for place in places]]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, paths)), "HF_HUB_OFFLINE": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(INSIDE / script), str(folder)],
        env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2_000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_argilla_takes_our_records_and_we_take_its_exports(tmp_path):
    format_ = format_of("argilla", show_guess=True)
    (tmp_path / "tasks.json").write_bytes(format_.tasks_of(ASKED))
    said = asked_inside(["argilla"], "argilla_records.py", tmp_path)
    assert said["found"] == [list(pair) for pair in zip(IDS, SHOWN, strict=True)]
    assert said["suggested"] == [{"value": "ham", "score": 0.75, "agent": "headrace 3"}] * len(IDS)
    ada, bob = f"{1:08x}", f"{2:08x}"
    for name, has_status in (("answers.json", False), ("flat.json", True)):
        reading = format_.replies_of((tmp_path / name).read_bytes())
        wanted = []
        for i, request_id in enumerate(IDS):
            if i % 4 == 0:
                wanted += [(request_id, "ham", ada), (request_id, "spam", bob)]
            elif i % 4 == 1:
                wanted.append((request_id, None, ada))
            elif i % 4 == 2 and not has_status:
                wanted.append((request_id, "ham", ada))
        found = [(one.request_id, one.label, one.annotator[-8:]) for one in reading.given]
        assert (found, reading.faults) == (wanted, [])
        assert reading.blank == IDS[3::4]


def test_doccano_takes_our_examples_and_we_take_its_exports(tmp_path):
    format_ = format_of("doccano")
    (tmp_path / "tasks.jsonl").write_bytes(format_.tasks_of(ASKED))
    said = asked_inside(["doccano-needs", "doccano"], "doccano_examples.py", tmp_path)
    assert said == {
        "found": [list(pair) for pair in zip(IDS, SHOWN, strict=True)], "labels": 0, "faults": [],
    }  # fmt: skip
    wanted = [(name, "ham" if i % 4 == 0 else "spam") for i, name in enumerate(IDS) if i % 2 == 0]
    for suffix in ("jsonl", "json"):
        reading = format_.replies_of((tmp_path / f"all.{suffix}").read_bytes())
        assert [(one.request_id, one.label) for one in reading.given] == wanted
        assert reading.blank == IDS[1::4]
        assert reading.faults_n == len(IDS[3::4])
    reading = format_of("csv").replies_of((tmp_path / "all.csv").read_bytes())
    two = [(name, "ham#spam") for name in IDS[3::4]]
    found = [(one.request_id, one.label) for one in reading.given]
    assert sorted(found) == sorted([*wanted, *two])


def test_functions_of_snorkel_answer(tmp_path):
    script = tmp_path / "ask.py"
    script.write_text(
        """
import json, sys
from pathlib import Path
from bridges.formats.tools import request
from headrace.bridges.bridge import Delivery
from headrace.bridges.functions import Functions, FunctionsSettings

names = ["snorkel_functions:shouts", "snorkel_functions:links"]
settings = FunctionsSettings(functions=names, classes=["ham", "spam"])
bridge = Functions(settings, Path(sys.argv[1]))
for i, text in enumerate(["HELLO", "see HTTP://x", "hi"]):
    asked = request(f"r{i}", {"text": text}, answers_wanted=3)
    bridge.send([Delivery(f"r{i}", asked)])
receipt = bridge.receive("")
replies = [(one.request_id, one.annotator, one.label) for one in receipt.replies]
print(json.dumps({"replies": replies, "faults": receipt.faults}))
"""
    )
    place = ROOT / ".formats" / "snorkel"
    if not (place / ".ready").exists():
        pytest.skip("Snorkel is not here; make formats fetches it")
    paths = [ROOT / "src", ROOT / "tests", INSIDE, place]
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2_000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "replies": [
            ["r0", "lf:shouts", "spam"], ["r0", "lf:has_link", "ham"],
            ["r1", "lf:has_link", "spam"], ["r2", "lf:has_link", "ham"],
        ],
        "faults": [],
    }  # fmt: skip


def test_a_spreadsheet_calculates_nothing_and_gives_the_ids_back(tmp_path):
    convert = shutil.which("ssconvert")
    if convert is None:
        pytest.skip("Gnumeric is not here: apt-get install gnumeric")
    format_ = format_of("csv")
    (tmp_path / "tasks.csv").write_bytes(format_.tasks_of(ASKED))
    for source, target in (("tasks.csv", "tasks.xlsx"), ("tasks.xlsx", "saved.csv")):
        paths = [str(tmp_path / source), str(tmp_path / target)]
        subprocess.run([convert, *paths], check=True, capture_output=True, timeout=120)
    with zipfile.ZipFile(tmp_path / "tasks.xlsx") as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert "<f " not in sheet
    saved = (tmp_path / "saved.csv").read_text(encoding="utf-8")
    head, *rows = csv.reader(io.StringIO(saved, newline=""))
    for row in rows:
        row[1] = "ham"
    out = io.StringIO(newline="")
    csv.writer(out).writerows([head, *rows])
    reading = format_.replies_of(out.getvalue().encode())
    assert [one.request_id for one in reading.given] == IDS
    assert reading.faults == []
