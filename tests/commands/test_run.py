"""`headrace run --live`: the view changes no decision, and where it can't be is said."""

import io
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from commands.runs import Stream
from headrace import Engine, cli
from headrace.commands import run
from headrace.commands.run import list_essentials
from headrace.drivers.files.run import RunFiles
from headrace.learn.estimate import Estimate
from headrace.learn.quality import Quality, Rate
from headrace.pages.live.screen import Screen
from headrace.settings import parse
from reports import replace_numbers


def ran(folder, *arguments):
    """Two starts with answers between them; the stream."""
    folder.mkdir()
    stream = Stream(folder)
    stream.write_events(0, 400)
    assert cli.main([*stream.argv, *arguments]) == 0
    stream.answer()
    assert cli.main([*stream.argv, *arguments]) == 0
    return stream


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return ran(tmp_path_factory.mktemp("plain") / "stream")


def test_the_view_shows_the_run_and_changes_no_decision(plain, tmp_path, monkeypatch, capsys):
    files = []

    def screen():
        files.append(io.StringIO())
        console = Console(file=files[-1], force_terminal=True, width=100, height=30)
        return Screen(console=console)

    monkeypatch.setattr(run, "Screen", screen)
    shown = ran(tmp_path / "stream", "--live")
    assert shown.written() == plain.written()
    last = files[-1].getvalue()
    for word in ("400", "healthy", "latest decisions", "cold start"):
        assert word in last
    assert "\x1b[?1049l" in last  # The terminal is given back,
    assert "labels asked" in capsys.readouterr().out  # and the closing table comes after.


def test_without_a_terminal_it_runs_as_ever_and_says_so(plain, tmp_path, monkeypatch, capsys):
    console = partial(Console, file=io.StringIO())
    monkeypatch.setattr(run, "Screen", lambda: Screen(console=console()))
    shown = ran(tmp_path / "stream", "--live")
    assert shown.written() == plain.written()
    out, err = capsys.readouterr()
    assert err.count("--live needs a terminal") == 2  # Once each start.
    assert "labels asked" in out and "\x1b" not in out + err


def test_what_came_before_the_first_label_is_no_accuracy():
    report = Engine().report
    report = replace_numbers(report, {"events.observed_n": 400, "events.unpredicted_n": 400})
    places = RunFiles(events=None, answers=None, requests=Path("requests"), state=Path("state"))
    assert dict(list_essentials(report, places))["accuracy"].startswith("none yet: all 400 events")
    found = Estimate(accuracy=0.9, low=0.8, high=0.95, labels_n=30)
    later = replace_numbers(report, {"events.unpredicted_n": 150, "estimates.accuracy": found})
    assert dict(list_essentials(later, places))["accuracy"] == (
        "0.900 (95 % interval 0.800 to 0.950, from 30 labels); "
        "without 150 events before the first label"
    )


def test_a_served_model_that_no_event_has_a_prediction_of_is_told():
    settings = parse({"evaluation": {"judged": "served"}})
    report = Engine(settings=settings).report
    report = replace_numbers(report, {"events.observed_n": 400, "events.unpredicted_n": 400})
    places = RunFiles(events=None, answers=None, requests=Path("requests"), state=Path("state"))
    assert dict(list_essentials(report, places))["accuracy"] == (
        "none yet: evaluation.judged is 'served', and not one of 400 events has a prediction of "
        "the served model; see input.predicted"
    )


def test_why_no_stretch_can_be_judged_yet_is_told():
    numbers = {"events.observed_n": 500, "model.learned_n": 9, "labels.open_n": 7}
    report = replace_numbers(Engine(seed=7).report, numbers)
    places = RunFiles(events=None, answers=None, requests=Path("requests"), state=Path("state"))
    told = dict(list_essentials(report, places))["accuracy"]
    assert told.startswith("no label yet that judges: ") and "7 are open" in told


def test_quality_is_told_where_labels_are_enough():
    rate = Rate(value=0.8, low=0.7, high=0.9, labels_n=50, effective_n=40.0)
    thin = Rate(value=0.8, low=0.1, high=0.9, labels_n=3, effective_n=3.0)
    report = replace_numbers(
        Engine().report, {"estimates.quality": Quality(balanced_accuracy=rate, kappa=thin)}
    )
    places = RunFiles(events=None, answers=None, requests=Path("requests"), state=Path("state"))
    told = dict(list_essentials(report, places))["quality"]
    assert told == "balanced accuracy 0.800 (0.700 to 0.900)"
    assert dict(list_essentials(Engine().report, places))["quality"] == "too few labels"


def test_classes_that_the_quality_leaves_out_are_named():
    rate = Rate(value=1.0, low=0.9, high=1.0, labels_n=50, effective_n=40.0)
    quality = Quality(balanced_accuracy=rate, recall={"ok": rate})
    settings = parse({"schema": {"classes": ["ok", "fraud"]}})
    report = replace_numbers(Engine(settings=settings).report, {"estimates.quality": quality})
    places = RunFiles(events=None, answers=None, requests=Path("requests"), state=Path("state"))
    assert dict(list_essentials(report, places))["quality"] == (
        "balanced accuracy 1.000 (0.900 to 1.000); without fraud, of which no label judges"
    )
