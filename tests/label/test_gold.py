"""Gold questions: known ones, asked again like any other; their answers only measure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from commands.runs import Stream, answer_to
from headrace.bridges.bridge import Delivery
from headrace.bridges.desk.store import DeskStore
from headrace.chance import Chance
from headrace.drivers.audit.verify import verify_log
from headrace.errors import BadSettings
from headrace.label.counts import Counts
from headrace.label.dawid_skene import DawidSkene, Reliability, VotedRequest
from headrace.label.desk import ANSWERS_KEPT_MIN, Desk
from headrace.label.gold import KNOWN_MAX, GoldQuestions
from headrace.messages import (
    Answer,
    InputRejected,
    LabelRequested,
    LabelSettled,
    QuestionChanged,
    RequestWithdrawn,
    Withdrawal,
)
from headrace.messages.request_ids import GOLD_ASKED_MAX, desk_of, gold_id, gold_ids
from headrace.settings import parse


def request(name: str, wanted_n: int = 1) -> LabelRequested:
    return LabelRequested(
        request_id=name, event_id=f"event {name}", at=0.0, event_at=0.0, deadline=60.0,
        features={"x": 1}, reason="round", strategy="random", utility=0.0, threshold=0.0,
        propensity=0.1, model_version=0, prediction={"a": 0.9, "b": 0.1}, round_n=0, seq=0,
        answers_wanted=wanted_n,
    )  # fmt: skip


def desk_with(**label: Any) -> Desk:
    """A desk at which eve is the expert, and every second settled request leads to a question."""
    settings = parse({"label": {"experts": ["eve"], "gold_share": 0.5, **label}}).label
    return Desk(settings, ["a", "b"], 4, gold=GoldQuestions(settings, Chance(7), 4))


def says(desk: Desk, who: str, label: str | None, name: str, at: float = 1.0) -> list[Any]:
    return desk.take_answer(Answer(request_id=name, label=label, at=at, annotator=who), at)


def settle(desk: Desk, name: str, who: str = "eve", label: str = "a", at: float = 1.0) -> list[Any]:
    desk.open_request(request(name))
    return says(desk, who, label, name, at)


def gold_of(outputs: list[Any]) -> list[LabelRequested]:
    return [
        one.record
        for one in outputs
        if isinstance(one, QuestionChanged) and isinstance(one.record, LabelRequested)
    ]


def first_gold(desk: Desk, **said: Any) -> LabelRequested:
    """The first gold question, about one of the requests that eve has settled."""
    for i in range(50):
        if found := gold_of(settle(desk, f"r{i}", **said)):
            return found[0]
    raise AssertionError("no gold question in fifty settled requests")


def test_a_share_of_settled_requests_leads_to_one_gold_question_each() -> None:
    desk = desk_with(gold_share=0.2)
    asked = [question for i in range(1_000) for question in gold_of(settle(desk, f"r{i}"))]
    assert 160 < len(asked) < 240
    assert desk.counts.gold.asked_n == len(asked)
    assert len({one.request_id for one in asked}) == len(asked)
    # Nothing of it is a request: none was asked, none is open.
    assert (desk.counts.requests.asked_n, desk.open_n) == (1_000, 0)


def test_known_questions_are_asked_in_turn() -> None:
    desk = desk_with(gold_share=0.5)
    for i in range(3):
        settle(desk, f"known{i}")
    asked = [one for i in range(40) for one in gold_of(settle(desk, f"r{i}", who="al"))]
    turns = [one.event_id for one in asked]
    assert len(set(turns)) == 3 and len(turns) > 10
    assert turns[3:] == turns[:-3]


def test_nothing_in_a_gold_question_tells_that_it_is_one() -> None:
    desk = desk_with()
    question = first_gold(desk, at=5.0)
    first = request(question.event_id.removeprefix("event "))
    assert question == msgspec.structs.replace(
        first, request_id=question.request_id, at=5.0, deadline=65.0
    )
    assert len(question.request_id) == 32 and int(question.request_id, 16)
    assert desk.knows(question.request_id)


def test_the_id_of_a_gold_question_goes_to_the_desk_of_its_request() -> None:
    for desks_n in (1, 3, 16):
        ids = gold_ids("8a04c3416f459c72de7412b5dd1ee580", desks_n)
        assert len(set(ids)) == GOLD_ASKED_MAX
        desks = {desk_of(one, desks_n) for one in ids}
        assert desks == {desk_of("8a04c3416f459c72de7412b5dd1ee580", desks_n)}


def test_answers_are_compared_with_the_truth_and_never_change_a_label() -> None:
    desk = desk_with()
    name = first_gold(desk).request_id
    assert says(desk, "al", "b", name, 2.0) == []
    assert says(desk, "bo", "a", name, 2.0) == []
    assert says(desk, "cy", None, name, 2.0) == []
    people = desk.annotators.by_name
    assert [(people[who].gold_n, people[who].gold_right_n) for who in ("al", "bo", "cy")] == [
        (1, 0),
        (1, 1),
        (0, 0),
    ]
    assert people["al"].by_class == {"a": (1, 0)}
    assert (people["al"].compared_n, people["al"].answers_n) == (0, 1)
    assert desk.counts.gold.answers_n == 3


def test_a_correction_takes_back_what_was_counted_and_a_repetition_counts_nothing() -> None:
    desk = desk_with()
    name = first_gold(desk).request_id
    says(desk, "al", "b", name, 2.0)
    says(desk, "al", "a", name, 3.0)
    says(desk, "al", "a", name, 3.0)
    al = desk.annotators.by_name["al"]
    assert (al.gold_n, al.gold_right_n, al.by_class) == (1, 1, {"a": (1, 1)})
    assert (desk.counts.answers.corrected_n, desk.counts.answers.duplicate_n) == (1, 1)


def test_who_answered_the_request_itself_is_not_measured_by_it() -> None:
    desk = desk_with()
    name = first_gold(desk).request_id
    says(desk, "eve", "b", name, 2.0)
    assert desk.annotators.by_name["eve"].gold_n == 0


def test_an_expert_who_corrects_the_truth_corrects_what_was_measured() -> None:
    desk = desk_with()
    question = first_gold(desk)
    says(desk, "al", "b", question.request_id, 2.0)
    about = question.event_id.removeprefix("event ")
    [revised] = says(desk, "eve", "b", about, 3.0)
    assert isinstance(revised, LabelSettled) and revised.label == "b"
    al = desk.annotators.by_name["al"]
    assert (al.gold_n, al.gold_right_n, al.by_class["b"]) == (1, 1, (1, 1))
    says(desk, "eve", None, about, 4.0)
    assert (al.gold_n, al.gold_right_n) == (0, 0)


def test_what_an_expert_says_is_the_label_at_once_and_the_question_leaves_the_tools() -> None:
    desk = desk_with(answers_wanted=2, gold_share=0.0)
    desk.open_request(request("r", wanted_n=2))
    assert says(desk, "al", "b", "r") == []
    settled, *taken_back = says(desk, "eve", "a", "r")
    assert isinstance(settled, LabelSettled)
    assert (settled.label, settled.agreement, settled.answers_n) == ("a", 1.0, 2)
    assert taken_back == []
    desk.open_request(request("s", wanted_n=2))
    settled, gone = says(desk, "eve", "b", "s")
    assert (settled.label, settled.answers_n) == ("b", 1)
    assert isinstance(gone.record, RequestWithdrawn) and gone.record.request_id == "s"
    # Who cannot tell, or is contradicted by another expert, is heard like anybody.
    two = desk_with(experts=["eve", "fay"], answers_wanted=3, gold_share=0.0)
    two.open_request(request("r", wanted_n=3))
    assert says(two, "eve", None, "r") == []
    [settled, _] = says(two, "fay", "b", "r")
    assert settled.label == "b"
    [disputed] = says(two, "eve", "a", "r", 2.0)
    assert not isinstance(disputed, LabelSettled)


def test_a_request_is_asked_again_at_most_so_often_and_forgotten_with_its_questions() -> None:
    desk = desk_with(closed_n=30)
    asked = gold_of(settle(desk, "known"))
    for i in range(200):
        asked += gold_of(settle(desk, f"r{i}", who="al"))
        if len(asked) == GOLD_ASKED_MAX:
            break
    ids = {one.request_id for one in asked}
    assert ids == set(gold_ids("known", 4))
    more = [one for i in range(40) for one in gold_of(settle(desk, f"s{i}", who="al"))]
    assert more == []
    assert not any(desk.knows(one) for one in ids)
    [rejected] = says(desk, "bo", "a", asked[0].request_id)
    assert isinstance(rejected, InputRejected)


def test_so_many_requests_wait_for_their_turn() -> None:
    desk = desk_with(gold_share=1e-9)
    for i in range(KNOWN_MAX + 50):
        settle(desk, f"r{i}")
    assert list(desk.gold.known) == [f"r{i}" for i in range(50, KNOWN_MAX + 50)]


def test_a_gold_question_takes_so_many_answers_and_a_tool_may_let_it_go() -> None:
    desk = desk_with()
    name = first_gold(desk).request_id
    for i in range(ANSWERS_KEPT_MIN):
        assert says(desk, f"a{i}", "a", name) == []
    [rejected] = says(desk, "one more", "a", name)
    assert isinstance(rejected, InputRejected) and rejected.reason == "too_many_answers"
    assert desk.take_withdrawal(Withdrawal(request_id=name, at=2.0), 2.0) == []


def test_an_erased_request_takes_its_gold_questions_with_it() -> None:
    desk = desk_with()
    question = first_gold(desk)
    about = question.event_id.removeprefix("event ")
    erased = desk.erase({about}, "erased", 9.0)
    assert [one.record for one in erased.questions] == [
        RequestWithdrawn(request_id=question.request_id, event_id="", at=9.0, reason="erased")
    ]
    assert about not in desk.gold.known and not desk.knows(question.request_id)


def test_without_an_expert_nothing_is_known_and_the_settings_say_so() -> None:
    with pytest.raises(BadSettings, match=r"label\.gold_share is 0\.1, and label\.experts names"):
        parse({"label": {"gold_share": 0.1}})
    with pytest.raises(BadSettings, match=r"label\.experts has 1 names"):
        parse({"label": {"experts": [""]}})
    desk = desk_with(experts=["nobody"])
    assert not any(gold_of(settle(desk, f"r{i}", who="al")) for i in range(50))


def test_dawid_skene_learns_from_one_answer_where_the_truth_is_known() -> None:
    known = Reliability(["a", "b"])
    for i in range(40):
        known.replace_answers(f"r{i}", [("al", "a"), ("bo", "b")][i % 2 : i % 2 + 1], "a")
    assert known.window_n == 40
    assert known.posterior_of([("al", "a")])["a"] > 0.9
    assert known.posterior_of([("bo", "b")])["b"] < 0.5
    # A truth that changes, or is taken back, replaces what was learned.
    for i in range(40):
        known.replace_answers(f"r{i}", [("al", "a"), ("bo", "b")][i % 2 : i % 2 + 1], None)
    assert (known.window_n, known.said) == (0, {})


def test_the_desk_tells_its_consensus_what_was_answered_to_gold_questions() -> None:
    desk = desk_with(consensus="dawid_skene", gold_share=0.5)
    for i in range(60):
        for question in gold_of(settle(desk, f"r{i}")):
            says(desk, "al", "b", question.request_id)
    consensus = desk._consensus
    assert isinstance(consensus, DawidSkene)
    # The expert's own answers tell nothing of who errs.
    assert set(consensus.reliability.said) == {"al"}
    assert consensus.reliability.posterior_of([("al", "b")])["b"] < 0.3


def test_what_was_saved_before_there_were_gold_questions_is_read() -> None:
    desk = desk_with(experts=[], gold_share=0.0)
    settle(desk, "r", who="al")
    entry, ledger = desk._ledger.find_entry("r"), desk._ledger
    assert entry is not None
    parts = [
        (desk, "gold", 1),
        (entry, "gold", 2),
        (ledger, "_gold", 1),
        (desk.annotators.by_name["al"], "gold_n gold_right_n by_class", 2),
        (desk.counts, "gold_asked_n gold_answers_n", 1),
        (VotedRequest("r", (), None), "known", 1),
    ]
    for part, names, version in parts:
        fields = fields_of(part)
        old = {name: value for name, value in fields.items() if name not in names.split()}
        new = type(part).upgrade_state(old, version)
        assert new.keys() == fields.keys()
        assert all(new[name] == fields[name] for name in names.split() if name != "gold")


def fields_of(part: Any) -> dict[str, Any]:
    if isinstance(part, Counts):
        return part.__getstate__()
    names = [*getattr(part, "__slots__", ()), *getattr(part, "__dict__", ())]
    return {name: getattr(part, name) for name in names}


def test_no_person_gets_a_question_about_an_event_that_they_have_answered(tmp_path: Path) -> None:
    store = DeskStore(tmp_path / "desk.sqlite", lease_s=60.0, outlives_power=False)
    gold = msgspec.structs.replace(request("r"), request_id=gold_id("r", 1, 4))
    store.take_deliveries([Delivery("r", request("r"))])
    leased = store.lease_next("eve")
    assert leased is not None and leased.request.request_id == "r"
    store.add_answer("eve", "r", "a")
    store.take_deliveries([Delivery(gold.request_id, gold)])
    assert store.lease_next("eve") is None
    leased = store.lease_next("al")
    assert leased is not None and leased.request == gold
    store.close()


def test_a_run_writes_gold_questions_among_its_requests_and_its_audit_is_whole(
    tmp_path: Path,
) -> None:
    stream = Stream(tmp_path)
    label = {"experts": ["eve"], "gold_share": 0.5}
    shared = {"seed": 5, "schema": {"classes": ["no", "yes"]}, "audit": {"is_kept": True}}
    settings = parse({**shared, "label": label})
    stream.write_events(0, 400)
    stream.run(settings=settings)
    first = stream.requests()
    answers = [answer_to(one, 1.0) | {"annotator": "eve", "label": "no"} for one in first]
    stream.places.answers.write_bytes(b"".join(msgspec.json.encode(a) + b"\n" for a in answers))
    stream.write_events(400, 500)
    stream.run(settings=settings)
    changed = [one["record"] for one in stream.decisions("QuestionChanged")]
    gold = {one["request_id"]: one for one in changed}
    shown = [one for one in stream.requests() if one["request_id"] in gold]
    assert len(shown) == len(gold) > 5
    assert {one["event_id"] for one in shown} <= {one["event_id"] for one in first}
    with stream.places.answers.open("ab") as file:
        for question in shown:
            told = answer_to(question, 1.0) | {"annotator": "al", "label": "yes"}
            file.write(msgspec.json.encode(told) + b"\n")
    stream.write_events(500, 600)
    report = stream.run(settings=settings)
    [al] = [one for one in report.annotators.most_active if one.name == "al"]
    # Of a question that was asked twice, one answer of theirs counts.
    events_n = len({one["event_id"] for one in shown})
    assert (al.gold_n, al.gold_right_n) == (events_n, 0)
    audited = verify_log(stream.places.state)
    assert audited.is_whole, audited.faults
