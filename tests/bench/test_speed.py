"""The harness of speed and memory: each job runs, rows are kept, the page is made of them.

How fast the engine is, is not asserted here, but for the ratio in test_engine_plugin.py.
"""

from __future__ import annotations

import builtins
from pathlib import Path

import pytest
from bench.speed import aims, endless, growth, peers
from bench.speed.__main__ import ROWS, all_jobs, main
from bench.speed.page import page, peers_table
from bench.speed.rows import Made, Row, Scale, code, left_to_do, make, read, write

from repo.tree import ROOT

SMALL = Scale(400, 1)


def made_of(job: str, *rows: Row, by: str = "new") -> Made:
    return Made(
        job=job, code=by, day="2026-01-01", machine="one", load=0.5, scale=SMALL, rows=list(rows)
    )


@pytest.mark.parametrize("job", aims.jobs())
def test_every_target_is_measured(monkeypatch: pytest.MonkeyPatch, job: str) -> None:
    monkeypatch.setattr(aims, "LABELS_BEFORE_SCORING_N", 5)
    [row] = aims.jobs()[job](SMALL)
    assert row.events_n > 0
    assert row.us and row.bare_us


@pytest.mark.parametrize("axis", growth.AXES)
def test_growth_costs_an_event_and_a_label(axis: str) -> None:
    [row] = growth.jobs()[f"growth/{axis}/logistic/{growth.AXES[axis][1]:05d}"](Scale(600, 1))
    assert row.events_n == 600
    assert row.us and row.bare_us and row.labels_n


def test_partitions_share_what_is_learned() -> None:
    run = growth._shards("shards", "logistic", 4, 0.1, Scale(1_200, 1))
    assert run()["labels"] > 30


def test_endless_has_a_row_at_every_look() -> None:
    rows = endless.play("few", 0.01, 500.0, 2_000, SMALL, events_n=4_000, look_every_n=2_000)
    first, last = (row.events_n for row in rows)
    assert 2_000 <= first < 2_200 and last == 4_000
    assert rows[-1].labels_n


def test_peers_play_one_stream_and_one_that_is_missing_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jobs = peers.jobs()
    [bare] = jobs["peers/river:labels at random (the bare loop)"](SMALL)
    [other] = jobs["peers/skactiveml:VariableUncertainty, 100 at a time"](SMALL)
    assert bare.right and other.right and other.labels_n
    really = builtins.__import__

    def without(name: str, *rest: object) -> object:
        if name == "vowpalwabbit":
            raise ImportError(name)
        return really(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    [missing] = jobs["peers/vw:--active, from Python"](SMALL)
    assert missing.us is None
    assert "bench/requirements.txt" in missing.note
    table = peers_table({"peers/vw:--active, from Python": made_of("peers", missing)})
    assert missing.note in table[-1]


def test_rows_are_kept_and_made_anew_for_other_code(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    full, lacking = Row(name="a", us=1.0), Row(name="b", note="not installed")
    made = [made_of("a", full, by=code()), made_of("b", lacking, by=code()), made_of("c", full)]
    write(path, made)
    path.write_bytes(path.read_bytes() + b'{"job":"a","cut')
    assert read(path) == {one.job: one for one in made}
    assert left_to_do("abcd", read(path)) == ["b", "c", "d"]


def test_a_job_that_fails_is_a_row_that_says_so() -> None:
    made = make("peers/unknown", SMALL)
    assert made.rows[0].us is None
    assert "KeyError" in made.rows[0].note


@pytest.mark.long
def test_a_page_is_written_from_few_rows(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    arguments = ["page", "--events", "400", "--repeats", "1", "--rows", str(rows)]
    arguments += [
        "--out",
        str(tmp_path / "docs"),
        "--only",
        "aims/watching,growth/pool/logistic/00050",
    ]
    assert main(arguments) == 0
    assert list(read(rows)) == ["aims/watching, 0.1 % labels", "growth/pool/logistic/00050"]
    assert "not measured" in (tmp_path / "docs" / "BENCHMARKS.md").read_text(encoding="utf-8")
    assert (tmp_path / "docs" / "img" / "growth-label.svg").exists()


def test_the_page_is_made_of_the_rows() -> None:
    made = read(ROWS)
    assert set(made) == set(all_jobs())
    assert page(made) == (ROOT / "docs" / "BENCHMARKS.md").read_text(encoding="utf-8")
