"""`headrace bridge files` beside a run, killed and started again; what `headrace check` finds."""

from __future__ import annotations

import csv
import subprocess
from contextlib import contextmanager

import pytest

from bridges.programs import answered, wait_for
from commands.runs import Stream
from headrace import cli
from warm import start_python

SETTINGS = """
[bridges.files]
classes = ["yes", "no"]
gather_s = 0
quiet_s = 0
"""


@pytest.fixture
def stream(tmp_path):
    return Stream(tmp_path)


@contextmanager
def started(stream, settings):
    """`headrace bridge files` beside a stream, killed at the end of the block."""
    command = ["-m", "headrace", "bridge", "files", "--every", "0.02"]
    command += ["--state", str(stream.places.state), "--settings", str(settings)]
    process = start_python(*command, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_table_goes_out_and_comes_back_though_the_bridge_is_killed(stream, tmp_path):
    settings = tmp_path / "bridge.toml"
    settings.write_text(SETTINGS)
    stream.write_events(0, 300)
    stream.run()
    asked = [one["request_id"] for one in stream.requests()]
    home = stream.places.state / "bridges" / "files"

    def tables():
        return list((home / "tasks").glob("*.csv"))

    with started(stream, settings):
        wait_for(tables, "table")

    def rows():
        found = []
        for path in sorted(tables()):
            with path.open(encoding="utf-8-sig", newline="") as file:
                found += csv.DictReader(file)
        return found

    with started(stream, settings):
        wait_for(lambda: len(rows()) >= len(asked), "row for each request")
        assert [row["request_id"] for row in rows()] == asked
        write_answers(home, asked)
        wait_for(stream.places.answers.exists, "answer")
    with started(stream, settings) as process:
        wait_for(lambda: answered(stream) == set(asked), "answer to each request")
        process.terminate()
        process.wait(120)
    stream.run()
    settled = stream.decisions("LabelSettled")
    assert {one["request_id"]: one["label"] for one in settled} == dict.fromkeys(asked, "yes")


def write_answers(home, asked):
    """The table of an annotator who says yes to all, and to one that was never asked."""
    with (home / "answers" / "ada.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, fieldnames=["request_id", "label", "annotator"])
        table.writeheader()
        table.writerows({"request_id": one, "label": "YES", "annotator": "ada"} for one in asked)
        table.writerow({"request_id": "other", "label": "yes", "annotator": "ada"})


def test_headrace_check_finds_what_does_not_fit(tmp_path, capsys):
    path = tmp_path / "bridge.toml"
    path.write_text(
        '[bridges.team]\nkind = "files"\nformat = "doccano"\nimage = "url"\nshow_guess = true\n'
        '[bridges.functions]\nfunctions = ["bridges.rules:shout"]\n'
    )
    assert cli.main(["check", str(path)]) == 1
    told = capsys.readouterr().out
    assert "bridges.team.image is set, and doccano shows no pictures" in told
    assert "bridges.team.show_guess is true" in told
    assert "bridges.functions.functions is 'bridges.rules:shout'" in told
