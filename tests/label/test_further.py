"""One more answer where the answers decide nothing: asked as a question that any tool shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from commands.runs import START_AT, Stream, answer_to
from headrace.bridges.outbox import BridgeOutbox
from headrace.drivers.audit.verify import verify_log
from headrace.drivers.files.erasing import ConcernedLines, _questions_about
from headrace.label.desk import Desk
from headrace.messages import (
    Answer,
    ErasureOrdered,
    InputRejected,
    LabelDisputed,
    LabelRequested,
    LabelSettled,
    QuestionChanged,
    RequestWithdrawn,
    Withdrawal,
)
from headrace.messages.request_ids import base_id
from headrace.privacy import Privacy
from headrace.settings import parse


def request(name: str = "r", wanted_n: int = 2) -> LabelRequested:
    return LabelRequested(
        request_id=name, event_id="e", at=0.0, event_at=0.0, deadline=60.0, features={"x": 1},
        reason="round", strategy="random", utility=0.0, threshold=0.0, propensity=0.1,
        model_version=0, prediction={}, round_n=0, seq=0, answers_wanted=wanted_n,
    )  # fmt: skip


def desk_with(wanted_n: int = 2, **label: Any) -> Desk:
    desk = Desk(parse({"label": {"answers_max": 4, **label}}).label, ["a", "b"], 10)
    desk.open_request(request(wanted_n=wanted_n))
    return desk


def says(desk: Desk, who: str, label: str | None, name: str = "r") -> list[Any]:
    return desk.take_answer(Answer(request_id=name, label=label, at=1.0, annotator=who), 5.0)


def asked(outputs: list[Any]) -> LabelRequested:
    [change] = outputs
    assert isinstance(change, QuestionChanged) and isinstance(change.record, LabelRequested)
    return change.record


def test_a_tie_asks_one_more_of_somebody_else_until_the_deadline_of_the_request():
    desk = desk_with()
    assert says(desk, "al", "a") == []
    question = asked(says(desk, "bo", "b"))
    assert question == msgspec.structs.replace(
        request(), request_id="r:w3", at=5.0, answers_wanted=1, not_by=("al", "bo")
    )
    assert desk.knows("r:w3") and not desk.knows("r:w4")
    settled, *taken_back = says(desk, "cy", "b", "r:w3")
    assert isinstance(settled, LabelSettled)
    assert (settled.request_id, settled.label, settled.answers_n) == ("r", "b", 3)
    assert [change.record for change in taken_back] == [
        RequestWithdrawn(request_id="r", event_id="e", at=5.0, reason="settled")
    ]
    assert (desk.counts.requests.asked_n, desk.open_n) == (1, 0)


@pytest.mark.parametrize("name", ["r", "r:w3"])
def test_a_request_that_is_withdrawn_takes_its_further_question_along(name: str):
    desk = desk_with()
    says(desk, "al", "a")
    asked(says(desk, "bo", "b"))
    withdrawn, *taken_back = desk.take_withdrawal(Withdrawal(request_id=name, at=5.0), 5.0)
    assert isinstance(withdrawn, RequestWithdrawn) and withdrawn.request_id == "r"
    assert [(change.record.request_id, change.record.reason) for change in taken_back] == [
        ("r", "withdrawn"), ("r:w3", "withdrawn")
    ]  # fmt: skip


def test_a_request_that_is_settled_by_a_withdrawal_is_taken_from_the_tools():
    desk = desk_with(wanted_n=3)
    says(desk, "al", "a")
    settled, taken_back = desk.take_withdrawal(Withdrawal(request_id="r", at=5.0), 5.0)
    assert isinstance(settled, LabelSettled)
    assert taken_back.record.request_id == "r"


def test_who_cannot_tell_is_followed_by_one_more_up_to_answers_max():
    desk = desk_with(wanted_n=1)
    assert asked(says(desk, "al", None)).request_id == "r:w2"
    assert asked(says(desk, "bo", None, "r:w2")).request_id == "r:w3"
    assert asked(says(desk, "cy", None, "r:w3")).request_id == "r:w4"
    disputed, *_ = says(desk, "di", None, "r:w4")
    assert isinstance(disputed, LabelDisputed) and disputed.reason == "refused"


def test_below_the_confidence_one_more_is_asked_for():
    desk = desk_with(consensus="dawid_skene", confidence=0.97)
    says(desk, "al", "a")
    assert asked(says(desk, "bo", "a")).request_id == "r:w3"
    settled, *_ = says(desk, "cy", "a", "r:w3")
    assert isinstance(settled, LabelSettled) and settled.agreement > 0.97


def test_nobody_is_asked_twice_for_one_answer_and_a_correction_asks_nobody():
    desk = desk_with()
    says(desk, "al", "a")
    asked(says(desk, "bo", "b"))
    assert desk.take_answer(Answer(request_id="r", label=None, at=2.0, annotator="bo"), 6.0) == []


def test_an_answer_elsewhere_takes_back_what_is_still_open():
    desk = desk_with()
    says(desk, "al", "a")
    asked(says(desk, "bo", "b"))
    _, *taken_back = says(desk, "cy", "a")
    assert [change.record.request_id for change in taken_back] == ["r", "r:w3"]
    # An answer to what was taken back is one to the request: late here, and of no effect.
    assert says(desk, "di", "b", "r:w3") == []


def test_a_question_that_a_tool_takes_back_withdraws_the_request():
    desk = desk_with()
    says(desk, "al", "a")
    asked(says(desk, "bo", "b"))
    withdrawn, *_ = desk.take_withdrawal(Withdrawal(request_id="r:w3", at=1.0), 7.0)
    assert isinstance(withdrawn, RequestWithdrawn) and withdrawn.request_id == "r"
    [rejected] = desk.take_withdrawal(Withdrawal(request_id="x:w3", at=1.0), 7.0)
    assert isinstance(rejected, InputRejected)


def test_a_bridge_lets_the_questions_of_a_withdrawn_request_go(tmp_path: Path):
    outbox = BridgeOutbox(tmp_path / "outbox.sqlite", outlives_power=False)
    names = ("r", "r:w3", "r:2", "r2", "r2:w3")
    outbox.take_in([request(name) for name in names], "1", 0.0)
    outbox.note_sent(outbox.to_send(10))
    end = RequestWithdrawn(request_id="r", event_id="e", at=1.0, reason="erased")
    outbox.take_in([end], "2", 1.0)
    assert [one.request_id for one in outbox.to_send(10)] == ["r", "r:w3"]
    outbox.close()


def test_a_run_asks_in_its_file_of_requests_and_hears_the_answer(tmp_path: Path):
    stream = Stream(tmp_path)
    two = {"answers_wanted": 2, "answers_max": 3}
    shared = {"seed": 5, "schema": {"classes": ["no", "yes"]}, "audit": {"is_kept": True}}
    settings = parse({**shared, "label": two})
    stream.write_events(0, 400)
    stream.run(settings=settings)
    answers = []
    for question in stream.requests():
        for who, label in (("ann", "no"), ("bo", "yes")):
            answers.append(answer_to(question, 1.0) | {"annotator": who, "label": label})
    stream.places.answers.write_bytes(b"".join(msgspec.json.encode(a) + b"\n" for a in answers))
    stream.write_events(400, 500)
    stream.run(settings=settings)
    further = [r for r in stream.requests() if ":w" in r["request_id"]]
    assert len(further) == len(answers) // 2 > 5
    assert all(r["not_by"] == ["ann", "bo"] and r["at"] >= START_AT for r in further)
    with stream.places.answers.open("ab") as file:
        for question in further:
            told = answer_to(question, 1.0) | {"annotator": "cy", "label": "yes"}
            file.write(msgspec.json.encode(told) + b"\n")
    stream.write_events(500, 600)
    stream.run(settings=settings)
    settled = {end["request_id"] for end in stream.decisions("LabelSettled")}
    assert settled >= {base_id(r["request_id"]) for r in further}
    audited = verify_log(stream.places.state)
    assert audited.is_whole, audited.faults
    assert "the file of requests" in audited.compared


def test_an_erasure_finds_a_further_question_wherever_it_stands():
    order = ErasureOrdered(at=0.0, event_ids=("e",))
    lines = ConcernedLines([order], parse({}), Privacy())
    lines.request_ids.add("r")
    question = msgspec.structs.replace(request("r:w3"), features={"name": "ann"})
    change = QuestionChanged(at=5.0, record=question)
    assert lines.of_output(msgspec.json.encode(question))
    assert lines.of_output(msgspec.json.encode(change))
    other = QuestionChanged(
        at=5.0, record=msgspec.structs.replace(question, request_id="s:w3", event_id="f")
    )
    assert not lines.of_output(msgspec.json.encode(other))
    assert {"r", "r:2", "r:3", "r:w2", "r:w3"} == _questions_about({"r"}, 3)
