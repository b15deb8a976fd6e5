"""`headrace advise`: every row of the checklist, and settings that are accepted."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as trying
from hypothesis import strategies as st

from headrace import Engine, cli
from headrace.commands.advise import as_toml, ask_at_terminal, constraints_of, read_pilot
from headrace.errors import BadInput, BadSettings
from headrace.settings import parse
from headrace.settings.advice import Constraints, advise

PAGE = Path(__file__).parents[1] / "docs" / "ADVISE.md"
ROW = re.compile(
    r"^\| (?P<rule>[^|]+) \| `(?P<given>[^`]*)` \| [^|]+ \| `(?P<then>[^`]+)` \|", re.MULTILINE
)
ROWS = [match.groupdict() for match in ROW.finditer(PAGE.read_text(encoding="utf-8"))]


def test_the_checklist_has_every_rule() -> None:
    rules = {row["rule"].strip() for row in ROWS}
    assert len(ROWS) >= 17
    advised = {choice.rule for row in ROWS for choice in advice_of(row["given"]).choices}
    assert rules == advised


def advice_of(words: str) -> Any:
    pairs = dict(word.removeprefix("--").split("=") for word in words.split())
    names = {name.removeprefix("is_"): name for name in Constraints.__struct_fields__}
    pilot = {
        key.replace("-", "_"): float(pairs.pop(key)) if key == "pilot-gain" else pairs.pop(key)
        for key in ("pilot-gain", "pilot-strategy")
        if key in pairs
    }
    return advise(constraints_of({names[k.replace("-", "_")]: v for k, v in pairs.items()}, pilot))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['rule'].strip()}: {row['then']}")
def test_a_row_of_the_checklist_leads_to_its_setting(row: dict[str, str]) -> None:
    advice = advice_of(row["given"])
    setting, _, value = row["then"].partition(" = ")
    [choice] = [choice for choice in advice.choices if choice.setting == setting]
    assert json.dumps(choice.value) == value
    assert choice.rule == row["rule"].strip()


@given(
    st.builds(
        Constraints,
        events_per_hour=st.floats(0.01, 1e7),
        annotators=st.integers(1, 500),
        label_s=st.floats(0.1, 1e5),
        hours_per_day=st.floats(0.1, 24.0),
        retrain_s=st.floats(0.0, 1e5),
        labels_max=st.none() | st.integers(1, 10**7),
        days=st.floats(0.1, 1_000.0),
        classes=st.integers(2, 100),
        rarest_share=st.none() | st.floats(0.0001, 0.01),
        is_calibrated=st.none() | st.booleans(),
        is_explained=st.booleans(),
        label_cost=st.floats(0.0, 1e4),
        error_cost=st.floats(0.0, 1e4),
    )
)
@trying(max_examples=50, deadline=None)
def test_whatever_the_constraints_the_settings_are_accepted(constraints: Constraints) -> None:
    advice = advise(constraints)
    settings = parse(tomllib.loads(as_toml(advice)))
    assert settings.query.workflow.batch_n in {None, advice.batch_n}
    assert all(choice.reason for choice in advice.choices)
    per_event = advice.balance.labels_n / (constraints.events_per_hour * 24.0 * constraints.days)
    assert settings.query.budget.share == pytest.approx(min(1.0, per_event), rel=0.06, abs=1e-6)


def test_the_balance_is_cost_against_gain() -> None:
    constraints = Constraints(
        events_per_hour=1_000.0, labels_max=7_200, days=30.0, label_cost=0.5, error_cost=2.0,
        error_reduction=0.01, setup_cost=5_000.0, compute_cost=1_000.0,
    )  # fmt: skip
    balance = advise(constraints).balance
    assert (balance.labels_n, balance.labelling, balance.other) == (7_200, 3_600.0, 6_000.0)
    assert balance.gain == pytest.approx(720_000 * 2.0 * 0.01)
    assert balance.net == pytest.approx(14_400.0 - 9_600.0)
    assert balance.reduction_to_pay == pytest.approx(9_600.0 / 1_440_000.0)


def test_the_file_written_is_accepted_by_check_and_never_overwritten(tmp_path: Path) -> None:
    written = tmp_path / "settings.toml"
    argv = ["advise", "--events-per-hour", "3600", "--annotators", "4", "--retrain-s", "300"]
    assert cli.main([*argv, "--write", str(written)]) == 0
    text = written.read_text()
    assert "# several at work: " in text
    assert cli.main(["check", str(written)]) == 0
    assert cli.main([*argv, "--write", str(written)]) == 2
    assert written.read_text() == text
    Engine(settings=parse(tomllib.loads(text)))


def test_printed_settings_are_the_file_and_say_what_it_costs(capsys: Any) -> None:
    assert cli.main(["advise", "--events-per-hour", "100", "--error-cost", "3"]) == 0
    told = capsys.readouterr().out
    parse(tomllib.loads(told))
    assert "# it pays from" in told


def test_questions_leave_what_is_not_answered(capsys: Any) -> None:
    answers = {"Events an hour, on average: ": "50", "Classes [2]: ": " 3 "}
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return answers.get(question, "")

    found = ask_at_terminal(ask)
    assert found == {"events_per_hour": "50", "classes": "3"}
    assert len(asked) == 16
    assert constraints_of(found).classes == 3


@pytest.mark.parametrize(
    ("texts", "fault"),
    [
        ({}, "--events-per-hour is missing"),
        ({"events_per_hour": "many"}, "--events-per-hour is 'many'; must be a number"),
        ({"events_per_hour": "9", "is_calibrated": "maybe"}, "must be yes or no"),
        ({"events_per_hour": "0"}, "must be a number above 0"),
        ({"events_per_hour": "nan"}, "must be a number above 0"),
        ({"events_per_hour": "9", "classes": "4", "rarest_share": "0.4"}, "at most 0.25"),
        ({"events_per_hour": "9", "hours_per_day": "25"}, "at most 24"),
    ],
)
def test_constraints_that_are_none_are_told(texts: dict[str, str], fault: str) -> None:
    with pytest.raises(BadSettings, match=re.escape(fault)):
        advise(constraints_of(texts))


def test_a_pilot_goes_before_rules_of_thumb(tmp_path: Path) -> None:
    def row(strategy: str, mean: float, low: float | None) -> dict[str, Any]:
        return {"strategy": strategy, "difference": {"mean": mean, "low": low, "high": 9.0}}

    path = tmp_path / "pilot.json"
    rows = [
        {"strategy": "random", "difference": None},
        row("margin", 3.0, -0.5),
        row("entropy", 1.2, 0.3),
    ]
    path.write_text(json.dumps({"classes": ["a", "b", "c"], "rows": rows}))
    found = read_pilot(path)
    assert found == {"classes": 3, "pilot_gain": 1.2, "pilot_strategy": "entropy"}
    path.write_text(json.dumps({"classes": ["a", "b"], "rows": rows[:2]}))
    assert read_pilot(path)["pilot_strategy"] == "random"
    path.write_text("{}")
    with pytest.raises(BadInput, match="headrace pilot --json"):
        read_pilot(path)
