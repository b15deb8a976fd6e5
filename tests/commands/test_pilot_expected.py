"""How long a pilot takes, said before it starts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headrace.cli import main
from headrace.commands.pilot.command import run_pilot
from headrace.commands.pilot.expected import (
    Costs,
    describe_expected,
    expected_s,
    measure_costs,
    share_of,
)
from headrace.commands.pilot.history import History
from headrace.commands.pilot.runs import Case
from headrace.settings import parse

QUICK = parse({"model": {"name": "naive-bayes"}})
COSTS = Costs(event_s=0.001, label_s=0.1, reference_s=0.1)


def history(n: int) -> History:
    x = np.linspace(0.0, 1.0, n) * 37 % 1.0
    codes = (x > 0.5).astype(np.int64)
    return History("made", ("x",), {"x": x}, {}, ("no", "yes"), codes)


def case(budget: float) -> Case:
    return Case(budget=budget, latency=0.0, strategy="random", seed=0)


def test_runs_share_the_processes_and_the_longest_is_waited_for() -> None:
    jobs: list[Case | None] = [case(0.1), case(0.1), None]
    # 1,000 events: 1 s to watch, 10 s for a hundred labels, 100 s for all.
    assert expected_s(COSTS, 1_000, jobs, 1) == pytest.approx(11 + 11 + 101)
    assert expected_s(COSTS, 1_000, jobs, 2) == pytest.approx(101, abs=2)
    assert expected_s(COSTS, 1_000, [case(0.1)] * 10, 2) == pytest.approx(55, abs=2)


def test_the_reference_of_a_long_history_learns_no_more_labels_than_a_limit() -> None:
    costs = Costs(event_s=0.0, label_s=9.0, reference_s=1.0)
    assert [share_of(None, n) for n in (100_000, 100_001, 1_000_000)] == [1.0, 0.5, 0.1]
    assert costs.of_run(1_000_000, None) == pytest.approx(100_000)
    assert share_of(case(0.3), 1_000_000) == 0.3


@pytest.mark.parametrize(
    ("events_n", "told"),
    [(10, "1 s"), (1_000, "22 s"), (10_000, "4 min"), (1_000_000, "6.1 h")],
)
def test_the_sentence_has_a_unit_that_fits(events_n: int, told: str) -> None:
    said = describe_expected(COSTS, events_n, [case(0.1), case(0.1)], 1)
    assert said == f"2 runs of {events_n:,} events on one process: about {told}."


def test_what_is_measured_is_of_the_first_events_alone() -> None:
    costs = measure_costs(history(5_000), QUICK)
    # Of two runs that a busy machine slows down unequally, all may seem to be its labels.
    assert min(costs.event_s, costs.label_s, costs.reference_s) >= 0
    assert costs.of_run(1_000, case(0.1)) > 0
    assert costs.of_run(0, case(0.1)) == 0


def test_a_short_history_is_measured_by_two_labels_at_least() -> None:
    assert measure_costs(history(30), QUICK).of_run(30, case(2 / 30)) > 0


def test_it_is_told_before_any_run_and_changes_none() -> None:
    heard: list[str] = []
    told = run_pilot(
        history(400),
        QUICK,
        budgets=(0.1,),
        strategies=("random",),
        seeds_n=1,
        processes_n=1,
        tell=lambda sentence: heard.append(f"{sentence} {len(heard)}"),
        progress=lambda done_n, all_n: heard.append(""),
    )
    silent = run_pilot(
        history(400), QUICK, budgets=(0.1,), strategies=("random",), seeds_n=1, processes_n=1
    )
    assert heard[0].startswith("2 runs of 400 events on one process: about ")
    assert told.rows == silent.rows


def test_the_command_says_it_where_errors_go(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "past.csv"
    rows = [f"{i * 37 % 100},2024-05-01T00:{i // 60:02d}:{i % 60:02d}Z,{i % 2}" for i in range(300)]
    data.write_text("\n".join(["x,when,label", *rows]))
    arguments = ["--budget", "0.1", "--strategies", "random", "--seeds", "1", "--processes", "1"]
    assert main(["pilot", str(data), "--model", "naive-bayes", *arguments]) == 0
    shown = capsys.readouterr()
    assert "2 runs of 300 events on one process: about " in shown.err
    assert "Features that are times: when. --at when takes it as when" in shown.err
    assert "about" not in shown.out.splitlines()[0]
