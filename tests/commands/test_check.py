"""`headrace check`: what the settings make of a log, before anything runs on it."""

from __future__ import annotations

import gzip
import json

import pytest

from headrace.cli import main

START = 1_700_000_000
QUICK = 'model.name = "logistic"\n'
"""For what does not depend on the model: a committee learns slowly."""


@pytest.fixture
def checked(tmp_path, capsys, monkeypatch):
    """Check settings against a log; the exit code and what was said."""
    monkeypatch.syspath_prepend(tmp_path)

    def check(settings="", log="events.jsonl"):
        path = tmp_path / "headrace.toml"
        path.write_text(settings)
        code = main(["check", str(path), "--events", str(tmp_path / log)])
        told = capsys.readouterr()
        return code, told.out + told.err

    return check


def write_log(folder, n=300, every_bad=0, **more):
    lines = []
    for i in range(n):
        event = {"id": f"e{i}", "at": START + i, "features": {"x": i % 7, "city": "Rome"}, **more}
        lines.append(json.dumps(event))
        if every_bad and i % every_bad == 0:
            lines.append("nothing")
    (folder / "events.jsonl").write_text("\n".join(lines) + "\n")


def test_a_log_that_fits_is_told_as_it_is_read(checked, tmp_path):
    write_log(tmp_path, every_bad=100)
    code, said = checked()
    assert code == 0
    assert "303 records tried, 300 events in them" in said
    assert "- 3 rejected as not_json, the first in record 2: the line is not JSON" in said
    assert "from 2023-11-14 22:13 to 2023-11-14 22:18" in said
    assert "read as categorical: city\nread as numeric: x\n" in said
    assert "labels that were made up, and predicts" in said


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("river.naive_bayes:GaussianNB", "could not learn one of the first 10 labels (TypeError"),
        ("mine:silent", "failed on each of"),
    ],
)
def test_a_model_that_fails_on_the_log_is_a_fault(checked, tmp_path, model, said):
    write_log(tmp_path)
    (tmp_path / "mine.py").write_text(
        "from river import dummy\n\n"
        "class Silent(dummy.NoChangeClassifier):\n"
        "    def predict_proba_one(self, x):\n"
        "        raise OverflowError('too large')\n\n"
        "def silent():\n"
        "    return Silent()\n"
    )
    code, told = checked(f'model.name = "{model}"\n')
    assert code == 1
    assert "300 events in them" in told
    assert f"- the model {said}" in told


def test_a_model_is_tried_with_the_classes_that_are_known(checked, tmp_path):
    write_log(tmp_path, predicted="fraud")
    (tmp_path / "pretrained.py").write_text(
        "from river import dummy\n\n"
        "class Pretrained(dummy.NoChangeClassifier):\n"
        "    def learn_one(self, x, y):\n"
        "        if y not in (0, 1):\n"
        "            raise ValueError(f'no such class: {y!r}')\n"
        "        super().learn_one(x, y)\n\n"
        "def model():\n"
        "    return Pretrained()\n"
    )
    settings = 'model.name = "pretrained:model"\nschema.classes = ["fine", "fraud"]\n'
    assert checked(settings)[0] == 0


def test_a_log_of_which_nothing_can_be_read_is_a_fault(checked, tmp_path):
    write_log(tmp_path)
    code, said = checked('input.id = "uid"\n')
    assert code == 1
    assert "300 rejected as no_id, the first in record 1: there is nothing at uid" in said
    told = "not one event could be read; [input] says where the fields of an event stand\n"
    assert said.endswith(told)


def test_a_table_by_another_name_is_told_what_events_may_be(checked, tmp_path):
    (tmp_path / "events.txt").write_text("id,at,x\ne1,1714557600,1\n")
    code, said = checked(log="events.txt")
    assert code == 1 and said.endswith(
        "not one event could be read; events are objects of JSON, one a line in UTF-8, or a table "
        "whose name ends with .csv, .tsv or .parquet\n"
    )


def test_packed_lines_and_tables_are_tried_too(checked, tmp_path):
    write_log(tmp_path, n=1_500)
    plain = (tmp_path / "events.jsonl").read_bytes()
    (tmp_path / "events.jsonl.gz").write_bytes(gzip.compress(plain))
    assert "1,000 records tried, 1,000 events in them" in checked(QUICK, "events.jsonl.gz")[1]
    rows = "\n".join(f"e{i},{START + i},{i % 5}" for i in range(50))
    (tmp_path / "events.csv").write_text(f"id,at,x\n{rows}\n")
    code, said = checked(QUICK, "events.csv")
    assert code == 0 and "50 events in them" in said and said.count("read as numeric: x") == 1


def test_a_packed_log_of_long_lines_is_cut_between_them(checked, tmp_path):
    lines = [
        json.dumps({"id": f"e{i}", "at": START + i, "features": {"x": i % 5, "note": "z" * 9_000}})
        for i in range(300)
    ]
    (tmp_path / "events.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    said = checked(QUICK, "events.jsonl.gz")[1]
    assert "300 records tried, 300 events in them" in said


@pytest.mark.parametrize(("day", "is_told"), [(20240501, True), (20241301, False)])
def test_dates_in_digits_are_told(checked, tmp_path, day, is_told):
    rows = [f"e{i},{day + i // 100},{i % 7}" for i in range(300)]
    (tmp_path / "events.csv").write_text("\n".join(["id,at,x", *rows]))
    code, said = checked(QUICK, log="events.csv")
    told = f"- times such as {day} look like dates, and were read as seconds since 1970"
    assert code == 0 and "from 1970-08-23" in said and (told in said) == is_told


def test_a_log_that_is_not_there_is_told(checked):
    code, said = checked(log="gone.jsonl")
    assert code == 2 and "gone.jsonl is no file" in said


def test_limits_that_the_log_reaches_are_told(checked, tmp_path):
    write_log(tmp_path)
    code, said = checked(QUICK + '[schema]\nfeatures = {"x" = "numeric"}\n')
    assert code == 0 and "schema.features does not declare" in said


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("", "predicted by the served model: ok 200, block 100\n"),
        ("schema.classes = ['ok', 'block']", "predicted by the served model: ok 200, block 100\n"),
        (
            "schema.classes = ['ok', 'fraud']",
            "- schema.classes has no block, which the served model predicts; input.class_names",
        ),
        (
            "schema.classes = ['ok', 'fraud']\ninput.class_names = {block = 'fraud'}",
            "predicted by the served model: ok 200, fraud 100\n",
        ),
        ("input.predicted = 'decison'", "\nno predictions of a served model: there is nothing at"),
        (
            "input.predicted = 'decison'\nevaluation.judged = 'served'",
            "- 300 of the latest 300 events without a prediction of the served model, though "
            "evaluation.judged is 'served'",
        ),
    ],
)
def test_what_the_served_model_predicted_is_told(checked, tmp_path, settings, told):
    served = ["ok", "ok", "block"] * 100
    events = [
        {"id": f"e{i}", "at": START + i, "features": {"x": i}, "predicted": name}
        for i, name in enumerate(served)
    ]
    (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, events)) + "\n")
    code, said = checked(f"{QUICK}{settings}\n")
    assert code == 0 and told in said
    assert ("- schema.classes" in said) == ("- schema.classes" in told)


def test_a_served_class_that_is_not_the_likeliest_is_told(checked, tmp_path):
    write_log(tmp_path, predicted="fraud", probabilities={"ok": 0.6, "fraud": 0.4})
    code, said = checked(QUICK)
    assert code == 0 and "predicted by the served model: ok 300\n" in said
    assert (
        "- predicted names another class than the likeliest of probabilities in 300 events" in said
    )
