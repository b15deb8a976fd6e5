"""`headrace run --live`: the view changes no decision, and where it can't be is said."""

import io
from functools import partial

import pytest
from rich.console import Console

from headrace import cli
from headrace.shells import run
from headrace.shells.live_screen import Screen
from shells.runs import Stream


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
