"""The demo: the same decisions at any pace, plain text where there is no terminal, clean ends."""

import argparse
import io
import socket
import time
import urllib.request
from itertools import chain

import pytest
from rich.console import Console

from headrace.cli import main
from headrace.commands.demo import command as demo
from headrace.commands.demo.duel import BATCH_N, Duel, make_stream
from headrace.errors import BadSettings
from headrace.learn.estimate import Estimate

N = 1_000


def ran(*arguments, is_terminal=False):
    parser = argparse.ArgumentParser()
    demo.register(parser.add_subparsers())
    args = parser.parse_args(["demo", "--events", str(N), *arguments])
    file = io.StringIO()
    console = Console(file=file, width=80, height=24, force_terminal=is_terminal)
    return args.func(args, console), file.getvalue()


@pytest.fixture(scope="module")
def plain():
    """What a run without options ends with and prints."""
    return ran()


def told(text):
    """The output without the line that names the port."""
    return [line for line in text.splitlines() if "/metrics" not in line]


def test_without_a_terminal_there_are_plain_lines_and_a_closing_table(plain):
    code, text = plain
    assert code == 0
    assert "\x1b" not in text
    words = ["the drift begins", "labels paid", "random twin", "in truth", "rounds", "Here "]
    assert [word for word in words if word not in text] == []
    assert "http://127.0.0.1:" in text
    assert max(map(len, text.splitlines()[4:-2])) <= 120


@pytest.mark.long
def test_the_pace_and_the_view_change_no_decision(plain):
    lines = told(plain[1])
    assert told(ran("--speed", "4000")[1]) == lines
    code, text = ran("--speed", "0", is_terminal=True)
    assert code == 0
    assert "\x1b[?1049h" in text and "\x1b[?1049l" in text  # It leaves the screen as it was.
    assert lines[-2] in " ".join(text.split())  # The sentence at the end is the same.


@pytest.mark.long
def test_another_seed_is_another_run(plain):
    assert told(ran("--seed", "8")[1]) != told(plain[1])


def test_the_stream_is_as_long_as_asked_and_shifted_from_the_middle_on():
    batches = list(make_stream(2_000, seed=1))
    ids = list(chain.from_iterable(batch.ids for batch, _ in batches))
    assert ids == [str(i) for i in range(2_000)]
    assert max(len(batch) for batch, _ in batches) == BATCH_N
    first, last = batches[0][0], batches[-1][0]
    hue = first.number_names.index("hue-mean")
    # Hues are negative in most pictures; columns and rows of a picture never are.
    assert first.numbers[:, hue].min() < 0
    assert last.numbers[:, hue].min() >= 0


@pytest.mark.long
def test_both_sides_pay_alike_and_the_shift_hurts_both():
    duel = Duel.against_random(4_000, seed=7)
    for batch in make_stream(4_000, seed=7):
        duel.play_batch(batch)
    duel.end_requests()
    for side in duel.sides:
        report = side.engine.report
        assert report.asking.requests_n - report.budget.refunded_n <= 0.05 * 4_000
        assert side.engine.desk.open_n == 0
        before, after = side.measure_accuracy(1_500, 2_000), side.measure_accuracy(2_000, 2_500)
        assert before > after + 0.2
        assert side.measure_accuracy(3_500, 4_000) > after
    ours, twin = (side.engine.report for side in duel.sides)
    assert abs(ours.asking.requests_n - twin.asking.requests_n) < 10


@pytest.mark.parametrize(
    ("ours", "twin", "word"), [(60, 50, "gained"), (50, 60, "twin"), (50, 50, "level")]
)
def test_the_sentence_names_the_winner_whoever_it_is(ours, twin, word):
    duel = Duel.against_random(N, seed=7)
    for side, right in zip(duel.sides, (ours, twin), strict=True):
        side.estimates["overall"] = Estimate(from_seq=0, to_seq=N)
        side._right_before = [i * right // 100 for i in range(N + 1)]
    assert word in duel.state_verdict()


def test_a_port_that_is_taken_is_told_in_a_sentence(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["demo", "--port", str(port)]) == 2
    error = capsys.readouterr().err
    assert f"port {port}" in error and "--port" in error


@pytest.mark.parametrize(
    "arguments",
    [("--events", "10"), ("--port", "70000"), ("--speed", "-1"), ("--seed", "-1")],
)
def test_an_argument_that_cannot_be_is_told_in_a_sentence(arguments):
    with pytest.raises(BadSettings, match=f"{arguments[0]} is {arguments[1]}; must be"):
        ran(*arguments)


def test_interrupted_it_says_so_and_frees_the_port(monkeypatch):
    closed = []
    real = demo.Served.close
    monkeypatch.setattr(demo.Served, "close", lambda served: (closed.append(1), real(served)))

    def interrupt(pace, events_n):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo._Pace, "sleep_for_events", interrupt)
    code, text = ran(is_terminal=True)
    assert code == 130
    assert f"Interrupted after {BATCH_N} of 1,000 events." in text
    assert closed == [1]


def test_metrics_are_served_while_it_plays(monkeypatch):
    scraped = []
    real = demo.Show.play_batch

    def play(show, batch):
        lines = real(show, batch)
        if show.report.events.observed_n == 500:
            with urllib.request.urlopen(served[0], timeout=5) as answer:
                scraped.append(answer.read().decode())
        return lines

    served = []
    serve = demo.serve

    def serving(read_report, **options):
        found = serve(read_report, **options)
        served.append(found.url)
        return found

    monkeypatch.setattr(demo, "serve", serving)
    monkeypatch.setattr(demo.Show, "play_batch", play)
    started_at = time.time()
    assert ran()[0] == 0
    assert 'headrace_events_observed_total{stream="demo"} 500.0' in scraped[0]
    assert 'headrace_event_processing_seconds_count{stream="demo"} 500.0' in scraped[0]
    # As if events came by the clock of the day: a dashboard shows them where it shows the rest.
    name = 'headrace_last_event_timestamp_seconds{stream="demo"} '
    (found,) = [line for line in scraped[0].splitlines() if line.startswith(name)]
    assert started_at <= float(found.removeprefix(name)) <= time.time()
