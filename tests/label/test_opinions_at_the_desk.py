"""Second opinions at the desk: who may give one, what becomes of the label, when nobody does."""

from __future__ import annotations

import pickle
from typing import Any

import msgspec
import pytest

from headrace.label.desk import Desk
from headrace.messages import (
    Answer,
    InputRejected,
    LabelDisputed,
    LabelRequested,
    LabelSettled,
    RequestExpired,
    RequestWithdrawn,
    Withdrawal,
)
from headrace.messages.request_ids import base_id, opinion_id
from headrace.settings import LabelSettings

DEADLINE = 100.0
SHARE = 0.2


def request(name: str = "r", **more: Any) -> LabelRequested:
    return LabelRequested(
        request_id=name, event_id="e", at=0.0, event_at=0.0, deadline=DEADLINE,
        features={"x": 1.0}, reason="doubt", strategy="margin", utility=0.5, threshold=0.4,
        propensity=0.2, model_version=3, prediction={"a": 0.1, "b": 0.9}, round_n=-1, seq=7,
        key="customer", served_model="v2", **more,
    )  # fmt: skip


def opinion(opinion_n: int, *not_by: str, deadline: float = 2 * DEADLINE) -> LabelRequested:
    return msgspec.structs.replace(
        request(),
        request_id=opinion_id("r", opinion_n),
        reason="second opinion",
        opinion_n=opinion_n,
        not_by=not_by,
        at=20.0,
        deadline=deadline,
    )


def says(annotator: str, label: str | None, name: str = "r", at: float = 1.0) -> Answer:
    return Answer(request_id=name, annotator=annotator, label=label, at=at)


def asked_again(**limits: Any) -> Desk:
    """Al called it "a", and bo may say now what it is."""
    settings = LabelSettings(second_opinion_share=SHARE, **limits)
    desk = Desk(settings, classes=["a", "b"], classes_max=4)
    desk.open_request(request())
    (settled,) = desk.take_answer(says("al", "a"), now=10.0)
    assert (settled.by, settled.opinion_n, settled.key, settled.served_model) == (
        ("al",), 1, "customer", "v2",
    )  # fmt: skip
    assert desk.open_request(opinion(2, *settled.by)) == []
    return desk


def tally(desk: Desk) -> tuple[int, int, int]:
    counts = desk.counts.requests
    return counts.confirmed_n, counts.overruled_n, counts.undecided_n


def test_the_id_of_an_opinion_leads_back_to_the_first_request() -> None:
    assert opinion_id("r", 3) == "r:3" and base_id("r:3") == "r" == base_id("r")


def test_who_agrees_confirms_the_label() -> None:
    desk = asked_again()
    assert desk.open_n == 1
    (settled,) = desk.take_answer(says("bo", "a", "r:2"), now=30.0)
    assert isinstance(settled, LabelSettled) and settled.request_id == "r"
    assert (settled.label, settled.confirms, settled.revision, settled.opinion_n) == (
        "a", True, 1, 2,
    )  # fmt: skip
    assert (settled.answers_n, settled.agreement, settled.by) == (2, 1.0, ("al", "bo"))
    assert (tally(desk), desk.open_n) == ((1, 0, 0), 0)
    assert desk.annotators.by_name["bo"].compared_n == 1


@pytest.mark.parametrize(
    ("third", "label", "confirms", "counted"),
    [("b", "b", False, (0, 1, 1)), ("a", "a", False, (1, 0, 1)), ("c", None, False, (0, 0, 2))],
)
def test_who_disagrees_takes_the_label_out_and_a_third_decides(
    third: str, label: str | None, confirms: bool, counted: tuple[int, int, int]
) -> None:
    desk = asked_again()
    (disputed,) = desk.take_answer(says("bo", "b", "r:2"), now=30.0)
    assert isinstance(disputed, LabelDisputed)
    assert (disputed.answers, disputed.revision, disputed.opinion_n) == ({"a": 1, "b": 1}, 1, 2)
    assert disputed.by == ("al", "bo")
    desk.open_request(opinion(3, *disputed.by))
    (outcome,) = desk.take_answer(says("cy", third, "r:3"), now=40.0)
    assert getattr(outcome, "label", None) == label and outcome.opinion_n == 3
    assert getattr(outcome, "confirms", False) is confirms and outcome.revision == 2
    assert (tally(desk), desk.open_n) == (counted, 0)
    counts = desk.counts.requests
    assert counts.asked_n == 3 == counts.settled_n + sum(tally(desk))


def test_who_cannot_tell_confirms_nothing_away() -> None:
    desk = asked_again()
    (settled,) = desk.take_answer(says("bo", None, "r:2"), now=30.0)
    assert (settled.label, settled.confirms, settled.answers_n) == ("a", True, 1)


def test_whoever_answered_before_gives_no_second_opinion() -> None:
    desk = asked_again()
    (rejected,) = desk.take_answer(says("al", "b", "r:2"), now=30.0)
    assert isinstance(rejected, InputRejected) and rejected.reason == "bad_answer"
    assert "'al' has answered before" in rejected.detail and desk.open_n == 1


def test_people_without_names_are_two_voices() -> None:
    settings = LabelSettings(second_opinion_share=SHARE)
    desk = Desk(settings, classes=["a", "b"], classes_max=4)
    desk.open_request(request())
    (settled,) = desk.take_answer(says("", "a"), now=10.0)
    assert settled.by == ()
    desk.open_request(opinion(2))
    (disputed,) = desk.take_answer(says("", "b", "r:2", at=2.0), now=30.0)
    assert disputed.answers == {"a": 1, "b": 1}


def test_both_may_still_correct_themselves() -> None:
    desk = asked_again()
    desk.take_answer(says("bo", "b", "r:2"), now=30.0)
    (settled,) = desk.take_answer(says("bo", "a", "r:2", at=2.0), now=40.0)
    assert (settled.label, settled.revision, settled.opinion_n) == ("a", 2, 2)
    (disputed,) = desk.take_answer(says("al", "b", at=3.0), now=50.0)
    assert isinstance(disputed, LabelDisputed) and disputed.revision == 3
    # What became of an opinion is counted once, when it is given.
    assert tally(desk) == (0, 0, 1) and desk.counts.answers.corrected_n == 2


def test_a_second_answer_to_the_same_question_comes_too_late() -> None:
    desk = asked_again()
    desk.take_answer(says("bo", "a", "r:2"), now=30.0)
    assert desk.take_answer(says("cy", "b", "r:2"), now=31.0) == []
    assert desk.counts.answers.late_n == 1 and tally(desk) == (1, 0, 0)
    assert desk.take_answer(says("bo", "a", "r:2"), now=32.0) == []
    assert desk.counts.answers.duplicate_n == 1


def test_an_opinion_that_nobody_gives_expires_and_changes_nothing() -> None:
    desk = asked_again()
    (expired,) = desk.advance_clock(2 * DEADLINE)
    assert isinstance(expired, RequestExpired)
    assert (expired.request_id, expired.event_id, expired.answers_n) == ("r:2", "e", 0)
    assert (
        desk.take_answer(says("bo", "b", "r:2"), now=300.0) == []
        and desk.counts.answers.late_n == 1
    )


@pytest.mark.parametrize("name", ["r", "r:2"])
def test_an_open_opinion_is_withdrawn_with_its_event(name: str) -> None:
    desk = asked_again()
    (moot,) = desk.take_withdrawal(Withdrawal(request_id=name, at=40.0, reason="deleted"), now=40.0)
    assert isinstance(moot, RequestWithdrawn)
    assert (moot.request_id, moot.reason, desk.open_n) == ("r:2", "deleted", 0)
    assert desk.take_withdrawal(Withdrawal(request_id=name, at=41.0), now=41.0) == []


def test_a_label_that_is_forgotten_cannot_be_asked_about() -> None:
    settings = LabelSettings(second_opinion_share=SHARE, closed_n=1)
    desk = Desk(settings, classes=["a", "b"], classes_max=4)
    (moot,) = desk.open_request(opinion(2))
    assert isinstance(moot, RequestWithdrawn) and moot.reason == "its first request is forgotten"
    desk = asked_again(closed_n=1)
    desk.open_request(request("other"))
    desk.take_answer(says("al", "b", "other"), now=20.0)
    (rejected,) = desk.take_answer(says("bo", "b", "r:2"), now=30.0)
    assert rejected.reason == "unknown_request" and desk.open_n == 1


def test_it_survives_a_pickle() -> None:
    desk = pickle.loads(pickle.dumps(asked_again()))
    (settled,) = desk.take_answer(says("bo", "a", "r:2"), now=30.0)
    assert settled.confirms


def test_nobody_is_named_where_no_opinions_are_asked() -> None:
    desk = Desk(LabelSettings(), classes=["a", "b"], classes_max=4)
    desk.open_request(request())
    (settled,) = desk.take_answer(says("al", "a"), now=10.0)
    assert settled.by == ()
