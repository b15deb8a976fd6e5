"""A round ordered on the command line reaches the run, once, and a replay agrees."""

import time

import msgspec
import pytest

from commands.runs import SETTINGS, Stream, lines_of
from headrace import cli
from headrace.commands.replay import replay_run
from headrace.drivers.files.orders import ORDERS, place_order
from headrace.errors import BadInput, BadSettings
from headrace.messages import RoundOrdered

SPARING = {**SETTINGS, "query": {"budget": {"share": 0.05, "start": 4}, "rounds": {"every_n": 150}}}


@pytest.fixture
def stream(tmp_path):
    return Stream(tmp_path)


def run(stream, **options):
    from headrace.settings import parse  # noqa: PLC0415

    return stream.run(settings=parse(SPARING), **options)


def ordered(stream):
    return [o for o in stream.decisions("RoundOpened") if o["reason"] == "ordered"]


def test_an_order_is_carried_out_at_the_end_of_the_next_start_and_once(stream):
    stream.write_events(0, 100)
    run(stream)
    before_n = len(stream.requests())
    argv = ["round", "open", str(stream.places.state), "--labels", "3", "--key", "k1"]
    assert cli.main([*argv, "--reason", "a complaint"]) == 0
    assert cli.main(argv) == 0
    assert len(lines_of(stream.places.state / ORDERS)) == 1
    stream.write_events(100, 140)
    run(stream)
    [opened] = ordered(stream)
    assert (opened["order_key"], opened["order_reason"]) == ("k1", "a complaint")
    asked = [r for r in stream.requests() if r["round_n"] == opened["round_n"]]
    assert len(asked) == 3
    # Events that came with the order were there to choose from.
    assert max(r["at"] for r in asked) == lines_of(stream.places.events)[139]["at"]
    run(stream)
    assert len(ordered(stream)) == 1
    assert len(stream.requests()) >= before_n + 3
    assert replay_run(stream.places.state).difference == ""


def test_a_key_twice_in_the_file_opens_one_round(stream):
    stream.write_events(0, 60)
    run(stream)
    line = msgspec.json.encode(RoundOrdered(at=0.0, labels_n=1, key="k")) + b"\n"
    (stream.places.state / ORDERS).write_bytes(line * 3)
    run(stream)
    assert len(ordered(stream)) == 1


def test_a_run_that_follows_takes_an_order_at_once(stream):
    stream.write_events(0, 100)
    started = []

    def turn(runner):
        if runner.engine.shard.events_n == 100 and not started:
            started.append(time.monotonic())
            place_order(stream.places.state, RoundOrdered(at=0.0, labels_n=2, key="now"))
        if ordered(stream) or (started and time.monotonic() > started[0] + 120):
            runner.stop.set()

    run(stream, follow=True, on_turn=turn)
    assert len(ordered(stream)) == 1
    # The time of day when it was ordered is not the clock of the stream.
    assert ordered(stream)[0]["at"] == lines_of(stream.places.events)[99]["at"]
    assert replay_run(stream.places.state).difference == ""


def test_an_order_before_the_first_event_waits_for_it(stream):
    stream.write_events(0, 0)
    run(stream)
    place_order(stream.places.state, RoundOrdered(at=0.0, labels_n=2, key="early"))
    run(stream)
    assert stream.decisions("InputRejected") == []
    stream.write_events(0, 50)
    run(stream)
    assert len(ordered(stream)) == 1


def test_a_line_that_is_no_order_is_rejected_with_its_place(stream):
    stream.write_events(0, 50)
    run(stream)
    place_order(stream.places.state, RoundOrdered(at=0.0, labels_n=1))
    with (stream.places.state / ORDERS).open("ab") as file:
        file.write(b'{"labels_n": 3')
    # The next order ends the line that its writer did not.
    place_order(stream.places.state, RoundOrdered(at=0.0, labels_n=1, key="after"))
    report = run(stream)
    [rejected] = stream.decisions("InputRejected")
    assert rejected["reason"] == "bad_order"
    assert rejected["source"].endswith(ORDERS)
    assert report.events.rejected_n["bad_order"] == 1
    assert len(ordered(stream)) == 2
    assert replay_run(stream.places.state).difference == ""


def test_an_order_that_finds_nothing_to_ask_says_why(stream):
    stream.write_events(0, 50)
    run(stream)
    for key in ("all", "more"):
        place_order(stream.places.state, RoundOrdered(at=0.0, key=key))
    run(stream)
    assert len(ordered(stream)) == 1
    [rejected] = stream.decisions("InputRejected")
    assert (rejected["reason"], rejected["input_id"]) == ("no_round", "more")
    assert "no label to spend" in rejected["detail"]


def test_a_run_from_before_orders_were_known_takes_them(stream):
    stream.write_events(0, 50)
    run(stream)
    assert (stream.places.state / ORDERS).exists() is False
    run(stream)
    place_order(stream.places.state, RoundOrdered(at=0.0, labels_n=1))
    run(stream)
    assert len(ordered(stream)) == 1


def test_what_can_not_be_ordered_is_refused_with_a_sentence(stream, capsys):
    with pytest.raises(BadInput, match="holds no recorded run"):
        place_order(stream.folder, RoundOrdered(at=0.0))
    stream.write_events(0, 10)
    run(stream)
    with pytest.raises(BadSettings, match="labels_n is 0"):
        place_order(stream.places.state, RoundOrdered(at=0.0, labels_n=0))
    assert cli.main(["round", "open", str(stream.places.state), "--key", ""]) == 2
    assert "--key is empty" in capsys.readouterr().err
    assert not (stream.places.state / ORDERS).exists()
