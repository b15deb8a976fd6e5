"""The desk's page in a real Chromium: labelling by keys alone, hostile values, faults."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from bridges.chromium import Chromium, Page, find_chromium
from bridges.desk_pages import ASKING, log_in, wait_ready
from bridges.desk_server import FEATURES, DeskServer, LiveRun, Open

pytestmark = pytest.mark.skipif(
    find_chromium() is None, reason="the page is tried in Chromium, which is not here"
)


def answer(page: Page, desk: DeskServer, key: str) -> dict[str, Any]:
    """Press it when the question takes answers; what reached the server."""
    before_n = len(desk.answers)
    wait_ready(page)
    page.press(key)
    page.wait(f"{ASKING} || document.body.dataset.state === 'idle'")
    assert len(desk.answers) == before_n + 1
    return desk.answers[-1]


def interval(page: Page) -> float:
    low, high = page.text("#interval").replace(" %", "").split(" to ")
    return float(high) - float(low)


# ------------------------------------------------------------------------------------ labelling


def test_twenty_questions_by_keys_alone_narrow_the_interval(page: Page, open_desk: Open) -> None:
    run = LiveRun()
    desk = open_desk([], run=run)
    run.carry(desk)
    before = run.read_estimate()
    log_in(page, desk)
    for i in range(20):
        wait_ready(page)
        asked = desk.leased
        page.press(str(1 + run.declared.index(run.truth(asked))))
        page.wait(f"{ASKING} && document.getElementById('sitting-n').innerText === '{i + 1}'")
        given = desk.answers[-1]
        assert (given["request_id"], given["label"]) == (asked, run.truth(asked))
        assert 0 < given["took_s"] < 20
        assert given["saw_guess"] == 0
        run.carry(desk)
    page.wait("document.getElementById('mine').innerText === '20'")
    assert page.run("document.querySelectorAll('#curve path').length") == 2
    page.go(desk.url)
    page.wait("document.getElementById('interval').innerText !== ''")
    after = run.read_estimate()
    assert after.labels_n >= before.labels_n + 10
    assert f"from {after.labels_n} labels" in page.text("#estimate-told")
    assert interval(page) == pytest.approx(100 * (after.high - after.low), abs=0.11)
    assert interval(page) < 100 * (before.high - before.low)
    assert page.faults == []


def test_the_token_leaves_the_address_and_its_history(page: Page, desk: DeskServer) -> None:
    log_in(page, desk)
    assert page.run("location.href") == desk.url
    history = page.send("Page.getNavigationHistory")["entries"]
    assert [entry["url"] for entry in history if desk.token in entry["url"]] == []


def test_a_stranger_types_a_token_and_a_wrong_one_is_told(page: Page, desk: DeskServer) -> None:
    page.go(desk.url)
    page.wait("document.body.dataset.state === 'stranger'")
    assert page.text("#question") == ""
    assert page.text("#status") == ""
    assert page.run("document.activeElement.id") == "token"
    page.write("wrong")
    page.press("Enter")
    page.wait("!document.getElementById('fault').hidden")
    assert page.text("#fault-text") == "This token is not known."
    page.run("document.getElementById('token').value = ''")
    page.write(desk.token)
    page.press("Enter")
    page.wait(ASKING)
    assert page.text("#fault") == ""


def test_cannot_tell_skip_and_undo(page: Page, desk: DeskServer) -> None:
    log_in(page, desk)
    assert answer(page, desk, "x")["label"] is None
    wait_ready(page)
    page.press("s")
    page.wait("document.getElementById('said').textContent.startsWith('Skipped')")
    assert desk.skipped == ["r/1"]
    assert answer(page, desk, "3")["request_id"] == "r/2"
    wait_ready(page)
    page.press("u")
    page.wait("document.getElementById('said').textContent.includes('taken back')")
    assert [a["request_id"] for a in desk.answers] == ["r/0"]
    corrected = answer(page, desk, "2")
    assert (corrected["request_id"], corrected["label"]) == ("r/2", "spam")


def test_undo_without_an_answer_says_so_and_the_question_stays(
    page: Page, desk: DeskServer
) -> None:
    log_in(page, desk)
    page.press("u")
    page.wait("!document.getElementById('fault').hidden")
    assert page.text("#fault-text") == "There is no answer of yours to take back."
    assert answer(page, desk, "1")["request_id"] == "r/0"


def test_the_guess_is_hidden_until_asked_for_and_that_is_told(page: Page, desk: DeskServer) -> None:
    log_in(page, desk)
    assert "62 %" not in page.text("body")
    assert not any("guess" in call for call in desk.calls)
    page.press("g")
    page.wait("document.getElementById('guess').innerText.includes('62 %')")
    assert "GET /v1/questions/r%2F0/guess" in desk.calls
    page.press("g")
    assert page.text("#guess") == ""
    assert answer(page, desk, "1")["saw_guess"] == 1
    assert answer(page, desk, "1")["saw_guess"] == 0


def test_a_note_is_typed_without_answering_and_goes_out(page: Page, desk: DeskServer) -> None:
    log_in(page, desk)
    page.press("n")
    assert page.run("document.activeElement.id") == "note"
    for letter in "12 sux":
        page.press(letter)
    page.press("Escape")
    assert desk.answers == []
    assert answer(page, desk, "1")["note"] == "12 sux"
    assert answer(page, desk, "1")["note"] == ""


def test_the_pointer_does_all_that_keys_do(page: Page, desk: DeskServer) -> None:
    log_in(page, desk)
    wait_ready(page)
    page.click("#guess-open")
    page.wait("!document.getElementById('guess').hidden")
    page.click(".class:nth-child(2)")
    page.wait(f"{ASKING} && document.getElementById('said').textContent.startsWith('Answered')")
    wait_ready(page)
    page.click("#skip")
    page.wait("document.getElementById('said').textContent.startsWith('Skipped')")
    wait_ready(page)
    page.click("#undo")
    page.wait("document.getElementById('said').textContent.includes('taken back')")
    assert (desk.answers, desk.skipped) == ([], ["r/1"])
    page.click("#help-open")
    assert "phishing" in page.text("#help")
    page.press("1")
    assert desk.answers == []
    page.click("#help form button")
    assert page.text("#help") == ""
    assert page.faults == []


def test_a_key_pressed_twice_answers_one_question(page: Page, desk: DeskServer) -> None:
    log_in(page, desk)
    press = "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: '1', bubbles: true}))"
    # Again and again while the answer is on its way, and at the instant the next question is up.
    page.run(
        f"new MutationObserver(() => document.body.dataset.ready === 'no' && {press})"
        ".observe(document.body, {attributes: true})"
    )
    page.run(f"for (let i = 0; i < 3; i++) {press}")
    page.wait("document.getElementById('said').textContent.startsWith('Answered')")
    wait_ready(page)
    assert len(desk.answers) == 1


def test_a_button_held_down_by_a_key_answers_one_question(page: Page, desk: DeskServer) -> None:
    log_in(page, desk)
    page.run("document.querySelector('.class').focus()")
    page.press("Enter", repeats_n=20)
    wait_ready(page)
    assert [given["request_id"] for given in desk.answers] == ["r/0"]


@pytest.mark.parametrize(
    "name", ["\u0645\u06cc\u200c\u062e", "\U0001f469\u200d\U0001f4bb", "a\u00a0b"]
)
def test_a_class_is_answered_however_it_is_spelled(page: Page, open_desk: Open, name: str) -> None:
    desk = open_desk(classes=["ham", name])
    log_in(page, desk)
    assert answer(page, desk, "2")["label"] == name


def test_keys_can_be_switched_off(page: Page, desk: DeskServer) -> None:
    log_in(page, desk)
    wait_ready(page)
    page.press("?", shift=True)
    page.click("#keys-on")
    page.press("Escape")
    page.wait("!document.getElementById('help').open")
    page.press("1")
    page.click("#cannot")
    page.wait("document.getElementById('said').textContent.startsWith('Cannot tell')")
    assert [given["label"] for given in desk.answers] == [None]


def test_more_classes_are_found_by_typing_and_new_ones_added(page: Page, open_desk: Open) -> None:
    desk = open_desk(classes=[f"kind {i}" for i in range(40)], new_classes=True)
    log_in(page, desk)
    wait_ready(page)
    page.press("/")
    page.press("Enter")
    assert desk.answers == []
    page.write("37")
    page.wait("document.querySelectorAll('#find-list [role=option]').length === 2")
    page.press("Enter")
    page.wait("document.getElementById('said').textContent.startsWith('Answered kind 37')")
    wait_ready(page)
    page.press("/")
    page.write("brand new")
    assert page.text("#find-list") == "Add the class “brand new”"
    page.press("Enter")
    page.wait("document.getElementById('said').textContent.startsWith('Answered brand new')")
    assert [given["label"] for given in desk.answers] == ["kind 37", "brand new"]


def test_the_first_class_is_typed_and_has_a_key_from_then_on(page: Page, open_desk: Open) -> None:
    desk = open_desk(classes=[])
    log_in(page, desk)
    page.press("/")
    page.write("ham")
    page.press("Enter")
    page.wait("document.getElementById('said').textContent.startsWith('Answered ham')")
    assert page.text("#last") == "Last: ham"
    assert page.text("#classes").split() == ["1", "ham"]
    assert answer(page, desk, "1")["label"] == "ham"


# ------------------------------------------------------------------------------- what is shown


def test_features_stand_in_order_against_what_is_usual(page: Page, open_desk: Open) -> None:
    first = {"colour": "blue", "small": 14.0, "country": "NZ", "age": 35.0, "amount": 9120.5}
    rest = [
        {"amount": 10.0 + i, "small": 20.0 + i, "age": 20.0 + i, "country": "AU", "colour": "blue"}
        for i in range(59)
    ]
    desk = open_desk([first | {"gone": None}, *({**each, "gone": 1.0} for each in rest)])
    log_in(page, desk)
    rows = page.run("[...document.querySelectorAll('.feature')].map((row) => row.innerText)")
    by_name = {row.split("\n")[0]: row for row in rows}
    assert list(by_name)[:2] == ["amount", "country"]
    assert list(by_name)[-2:] == ["colour", "gone"]
    assert "9,120.5" in by_name["amount"]
    assert "far above usual" in by_name["amount"]
    assert re.search(r"\n\d+\.?\d* to \d+", by_name["amount"])
    assert "usual" not in by_name["age"]
    assert "rare" in by_name["country"]
    assert "1.7 % of events" in by_name["country"]
    assert "below usual" in by_name["small"]
    assert "98 % of events" not in by_name["colour"]
    assert "missing" in by_name["gone"]
    marked = "[...document.querySelectorAll('.feature.unusual dt')].map((dt) => dt.innerText)"
    assert page.run(marked) == ["amount", "country"]
    # The value sticks to the edge of its bar, the bar keeps the usual stretch readable.
    assert page.run("document.querySelector('.feature .dot').tagName") == "path"
    assert page.run("document.querySelectorAll('.feature circle.dot').length") == 2
    announced = page.run("document.getElementById('said').textContent")
    assert "amount 9,120.5, far above usual; country NZ, rare; small 14" in announced
    assert announced.endswith("and 3 more.")


def test_many_features_are_shown_on_demand(page: Page, open_desk: Open) -> None:
    desk = open_desk([{f"f{i}": 10.0 for i in range(300)}])
    log_in(page, desk)
    assert page.run("document.querySelectorAll('.feature').length") == 12
    assert page.text("#more") == "Show 288 more features"
    page.press("m")
    assert page.run("document.querySelectorAll('.feature').length") == 300


HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)//https://x.example",
    "data:text/html,<script>alert(1)</script>",
    "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    'https://x.example/"onmouseover="alert(1)',
    "file:///etc/passwd",
    "\u202egnp.exe\u0000\u200b",
    "</dd></dl><h1>gone</h1>",
    "a" * 100_000,
    "{{7*7}}${alert(1)}",
]


def test_hostile_values_are_text(page: Page, open_desk: Open) -> None:
    kinds = ("texts", "images", "links")
    named = {f"{kind} {value[:200]}": value for value in HOSTILE for kind in (*kinds, "others")}
    shown_as = {kind: [name for name in named if name.startswith(kind)] for kind in kinds}
    desk = open_desk([], HOSTILE[:4], **shown_as)
    desk.ask([named], reason=HOSTILE[0], strategy=HOSTILE[1])
    desk.ask(FEATURES)
    desk.refusals["/v1/answers/undo"] = (409, HOSTILE[0])
    log_in(page, desk)
    page.press("m")
    assert page.run("document.querySelectorAll('.feature').length") == len(named)
    page.press("u")
    page.wait("!document.getElementById('fault').hidden")
    assert page.text("#fault-text") == HOSTILE[0]
    assert page.text("#why") == HOSTILE[0]
    assert page.dialogs == []
    assert page.run("document.querySelectorAll('h1').length") == 3
    assert page.run("document.querySelectorAll('script').length") == 1
    links = page.run("[...document.querySelectorAll('.feature a')].map((a) => [a.href, a.rel])")
    assert {rel for _, rel in links} == {"noopener noreferrer nofollow"}
    assert [href for href, _ in links if not href.startswith(("http://", "https://"))] == []
    attributes = "[...document.querySelectorAll('*')].flatMap((e) => e.getAttributeNames())"
    assert [name for name in page.run(attributes) if name.startswith("on")] == []
    assert page.run("document.documentElement.scrollWidth <= innerWidth") is True
    page.press("2")
    page.wait(f"{ASKING} && document.getElementById('said').textContent.startsWith('Answered')")
    assert desk.answers[0]["label"] == HOSTILE[1]
    page.press("?", shift=True)
    assert HOSTILE[1] in page.text("#help")
    assert page.dialogs == []


def contrast(page: Page, selector: str) -> float:
    """Of its text against the first opaque ground behind it, as WCAG 2.2 counts it."""
    return page.run(f"""(() => {{
      const pen = document.createElement('canvas').getContext('2d', {{willReadFrequently: true}});
      const rgb = (colour) => {{
        pen.clearRect(0, 0, 1, 1); pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
        return [...pen.getImageData(0, 0, 1, 1).data];
      }};
      const light = (colour) => {{
        const [r, g, b] = rgb(colour).slice(0, 3).map((c) => c / 255)
          .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      }};
      const found = document.querySelector({json.dumps(selector)});
      let ground = found;
      while (rgb(getComputedStyle(ground).backgroundColor)[3] < 255) ground = ground.parentElement;
      const colours = [getComputedStyle(found).color, getComputedStyle(ground).backgroundColor];
      const both = colours.map(light);
      return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
    }})()""")


TEXTS = (
    *("#question-title", "#why-long", ".chip", ".class", ".class kbd", ".others button", ".counts"),
    *(".feature.unusual dt", ".feature.unusual .flag", ".feature:nth-child(2) dt", ".ends", ".who"),
    *("#estimate-told", "#bought b"),
)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_texts_stand_out_from_their_ground(
    chromium: Chromium, desk: DeskServer, dark: bool
) -> None:
    page = chromium.open_page(dark=dark)
    log_in(page, desk)
    page.wait("document.querySelector('#bought b') !== null")
    ground = page.run("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(13, 19, 23)") is dark
    assert {s: c for s in TEXTS if (c := contrast(page, s)) < 4.5} == {}
    page.close()


def test_a_phone_shows_all_without_scrolling_sideways(chromium: Chromium, open_desk: Open) -> None:
    page = chromium.open_page(360, 740, touch=True)
    long = {"x" * 80: "y" * 300, "short " * 9: "z" * 59}
    desk = open_desk([each | long for each in FEATURES], ["ham", "spam", "z" * 60])
    log_in(page, desk)
    assert page.run("document.documentElement.scrollWidth") == 360
    boxes = "map((e) => e.getBoundingClientRect())"
    rights = page.run(f"[...document.querySelectorAll('main *')].{boxes}.map((box) => box.right)")
    assert max(rights) <= 360
    buttons = "[...document.querySelectorAll('.answers button')]"
    heights = page.run(f"{buttons}.{boxes}.map((box) => box.height)")
    assert min(heights) >= 40
    # The answers stay within reach of a thumb, whatever stands above.
    assert (
        page.run("document.getElementById('answers').getBoundingClientRect().bottom <= 740") is True
    )
    page.click(".class")
    page.wait("document.getElementById('said').textContent.startsWith('Answered ham')")
    page.close()


def test_long_names_of_classes_leave_room_for_the_question(
    chromium: Chromium, open_desk: Open
) -> None:
    page = chromium.open_page(360, 740, touch=True)
    names = [f"{i} " + "a class that is called by a whole sentence " * 2 for i in range(9)]
    desk = open_desk([{"comment": "What people are to read. " * 10}], names, texts=["comment"])
    log_in(page, desk)
    page.run("document.querySelector('.value').scrollIntoView({block: 'start'})")
    top, end = page.run(
        "['.value', '#answers'].map((s) => document.querySelector(s).getBoundingClientRect().top)"
    )
    assert end - top >= 150
    classes = "[...document.querySelectorAll('.class')]"
    assert page.run(f"{classes}.every((e) => e.scrollHeight <= e.clientHeight)") is True
    page.click(".class:last-child")
    page.wait("document.body.dataset.state === 'idle'")
    assert desk.answers[-1]["label"] == names[-1]
    page.close()


def test_a_screen_reader_finds_names_for_everything(page: Page, desk: DeskServer) -> None:
    log_in(page, desk)
    page.wait("document.querySelector('#curve svg') !== null")
    nodes = page.send("Accessibility.getFullAXTree")["nodes"]
    shown = [node for node in nodes if not node["ignored"]]
    roles = {"button", "textbox", "combobox", "image", "checkbox", "region", "complementary"}
    unnamed = [
        node["role"]["value"]
        for node in shown
        if node["role"]["value"] in roles and not node["name"]["value"]
    ]
    assert unnamed == []
    named = {(node["role"]["value"], node["name"]["value"]) for node in shown}
    assert ("button", "1 ham") in named
    assert any(role == "image" and name.startswith("Accuracy from 10") for role, name in named)
    assert page.run("document.getElementById('said').getAttribute('aria-live')") == "polite"
    assert page.run("document.activeElement.id") == "question-title"


def test_nothing_is_fetched_from_elsewhere(page: Page, desk: DeskServer) -> None:
    log_in(page, desk)
    names = page.run("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert [name for name in names if not name.startswith((desk.url, "data:"))] == []


# --------------------------------------------------------------------------- what may go wrong


def test_an_answer_outlives_a_server_that_is_away(page: Page, desk: DeskServer) -> None:
    log_in(page, desk)
    wait_ready(page)
    desk.is_away = True
    page.press("2")
    page.wait("!document.getElementById('away').hidden")
    assert "Your answer is kept" in page.text("#away")
    assert desk.answers == []
    desk.is_away = False
    page.click("#away-now")
    page.wait(f"{ASKING} && document.getElementById('away').hidden")
    assert [(a["request_id"], a["label"]) for a in desk.answers] == [("r/0", "spam")]


def test_an_answer_on_its_way_can_be_taken_back(page: Page, desk: DeskServer) -> None:
    log_in(page, desk)
    wait_ready(page)
    desk.is_away = True
    page.press("2")
    page.wait("!document.getElementById('away').hidden")
    page.press("u")
    page.wait(f"{ASKING} && document.getElementById('away').hidden")
    desk.is_away = False
    assert answer(page, desk, "1")["label"] == "ham"
    assert len(desk.answers) == 1


def test_an_answer_outlives_a_reload(page: Page, desk: DeskServer) -> None:
    log_in(page, desk)
    wait_ready(page)
    desk.is_away = True
    page.press("2")
    page.wait("!document.getElementById('away').hidden")
    desk.is_away = False
    page.go(desk.url)
    page.wait(ASKING)
    assert [(a["request_id"], a["label"]) for a in desk.answers] == [("r/0", "spam")]


def test_after_a_session_ended_the_answer_goes_out_under_the_same_name(
    page: Page, desk: DeskServer
) -> None:
    log_in(page, desk)
    wait_ready(page)
    desk.end_sessions()
    page.press("2")
    page.wait("document.body.dataset.state === 'stranger'")
    assert "Your answer is kept" in page.text("#login-why")
    assert page.text("#question") == page.text("#status") == ""
    page.write(desk.people.add("bob", "annotator"))
    page.press("Enter")
    wait_ready(page)
    assert desk.answers == []
    page.press("1")
    page.wait("document.getElementById('said').textContent.startsWith('Answered ham')")
    page.go(f"{desk.url}#token={desk.token}")
    page.wait("document.getElementById('said').textContent.startsWith('Answered spam')")
    given = [(a["request_id"], a["label"], a["person"]) for a in desk.answers]
    assert given == [("r/1", "ham", "bob"), ("r/0", "spam", "ann")]


def test_who_logs_in_in_another_tab_gives_no_answer_of_the_first(
    chromium: Chromium, page: Page, desk: DeskServer
) -> None:
    log_in(page, desk)
    bob = chromium.open_page(beside=page)
    bob.go(f"{desk.url}#token={desk.people.add('bob', 'annotator')}")
    wait_ready(bob)
    assert (page.text("#who"), bob.text("#who")) == ("ann", "bob")
    page.press("2")
    page.wait("document.body.dataset.state === 'stranger'")
    assert "somebody else logged in" in page.text("#login-why")
    assert desk.answers == []
    page.go(f"{desk.url}#token={desk.token}")
    page.wait("document.getElementById('said').textContent.startsWith('Answered spam')")
    assert [(a["request_id"], a["person"]) for a in desk.answers] == [("r/0", "ann")]
    bob.send("Page.close")


def test_a_note_outlives_the_end_of_a_session(page: Page, desk: DeskServer) -> None:
    log_in(page, desk)
    page.press("n")
    page.write("odd")
    page.press("Escape")
    desk.end_sessions()
    page.press("g")
    page.wait("document.body.dataset.state === 'stranger'")
    page.write(desk.token)
    page.press("Enter")
    assert answer(page, desk, "1")["note"] == "odd"


def test_time_that_runs_out_is_told_and_an_answer_counts_all_the_same(
    page: Page, desk: DeskServer
) -> None:
    desk.behind_s = 270.0
    log_in(page, desk)
    page.wait("!document.getElementById('lease').hidden")
    assert page.text("#lease").startswith("Yours for ")
    desk.behind_s = 400.0
    page.press("s")
    page.wait("document.getElementById('lease').innerText.includes('may go to somebody else')")
    desk.behind_s = 0.0
    assert answer(page, desk, "1")["request_id"] == "r/1"


def test_a_question_that_is_gone_is_told_and_the_next_comes(page: Page, desk: DeskServer) -> None:
    log_in(page, desk)
    wait_ready(page)
    desk.refusals["/v1/answers"] = (404, "There is no such question.")
    desk.withdraw("r/0")
    page.press("1")
    page.wait("!document.getElementById('fault').hidden")
    assert page.text("#fault-text") == "There is no such question."
    assert answer(page, desk, "1")["request_id"] == "r/1"
    assert page.text("#fault") == ""


def test_a_refused_label_leaves_the_question(page: Page, desk: DeskServer) -> None:
    log_in(page, desk)
    wait_ready(page)
    desk.refusals["/v1/answers"] = (422, "There is no class of that name.")
    page.press("1")
    page.wait("!document.getElementById('fault').hidden")
    assert answer(page, desk, "2")["request_id"] == "r/0"


def test_without_questions_it_waits_for_the_next_while_somebody_looks(
    page: Page, open_desk: Open
) -> None:
    desk = open_desk([])
    page.go(f"{desk.url}#token={desk.token}")
    page.wait("document.body.dataset.state === 'idle'")
    assert "Nothing to label now" in page.text("#idle")
    look = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
    page.run(look % "true")
    desk.ask(FEATURES[:1])
    asked_n = desk.calls.count("POST /v1/questions/next")
    page.run("new Promise((resolve) => setTimeout(resolve, 2300))")
    assert desk.calls.count("POST /v1/questions/next") == asked_n
    page.run(look % "false" + "document.dispatchEvent(new Event('visibilitychange'))")
    page.wait(ASKING)
    assert answer(page, desk, "x")["request_id"] == "r/0"
    page.wait("document.body.dataset.state === 'idle'")
    desk.ask(FEATURES[:1])
    page.wait(ASKING)


def test_a_viewer_sees_figures_and_no_question(page: Page, open_desk: Open) -> None:
    desk = open_desk(role="viewer")
    page.go(f"{desk.url}#token={desk.token}")
    page.wait("document.body.dataset.state === 'viewing'")
    page.wait("document.getElementById('accuracy').innerText === '90.0 %'")
    assert "POST /v1/questions/next" not in desk.calls
    assert page.text("#question") == ""


def test_an_operator_orders_a_round_once_and_sees_who_labels(page: Page, open_desk: Open) -> None:
    desk = open_desk(role="operator")
    log_in(page, desk)
    page.wait("document.querySelector('#people td') !== null")
    assert page.text("#people tbody").split() == ["ann", "0", "–", "labels"]
    page.click("#round-labels")
    page.press("1")
    assert desk.answers == []
    page.run("document.getElementById('round-labels').value = '7'")
    page.click("#round-order")
    page.wait("document.getElementById('round-told').innerText === 'Ordered.'")
    ((key, order),) = desk.run.rounds.items()
    assert order["asked"] == (7, "ordered at the desk")
    # The server goes away before the end is known: ordered again, it is the same order.
    desk.is_away = True
    page.wait("document.getElementById('round-told').innerText.includes('cannot be reached')")
    desk.is_away = False
    desk.run.rounds[key] |= {"state": "asked", "asked_n": 7, "round_n": 1, "why": ""}
    page.click("#round-order")
    page.wait("document.getElementById('round-told').innerText === '7 questions are asked.'")
    assert list(desk.run.rounds) == [key]
    page.click("#round-order")
    page.wait("document.getElementById('round-told').innerText === 'Ordered.'")
    assert len(desk.run.rounds) == 2


def test_who_only_labels_orders_nothing(page: Page, desk: DeskServer) -> None:
    log_in(page, desk)
    assert page.text("#round-card") == page.text("#people-card") == ""


def test_before_the_first_labels_no_accuracy_is_told(page: Page, desk: DeskServer) -> None:
    desk.run.is_told = False
    log_in(page, desk)
    page.wait("document.getElementById('estimate-told').innerText !== ''")
    assert page.text("#accuracy") == "–"
    assert page.text("#bought-card") == ""
