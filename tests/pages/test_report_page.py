"""The page of a run: whole in any case, closed to the network, and what it says is so."""

import copy
import re
import sys

import pytest

from commands.runs import Stream
from headrace import cli
from headrace.commands import report as command
from headrace.commands.demo.command import DemoRecord
from headrace.commands.demo.duel import Duel, make_stream
from headrace.drivers.files.chronicle import read_chronicle
from headrace.messages import DriftChanged, ModelAdopted, ModelKept, ModelRolledBack, RoundOpened
from headrace.pages.chronicle import CHANGES_MAX, Chronicle
from headrace.pages.drawing import BAND_COLOURS
from headrace.pages.report.page import as_html
from headrace.report import Failure
from headrace.report.limits import Limit
from headrace.settings import Settings, parse
from pages.nest import read
from reports import replace_numbers

QUESTIONS = ["model?", "where?", "cost?", "why?", "retrained?", "answered?", "rejected?"]
HOSTILE = '"><script>alert(1)</script>'


def text_of(page):
    return re.sub(r"\s+", " ", " ".join(read(page).words)).replace("\u202f", ",")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    stream = Stream(tmp_path_factory.mktemp("recorded"))
    stream.write_events(0, 300, bad={5})
    stream.run()
    stream.answer()
    stream.write_events(300, 600)
    stream.run()
    # Only what was predicted after the first labels is judged.
    stream.answer()
    report = stream.run()
    return stream, report


@pytest.fixture(scope="module")
def page(recorded):
    """Written by the command, to where it goes by itself."""
    assert cli.main(["report", str(recorded[0].places.state)]) == 0
    return (recorded[0].places.state / "report.html").read_text()


@pytest.fixture(scope="module")
def second_reading(recorded):
    """The same run, read a second time; not to be changed."""
    return read_chronicle(recorded[0].places.state)


def test_every_question_has_its_section_and_the_page_is_whole(page):
    nest = read(page)
    titles = [word for word in nest.words if word.endswith("?")]
    assert [q for q in QUESTIONS if not any(title.endswith(q) for title in titles)] == []
    assert nest.tags.count("figure") == 7


def test_the_page_asks_the_network_for_nothing(page):
    assert not re.search(r"https?:|@import|url\(|<script|<img", page)


def test_what_stands_in_short_is_what_the_run_ended_with(recorded, page):
    report, told = recorded[1], text_of(page)
    assert f"right for {report.estimates.accuracy.accuracy:.1%} of the last" in told
    assert f"{report.estimates.accuracy.low:.1%} to {report.estimates.accuracy.high:.1%}" in told
    assert f"{report.asking.requests_n} labels were asked" in told
    assert f"{report.labels.settled_n} settled" in told and f"{report.labels.open_n} open" in told
    assert "not_json" in told and "eva" in told


def test_what_answers_cost_is_told_when_it_is_known(second_reading, page):
    chronicle = copy.copy(second_reading)
    answers_n = chronicle.report.answers.accepted_n
    assert "What an answer costs is set by label.cost." in text_of(page)
    chronicle.report = replace_numbers(chronicle.report, {"answers.cost_per_answer": 0.25})
    told = text_of(as_html(chronicle))
    assert f"At 0.25 an answer that is {answers_n * 0.25:,.2f}, 0.25 for each label." in told


def test_labels_that_came_late_count_as_labels(tmp_path):
    stream = Stream(tmp_path)
    stream.write_events(0, 100)
    stream.run()
    # Ten seconds lie between two events: these requests expire after a day, 8,640 events later.
    stream.write_events(9_000, 9_010)
    stream.run()
    stream.answer()
    stream.run()
    counted = read_chronicle(stream.places.state)
    assert counted.counts.expired_n > 0 and counted.counts.settled_n < counted.counts.asked_n
    late_n = counted.report.answers.accepted_n
    assert f"With those that were answered late, {late_n} labels came." in text_of(as_html(counted))


def test_the_reasons_of_the_latest_requests_are_listed(recorded, page):
    told = text_of(page)
    latest = recorded[0].requests()[-40:]
    assert "The latest 40 requests" in told
    assert [r["event_id"] for r in latest if f"{r['event_id']} " not in told] == []
    assert all(f"{r['reason']} " in told for r in latest)


def test_two_readings_give_one_page(second_reading, page):
    assert as_html(second_reading) == page


def test_a_run_without_any_output_has_a_page():
    told = text_of(as_html(Chronicle(Settings())))
    assert "Nothing was decided yet." in told


def test_gaps_stand_before_everything_else(recorded):
    chronicle = read_chronicle(recorded[0].places.state, is_replayed=False)
    told = text_of(as_html(chronicle))
    assert told.index("It was made without a replay") < told.index("predictions were right")
    assert "at least 5" in told  # Events after the last request are not known.


def test_without_reports_nothing_is_promised_that_is_not_there(recorded):
    chronicle = read_chronicle(recorded[0].places.state, is_replayed=False)
    chronicle.report = None
    told = text_of(as_html(chronicle))
    assert "By the control draws alone, the predictions were right" in told
    for word in ("estimated, all labels", "earned by the budget", "as many drawn blindly"):
        assert word not in told


def test_drift_is_shaded_and_adoption_named_wherever_they_fell():
    chronicle = Chronicle(Settings())
    for n in range(10, 110, 10):
        chronicle.add_outputs(
            {
                50: [changed("DRIFT", "STABLE", n), adopted(n)],
                90: [changed("STABLE", "DRIFT", n)],
            }.get(n, []),
            n,
        )
        chronicle.add_sample(None, at=float(n))
    page = as_html(chronicle)
    assert f"fill: {BAND_COLOURS['drift']}" in page
    told = text_of(page)
    assert "The drift level is STABLE; it rose to DRIFT once, last: about event 50" in told
    assert "adopted 90.0% 40.0% 30" in told


def test_names_from_outside_stay_text():
    settings = parse({"stream": HOSTILE[:20], "schema": {"classes": [HOSTILE, "b"]}})
    chronicle = Chronicle(settings)
    chronicle.gaps.append(HOSTILE)
    chronicle.add_outputs([changed(HOSTILE, HOSTILE, 1.0)], 10)
    chronicle.add_sample(None, at=1.0)
    assert "script" not in read(as_html(chronicle)).tags


def changed(level, previous, at):
    return DriftChanged(
        at=float(at), level=level, previous=previous, signal="error", detector="d", statistic=1.5
    )


def adopted(at):
    return ModelAdopted(
        job_id=0,
        at=float(at),
        model_version=3,
        champion_right=0.4,
        challenger_right=0.9,
        labels_n=30,
    )


# ----------------------------------------------------------------------------- the command


def test_the_page_goes_where_it_is_told_and_gaps_are_said(recorded, tmp_path, capsys):
    path = tmp_path / "page.html"
    argv = ["report", str(recorded[0].places.state), "--no-replay", "--html", str(path)]
    assert cli.main(argv) == 0
    out, err = capsys.readouterr()
    assert out == f"{path}\n" and "made without a replay" in err
    read(path.read_text())
    assert [child.name for child in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize("name", ["", "missing/page.html"])
def test_a_place_where_no_page_can_be_ends_with_2_at_once(
    recorded, tmp_path, name, monkeypatch, capsys
):
    monkeypatch.setattr(command, "read_chronicle", lambda *_, **__: pytest.fail("it began"))
    path = tmp_path / name
    assert cli.main(["report", str(recorded[0].places.state), "--html", str(path)]) == 2
    assert "folder" in capsys.readouterr().err


def test_a_folder_that_is_not_there_ends_with_2(tmp_path, capsys):
    path = tmp_path / "page.html"
    assert cli.main(["report", str(tmp_path / "none"), "--html", str(path)]) == 2
    assert "holds no recorded run" in capsys.readouterr().err


def test_a_folder_without_a_run_ends_with_2(tmp_path, capsys):
    assert cli.main(["report", str(tmp_path)]) == 2
    assert "holds no recorded run" in capsys.readouterr().err


def test_without_matplotlib_nothing_is_decided_again(recorded, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr(command, "read_chronicle", lambda *_, **__: pytest.fail("it began"))
    assert cli.main(["report", str(recorded[0].places.state)]) == 2
    assert "headrace[plots]" in capsys.readouterr().err


# -------------------------------------------------------------------------------- the demo


@pytest.mark.long
def test_the_page_of_a_demo_has_the_twin_and_the_truth():
    duel = Duel.against_random(600, 3)
    told = DemoRecord.for_duel(duel, 600)
    for batch in make_stream(600, 3):
        told.add_outputs(duel.play_batch(batch))
    told.add_outputs(duel.end_requests(), is_last=True)
    page = text_of(told.as_html())
    for word in ("random twin, estimated", "random twin, in truth", "Both engines", "drift put in"):
        assert word in page
    assert "A run can't be its own random twin" not in page
    assert told.chronicle.counts.settled_n == duel.ours.engine.report.labels.settled_n > 0
    assert told.chronicle.counts.asked_n == duel.ours.engine.report.asking.requests_n


def test_what_the_model_failed_at_and_a_limit_that_was_reached_are_told(
    recorded, second_reading, page
):
    chronicle = copy.copy(second_reading)
    assert "fail at?" not in text_of(page)
    failure = Failure(who="the model", act="predict", n=3, error="KeyError: amount")
    limit = Limit(kind="features", n=7, sentence="7 values of features beyond schema.features_max")
    chronicle.report = replace_numbers(
        recorded[1], {"model.failures": (failure,), "limits": (limit,)}
    )
    told = text_of(as_html(chronicle))
    assert failure.sentence in told
    assert f"Limit reached: {limit.sentence}" in told


def test_retrainings_are_counted_without_roll_backs_and_all_of_them():
    chronicle, n = Chronicle(Settings()), CHANGES_MAX + 10
    decided = {"job_id": 1, "champion_right": 0.5, "challenger_right": 0.6, "labels_n": 40}
    for i in range(n):
        at = float(i)
        chronicle.add_outputs(
            [
                ModelAdopted(at=at, model_version=i, **decided),
                ModelKept(at=at, reason="not better", **decided),
                ModelRolledBack(at=at, model_version=i, **decided),
                RoundOpened(round_n=i, at=at, reason="drift", pool_n=9, wanted_n=3),
                RoundOpened(round_n=i, at=at, reason="schedule", pool_n=9, wanted_n=3),
            ],
            i + 1,
        )
    chronicle.add_sample(None, at=float(n))
    told = re.sub(r"(?<=\d) (?=\d)", "", text_of(as_html(chronicle)))
    assert f"Retrainings that came to an end: {2 * n}; models adopted: {n}, " in told
    assert f"rolled back: {n}; rounds opened by drift or by somebody: {n}." in told
    assert f"The latest 30 of {3 * n}" in told
