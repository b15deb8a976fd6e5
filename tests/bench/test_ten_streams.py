"""The table of ten streams: differences are between runs alike but for the way to ask."""

from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

import pyarrow as pa
import pyarrow.parquet as pq
from bench.ten_streams import Key, Run, keys_of, make_runs, read_runs, tables

from bench import ten_streams


def all_runs(stream: str) -> dict[Key, Run]:
    """Runs in which margin is right half a point more often than random, whatever the seed."""
    found = {}
    for way in ("random", "margin"):
        for key in keys_of("logistic", way, stream):
            right = 0.6 + 0.01 * key.seed + (0.005 if way == "margin" else 0.0)
            found[key] = Run(key, 100, right, right, 5)
    return found


def test_differences_are_paired_by_seed() -> None:
    text = tables(all_runs("bike"))
    assert "| bike | 61.0 ± 2.5 |" in text
    assert "| bike | **+0.5 ± 0.0** |" in text


def test_a_stream_that_lacks_a_run_is_left_out() -> None:
    runs = all_runs("bike")
    del runs[next(key for key in runs if key.way == "random")]
    assert "bike" not in tables(runs)


def test_runs_are_kept_and_none_is_made_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events_n = 120
    columns = {"x": [float(i % 7) for i in range(events_n)], "label": [i % 2 for i in range(120)]}
    pq.write_table(pa.table(columns), tmp_path / "bike.parquet")
    ways = {name: ten_streams.WAYS[name] for name in ("random", "scheduled")}
    monkeypatch.setattr(ten_streams, "WAYS", ways)
    monkeypatch.setattr(ten_streams, "SETTINGS", [(0.1, 50.0)])
    monkeypatch.setattr(ten_streams, "SEEDS", (0, 1))
    file = tmp_path / "rows.jsonl"
    make_runs(tmp_path, file, ["bike"], events_n)
    runs = read_runs(file)
    assert len(runs) == 2 * 2
    assert all(0 < run.labels_n <= 0.1 * events_n + 1 for run in runs.values())
    before = file.read_bytes()
    make_runs(tmp_path, file, ["bike"], events_n)
    assert file.read_bytes() == before
