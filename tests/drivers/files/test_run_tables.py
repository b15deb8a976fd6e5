"""`headrace run` on tables and packed files: the same requests as of JSON lines."""

from __future__ import annotations

import csv
import gzip
import json
import threading
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from headrace import cli
from headrace.drivers.files.run import RunFiles, Runner, run_files
from headrace.errors import BadInput, BadSettings
from headrace.settings import Settings, parse

SECONDS_MAX = 60
RAW = {"query": {"budget": {"share": 1.0, "start": 1}}, "model": {"name": "naive-bayes"}}


def rows(n: int = 40) -> list[dict[str, Any]]:
    return [
        {"id": f"e{i}", "at": 1_700_000_000.0 + i, "amount": i / 8, "n": i,
         "country": "DEFR"[i % 3 :], "predicted": "no" if i % 2 else "yes"}
        for i in range(n)
    ]  # fmt: skip


def write(path: Path, given: list[dict[str, Any]]) -> Path:
    """The rows in the format that the name says."""
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pa.Table.from_pylist(given), path)
        return path
    with gzip.open(path, "wt") if path.name.endswith(".gz") else path.open("w") as file:
        if name.endswith(".jsonl"):
            for row in given:
                features = {key: row[key] for key in ("amount", "n", "country")}
                event = {"id": row["id"], "at": row["at"], "predicted": row["predicted"]}
                file.write(json.dumps({**event, "features": features}) + "\n")
        else:
            writer = csv.DictWriter(file, list(given[0]))
            writer.writeheader()
            writer.writerows(given)
    return path


def run(folder: Path, events: Path, raw: dict[str, Any] | None = None) -> list[str]:
    """One run; the notes."""
    notes: list[str] = []
    settings: Settings = parse(raw or RAW)
    places = RunFiles(events=events, answers=None, requests=folder / "requests.jsonl",
                    state=folder / "state")  # fmt: skip
    run_files(places, settings, on_note=notes.append)
    return notes


def requests(folder: Path) -> list[tuple[Any, ...]]:
    lines = (folder / "requests.jsonl").read_text().splitlines()
    return [
        (r["event_id"], r["features"], r.get("served"), r["event_at"])
        for r in map(json.loads, lines)
    ]


@pytest.mark.parametrize("name", ["e.csv", "e.csv.gz", "e.jsonl.gz", "e.parquet", "e.tsv"])
def test_requests_are_those_of_json_lines(name: str, tmp_path: Path) -> None:
    plain, other = tmp_path / "plain", tmp_path / "other"
    for folder in (plain, other):
        folder.mkdir()
    run(plain, write(plain / "e.jsonl", rows()))
    path = write(other / name, rows())
    if name.endswith(".tsv"):
        path.write_text(path.read_text().replace(",", "\t"))
    notes = run(other, path)
    assert requests(other) == requests(plain)
    assert len(requests(plain)) > 30
    assert "read as numeric: amount, n" in notes
    assert "read as categorical: country" in notes
    assert cli.main(["replay", str(other / "state")]) == 0


def test_rows_that_are_added_are_fed_and_none_twice(tmp_path: Path) -> None:
    path = write(tmp_path / "e.csv", rows(30))
    run(tmp_path, path)
    before = (tmp_path / "requests.jsonl").read_bytes()
    run(tmp_path, path)
    assert (tmp_path / "requests.jsonl").read_bytes() == before
    run(tmp_path, write(path, rows(40)))
    after = (tmp_path / "requests.jsonl").read_bytes()
    assert after.startswith(before)
    assert len(after) > len(before)


@pytest.mark.parametrize("row, change", [(3, {"amount": 99.0}), (12, {"amount": "soon"})])
def test_a_table_that_has_changed_is_refused(
    row: int, change: dict[str, Any], tmp_path: Path
) -> None:
    path = write(tmp_path / "e.csv", rows(20))
    run(tmp_path, path)
    given = rows(20)
    given[row] |= change
    with pytest.raises(BadInput, match="has changed since"):
        run(tmp_path, write(path, given))


@pytest.mark.parametrize("name", ["id", "at"])
def test_a_table_without_an_id_or_a_time_names_the_setting(name: str, tmp_path: Path) -> None:
    path = write(
        tmp_path / "e.csv", [{k: v for k, v in row.items() if k != name} for row in rows()]
    )
    with pytest.raises(BadSettings, match=f"there is no column '{name}', which input.{name} names"):
        run(tmp_path, path)


def test_columns_of_their_own_names_and_kinds(tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    path.write_text("when;nr;zip;p.ok;p.bad;kg\n2024-05-01T10:00:00Z;0017;01234;0.75;0.25;1,5\n")
    raw = {**RAW, "input": {"id": "nr", "at": "when", "probabilities": "p"}}
    run(tmp_path, path, raw)
    (found,) = requests(tmp_path)
    assert found == ("0017", {"zip": "01234", "kg": 1.5}, {"ok": 0.75, "bad": 0.25}, 1714557600.0)


def test_records_of_many_events_stand_in_parquet_as_in_json(tmp_path: Path) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    row = {"id": "r1", "at": 5.0, "instances": [{"a": 1.0}, {"a": 2.0}]}
    parquet.write_table(pa.Table.from_pylist([row]), tmp_path / "e.parquet")
    run(tmp_path, tmp_path / "e.parquet", {**RAW, "input": {"batch": "kserve-v1"}})
    assert [one[:2] for one in requests(tmp_path)] == [("r1/0", {"a": 1.0}), ("r1/1", {"a": 2.0})]


def test_an_inference_table_in_parquet_is_read_as_its_lines_are(tmp_path: Path) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    kinds = {
        "request_id": pa.string(),
        "request_time": pa.timestamp("us", "UTC"),
        "status_code": pa.int32(),
        "request": pa.string(),
        "response": pa.string(),
        "request_metadata": pa.map_(pa.string(), pa.string()),
        "timings": pa.struct([("total", pa.duration("ms")), ("steps", pa.list_(pa.int8()))]),
    }
    asked = json.dumps({"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"], [2, "y"]]}})
    row = {
        "request_id": "r1",
        "request_time": datetime(2024, 5, 1, 10, tzinfo=UTC),
        "status_code": 200,
        "request": asked,
        "response": json.dumps({"predictions": [0, 1]}),
        "request_metadata": [("model_version", "3")],
        "timings": {"total": timedelta(milliseconds=1500), "steps": [1, 2]},
    }
    failed = {**row, "request_id": "r0", "status_code": 500, "response": "oops"}
    table = pa.Table.from_pylist([failed, row], pa.schema(list(kinds.items())))
    parquet.write_table(table, tmp_path / "e.parquet")
    fields = {
        "id": "request_id", "at": "request_time", "status": "status_code", "batch": "columns",
        "batch_path": "request", "predicted": "response.predictions",
        "class_names": {"0": "no", "1": "yes"}, "model_version": "request_metadata.model_version",
        "key": "timings.total",
    }  # fmt: skip
    run(tmp_path, tmp_path / "e.parquet", {**RAW, "input": fields})
    lines = [json.loads(line) for line in (tmp_path / "requests.jsonl").read_text().splitlines()]
    assert requests(tmp_path)[0] == ("r1/0", {"a": 1, "b": "x"}, {"no": 1.0}, 1714557600.0)
    assert [one["served_model"] for one in lines] == ["3", "3"]
    assert [one["key"] for one in lines] == ["1.5", "1.5"]


def test_ids_that_are_large_decimals_stay_apart(tmp_path: Path) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    ids = [Decimal(2**60 + i) for i in range(3)]
    table = pa.table({
        "id": pa.array(ids, pa.decimal128(38, 9)),
        "at": [1.0, 2.0, 3.0],
        "price": pa.array([Decimal("1.5"), None, Decimal("2.25")], pa.decimal128(10, 2)),
    })  # fmt: skip
    parquet.write_table(table, tmp_path / "e.parquet")
    run(tmp_path, tmp_path / "e.parquet")
    told = [(str(2**60), {"price": 1.5}), (str(2**60 + 1), {}), (str(2**60 + 2), {"price": 2.25})]
    assert [one[:2] for one in requests(tmp_path)] == told


@pytest.mark.parametrize("features", ["features", ""])
@pytest.mark.parametrize("scores", [["0.25", "", "0.5"], ["[0.75, 0.25]", "", "[0.5, 0.5]"]])
def test_a_column_of_probabilities_is_the_served_model_s(
    scores: list[str], features: str, tmp_path: Path
) -> None:
    rows = "".join(f'e{i},{i}.0,{i},"{score}"\n' for i, score in enumerate(scores))
    (tmp_path / "e.csv").write_text(f"id,at,amount,score\n{rows}")
    fields = {"features": features, "probabilities": "score", "classes": ["ok", "fraud"]}
    notes = run(tmp_path, tmp_path / "e.csv", {**RAW, "input": fields})
    assert notes == ["read as numeric: amount"]
    assert requests(tmp_path) == [
        ("e0", {"amount": 0}, {"ok": 0.75, "fraud": 0.25}, 0.0),
        ("e1", {"amount": 1}, None, 1.0),
        ("e2", {"amount": 2}, {"ok": 0.5, "fraud": 0.5}, 2.0),
    ]


def test_probabilities_may_have_a_decimal_comma(tmp_path: Path) -> None:
    fields = {"probabilities": "p", "classes": ["ok", "fraud"]}
    for name, header, cells in (
        ("one", "p", ["0,75", "0,1", "1"]),
        ("each", "p.ok;p.fraud", ["0,25;0,75", "0,9;0,1", "0;1"]),
        ("array", "p", ["0.25,0.75", "0.9,0.1", "0,1"]),
    ):
        (folder := tmp_path / name).mkdir()
        rows = "".join(f"e{i};{i};{cell}\n" for i, cell in enumerate(cells))
        (folder / "e.csv").write_text(f"id;at;{header}\n{rows}")
        notes = run(folder, folder / "e.csv", {**RAW, "input": fields})
        served = [one[2] for one in requests(folder)]
        assert served == [{"ok": 0.25, "fraud": 0.75}, {"ok": 0.9, "fraud": 0.1},
                          {"ok": 0.0, "fraud": 1.0}]  # fmt: skip
        assert any("decimal comma" in note for note in notes) == (name != "array")


@pytest.mark.parametrize("name", ["e.csv", "e.jsonl.gz"])
def test_the_answers_to_a_table_are_followed(name: str, tmp_path: Path) -> None:
    """Rows that come later are not read, and a note says so."""
    path, answers, notes = write(tmp_path / name, rows()), tmp_path / "a.jsonl", list[str]()
    stop = threading.Event()
    places = RunFiles(events=path, answers=answers, requests=tmp_path / "r.jsonl",
                    state=tmp_path / "state")  # fmt: skip

    began = time.monotonic()

    def answer(runner: Runner) -> None:
        if time.monotonic() - began > SECONDS_MAX:
            stop.set()
        said = notes[-1] if notes else ""
        if "waiting for answers" in said and not answers.exists():
            asked = [json.loads(line) for line in places.requests.read_text().splitlines()]
            ids = [*(one["request_id"] for one in asked), "r-0", "r-1"]
            given = [{"request_id": name, "label": "no"} for name in ids]
            answers.write_text("".join(f"{json.dumps(one)}\n" for one in given))
            write(path, rows(50))
        if runner.latest.labels.settled_n == 38 and "has changed" in "".join(notes[-2:]):
            stop.set()

    report = run_files(places, parse(RAW), follow=True, stop=stop, on_note=notes.append,
                       on_turn=answer)  # fmt: skip
    assert (report.events.observed_n, report.model.learned_n) == (40, 38)
    told = notes.index("40 events read, 38 labels asked; waiting for answers")
    assert sorted(notes[told + 1 :]) == sorted([
        f"{path} has changed; start again to read the rows added to it",
        "an answer names request r-0, which this run has not asked; it waits, as all such answers "
        "do, in case a later event leads to it",
    ])  # fmt: skip
    again = run_files(places, parse(RAW))
    assert again.events.observed_n == 50


PACKED = gzip.compress(b"".join(b'{"id": %d}\n' % (i * i) for i in range(999)), mtime=0)


@pytest.mark.parametrize(
    "content", [b"no gzip", PACKED[:-9], PACKED[:99] + bytes(9) + PACKED[108:], PACKED + b"more"]
)
def test_a_packed_file_that_is_broken_says_so(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "e.jsonl.gz").write_bytes(content)
    with pytest.raises(BadInput, match="can't be unpacked"):
        run(tmp_path, tmp_path / "e.jsonl.gz")
    (tmp_path / "a.jsonl.gz").write_bytes(content)
    places = RunFiles(events=write(tmp_path / "e.jsonl", rows()), answers=tmp_path / "a.jsonl.gz",
                      requests=tmp_path / "r.jsonl", state=tmp_path / "other")  # fmt: skip
    with pytest.raises(BadInput, match=r"a.jsonl.gz can't be read"):
        run_files(places, parse(RAW))


def test_what_is_not_used_stands_in_the_closing_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "s.toml"
    settings.write_text("[schema]\nfeatures_max = 2\n")
    path = write(tmp_path / "e.jsonl", rows(10))
    arguments = ["--requests", str(tmp_path / "r.jsonl"), "--state", str(tmp_path / "state")]
    assert cli.main(["run", "--events", str(path), *arguments, "--settings", str(settings)]) == 0
    told = capsys.readouterr()
    assert "limits: 10 values of features that found no room (n): schema.features_max" in told.out
    assert "headrace: read as" in told.err
