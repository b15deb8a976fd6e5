"""The harness of the experiments: what it counts, that it can be stopped, that its page is current.

How good the product is, is not asserted here; the figures are on the page.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from bench.experiments import store, streams
from bench.experiments.__main__ import ROWS, main
from bench.experiments.page import page
from bench.experiments.plan import NAMES, playable, studies
from bench.experiments.plots import named
from bench.experiments.runs import ALL, ClockedEngine, Row, Run, Scores, digest, play
from bench.experiments.store import left_to_do, make_rows, read_rows, write_rows
from bench.experiments.tables import Pick, Results, over, told, told_difference
from bench.experiments.targets import targets
from bench.experiments.variants import (
    LATE_VARIANTS,
    VARIANTS,
    changed,
    settings_of_variant,
    variant_of,
)

from headrace import Engine
from headrace.commands.pilot.runs import Case, settings_of
from headrace.messages import Answer, LabelRequested
from headrace.observe.schema import Schema
from headrace.query import online
from headrace.settings import SchemaSettings
from repo.tree import ROOT

SMALL = streams.Stream("sea_quick", "small", make=lambda: streams.sea(600), changes=(150, 300))


@pytest.fixture(autouse=True)
def small_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    streams.load.cache_clear()
    monkeypatch.setitem(streams.STREAMS, "sea_quick", SMALL)
    small = streams.Stream("rbf_quick", "small", make=lambda: streams.rbf(500))
    monkeypatch.setitem(streams.STREAMS, "rbf_quick", small)


def row(run: Run, accuracy: float, *, code: str = "new") -> Row:
    return Row(
        run=run,
        code=code,
        events_n=100,
        labels_n=5,
        accuracy=accuracy,
        kappa=accuracy / 2,
        macro_recall=accuracy,
        log_loss=0.5,
    )


def test_a_quick_run_makes_rows_and_a_page_and_is_not_made_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = tmp_path / "rows.jsonl"
    arguments = ["--quick", "--only", "twentieth,drift", "--jobs", "1"]
    arguments += ["--rows", str(rows), "--out", str(tmp_path)]
    assert main(arguments) == 0
    made = rows.read_bytes()
    assert len(read_rows(rows)) == 6
    text = (tmp_path / "RESULTS-quick.md").read_text(encoding="utf-8")
    assert "not for quoting" in text
    assert "| sea_quick |" in text
    assert (tmp_path / "img" / "results-quick-change.svg").exists()
    monkeypatch.setattr(store, "play", lambda *_: pytest.fail("it was made twice"))
    assert main(arguments) == 0
    assert rows.read_bytes() == made


def test_a_run_is_judged_at_arrival_and_repeats_itself() -> None:
    history = streams.load("sea_quick", None)
    run = Run(stream="sea_quick", budget=0.05, strategy="random")
    told_n: list[int] = []
    found = play(history, run, "code", told_n.append)
    assert sum(told_n) == found.events_n == len(history)
    assert sum(found.right_n) == round(found.accuracy * len(history))
    assert 0 < found.labels_n <= 0.05 * len(history)
    assert sum(found.asked_n) == found.labels_n
    assert 0.6 < found.accuracy < 1.0
    again = play(history, run, "code", told_n.append)
    times = {"us_event": 0.0, "ms_label": 0.0}
    assert msgspec.structs.replace(again, **times) == msgspec.structs.replace(found, **times)


def test_every_label_teaches_where_all_are_bought() -> None:
    history = streams.load("sea_quick", None)
    run = Run(stream="sea_quick", budget=1.0, strategy=ALL, model="naive-bayes")
    found = play(history, run, "code", lambda n: None)
    assert found.labels_n == len(history)
    assert found.accuracy > 0.75


def test_a_clock_changes_nothing_and_counts_labels_alone() -> None:
    history = streams.load("rbf_quick", None)
    case = Case(budget=0.1, latency=0.0, strategy="random", seed=0)
    settings = settings_of(history, settings_of_variant(""), case)
    plain, clocked = Engine(settings=settings), ClockedEngine(settings=settings)
    requests = []
    for batch, _ in history.iterate_batches(100):
        outputs = clocked.feed([batch])
        assert plain.feed([batch]) == outputs
        requests += [output for output in outputs if isinstance(output, LabelRequested)]
    assert clocked.labels_s == 0.0
    answers = [Answer(request_id=r.request_id, label="0", at=clocked.now) for r in requests]
    assert plain.feed(answers) == clocked.feed(answers)
    assert clocked.labels_s > 0.0


def test_scores_count_what_was_not_predicted_as_wrong() -> None:
    history = streams.history_of_pairs("two", [({"x": i}, i % 2) for i in range(4)])
    scores = Scores(history, Schema(SchemaSettings(classes=["0", "1"])))
    scores.take(np.array([0, 1, 2]), np.array([[0.8, 0.2], [0.6, 0.4], [0.9, 0.1]]))
    found = scores.figures("rbf_quick")
    # Truths 0 1 0 1, predicted 0 0 0 and nothing.
    assert found["accuracy"] == 0.5
    assert found["macro_recall"] == 0.5
    assert found["kappa"] == pytest.approx((0.5 - 0.375) / (1 - 0.375), abs=1e-6)
    assert found["log_loss"] == pytest.approx(-np.log([0.8, 0.4, 0.9, 0.5]).mean(), abs=1e-6)


def test_stale_rows_are_made_last_or_kept(tmp_path: Path) -> None:
    runs = [Run(stream="sea_quick", budget=0.05, strategy="random", seed=i) for i in range(3)]
    rows = {runs[0]: row(runs[0], 0.5, code="old"), runs[1]: row(runs[1], 0.5, code=digest())}
    assert left_to_do(runs, rows, digest(), keep_stale=False) == [runs[2], runs[0]]
    assert left_to_do(runs, rows, digest(), keep_stale=True) == [runs[2]]
    path = tmp_path / "rows.jsonl"
    write_rows(path, rows.values())
    # A worker was killed while it wrote.
    path.write_bytes(path.read_bytes()[:-20])
    assert list(read_rows(path)) == [runs[0]]
    failed = make_rows(path, [runs[0]], None, 1, lambda made: None)
    assert failed == {}
    assert read_rows(path)[runs[0]].code == digest()


def test_a_run_that_fails_does_not_end_the_others(tmp_path: Path) -> None:
    runs = [
        Run(stream="elec2", budget=0.05, strategy="random"),
        Run(stream="rbf_quick", budget=0.05, strategy="random"),
    ]
    failed = make_rows(tmp_path / "rows.jsonl", runs, None, 1, lambda made: None)
    assert list(failed) == runs[:1]
    assert "--data" in failed[runs[0]]
    assert list(read_rows(tmp_path / "rows.jsonl")) == runs[1:]


def test_streams_without_a_file_are_left_out_and_named(tmp_path: Path) -> None:
    runs = studies()["scarce"]
    kept, missing = playable(runs, tmp_path)
    assert "elec2" in missing
    assert {run.stream for run in kept} == {name for name in NAMES if name not in missing}
    assert "sea_abrupt" not in missing


def test_differences_are_paired_by_seed() -> None:
    rows = {}
    for seed, (ours, theirs) in enumerate([(0.70, 0.68), (0.60, 0.58), (0.80, 0.781)]):
        for strategy, accuracy in (("default", ours), ("random", theirs)):
            run = Run(stream="elec2", budget=0.01, strategy=strategy, seed=seed)
            rows[run] = row(run, accuracy)
    # A seed that only one of the two was run with counts for nothing.
    lonely = Run(stream="elec2", budget=0.01, strategy="default", seed=9)
    rows[lonely] = row(lonely, 0.1)
    results = Results(rows, ["elec2"])
    found = results.difference("elec2", Pick(0.01), Pick(0.01, "random"))
    assert told_difference(found) == "**+2.0 ± 0.1**"
    assert told(over(results.overall(Pick(0.01, "random")))) == "68.0 ± 25.0"
    assert told(results.mean("elec2", Pick(0.05))) == "–"


def test_a_target_says_how_far_it_is_off() -> None:
    rows = {}
    for name in NAMES:
        run = Run(stream=name, budget=0.01, strategy="default")
        rows[run] = row(run, 0.66)
    cells = {target.name: target.cells[1:] for target in targets(Results(rows, NAMES))}
    assert cells["Scarce: mean accuracy, 1 % of the labels"] == [
        "≥ 68",
        "66.0 (one seed)",
        "missed by 2.0",
    ]
    assert cells["A tenth: mean accuracy, 10 % of the labels"] == ["≥ 80.5", "not run", "–"]


@pytest.mark.parametrize("name", [*VARIANTS, *LATE_VARIANTS])
@pytest.mark.default_n(4)
def test_every_variant_differs_from_the_default_and_runs(name: str) -> None:
    history = streams.load("rbf_quick", None)
    latency = 200 if name in LATE_VARIANTS else 0
    run = Run(stream="rbf_quick", budget=0.1, strategy="default", variant=name, latency=latency)
    found = play(history, run, "code", lambda n: None)
    assert 0.2 < found.accuracy < 1.0
    with changed(name):
        is_changed = settings_of_variant(name) != settings_of_variant("")
        assert is_changed or variant_of(name).constants


def test_constants_are_as_before_after_a_variant() -> None:
    before = online.LATE_LABELS_SHARE
    with changed("no leaning"):
        assert before < online.LATE_LABELS_SHARE
    assert before == online.LATE_LABELS_SHARE


def test_the_page_is_made_of_the_rows() -> None:
    rows = read_rows(ROWS)
    results = Results(rows, NAMES)
    text = (ROOT / "docs" / "RESULTS.md").read_text(encoding="utf-8")
    assert page(rows, results, named(results, "results")) == text


def test_the_page_says_when_only_single_models_are_of_older_code() -> None:
    ours = Run(stream="elec2", budget=0.05, strategy="default")
    single = Run(stream="elec2", budget=0.05, strategy="margin", model="logistic")
    words = "older ones are of single models alone"
    rows = {ours: row(ours, 0.7), single: row(single, 0.6, code="old")}
    assert words in page(rows, Results(rows, ["elec2"]), {})
    rows[single] = row(single, 0.6)
    assert words not in page(rows, Results(rows, ["elec2"]), {})
    random = Run(stream="elec2", budget=0.05, strategy="random")
    rows |= {single: row(single, 0.6, code="old"), random: row(random, 0.6, code="old")}
    assert words not in page(rows, Results(rows, ["elec2"]), {})
