"""The open questions of an engine are those that a reader of its outputs would still show."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

import headrace as hr
from headrace.label.desk import Desk
from headrace.label.ledger import Entry
from headrace.messages import Answer, LabelRequested, QuestionChanged
from headrace.messages.request_ids import base_id
from headrace.privacy import Privacy
from headrace.settings import parse

PEOPLE = ("al", "bo", "cy", "di", "eve")
SETTINGS = {
    "query": {"budget": {"share": 0.8}, "open": {"rescored": "demoted", "every_n": 5}},
    "label": {
        "answers_wanted": 2,
        "answers_max": 4,
        "deadline_s": 40.0,
        "experts": ["eve"],
        "gold_share": 0.5,
        "second_opinion_share": 0.5,
    },
    "privacy": {"features": {"x": "round:10"}},
}


class Reader:
    """Keeps what a program keeps that shows questions, and drops them as docs/EMBEDDING.md says."""

    def __init__(self) -> None:
        self.questions: dict[str, LabelRequested] = {}
        self.answered: dict[str, set[str]] = {}

    def take(self, message: Any, outputs: list[Any], now: float) -> None:
        if isinstance(message, Answer) and hr.InputRejected not in map(type, outputs):
            self.answered.setdefault(message.request_id, set()).add(message.annotator)
        for output in outputs:
            one = getattr(output, "record", output)
            if isinstance(one, LabelRequested):
                self.questions[one.request_id] = one
            elif isinstance(one, hr.RequestRescored):
                for name, question in self.questions.items():
                    if base_id(name) == one.request_id:
                        changed = msgspec.structs.replace(question, priority=one.priority)
                        self.questions[name] = changed
            elif isinstance(
                one,
                hr.LabelSettled | hr.LabelDisputed | hr.RequestExpired | hr.RequestWithdrawn,
            ):
                self.questions.pop(one.request_id, None)
        for name, question in [*self.questions.items()]:
            is_answered = len(self.answered.get(name, ())) >= question.answers_wanted
            if is_answered or now >= question.deadline:
                del self.questions[name]

    @property
    def shown(self) -> list[LabelRequested]:
        return in_order([*self.questions.values()])


def in_order(questions: list[LabelRequested]) -> list[LabelRequested]:
    return sorted(questions, key=lambda question: (question.at, question.request_id))


def engine_of() -> hr.Engine:
    made = parse(SETTINGS)
    return hr.Engine(settings=made, privacy=Privacy(made.privacy), seed=5)


ACTS = ["event"] * 4 + ["answer"] * 6 + ["tick", "withdraw", "erase", "restore"]


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.default_n(6)
def test_open_requests_are_what_a_reader_of_the_outputs_keeps(seed: int) -> None:
    chance = random.Random(seed)
    engine, reader, events_n = engine_of(), Reader(), 0
    for act in chance.choices(ACTS, k=120):
        number, who = chance.randrange(10**6), chance.choice(PEOPLE)
        label = chance.choice(["a", "b", "b", None])
        known = sorted({*reader.questions, *reader.answered})
        at = max(0.0, engine.now) + number % 7
        message: Any = hr.Tick(at=at)
        if act == "event":
            events_n += 1
            x = float(number % 50)
            message = hr.Event(id=f"e{events_n}", at=at, features={"x": x}, key="someone")
        elif act == "answer" and known:
            name = known[number % len(known)]
            message = Answer(request_id=name, label=label, at=at, annotator=who)
        elif act == "withdraw" and known:
            message = hr.Withdrawal(request_id=known[number % len(known)], at=at)
        elif act == "erase" and events_n:
            event_id = f"e{1 + number % events_n}"
            message = hr.ErasureOrdered(at=at, event_ids=(event_id,), key=str(number))
        elif act == "restore":
            blob = engine.snapshot()
            engine = engine_of()
            engine.restore(blob)
        reader.take(message, engine.feed([message]), engine.now)
        found = engine.open_requests()
        assert in_order(found) == reader.shown
        assert [one.at for one in found] == sorted(one.at for one in found)
        assert engine.open_requests() == found


def test_looking_at_the_open_requests_shows_them_to_nobody() -> None:
    engine = engine_of()
    engine.feed([hr.Event(id=str(i), at=float(i), features={"y": 1.0}) for i in range(30)])
    before, blob = engine.privacy.describe_unseen(1), engine.snapshot()
    assert engine.open_requests()
    assert engine.privacy.describe_unseen(1) == before
    assert engine.snapshot() == blob
    assert all(one.features == {} and one.key is None for one in engine.open_requests())


def test_a_request_with_answers_enough_gives_way_to_its_further_question() -> None:
    desk = Desk(parse({"label": {"answers_wanted": 2, "answers_max": 4}}).label, ["a", "b"], 10)
    request = LabelRequested(
        request_id="r", event_id="e", at=0.0, event_at=0.0, deadline=60.0, features={"x": 1},
        reason="round", strategy="random", utility=0.0, threshold=0.0, propensity=0.1,
        model_version=0, prediction={}, round_n=0, seq=0, answers_wanted=2,
    )  # fmt: skip
    desk.open_request(request)
    desk.take_answer(Answer(request_id="r", label="a", at=1.0, annotator="al"), 5.0)
    assert desk.list_unanswered(5.0) == [request]
    [change] = desk.take_answer(Answer(request_id="r", label="b", at=1.0, annotator="bo"), 6.0)
    assert isinstance(change, QuestionChanged)
    assert desk.list_unanswered(6.0) == [change.record]
    desk.take_answer(Answer(request_id="r:w3", label="b", at=7.0, annotator="cy"), 7.0)
    assert desk.list_unanswered(7.0) == []


@pytest.mark.parametrize("is_answered", [True, False])
def test_a_further_question_of_an_older_state_is_listed(is_answered: bool) -> None:
    request = LabelRequested(
        request_id="r", event_id="e", at=3.0, event_at=0.0, deadline=60.0, features={"x": 1},
        reason="round", strategy="random", utility=0.0, threshold=0.0, propensity=0.1,
        model_version=0, prediction={}, round_n=0, seq=0,
    )  # fmt: skip
    answers = [Answer(request_id="r", label=None, at=4.0, annotator="al")]
    fields = {"request": request, "answers": answers, "further": {"r:w2": is_answered}}
    upgraded = Entry.upgrade_state(fields, 3)
    assert upgraded["further"] == {"r:w2": None if is_answered else (3.0, ("al",))}
