"""The desk: one end for every request, no label lost, whatever the order of the answers."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from headrace.errors import BadSettings
from headrace.label.annotators import Annotator
from headrace.label.consensus import Outcome
from headrace.label.desk import ANSWERS_KEPT_MIN, Desk
from headrace.messages import (
    Answer,
    InputRejected,
    LabelDisputed,
    LabelRequested,
    LabelSettled,
    QuestionChanged,
    RequestExpired,
    RequestWithdrawn,
)
from headrace.messages.request_ids import base_id
from headrace.settings import LabelSettings

DEADLINE = 100.0


def request(
    name: str = "r", at: float = 0.0, deadline: float = DEADLINE, wanted_n: int = 1
) -> LabelRequested:
    return LabelRequested(
        request_id=name,
        event_id=f"event-{name}",
        at=at,
        event_at=at,
        deadline=deadline,
        features={"x": 1.0},
        reason="round",
        strategy="margin",
        utility=0.5,
        threshold=0.4,
        propensity=0.2,
        model_version=3,
        prediction={"a": 0.6, "b": 0.4},
        round_n=1,
        seq=7,
        answers_wanted=wanted_n,
        served={"a": 1.0},
    )


def says(
    annotator: str = "al", label: str | None = "a", at: float = 1.0, name: str = "r"
) -> Answer:
    return Answer(request_id=name, annotator=annotator, label=label, at=at)


def desk_with(*requests: LabelRequested, **limits: Any) -> Desk:
    desk = Desk(LabelSettings(**limits), classes=["a", "b"], classes_max=4)
    for each in requests or [request()]:
        desk.open_request(each)
    return desk


def fed(desk: Desk, *answers: Answer, now: float = 10.0) -> list[Any]:
    return outcomes(output for answer in answers for output in desk.take_answer(answer, now))


def outcomes(outputs: Iterable[Any]) -> list[Any]:
    """The outputs less the questions for one more answer, which have tests of their own."""
    return [output for output in outputs if not isinstance(output, QuestionChanged)]


# --------------------------------------------------------------------------------------- ends


def test_a_settled_label_carries_all_that_learning_needs() -> None:
    desk = desk_with()
    assert fed(desk, says(), now=12.0) == [
        LabelSettled(
            request_id="r",
            event_id="event-r",
            at=12.0,
            event_at=0.0,
            label="a",
            features={"x": 1.0},
            prediction={"a": 0.6, "b": 0.4},
            reason="round",
            seq=7,
            answers_n=1,
            agreement=1.0,
            propensity=0.2,
            served={"a": 1.0},
        )
    ]
    assert (desk.open_n, desk.counts.requests.settled_n, desk.next_deadline()) == (0, 1, None)


def test_nobody_could_tell_is_a_dispute() -> None:
    desk = desk_with()
    [disputed] = fed(desk, says("al", None), says("bo", None), says("cy", None))
    assert disputed == LabelDisputed(
        request_id="r", event_id="event-r", at=10.0, reason="refused", answers={}
    )
    assert (desk.counts.requests.disputed_n, desk.counts.answers.refused_n) == (1, 3)


def test_no_majority_is_a_dispute_with_its_tally() -> None:
    desk = desk_with(request(wanted_n=2))
    [disputed] = fed(desk, says("al", "b"), says("bo", "a"), says("cy", "c"))
    assert (disputed.reason, disputed.answers) == ("no_majority", {"a": 1, "b": 1, "c": 1})


def test_an_unanswered_request_expires_at_its_deadline_and_once() -> None:
    desk = desk_with()
    assert desk.advance_clock(DEADLINE - 0.001) == []
    [expired] = desk.advance_clock(DEADLINE + 50)
    assert expired == RequestExpired(request_id="r", event_id="event-r", at=DEADLINE, answers_n=0)
    assert desk.advance_clock(DEADLINE + 60) == []
    assert (desk.open_n, desk.counts.requests.expired_n) == (0, 1)


def test_fewer_answers_than_wanted_settle_at_the_deadline() -> None:
    desk = desk_with(request(wanted_n=3))
    assert fed(desk, says("al", "b")) == []
    [settled] = desk.advance_clock(DEADLINE)
    assert (settled.label, settled.answers_n, settled.revision) == ("b", 1, 0)
    assert (settled.at, settled.is_late) == (DEADLINE, False)


def test_a_tie_at_the_deadline_expires() -> None:
    desk = desk_with(request(wanted_n=3))
    fed(desk, says("al", "a"), says("bo", "b"))
    [expired] = desk.advance_clock(DEADLINE)
    assert (type(expired), expired.answers_n) == (RequestExpired, 2)


def test_deadlines_come_in_order_of_deadline_then_request() -> None:
    desk = desk_with(
        request("late", deadline=9), request("b", deadline=5), request("a", deadline=5)
    )
    assert desk.next_deadline() == 5
    assert [expired.request_id for expired in desk.advance_clock(20)] == ["b", "a", "late"]


def test_withdrawing_ends_an_open_request_and_no_other() -> None:
    desk = desk_with()
    [withdrawn] = desk.withdraw_request("r", "moot", 5.0)
    assert withdrawn == RequestWithdrawn(request_id="r", event_id="event-r", at=5.0, reason="moot")
    assert desk.withdraw_request("r", "moot", 6.0) == []
    assert desk.withdraw_request("stranger", "moot", 6.0) == []
    assert desk.advance_clock(DEADLINE) == []
    assert desk.counts.requests.withdrawn_n == 1


def test_withdrawing_loses_no_answer() -> None:
    desk = desk_with(request("paid", wanted_n=3), request("moot", wanted_n=3))
    fed(desk, says(name="paid", label="b"))
    settled, _ = desk.withdraw_request("paid", "moot", 5.0)
    assert (settled.label, settled.revision) == ("b", 0)
    desk.withdraw_request("moot", "moot", 5.0)
    [settled] = fed(desk, says(name="moot"))
    assert (settled.label, settled.revision, settled.is_late) == ("a", 1, True)


def test_a_request_delivered_twice_is_asked_once() -> None:
    desk = desk_with(request(), request())
    fed(desk, says())
    desk.open_request(request())
    assert (desk.open_n, desk.counts.requests.asked_n, desk.counts.requests.asked_twice_n) == (
        0,
        1,
        2,
    )
    assert fed(desk, says("al", "a")) == []


# -------------------------------------------------------------------- time, late and corrected


def test_the_time_of_an_answer_never_moves_the_clock() -> None:
    desk = desk_with(request("r"), request("other"))
    [settled] = fed(desk, says(at=1e12), now=3.0)
    assert (settled.at, settled.is_late) == (3.0, False)
    assert desk.open_n == 1


def test_an_answer_while_its_request_is_open_is_in_time() -> None:
    desk = desk_with()
    [settled] = fed(desk, says(at=DEADLINE + 1), now=DEADLINE + 1)
    assert (settled.revision, settled.is_late, desk.counts.answers.late_n) == (0, False, 0)


def test_a_late_answer_settles_an_expired_request() -> None:
    desk = desk_with(request(wanted_n=3))
    desk.advance_clock(DEADLINE)
    [settled] = fed(desk, says("al", "b"), now=DEADLINE + 1)
    assert (settled.label, settled.revision, settled.is_late) == ("b", 1, True)
    assert (
        desk.counts.requests.expired_n,
        desk.counts.requests.settled_n,
        desk.counts.requests.revised_n,
    ) == (1, 0, 1)


def test_a_request_that_was_paid_back_takes_no_late_answer() -> None:
    desk = desk_with(
        request("expired"), request("moot"), request("settled"), late_answers="refused"
    )
    fed(desk, Answer(request_id="settled", label="a", annotator="al", at=1.0))
    desk.withdraw_request("moot", "deleted", 2.0)
    desk.advance_clock(DEADLINE)
    for identity in ("expired", "moot"):
        late = Answer(request_id=identity, label="b", annotator="al", at=3.0)
        [rejected] = desk.take_answer(late, now=DEADLINE + 1)
        assert (rejected.reason, rejected.input_id) == ("late_answer", identity)
        assert "label.deadline_s" in rejected.detail
    correction = Answer(request_id="settled", label="b", annotator="al", at=DEADLINE)
    [settled] = desk.take_answer(correction, now=DEADLINE + 2)
    assert (settled.label, settled.is_late, desk.counts.answers.late_n) == ("b", True, 3)


def test_a_late_answer_of_somebody_new_changes_no_label() -> None:
    desk = desk_with(request(wanted_n=2))
    fed(desk, says("al", "a"), says("bo", "a"))
    assert fed(desk, says("cy", "b", at=0.0), now=DEADLINE) == []
    assert (desk.counts.answers.late_n, desk.counts.answers.accepted_n) == (1, 2)


def test_answers_without_a_time_count_in_their_order() -> None:
    desk = desk_with(request(at=1.0))
    said = [("b", ["b"]), ("a", ["a"]), ("a", []), ("b", ["b"]), (None, [None]), ("a", ["a"])]
    for label, expected in said:
        settled = fed(desk, says("al", label, at=0.0))
        assert [getattr(one, "label", None) for one in settled] == expected
    assert (desk.counts.answers.corrected_n, desk.counts.answers.duplicate_n) == (4, 1)
    assert fed(desk, says("bo", "b", at=0.0), says("bo", "a", at=0.0)) == []


def test_a_late_correction_is_honoured() -> None:
    desk = desk_with()
    fed(desk, says("al", "a"))
    [settled] = fed(desk, says("al", "b", at=2.0), now=DEADLINE)
    assert (settled.label, settled.revision, settled.is_late) == ("b", 1, True)
    assert (desk.counts.answers.late_n, desk.counts.answers.corrected_n) == (1, 1)


def test_an_earlier_answer_that_comes_later_is_put_in_its_place() -> None:
    desk = desk_with()
    fed(desk, says("al", "a", at=5.0))
    [settled] = fed(desk, says("bo", "b", at=4.0))
    assert (settled.label, settled.revision) == ("b", 1)
    assert fed(desk, says("cy", "b", at=3.0)) == []


def test_an_annotator_can_take_a_label_back() -> None:
    desk = desk_with()
    fed(desk, says("al", "a"))
    [disputed] = fed(desk, says("al", None, at=2.0))
    assert (disputed.reason, disputed.revision) == ("refused", 1)
    [settled] = fed(desk, says("bo", "b", at=3.0))
    assert (settled.label, settled.revision) == ("b", 2)


def test_a_label_that_was_taken_back_is_judged_again_at_the_deadline() -> None:
    desk = desk_with(request(wanted_n=2))
    fed(desk, says("al", "a"), says("bo", "a"))
    assert desk.next_deadline() is None
    [disputed] = fed(desk, says("bo", None, at=2.0))
    assert (disputed.answers, desk.next_deadline()) == ({"a": 1}, DEADLINE)
    [settled] = desk.advance_clock(DEADLINE)
    assert (settled.label, settled.revision, settled.at) == ("a", 2, DEADLINE)
    assert (
        desk.counts.requests.settled_n,
        desk.counts.requests.disputed_n,
        desk.counts.requests.expired_n,
    ) == (1, 0, 0)


def test_a_request_that_is_forgotten_is_unknown() -> None:
    desk = desk_with(request("x"), request("y"), closed_n=1)
    fed(desk, says(name="x"), says(name="y"))
    [rejected] = fed(desk, says(name="x", label="b", at=9.0))
    assert rejected.reason == "unknown_request"
    assert [s.label for s in fed(desk, says(name="y", label="b", at=9.0))] == ["b"]


# ------------------------------------------------------------------------------------ rejected


def test_an_unknown_request_is_rejected_with_the_answer_in_it() -> None:
    desk = desk_with()
    stranger = "stranger" * 60
    [rejected] = fed(desk, says(name=stranger))
    assert (rejected.reason, rejected.input_id) == ("unknown_request", stranger)
    assert '"label":"a"' in rejected.raw
    assert (desk.counts.answers.unknown_n, desk.counts.answers.rejected_n) == (1, 1)


def test_new_classes_are_added_up_to_the_limit() -> None:
    desk = desk_with(*[request(str(i)) for i in range(4)])
    for name, label in [("0", "c"), ("1", "d")]:
        [settled] = fed(desk, says(name=name, label=label))
        assert settled.label == label
    [rejected] = fed(desk, says(name="2", label="e"))
    assert (rejected.reason, desk.classes) == ("too_many_classes", ("a", "b", "c", "d"))
    [settled] = fed(desk, says(name="2", label="d"))
    assert settled.label == "d"


@pytest.mark.parametrize(
    "answer",
    [
        says(label=""),
        says(label="  "),
        says(label="x" * 201),
        says(label="\ud800"),
        says(annotator="x" * 201),
        says(at=float("nan")),
        says(at=float("inf")),
        says(at=10**400),
        says(at="noon"),  # type: ignore[arg-type]
        says(label=3),  # type: ignore[arg-type]
        says(label=object()),  # type: ignore[arg-type]
        says(annotator=None),  # type: ignore[arg-type]
        says(name=["r"]),  # type: ignore[arg-type]
    ],
)
def test_a_bad_answer_is_rejected_and_changes_nothing(answer: Answer) -> None:
    desk = desk_with()
    [rejected] = fed(desk, answer)
    assert (type(rejected), rejected.reason) == (InputRejected, "bad_answer")
    assert rejected.detail
    assert (desk.open_n, desk.counts.answers.rejected_n, desk.counts.answers.accepted_n) == (
        1,
        1,
        0,
    )


def test_answers_to_one_request_are_limited() -> None:
    desk = desk_with(request(wanted_n=2))
    for i in range(ANSWERS_KEPT_MIN):
        fed(desk, says("al", "a", at=float(i)))
    [rejected] = fed(desk, says("bo", "a", at=1e3))
    assert rejected.reason == "too_many_answers"


def test_more_declared_classes_than_allowed_are_bad_settings() -> None:
    with pytest.raises(BadSettings, match=r"must be at most schema\.classes_max"):
        Desk(LabelSettings(), classes=["a", "b"], classes_max=1)


# ------------------------------------------------------------------------------------- numbers


def test_the_oldest_is_the_first_that_is_open() -> None:
    desk = desk_with(request("x", at=1.0), request("y", at=2.0))
    assert (desk.open_n, desk.oldest_open_at) == (2, 1.0)
    fed(desk, says(name="x"))
    assert (desk.open_n, desk.oldest_open_at) == (1, 2.0)
    fed(desk, says(name="y"))
    assert desk.oldest_open_at is None


def test_turnaround_is_from_request_to_answer_on_the_engines_clock() -> None:
    desk = desk_with(request(at=4.0))
    fed(desk, says(at=1e9), now=14.0)
    assert (desk.turnaround.sum_s, desk.turnaround.counts[2]) == (10.0, 1)
    assert desk.annotators.by_name["al"].latency_s == 10.0


def test_corrections_adjust_what_is_known_of_annotators() -> None:
    desk, straight = desk_with(request(wanted_n=2)), desk_with(request(wanted_n=2))
    fed(desk, says("al", "b", 1), says("bo", "a", 2), says("cy", "a", 3), says("al", "a", 4))
    fed(straight, says("al", "a", 1), says("bo", "a", 2), says("cy", "a", 3))
    assert desk.annotators.alpha == straight.annotators.alpha
    assert agreements(desk) == agreements(straight) == dict.fromkeys(["al", "bo", "cy"], (1, 1))


def agreements(desk: Desk) -> dict[str, tuple[int, int]]:
    def pair(annotator: Annotator) -> tuple[int, int]:
        return annotator.compared_n, annotator.agreed_n

    return {name: pair(desk.annotators.by_name[name]) for name in sorted(desk.annotators.by_name)}


class FirstWord:
    """Whoever speaks first is right."""

    def decide(self, answers: Any, *, wanted_n: int, answers_max: int, is_closing: bool) -> Outcome:
        label = answers[0].label if answers else None
        return Outcome(label, label is not None, {label: 1} if label else {})


def test_another_consensus_can_be_passed() -> None:
    desk = Desk(LabelSettings(), classes=[], classes_max=4, consensus=FirstWord())
    desk.open_request(request(wanted_n=3))
    [settled] = fed(desk, says("al", "b"))
    assert settled.label == "b"


# ---------------------------------------------------------------------------------- properties

ANSWERS = st.builds(
    says,
    st.sampled_from(["", "al", "bo", "cy", "di"]),
    st.sampled_from([None, "a", "b", "c"]),
    st.integers(0, 6).map(float),
    st.sampled_from(["x", "y"]),
)


def labels_after(
    answers: list[Answer], wanted_n: int
) -> tuple[dict[str, str], dict[str, int], Desk]:
    """The label of each request once its deadline has passed, and the ends it had."""
    desk = desk_with(request("x", wanted_n=wanted_n), request("y", wanted_n=wanted_n))
    labels: dict[str, str] = {}
    ends = Counter({"x": 0, "y": 0})
    for output in fed(desk, *answers) + outcomes(desk.advance_clock(DEADLINE)):
        ends[output.request_id] += getattr(output, "revision", 0) == 0
        labels.pop(output.request_id, None)
        if isinstance(output, LabelSettled):
            labels[output.request_id] = output.label
    return labels, dict(ends), desk


@settings(max_examples=50, deadline=None)
@given(st.lists(ANSWERS, max_size=14), st.integers(1, 3), st.data())
def test_order_and_repetition_of_answers_do_not_change_the_labels(
    answers: list[Answer], wanted_n: int, data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(answers), max_size=5)) if answers else []
    labels, ends, desk = labels_after(answers, wanted_n)
    shuffled = data.draw(st.permutations([*answers, *again]))
    labels_of_twin, ends_of_twin, twin = labels_after(shuffled, wanted_n)
    assert labels == labels_of_twin
    assert ends == ends_of_twin == {"x": 1, "y": 1}
    assert desk.annotators.alpha == twin.annotators.alpha
    assert agreements(desk) == agreements(twin)


@settings(max_examples=50, deadline=None)
@given(st.lists(ANSWERS, max_size=14), st.integers(1, 3), st.data())
def test_a_duplicate_changes_nothing_but_its_count(
    answers: list[Answer], wanted_n: int, data: st.DataObject
) -> None:
    _, _, desk = labels_after(answers, wanted_n)
    if not answers:
        return
    again = data.draw(st.sampled_from(answers))
    before = pickle.loads(pickle.dumps(desk))
    assert desk.take_answer(again, DEADLINE + 5) == []
    before.counts.answers.duplicate_n += 1
    assert pickle.dumps(before) == pickle.dumps(pickle.loads(pickle.dumps(desk)))


class AnyOrder(RuleBasedStateMachine):
    """A desk and its twin, which is pickled now and then; and an auditor that reads the outputs."""

    consensus: Literal["majority", "dawid_skene"] = "majority"

    def __init__(self) -> None:
        super().__init__()
        label = LabelSettings(answers_max=3, closed_n=6, open_max=5, consensus=self.consensus)
        self.desk = Desk(label, classes=["a"], classes_max=3)
        self.twin = pickle.loads(pickle.dumps(self.desk))
        self.now = 0.0
        self.asked: dict[str, LabelRequested] = {}
        self.revisions: dict[str, int] = {}
        self.labels: dict[str, str | None] = {}
        self.further: dict[str, str] = {}

    def _audit(self, outputs: list[Any], outputs_of_twin: list[Any]) -> None:
        assert outputs == outputs_of_twin
        for output in outputs:
            if isinstance(output, QuestionChanged):
                self._follow(output)
            if isinstance(output, InputRejected | QuestionChanged):
                continue
            name = output.request_id
            label = getattr(output, "label", None)
            revision = getattr(output, "revision", 0)
            assert revision == self.revisions.get(name, -1) + 1
            if revision:
                assert label != self.labels[name]
            assert output.at <= self.now
            self.revisions[name], self.labels[name] = revision, label

    def _follow(self, change: QuestionChanged) -> None:
        record, base = change.record, base_id(change.record.request_id)
        if isinstance(record, LabelRequested):
            assert base not in self.revisions and base not in self.further
            assert record.deadline == self.asked[base].deadline and record.answers_wanted == 1
            self.further[base] = record.request_id
        elif record.request_id == self.further.get(base):
            del self.further[base]

    @precondition(lambda self: self.further)
    @rule(data=st.data(), annotator=st.sampled_from(["", "al", "di"]), at=st.integers(0, 9))
    def answer_further(self, data: st.DataObject, annotator: str, at: int) -> None:
        base = data.draw(st.sampled_from(sorted(self.further)))
        answer = says(annotator, data.draw(st.sampled_from("ab")), float(at), self.further[base])
        outputs = self.desk.take_answer(answer, self.now)
        if not any(isinstance(output, InputRejected) for output in outputs):
            self.further.pop(base)
        self._audit(outputs, self.twin.take_answer(answer, self.now))

    @rule(wanted_n=st.integers(1, 3), stays_s=st.integers(1, 12))
    def ask(self, wanted_n: int, stays_s: int) -> None:
        name = f"r{len(self.asked)}"
        new = request(name, self.now, self.now + stays_s, wanted_n)
        self.asked[name] = new
        self.desk.open_request(new)
        self.twin.open_request(new)

    @precondition(lambda self: self.desk.open_n > 0)
    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([n for n in self.asked if n not in self.revisions]))
        self.desk.open_request(self.asked[name])
        self.twin.open_request(self.asked[name])

    @precondition(lambda self: self.asked)
    @rule(
        back_n=st.integers(0, 9),
        annotator=st.sampled_from(["", "al", "bo", "cy", "di"]),
        label=st.sampled_from([None, "a", "b", "c", "d", ""]),
        at=st.integers(0, 9),
    )
    def answer(self, back_n: int, annotator: str, label: str | None, at: int) -> None:
        name = f"r{max(0, len(self.asked) - 1 - back_n)}"
        answer = says(annotator, label, float(at), name)
        self._audit(
            self.desk.take_answer(answer, self.now), self.twin.take_answer(answer, self.now)
        )

    @rule(by_s=st.integers(1, 8))
    def advance(self, by_s: int) -> None:
        """The twin sees time pass second by second; what comes out is the same."""
        outputs_of_twin = []
        for step in range(1, by_s + 1):
            outputs_of_twin += self.twin.advance_clock(self.now + step)
        self.now += by_s
        self._audit(self.desk.advance_clock(self.now), outputs_of_twin)

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.asked)))
        was_open = name not in self.revisions
        outputs = self.desk.withdraw_request(name, "moot", self.now)
        assert bool(outputs) == was_open
        self._audit(outputs, self.twin.withdraw_request(name, "moot", self.now))

    @rule()
    def restore(self) -> None:
        self.twin = pickle.loads(pickle.dumps(self.twin))

    @invariant()
    def the_books_balance(self) -> None:
        counts = self.desk.counts
        ends = counts.requests
        ended_n = ends.settled_n + ends.disputed_n + ends.expired_n + ends.withdrawn_n
        assert ends.asked_n == len(self.asked) == self.desk.open_n + ended_n
        assert ended_n == len(self.revisions)
        assert counts.requests.revised_n == sum(self.revisions.values())
        open_names = [name for name in self.asked if name not in self.revisions]
        assert self.desk.open_n == len(open_names)
        deadline = self.desk.next_deadline()
        for name in open_names:
            assert deadline is not None
            assert deadline <= self.asked[name].deadline
        assert deadline is None or deadline > self.now
        assert deadline == self.twin.next_deadline()
        assert len(self.desk.classes) <= 3
        assert vars(counts) == vars(self.twin.counts)

    def teardown(self) -> None:
        self.now += 1_000.0
        self._audit(self.desk.advance_clock(self.now), self.twin.advance_clock(self.now))
        assert set(self.revisions) == set(self.asked)
        assert self.desk.next_deadline() is None


class AnyOrderByErrors(AnyOrder):
    """The same with a consensus that has a memory."""

    consensus = "dawid_skene"


TestAnyOrderByErrors = AnyOrderByErrors.TestCase
TestAnyOrderByErrors.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
