"""The desk's page beyond what it can store and measure: every answer goes out all the same."""

from __future__ import annotations

import pytest

from bridges.chromium import Page, find_chromium
from bridges.desk_pages import ASKING, log_in, wait_ready
from bridges.desk_server import DeskServer, Open
from headrace.report.sections import ASKED_REASONS

pytestmark = pytest.mark.skipif(
    find_chromium() is None, reason="the page is tried in Chromium, which is not here"
)


def test_a_question_too_large_for_the_memory_of_the_browser_is_answered(
    page: Page, open_desk: Open
) -> None:
    # As a photo in `data:` may be; a browser keeps some five million characters.
    desk = open_desk([{"comment": "x" * 6_000_000}, {"comment": "y"}])
    log_in(page, desk)
    page.press("2")
    page.wait("document.getElementById('said').textContent.startsWith('Answered spam')")
    assert [(a["request_id"], a["label"]) for a in desk.answers] == [("r/0", "spam")]
    assert page.faults == []


def test_a_question_that_was_in_front_for_days_is_answered(page: Page, desk: DeskServer) -> None:
    log_in(page, desk)
    page.run("{ const now = performance.now(); performance.now = () => now + 3 * 86_400_000; }")
    page.press("1")
    page.wait("document.getElementById('said').textContent.startsWith('Answered ham')")
    assert desk.answers[0]["took_s"] == 86_400


def test_an_answer_refused_after_a_reload_leaves_its_question_in_sight(
    page: Page, desk: DeskServer
) -> None:
    log_in(page, desk)
    desk.is_away = True
    page.press("2")
    page.wait("!document.getElementById('away').hidden")
    desk.is_away = False
    desk.refusals["/v1/answers"] = (400, "spam is no class of this stream any more.")
    page.go(desk.url)
    page.wait(f"{ASKING} && !document.getElementById('fault').hidden")
    assert "amount" in page.text("#features")
    wait_ready(page)
    page.press("1")
    page.wait("document.getElementById('said').textContent.startsWith('Answered ham')")
    assert [(a["request_id"], a["label"]) for a in desk.answers] == [("r/0", "ham")]


def test_the_page_has_words_for_every_reason_to_ask(page: Page, open_desk: Open) -> None:
    desk = open_desk([])
    for reason in ASKED_REASONS:
        desk.ask([{"amount": 1.0}], reason=reason)
    log_in(page, desk)
    told = {}
    for _ in ASKED_REASONS:
        wait_ready(page)
        told[page.text("#why")] = page.text("#why-long")
        page.press("1")
        page.wait(f"{ASKING} || document.body.dataset.state === 'idle'")
    assert len(told) == len(ASKED_REASONS)
    assert [words for words, long in told.items() if not long] == []
