"""Exports of labelling tools as the answers of a run: read whole, again and again."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace import BadInput, BadSettings
from headrace.adapters.tables.records import export_lines, is_export
from headrace.drivers.files.places import RunFiles
from headrace.drivers.files.run import run_files
from headrace.settings import AnswersSettings, Settings, parse

EVENTS = "".join(
    json.dumps({"id": f"e{i}", "at": 1714557600 + i, "features": {"x": i}}) + "\n" for i in range(6)
)
SETTINGS = {
    "query": {"budget": {"share": 1.0, "start": 1}},
    "label": {"answers_wanted": 1},
    "answers": {"batch_path": "annotations", "request_id": "data.request_id"},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "events.jsonl").write_text(EVENTS)
    return tmp_path


def run(folder: Path, answers: str, settings: Settings | None = None, **kwargs: Any) -> Any:
    places = RunFiles(
        events=folder / "events.jsonl",
        answers=folder / answers,
        requests=folder / "requests.jsonl",
        state=folder / "state",
    )
    return run_files(places, settings or parse(SETTINGS), **kwargs)


def requested(folder: Path) -> list[str]:
    lines = (folder / "requests.jsonl").read_text().splitlines()
    return [one["request_id"] for one in map(json.loads, lines)]


def settled(folder: Path) -> list[tuple[str, str, int]]:
    lines = (folder / "state" / "decisions.jsonl").read_text().splitlines()
    found = [one for one in map(json.loads, lines) if one["type"] == "LabelSettled"]
    return [(one["event_id"], one["label"], one["answers_n"]) for one in found]


def task(request_id: str, *labels: str, **change: Any) -> dict[str, Any]:
    marks = [{"label": label, "annotator": str(i)} for i, label in enumerate(labels)]
    return {"data": {"request_id": request_id}, "annotations": marks, **change}


def test_a_new_export_adds_what_is_new(folder: Path) -> None:
    export = folder / "export.json"
    run(folder, "export.json")
    first = requested(folder)[0]
    export.write_text(json.dumps([task(first, "a")], indent=2))
    assert run(folder, "export.json").answers.rejected_n == 0
    assert settled(folder) == [("e0", "a", 1)]
    second = requested(folder)[1]
    # The tool writes its tasks in another order, with other times of change and one annotator more.
    tasks = [task(second, "b"), task(first, "a", "a", updated_at="later")]
    export.write_text(json.dumps(tasks))
    report = run(folder, "export.json")
    assert settled(folder)[:2] == [("e0", "a", 1), ("e1", "b", 1)]
    lines = (folder / "state" / "answers.jsonl").read_text().splitlines()
    assert len(lines) == 3
    assert report.events.rejected_n == {}
    run(folder, "export.json")
    assert (folder / "state" / "answers.jsonl").read_text().splitlines() == lines


@pytest.mark.parametrize("content", ["", "\n", "[]", "[ ]\n"])
def test_an_export_may_hold_nothing_yet(folder: Path, content: str) -> None:
    (folder / "export.json").write_text(content)
    assert run(folder, "export.json").events.rejected_n == {}


def test_an_array_that_does_not_end_is_told(folder: Path) -> None:
    (folder / "export.json").write_text('[\n {"data": 1},\n')
    with pytest.raises(BadInput, match=r"export\.json begins as an array of JSON and is none"):
        run(folder, "export.json")


@pytest.mark.parametrize("name", ["later.csv", "later.jsonl.gz"])
def test_an_export_that_is_not_there_yet_is_not_followed(folder: Path, name: str) -> None:
    with pytest.raises(BadSettings, match=f"can't read .*{name}: an export is read whole"):
        run(folder, name, follow=True)


def test_an_export_is_not_followed(folder: Path) -> None:
    (folder / "export.json").write_text("[]")
    with pytest.raises(BadSettings, match="an export is read whole"):
        run(folder, "export.json", follow=True)


def test_the_copy_is_no_file_of_yours(folder: Path) -> None:
    (folder / "state").mkdir()
    (folder / "state" / "answers.jsonl").write_text("[]")
    with pytest.raises(BadSettings, match=r"the run's own answers\.jsonl"):
        run(folder, "state/answers.jsonl")


def csv(path: Path, rows: list[dict[str, Any]]) -> None:
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    path.write_text("\n".join(lines) + "\n")


def packed_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    csv(path, rows)
    path.write_bytes(gzip.compress(path.read_bytes()))


def packed_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))


def parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as files  # noqa: PLC0415 - an extra

    files.write_table(arrow.Table.from_pylist(rows), path)


def array(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text(json.dumps(rows, indent=1), encoding="utf-8-sig")


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.csv", csv),
        ("a.csv.gz", packed_csv),
        ("a.jsonl.gz", packed_lines),
        ("a.parquet", parquet),
        ("a.jsonl", array),
    ],
)
def test_every_form_of_export(
    folder: Path, name: str, write: Callable[[Path, list[dict[str, Any]]], None]
) -> None:
    settings = parse({**SETTINGS, "answers": {"label": "kind"}})
    run(folder, name, settings)
    (first,) = requested(folder)[:1]
    write(
        folder / name, [{"request_id": first, "kind": "0101", "at": 1714557603, "annotator": "7"}]
    )
    report = run(folder, name, settings)
    assert (settled(folder), report.events.rejected_n) == ([("e0", "0101", 1)], {})
    lines = (folder / "state" / "decisions.jsonl").read_text()
    assert '"at":1714557605' in lines  # the clock of the events, which answers don't move


def test_lines_that_are_arrays_are_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('["r", "a"]\n["s", "b"]\n')
    assert not is_export(path)
    path.write_text('["r", "a"]\n')
    assert is_export(path)
    assert list(export_lines(path, AnswersSettings())) == [b'"r"', b'"a"']


def test_a_line_with_answers_to_two_requests_waits_for_both(folder: Path) -> None:
    run(folder, "none.jsonl")
    known = requested(folder)
    settings = parse({**SETTINGS, "answers": {"batch_path": "all"}})
    (folder / "requests.jsonl").unlink()
    marks = [{"request_id": known[0], "label": "a"}, {"request_id": "unknown", "label": "b"}]
    (folder / "answers.jsonl").write_text(json.dumps({"all": marks}) + "\n")
    places = RunFiles(
        events=folder / "events.jsonl",
        answers=folder / "answers.jsonl",
        requests=folder / "requests.jsonl",
        state=folder / "other",
    )
    report = run_files(places, settings)
    assert (report.labels.settled_n, report.answers.rejected_n) == (1, 1)


@pytest.mark.parametrize("path", ["", "marks"])
def test_a_label_that_keeps_its_time_may_be_changed_and_changed_back(
    folder: Path, path: str
) -> None:
    """As where a tool exports when an answer was made, and not when it was changed."""
    fields = {"request_id": "request_id", "at": "meta.made", "batch_path": path}
    settings = parse({"query": SETTINGS["query"], "answers": fields})
    run(folder, "export.json", settings)
    first, second, *_ = requested(folder)
    for label in ("spam", "ham", "ham", "spam", "ham"):
        answers = [
            {"label": said, "annotator": "al", "meta": {"made": 1_714_557_700, "by": 7}}
            for said in (label, "ham")
        ]
        export = [
            {"request_id": name, "marks": [answer]} if path else {"request_id": name, **answer}
            for name, answer in zip((first, second), answers, strict=True)
        ]
        (folder / "export.json").write_text(json.dumps(export))
        report = run(folder, "export.json", settings)
        assert report.answers.rejected_n == 0
    assert [one for one in settled(folder) if one[0] == "e0"] == [
        ("e0", "spam", 1), ("e0", "ham", 1), ("e0", "spam", 1), ("e0", "ham", 1),
    ]  # fmt: skip
    assert len((folder / "state" / "answers.jsonl").read_text().splitlines()) == 2 + 3 * 2


def test_a_label_without_a_time_may_be_changed_and_changed_back(folder: Path) -> None:
    settings = parse({"query": SETTINGS["query"]})
    run(folder, "export.csv", settings)
    first, second, *_ = requested(folder)
    for label in ("spam", "ham", "ham", "spam"):
        rows = f"request_id,label,annotator\n{first},{label},al\n{second},ham,bo\n"
        (folder / "export.csv").write_text(rows)
        run(folder, "export.csv", settings)
    assert [one for one in settled(folder) if one[0] == "e0"] == [
        ("e0", "spam", 1), ("e0", "ham", 1), ("e0", "spam", 1),
    ]  # fmt: skip
    assert len((folder / "state" / "answers.jsonl").read_text().splitlines()) == 4
