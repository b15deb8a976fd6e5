"""The screen: drawn seldom, given back at the end, silent where there is no terminal."""

import asyncio
import io

import pytest
from rich.console import Console

from headrace import Engine, Event
from headrace.pages.live.screen import REFRESH_S, Screen


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def screen_of(clock, *, is_terminal=True, notes=None):
    console = Console(file=io.StringIO(), force_terminal=is_terminal, width=80, height=24)
    told = [] if notes is None else notes
    return Screen(console=console, clock=clock, now=lambda: 1_000.0, on_note=told.append)


def drawn(screen):
    """How often the picture was put on the terminal."""
    return screen.console.file.getvalue().count("latest decisions")


@pytest.fixture(scope="module")
def report():
    engine = Engine(seed=1)
    engine.feed([Event(id=str(i), at=900.0 + i / 10, features={"x": i}) for i in range(500)])
    return engine.report


def test_it_is_drawn_four_times_a_second_however_often_it_is_updated(report):
    clock = Clock()
    with screen_of(clock) as screen:
        first_n = drawn(screen)
        for _ in range(1_000):
            clock.now += 0.002
            if screen.is_due:
                screen.update(report)
            screen.update(report)
        assert drawn(screen) - first_n == round(1_000 * 0.002 / REFRESH_S)


def test_a_slow_terminal_gets_fewer_pictures(report, monkeypatch):
    clock = Clock()
    with screen_of(clock) as screen:
        monkeypatch.setattr(
            screen._live, "update", lambda view, refresh: setattr(clock, "now", 200)
        )
        screen.update(report)
        assert not screen.is_due
        clock.now = 200 + REFRESH_S
        assert screen.is_due


def test_without_a_terminal_one_sentence_is_said_and_nothing_drawn(report):
    notes = []
    with screen_of(Clock(), is_terminal=False, notes=notes) as screen:
        assert not screen.is_shown and not screen.is_due
        screen.happened([])
        screen.update(report)
        screen.update(report)
    assert notes == ["--live needs a terminal, and this is none; going on without it"]
    assert screen.console.file.getvalue() == ""


def test_a_terminal_that_knows_no_escapes_is_none(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert not screen_of(Clock()).is_shown


def test_the_terminal_is_given_back_after_an_error(report):
    screen = screen_of(Clock())
    with pytest.raises(ZeroDivisionError), screen:
        screen.update(report)
        raise ZeroDivisionError
    written = screen.console.file.getvalue()
    assert written.count("\x1b[?1049h") == written.count("\x1b[?1049l") == 1
    assert not screen.is_due


def test_the_pace_is_that_of_the_last_seconds(report):
    clock, paces = Clock(), []
    with screen_of(clock) as screen:
        for events_n in [500, 500, 600, 1_600, *[2_000] * 12]:
            screen.console.file.truncate(0)
            screen.update(report, events_n=events_n)
            told = screen.console.file.getvalue()
            paces.append(told.split(" events/s")[0].split()[-1] if "events/s" in told else None)
            clock.now += 1.0
    # 1,100 events in three seconds; 1,500 in the first ten; nothing in the last ten.
    assert paces[0] is None
    assert paces[3] == "367" and paces[10] == "150" and paces[-1] == "0"


def test_the_age_is_by_the_clock_of_the_day(report):
    with screen_of(Clock()) as screen:
        screen.update(report, lag_n=12, lag_unit="records")
        told = screen.console.file.getvalue()
    assert "newest event 50 s ago" in told and "12 records behind" in told


def test_what_is_said_meanwhile_is_at_the_foot_and_told_again_at_the_end(report):
    notes = []
    with screen_of(Clock(), notes=notes) as screen:
        screen.note("a snapshot is passed over")
        screen.update(report)
        assert "a snapshot is passed over" in screen.console.file.getvalue()
        assert notes == []
    assert notes == ["a snapshot is passed over"]


def test_it_can_be_updated_from_a_loop_of_asyncio(report):
    async def work(screen):
        for _ in range(3):
            screen.update(report)
            await asyncio.sleep(0)

    with screen_of(Clock()) as screen:
        asyncio.run(work(screen))
        assert drawn(screen) == 1
