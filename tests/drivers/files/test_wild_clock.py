"""A wild time in a file of events: answers go by the clock, not by it; and it is told."""

import json

from commands.runs import START_AT, Stream, event, lines_of


def test_a_wild_clock_of_an_event_feeds_no_answer_early_and_is_told_once(tmp_path):
    past, notes = Stream(tmp_path / "past"), []
    past.folder.mkdir()
    for start in range(0, 1200, 300):
        past.write_events(start, start + 300)
        past.run()
        past.answer()
    wild = Stream(tmp_path / "wild")
    wild.folder.mkdir()
    wild.places.answers.write_bytes(past.places.answers.read_bytes())
    lines = past.places.events.read_bytes().splitlines(keepends=True)
    odd = [json.dumps(event(500) | {"id": f"odd{i}", "at": START_AT + 2e7}) for i in range(3)]
    for i, line in enumerate(odd):
        lines.insert(200 + 300 * i, line.encode() + b"\n")
    wild.places.events.write_bytes(b"".join(lines))
    report = wild.run(on_note=notes.append)
    assert (
        report.events.ahead_n,
        report.events.behind_n,
        report.events.rejected_n.get("future", 0),
    ) == (3, 0, 0)
    assert sum("far ahead of the others" in note for note in notes) == 1
    at = {line["request_id"]: line["at"] for line in lines_of(wild.places.answers)}
    settled = [label for label in wild.decisions("LabelSettled") if label["request_id"] in at]
    assert len(settled) > 100
    # Ten seconds from one event to the next; and no one waits for the clock any longer than that.
    last_at = START_AT + 10 * 1_199
    in_time = [label for label in settled if label["at"] < last_at - 10.0]
    assert all(label["at"] >= at[label["request_id"]] - 10.0 for label in in_time)
    assert wild.decisions("RequestExpired") == []
