from __future__ import annotations

import argparse
import json
import math
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import naive_bayes

from headrace.adapters.tables import Table, read_table
from headrace.chance import Chance
from headrace.cli import main
from headrace.commands.pilot import command as pilot
from headrace.commands.pilot.command import cases_of, run_pilot
from headrace.commands.pilot.compare import (
    Interval,
    count_saved_labels,
    curve_of,
    rows_of,
    t_interval,
    write_advice,
)
from headrace.commands.pilot.history import History, history_of
from headrace.commands.pilot.report import as_html, as_json
from headrace.commands.pilot.runs import Case, RunOutcome, play_all, play_case, settings_of
from headrace.drivers.notebook import Simulation
from headrace.engine import Engine
from headrace.errors import BadInput, BadSettings
from headrace.messages import EventBatch, LabelSettled, Value
from headrace.settings import Settings, parse
from headrace.testing.oracles import Delayed

# What these tests show does not depend on the model, and a committee learns a hundred times slower.
QUICK = parse({"model": {"name": "logistic"}})


def history(n: int = 600, *, at: bool = False) -> History:
    """Two classes, split by x0 but for one label in ten; the sense turns after two thirds."""
    chance = Chance(3)
    names = ("x0", "x1", "colour")
    numbers = {
        name: np.array([chance.uniform(name, str(i)) for i in range(n)]) for name in names[:2]
    }
    noise = np.array([chance.uniform("noise", str(i)) < 0.1 for i in range(n)])
    turned = np.arange(n) >= 2 * n // 3
    codes = ((numbers["x0"] > 0.5) ^ noise ^ turned).astype(np.int64)
    colours: list[Value] = ["red" if x > 0.3 else None for x in numbers["x1"]]
    times = np.arange(n, dtype=np.float64) * 60 if at else None
    return History("made", names, numbers, {"colour": colours}, ("no", "yes"), codes, times)


def nothing(n: int) -> None:
    """Progress that nobody watches."""


def case(strategy: str = "margin", *, budget: float = 0.1, latency: float = 0.0) -> Case:
    return Case(budget=budget, latency=latency, strategy=strategy, seed=0)


def bare(outcome: RunOutcome) -> RunOutcome:
    return msgspec.structs.replace(outcome, run_s=0.0)


# --------------------------------------------------------------------------------- one run


def test_every_event_is_judged_by_its_prediction_at_arrival() -> None:
    past = history()
    found = play_case(past, QUICK, case(), nothing)
    engine = Engine(settings=settings_of(past, QUICK, case()))
    right = []
    simulation = Simulation(engine, Delayed())

    def single() -> object:
        for batch, truths in past.iterate_batches(1):
            yield batch, truths
            newest = engine.shard.window.since(engine.shard.events_n - 1)
            likeliest = engine.schema.classes[int(newest.probabilities[0].argmax())]
            right.append(likeliest == truths[0])

    for _ in simulation.play_batches(single()):  # type: ignore[arg-type]
        pass
    assert found.events_n == len(past) == len(right)
    assert math.isclose(found.accuracy, sum(right) / len(right))
    blocks = np.array_split(np.array(right), len(found.block_right))
    assert np.allclose([b.mean() for b in blocks], np.array(found.block_right, float))


def test_a_plain_river_loop_with_the_same_labels_is_right_as_often() -> None:
    past = history()
    numbers_only = History("made", past.names[:2], past.numbers, {}, past.classes, past.codes)
    unwatched = parse({"drift": {"watch": []}, "model": {"name": "river.naive_bayes:GaussianNB"}})
    engine = Engine(settings=settings_of(numbers_only, unwatched, case()))
    learned: list[tuple[int, int]] = []
    model: Any = naive_bayes.GaussianNB()  # type: ignore[no-untyped-call]
    for outputs in Simulation(engine, Delayed()).play_batches(numbers_only.iterate_batches(100)):
        seen_n = engine.shard.events_n
        learned += [(seen_n, o.seq) for o in outputs if isinstance(o, LabelSettled)]
    right_n, rows = 0, next(numbers_only.iterate_batches(600))[0]
    for i in range(600):
        while learned and learned[0][0] <= i:
            row = learned.pop(0)[1]
            model.learn_one(rows.row(row).features, int(past.codes[row]))
        probabilities = model.predict_proba_one(rows.row(i).features) or {0: 1.0}
        right_n += max(sorted(probabilities), key=lambda c: probabilities[c]) == past.codes[i]
    found = play_case(numbers_only, unwatched, case(), nothing)
    assert found.retrained_n == 0
    assert math.isclose(found.accuracy, right_n / 600)


def test_a_limit_of_age_in_the_window_hides_no_prediction() -> None:
    past = history(at=True)
    aged = parse({"observe": {"window_s": 30.0}})
    assert play_case(past, aged, case(), nothing).events_n == len(past)
    assert None not in play_case(past, aged, case(), nothing).block_right


def test_no_more_labels_are_bought_than_the_budget() -> None:
    for budget in (0.02, 0.5):
        found = play_case(history(), QUICK, case("random", budget=budget), nothing)
        assert 0.5 * budget * 600 <= found.labels_n <= budget * 600


def test_the_budget_of_the_start_comes_out_of_the_share() -> None:
    found = settings_of(history(), Settings(), case(budget=0.5)).query.budget
    assert found.start == 50
    assert found.share is not None
    assert math.isclose(found.start + found.share * 600, 300)


def test_late_answers_make_a_worse_model() -> None:
    soon = play_case(history(), QUICK, case("random", budget=0.3), nothing)
    late = play_case(history(), QUICK, case("random", budget=0.3, latency=300), nothing)
    assert late.accuracy < soon.accuracy
    assert late.labels_n > 0


def test_without_times_no_answer_misses_its_deadline() -> None:
    hasty = parse({"label": {"deadline_s": 10.0}})
    found = settings_of(history(), hasty, case(latency=200.0))
    assert found.label.deadline_s > 200
    assert settings_of(history(at=True), hasty, case(latency=200.0)).label.deadline_s == 10


def test_rejected_events_are_counted_and_not_judged() -> None:
    past = history(at=True)
    assert past.at is not None
    past.at[300] = math.nan
    found = play_case(past, QUICK, case(), nothing)
    assert (found.events_n, found.rejected_n) == (599, 1)


def test_all_labels_learn_each_event_after_it_was_judged() -> None:
    calls: list[int] = []
    found = play_all(history(), QUICK, 0, calls.append)
    assert found.labels_n == sum(calls) == 600
    assert found.accuracy > play_case(history(), QUICK, case(budget=0.05), nothing).accuracy
    # One label in ten is turned at random: nobody can be right about those.
    assert found.accuracy < 0.93


# ------------------------------------------------------------------------------- all the runs


@pytest.mark.long
def test_the_number_of_processes_changes_no_result() -> None:
    past = history(120)
    told: list[tuple[int, int]] = []
    plan = {"strategies": ("random",), "budgets": (0.1,), "seeds_n": 2}
    one = run_pilot(past, QUICK, processes_n=1, **plan)  # type: ignore[arg-type]
    two = run_pilot(
        past,
        QUICK,
        processes_n=2,
        progress=lambda done_n, all_n: told.append((done_n, all_n)),
        **plan,  # type: ignore[arg-type]
    )
    assert [bare(o) for o in one.outcomes] == [bare(o) for o in two.outcomes]
    assert (one.rows, one.advice) == (two.rows, two.advice)
    assert bare(one.all_labels) == bare(two.all_labels)
    assert all(done_n <= all_n for done_n, all_n in told)


def test_random_is_always_run_and_runs_once() -> None:
    cases = cases_of(history(), Settings(), strategies=("margin", "random"), budgets=(0.1, 0.1))
    asked_for = [c for c in cases if c.is_asked_for]
    assert [c.strategy for c in asked_for] == ["random"] * 3 + ["margin"] * 3
    assert sorted({c.budget for c in cases if not c.is_asked_for}) == [0.05, 0.2, 0.4]


def test_every_fault_of_the_plan_is_told_at_once() -> None:
    with pytest.raises(BadSettings) as caught:
        cases_of(history(), Settings(), budgets=(0.0, 2.0), latencies=(-1.0,), seeds_n=0)
    assert len(caught.value.faults) == 4
    with pytest.raises(BadSettings, match="must be at least"):
        cases_of(history(), Settings(), budgets=(0.001,))
    with pytest.raises(BadSettings, match="did you mean margin"):
        cases_of(history(), Settings(), strategies=("margn",))


def test_the_live_estimate_is_compared_with_the_truth_of_what_it_is_about() -> None:
    past = history()
    found = play_case(past, QUICK, case("random", budget=0.3, latency=200.0), nothing)
    assert found.estimate is not None and found.low is not None and found.high is not None
    # No label is learned in the first third, so the estimate is about the others.
    later = [right for right in found.block_right[34:] if right is not None]
    assert found.truth == pytest.approx(sum(later) / len(later), abs=0.01)
    assert found.low <= found.truth <= found.high
    assert abs(found.truth - found.accuracy) > 0.02


# ------------------------------------------------------------------------------- comparison


def outcome(strategy: str, budget: float, seed: int, accuracy: float, labels_n: int) -> RunOutcome:
    return RunOutcome(
        case=Case(budget=budget, latency=0.0, strategy=strategy, seed=seed),
        events_n=1000,
        rejected_n=0,
        labels_n=labels_n,
        accuracy=accuracy,
        kappa=0.0,
        block_right=[accuracy],
        estimate=accuracy,
        low=accuracy - 0.01,
        high=accuracy + 0.01,
    )


def pilot_of(gain: float) -> list[RunOutcome]:
    runs = []
    for budget, level in ((0.05, 0.7), (0.1, 0.8), (0.2, 0.9)):
        for seed in range(3):
            luck = 0.01 * seed
            runs.append(outcome("random", budget, seed, level + luck, int(1000 * budget)))
            if budget == 0.1:
                better = level + luck + gain + 0.001 * seed
                runs.append(outcome("margin", budget, seed, better, 100))
    return runs


def test_differences_are_between_runs_of_the_same_seed() -> None:
    row = next(row for row in rows_of(pilot_of(0.05)) if row.strategy == "margin")
    assert row.difference is not None
    assert math.isclose(row.difference.mean, 0.051)
    # Seeds differ by 1 point each, which pairing takes out.
    assert row.difference.half < 0.003 < row.accuracy.half


def test_half_the_labels_of_random_are_saved_where_random_needs_twice() -> None:
    row = next(row for row in rows_of(pilot_of(0.099)) if row.strategy == "margin")
    assert row.saving is not None
    assert math.isclose(row.saving.share, 0.5, abs_tol=0.01)
    assert row.saving.is_sure


def test_no_sure_gain_is_no_saving_and_the_advice_says_so() -> None:
    runs = pilot_of(-0.001)
    row = next(row for row in rows_of(runs) if row.strategy == "margin")
    assert row.saving is not None
    assert not row.saving.is_sure
    assert "No strategy beat random" in write_advice(rows_of(runs), "events")
    assert "margin is the one to try" in write_advice(rows_of(pilot_of(0.05)), "events")
    assert "did harm" in write_advice(rows_of(pilot_of(-0.05)), "events")


def test_one_seed_gives_no_interval_and_no_advice() -> None:
    runs = [run for run in pilot_of(0.05) if run.case.seed == 0]
    assert t_interval([0.5]) == Interval(mean=0.5, low=None, high=None)
    assert "One seed" in write_advice(rows_of(runs), "events")


def test_savings_beyond_the_runs_of_random_are_bounds() -> None:
    curve = [(50.0, 0.7), (100.0, 0.8)]
    above = count_saved_labels(curve, 100.0, Interval(mean=0.1, low=0.05, high=0.15))
    below = count_saved_labels(curve, 100.0, Interval(mean=-0.3, low=-0.35, high=-0.25))
    assert above is not None
    assert below is not None
    assert (above.share, above.bound) == (0.0, "at least")
    assert (below.share, below.bound) == (-1.0, "at most")
    assert count_saved_labels(curve[:1], 100.0, Interval(mean=0.1, low=0.0, high=0.2)) is None


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.floats(0, 1)), min_size=1, max_size=9))
def test_the_curve_of_random_never_falls(points: list[tuple[int, float]]) -> None:
    by_budget = {n / 10: accuracy for n, accuracy in points}
    runs = [outcome("random", b, 0, a, int(1000 * b)) for b, a in by_budget.items()]
    levels = [level for _, level in curve_of(runs, 0.0, "random")]
    assert levels == sorted(levels)
    assert math.isclose(math.fsum(levels), math.fsum(by_budget.values()), abs_tol=1e-9)


# ---------------------------------------------------------------------------------- history


def test_the_label_is_the_column_of_that_name_or_the_last() -> None:
    columns = {"x": np.array([1.0, 2.0]), "label": np.array([1, 0]), "y": np.array([3.0, 4.0])}
    named, _ = history_of(Table(dict(columns), 2), "t")
    assert (named.names, named.codes.tolist()) == (("x", "y"), [1, 0])
    last, _ = history_of(Table({"x": columns["x"], "y": columns["y"]}, 2), "t")
    assert (last.names, last.classes) == (("x",), ("3", "4"))


def test_a_log_of_json_lines_is_read_as_events(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(
        '{"id": 1, "at": 5, "features": {"x": 1, "c": "a"}, "predicted": "b", "label": "b"}\n'
        '{"id": 2, "at": 9, "features": {"x": 2, "c": "a"}, "predicted": "b", "label": null}\n'
    )
    past, reading = history_of(read_table(path), "log", at="at")
    assert (past.names, past.classes, len(past)) == (("x", "c"), ("b",), 1)
    assert past.at is not None
    assert past.at.tolist() == [5.0]
    assert reading.notes == ["1 rows without a label were left out."]
    assert reading.rows == [
        ("label", "'label': b 1"),
        ("time", "at"),
        ("categorical", "c (1 value)"),
        ("numeric", "x"),
        ("not used", "id, predicted"),
    ]


def test_classes_that_are_numbers_stand_in_their_order() -> None:
    table = Table({"x": np.arange(3.0), "label": np.array([10, 9, 2])}, 3)
    past, _ = history_of(table, "t")
    assert past.classes == ("2", "9", "10")


def test_batches_hold_the_history_whatever_their_size() -> None:
    def flat(size: int) -> tuple[list[str], list[list[float]], list[object], list[str]]:
        batches: list[tuple[EventBatch, list[str]]] = list(history(50).iterate_batches(size))
        return (
            [name for batch, _ in batches for name in batch.ids],
            np.concatenate([batch.numbers for batch, _ in batches]).tolist(),
            [value for batch, _ in batches for value in batch.texts["colour"]],
            [truth for _, truths in batches for truth in truths],
        )

    assert flat(1) == flat(7) == flat(100)


def test_what_cannot_be_a_history_says_why() -> None:
    table = Table({"x": np.arange(2.0), "when": ["soon", "later"], "label": ["a", None]}, 2)
    with pytest.raises(BadSettings, match="there is no column 'y'; known are x, when, label"):
        history_of(table, "t", "y")
    with pytest.raises(BadInput, match="--at when"):
        history_of(table, "t", None, "when")
    with pytest.raises(BadInput, match="no row with a value"):
        history_of(Table({"x": np.arange(1.0), "label": [None]}, 1), "t")


# ------------------------------------------------------------------------------ command line


def run_command(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    pilot.register(parser.add_subparsers())
    parsed = parser.parse_args(["pilot", *arguments])
    code: int = parsed.func(parsed)
    return code


def test_a_csv_file_needs_no_setting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    past = history(150)
    lines = ["x0,x1,colour,class"]
    for batch, truths in past.iterate_batches(150):
        for numbers, colour, truth in zip(
            batch.numbers, batch.texts["colour"], truths, strict=True
        ):
            lines.append(f"{numbers[0]},{numbers[1]},{colour or ''},{truth}")
    path = tmp_path / "past.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    wanted = ("--processes", "1", "--seeds", "2", "--json", str(tmp_path / "found.json"))
    assert run_command(str(path), *wanted) == 0
    told = capsys.readouterr().out
    assert "150 events, 3 features, 2 classes" in told
    assert all(name in told for name in ("random", "margin", "hybrid", "all labels"))
    found = json.loads((tmp_path / "found.json").read_bytes())
    assert {row["strategy"] for row in found["rows"]} == {"random", "margin", "hybrid"}
    assert len([o for o in found["outcomes"] if o["case"]["is_asked_for"]]) == 12
    assert len(found["all_labels"]["block_right"]) == 100


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_model_that_can_learn_nothing_ends_a_pilot_with_the_reason(
    processes: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "past.csv"
    rows = [f"{i % 7},{'Rome' if i % 2 else 'Oslo'},{'a' if i % 3 else 'b'}" for i in range(400)]
    path.write_text("\n".join(["x,city,label", *rows]), encoding="utf-8")
    model = ("--model", "river.naive_bayes:GaussianNB", "--budget", "0.2")
    assert main(["pilot", str(path), *model, "--seeds", "1", "--processes", processes]) == 2
    told = capsys.readouterr().err
    assert re.search(r"could not learn one of the first \d+ labels \(TypeError", told)
    assert "Traceback" not in told


@pytest.mark.parametrize("rows", ["5", "9:3", "-1:4", "a:b"])
def test_rows_that_are_none_are_refused(rows: str, tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="must be A:B"):
        run_command(str(tmp_path / "past.csv"), f"--rows={rows}")


def test_a_page_that_cannot_be_written_is_told_before_any_run(tmp_path: Path) -> None:
    for name in ("--json", "--html"):
        with pytest.raises(BadSettings, match="a folder that is there"):
            run_command(str(tmp_path / "past.csv"), name, str(tmp_path / "none" / "page"))
    with pytest.raises(BadSettings, match="--processes is 0; must be at least 1"):
        run_command(str(tmp_path / "past.csv"), "--processes", "0")


def test_the_page_has_every_part_and_the_json_reads_back() -> None:
    pytest.importorskip("matplotlib")
    found = run_pilot(
        history(80), budgets=(0.1,), latencies=(0.0, 20.0), strategies=("margin",), seeds_n=2,
        processes_n=1,
    )  # fmt: skip
    text = as_html(found)
    for part in ("Accuracy at 10 %, +20 events", "Labels saved against random", "Alarms at 10 %",
                 "Estimate minus truth", "All settings at their defaults"):  # fmt: skip
        assert part in text
    assert "<script" not in text
    assert msgspec.json.decode(as_json(found))["advice"] == found.advice


# ---------------------------------------------------------------------- labels as they stand


def csv(folder: Path, text: str) -> Path:
    path = folder / "past.csv"
    path.write_text(text, encoding="utf-8")
    return path


def read(path: Path, **chosen: object) -> tuple[History, list[str]]:
    found, reading = history_of(read_table(path), "past", settings=parse(chosen))
    return found, reading.notes


@pytest.mark.parametrize(
    "classes",
    [
        ("None", "Apnea"),
        ("NA", "EU"),
        ("0101", "101"),
        ("9007199254740992", "9007199254740993"),
        ("1", "1.0"),
        ("true", "True"),
        ("-", "?"),
        ("1_0", "10"),
    ],
)
def test_a_class_is_the_text_that_stands_in_the_file(
    classes: tuple[str, str], tmp_path: Path
) -> None:
    rows = "".join(f"{i},{classes[i % 2]}\n" for i in range(6)) + "7,\n"
    past, notes = read(csv(tmp_path, f"x,label\n{rows}"))
    assert sorted(past.classes) == sorted(classes)
    assert len(past) == 6
    assert "1 rows without a label were left out." in notes
    doubted = [
        name for name in classes if any(f"{name!r} is taken for a class" in n for n in notes)
    ]
    assert doubted == [name for name in classes if name in ("None", "NA", "-", "?")]


def test_a_class_that_stands_for_none_is_declared(tmp_path: Path) -> None:
    path = csv(tmp_path, "x,label\n1,NA\n2,a\n3,b\n")
    past, notes = read(path, columns={"missing": ["NA"]})
    assert (past.classes, notes) == (("a", "b"), ["1 rows without a label were left out."])


@pytest.mark.parametrize("label", ["null", "NaN"])
def test_rows_without_a_label_are_no_class_in_json_lines(label: str, tmp_path: Path) -> None:
    path = tmp_path / "past.jsonl"
    rows = [f'{{"x": {i}, "label": {label if i % 3 == 0 else i % 3}}}\n' for i in range(9)]
    path.write_text("".join(rows) + '{"x": 4}\n')
    past, notes = read(path)
    assert (past.classes, len(past)) == (("1", "2"), 6)
    assert notes == ["4 rows without a label were left out."]


@pytest.mark.parametrize("label", ['{"calm": true, "sad": false}', '["calm", "sad"]'])
def test_several_labels_are_refused(label: str, tmp_path: Path) -> None:
    path = tmp_path / "past.jsonl"
    path.write_text(f'{{"label": {label}, "x": 1}}\n' * 3)
    with pytest.raises(BadSettings, match="several labels are not supported"):
        read(path)


def test_a_number_to_predict_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="a number can't be predicted"):
        read(csv(tmp_path, "x,y\n" + "".join(f"{i},{i / 7:.3f}\n" for i in range(50))))
    past, _ = read(csv(tmp_path, "x,y\n" + "".join(f"{i},{i % 3}.5\n" for i in range(50))))
    assert past.classes == ("0.5", "1.5", "2.5")


def test_features_beyond_the_limit_are_told(tmp_path: Path) -> None:
    names = [f"f{i}" for i in range(30)]
    row = ",".join(map(str, range(30)))
    path = csv(tmp_path, f"{','.join(names)},label\n" + f"{row},a\n{row},b\n" * 3)
    _, notes = read(path, schema={"features_max": 20})
    assert notes == ["10 of 30 features are not used: schema.features_max is 20."]


def test_a_column_that_is_declared_but_not_there_is_refused(tmp_path: Path) -> None:
    path = csv(tmp_path, "amount,label\n1,a\n2,b\n")
    with pytest.raises(BadSettings, match=r"columns\.numeric names 'amuont'.* known are amount"):
        read(path, columns={"numeric": ["amuont"]})


def test_a_season_without_events_is_played_as_well() -> None:
    past = history(at=True)
    assert past.at is not None
    past.at[300:] += 3 * 31_622_400.0
    found = play_case(past, parse({"model": {"name": "naive-bayes"}}), case("random"), nothing)
    assert (found.events_n, found.rejected_n) == (len(past), 0)


def test_what_a_run_rejects_is_told() -> None:
    past = history(at=True)
    assert past.at is not None
    past.at[10] = math.nan
    found = run_pilot(past, parse({"model": {"name": "naive-bayes"}}), budgets=(0.1,),
                      strategies=("random",), seeds_n=1, processes_n=1)  # fmt: skip
    assert found.rejects.startswith("Up to 1 of 600 events were rejected in a run, mostly as bad_t")


@pytest.mark.parametrize(
    "fields",
    [
        {"batch": "kserve-v1"},
        {"decoder": "json:loads"},
        {"id": "request.id", "at": "request.at", "join": {"id": "id"}},
    ],
)
def test_what_a_pilot_does_not_follow_is_told(fields):
    table = Table({"x": [1.0, 2.0], "y": ["a", "b"]}, 2)
    _, reading = history_of(table, "t", settings=parse({"input": fields}))
    assert any("input.join are for logs, and not used" in note for note in reading.notes)
    _, plain = history_of(table, "t")
    assert not any("for logs" in note for note in plain.notes)
