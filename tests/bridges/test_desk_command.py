"""`headrace desk` beside a `headrace run --follow`, both as programs: labels, rounds, a kill."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bridges.programs import Programs, wait_for
from bridges.requests import request
from commands.runs import lines_of
from headrace import cli
from headrace.bridges.bridge import Delivery
from headrace.bridges.desk.store import DeskStore
from headrace.commands.desk import JoinedRun
from headrace.settings import Settings


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    made = Programs(tmp_path)
    try:
        yield made
    finally:
        made.stop()


def test_from_a_question_to_a_label_that_the_run_has_learned(programs, capsys):
    programs.start_run()
    desk = programs.start_desk()
    answered = [wait_for(programs.label, "question") for _ in range(20)]
    assert len(set(answered)) == 20
    # Killed at once: what was said a moment ago is in the store, and nowhere else yet.
    desk.kill()
    desk.wait()
    programs.start_desk()

    def settled() -> bool:
        found = {one["request_id"] for one in programs.stream.decisions("LabelSettled")}
        return found >= set(answered)

    wait_for(settled, "label for each answer")
    given = [one["request_id"] for one in lines_of(programs.places.answers)]
    assert sorted(given) == sorted(answered)
    # The model is judged by what it had an opinion on: events after its first labels.
    programs.stream.write_events(300, 900)
    wait_for(lambda: programs.call("GET", "/v1/status")["open_n"] >= 60, "new questions")
    for _ in range(50):
        wait_for(programs.label, "question")
    told = wait_for(
        lambda: (found := programs.call("GET", "/v1/status"))["estimate"] and found, "estimate"
    )
    assert told["answered_n"] == 70
    assert 0 <= told["estimate"]["low"] <= told["estimate"]["high"] <= 1
    assert told["annotators"][0]["name"] == "operator"

    key = {"Idempotency-Key": "k1"}
    ordered = programs.call("POST", "/v1/rounds", {"labels": 2, "reason": "a test"}, **key)
    assert ordered["state"] in ("ordered", "asked")
    state = str(programs.places.state)
    assert cli.main(["round", "open", state, "--key", "k1", "--wait", "60"]) == 0
    assert "ordered before" in (said := capsys.readouterr().out)
    assert "asked: labels: 2" in said
    assert programs.call("GET", "/v1/rounds/k1")["asked_n"] == 2

    assert cli.main(["desk", "--state", state, "--add", "ann"]) == 0
    programs.token = capsys.readouterr().err.rpartition("#token=")[2].strip()
    assert programs.call("GET", "/v1/me")["name"] == "ann"
    assert cli.main(["desk", "--state", state, "--remove", "ann"]) == 0
    with pytest.raises(urllib.error.HTTPError, match="401"):
        programs.call("GET", "/v1/me")


def test_an_order_is_known_after_the_desk_was_started_again(programs):
    programs.stream.run()
    run = JoinedRun(Settings(), programs.places.state)
    assert run.open_round(2, "", "k1", "ann")
    assert not run.open_round(2, "", "k1", "ann")
    run.close()
    again = JoinedRun(Settings(), programs.places.state)
    assert again.find_round("k1") == {"state": "ordered"}
    assert again.find_round("k2") is None
    again.close()


def test_a_link_leads_to_the_port_of_the_desk(programs, capsys):
    programs.start_run()
    programs.start_desk()
    where = ["desk", "--state", str(programs.places.state)]
    assert cli.main([*where, "--add", "ann"]) == 0
    assert f"{programs.url}/#token=" in capsys.readouterr().err
    assert cli.main([*where, "--add", "ann", "--port", "9999"]) == 0
    assert "http://127.0.0.1:9999/#token=" in capsys.readouterr().err


def test_a_round_that_nobody_decides_ends_the_wait(programs, capsys):
    programs.stream.run()
    state = str(programs.places.state)
    assert cli.main(["round", "open", state, "--wait", "0.2"]) == 75
    assert "not decided within 0.2 s" in capsys.readouterr().out
    assert cli.main(["round", "open", state, "--wait", "-1"]) == 2


def test_notes_are_lines_of_json(programs, capsys):
    programs.stream.run()
    state = programs.places.state
    assert cli.main(["desk", "--state", str(state), "--notes"]) == 2
    assert "has no desk.sqlite: nobody has labelled here yet" in capsys.readouterr().err
    with closing(DeskStore(state / "bridges" / "desk" / "desk.sqlite", lease_s=60.0)) as store:
        store.take_deliveries([Delivery("r1", request("r1"))])
        store.add_answer("ann", "r1", "spam", note="blurred")
    assert cli.main(["desk", "--state", str(state), "--notes"]) == 0
    (note,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (note["annotator"], note["note"], note["request_id"]) == ("ann", "blurred", "r1")


def test_a_port_that_is_taken_is_said(programs, capsys):
    programs.stream.run()
    argv = ["desk", "--state", str(programs.places.state), "--port", "70000"]
    assert cli.main(argv) == 2
    assert "--port is 70000; must be 0 to 65535" in capsys.readouterr().err
