"""The consensus that learns of annotators: near EM over all, exact in what it takes back."""

from __future__ import annotations

import numpy as np
import pytest
from bench.crowds import batch_em, crowd, in_turn, likeliest, voices_of
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import BadSettings
from headrace.label import dawid_skene
from headrace.label.consensus import Outcome, hear_again
from headrace.label.dawid_skene import UNIT, DawidSkene, Reliability, Voice
from headrace.label.desk import Desk
from headrace.label.gold import GoldQuestions
from headrace.messages import Answer, LabelDisputed, LabelRequested, LabelSettled, QuestionChanged
from headrace.settings import LabelSettings, parse
from headrace.state.codec import decode_state, encode_state

NAMES = ["", "al", "bo", "cy"]
VOICES = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from([None, "a", "b", "c"])), max_size=5
)
ENDS = st.lists(st.tuples(st.integers(0, 9), VOICES), max_size=25)


def state_of(known: Reliability) -> bytes:
    """The counts, and nothing of the order in which they were made."""
    cells = [
        (name, truth, str(said), units)
        for name, rows in known.said.items()
        for truth, row in rows.items()
        for said, units in row.items()
    ]
    return encode_state([sorted(cells), sorted(known._of_class.items())])[0]


def says(annotator: str, label: str | None, at: float = 1.0, name: str = "r") -> Answer:
    return Answer(request_id=name, annotator=annotator, label=label, at=at)


def outcome(consensus: DawidSkene, *answers: Answer, **how: int) -> Outcome:
    asked = {"wanted_n": 2, "answers_max": 4, "is_closing": False, **how}
    return consensus.decide(answers, **asked)  # type: ignore[arg-type]


def taught(consensus: DawidSkene, n: int = 100) -> DawidSkene:
    """al and bo are always right, cy never, di is right half of the time; two classes."""
    for i in range(n):
        truth, other = ("a", "b") if i % 2 else ("b", "a")
        di = truth if i % 4 < 2 else other
        given = [says("al", truth), says("bo", truth), says("cy", other), says("di", di)]
        consensus.ended(f"r{i}", given)
    return consensus


# ----------------------------------------------------------------------------- against a reference


@pytest.mark.parametrize("refuses", [0.0, 0.15])
@pytest.mark.parametrize("classes_n", [2, 4])
def test_heard_again_until_nothing_moves_it_is_em_over_all(classes_n: int, refuses: float) -> None:
    _, answers = crowd(3, classes_n, requests_n=200, refuses=refuses)
    expected = batch_em(answers, classes_n, steps_n=2_000)
    _, known = in_turn(answers, classes_n)
    for _ in range(60):
        for heard in known._window:
            if heard is not None:
                known._hear_again(heard)
    found = [known.posterior_of(voices_of(row)) for row in answers]
    told = np.array([[one[str(k)] for k in range(classes_n)] for one in found])
    assert np.abs(told - expected).max() < 2e-4


def test_in_one_pass_it_is_nearly_em_over_all_and_better_than_most_votes() -> None:
    truth, answers = crowd(4, 3)
    first, known = in_turn(answers, 3)
    last = np.array([likeliest(known.posterior_of(voices_of(row))) for row in answers])
    votes = np.stack([(answers == k).sum(axis=1) for k in range(3)], axis=1).argmax(axis=1)
    assert (last == batch_em(answers, 3).argmax(axis=1)).mean() > 0.985
    assert (first == truth).mean() > (votes == truth).mean() + 0.015
    assert (last == truth).mean() > (votes == truth).mean() + 0.02


def test_a_refusal_tells_something_where_somebody_refuses_mostly_at_one_class() -> None:
    _, answers = crowd(5, 2, refuses=0.2)
    _, known = in_turn(answers, 2)
    alone = known.posterior_of([("annotator 0", None)])
    assert alone["0"] > 0.7
    # Who was never heard refuses as all do: at no class more than at another.
    assert known.posterior_of([("somebody", None)]) == pytest.approx(known.posterior_of([]))


# --------------------------------------------------------------------------------- what is counted


@settings(max_examples=50, deadline=None)
@given(ENDS)
def test_what_is_taken_back_leaves_nothing_behind(ends: list[tuple[int, list[Voice]]]) -> None:
    known = Reliability(["a"])
    for number, voices in ends:
        known.replace_answers(f"r{number}", voices)
    for number, _ in ends:
        known.replace_answers(f"r{number}", [])
    assert state_of(known) == state_of(Reliability(["a"]))
    assert (known.window_n, known.said) == (0, {})


@settings(max_examples=50, deadline=None)
@given(ENDS, st.integers(1, 6))
def test_counts_are_those_of_the_window_and_the_window_is_bounded(
    ends: list[tuple[int, list[Voice]]], window_n: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dawid_skene, "WINDOW_N", window_n)
        known = Reliability(["a"])
        for number, voices in ends:
            known.replace_answers(f"r{number}", voices)
        kept = [heard for heard in known._window if heard is not None]
        assert len(kept) == known.window_n <= window_n
        # A request of which one class at most was named tells nothing; the others enter anew.
        latest: dict[str, list[Voice]] = {}
        for number, voices in ends:
            latest[f"r{number}"] = voices
        for heard in kept:
            assert list(heard.voices) == latest[heard.request_id]
            assert sum(heard.units.values()) == pytest.approx(UNIT, abs=3)
        twin = Reliability(["a"])
        for heard in kept:
            for truth, units in heard.units.items():
                twin._change_counts(heard.voices, truth, units)
        assert state_of(known) == state_of(twin)


@settings(max_examples=40, deadline=None)
@given(ENDS, st.integers(0, 25))
def test_a_snapshot_anywhere_changes_nothing(ends: list[tuple[int, list[Voice]]], at: int) -> None:
    whole = Reliability(["a"])
    halved = Reliability(["a"])
    for i, (number, voices) in enumerate(ends):
        if i == at:
            halved = decode_state(*encode_state(halved))
        whole.replace_answers(f"r{number}", voices)
        halved.replace_answers(f"r{number}", voices)
    assert encode_state(whole) == encode_state(halved)


def test_an_annotator_who_changes_is_known_as_they_are_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dawid_skene, "WINDOW_N", 60)
    consensus = taught(DawidSkene(classes=["a", "b"]), 120)
    # cy, who was never right, is now always right.
    for i in range(120):
        truth = "a" if i % 2 else "b"
        consensus.ended(f"later{i}", [says(who, truth) for who in ("al", "bo", "cy")])
    assert consensus.reliability.posterior_of([("cy", "a")])["a"] > 0.9
    assert list(consensus.reliability.said) == ["al", "bo", "cy"]


# --------------------------------------------------------------------------------- what is decided


def test_who_is_always_right_settles_alone_and_who_never_is_does_not() -> None:
    consensus = taught(DawidSkene(classes=["a", "b"]))
    alone = outcome(consensus, says("al", "a"), wanted_n=1)
    assert alone.label == "a"
    assert alone.agreement > 0.95
    assert outcome(consensus, says("cy", "a"), wanted_n=1) == Outcome(None, False, {"a": 1})
    assert outcome(consensus, says("di", "a"), wanted_n=1) == Outcome(None, False, {"a": 1})


def test_one_who_is_right_outvotes_two_who_guess() -> None:
    consensus = taught(DawidSkene(classes=["a", "b"]))
    found = outcome(consensus, says("di", "b"), says("new", "b", 2), says("al", "a", 3))
    assert found.label == "a"
    assert found.tally == {"a": 1, "b": 2}
    assert found.agreement > 0.9


def test_a_class_that_nobody_named_is_never_the_label() -> None:
    """cy and another who is never right say a: b is likelier, but nobody said so."""
    consensus = taught(DawidSkene(classes=["a", "b"]))
    found = outcome(consensus, says("cy", "a"), wanted_n=1, answers_max=1)
    assert found == Outcome(None, True, {"a": 1})


def test_when_no_more_answers_come_the_likelier_is_taken_or_disputed() -> None:
    two = [says("x", "a"), says("y", "a", 2), says("z", "b", 3)]
    lenient, strict = (
        DawidSkene(unsure=unsure, classes=["a", "b"]) for unsure in ("taken", "disputed")
    )
    assert outcome(lenient, *two[1:], is_closing=True).label is None
    for how in ({"wanted_n": 3, "answers_max": 3}, {"wanted_n": 4, "is_closing": True}):
        taken = outcome(lenient, *two, **how)
        assert (taken.label, taken.is_decided) == ("a", True)
        assert 0.5 < taken.agreement < 0.9
        left = outcome(strict, *two, **how)
        assert (left.label, left.is_decided) == (None, "answers_max" in how)
        assert left.reason == "no_majority"


def test_what_may_be_asked_again_does_not_wait() -> None:
    consensus = taught(DawidSkene(unsure="asked", classes=["a", "b"]))
    for name, low, high in (("new", 0.7, 0.9), ("al", 0.95, 1.0)):
        said = outcome(consensus, says(name, "a"), wanted_n=1)
        assert (said.label, said.is_decided) == ("a", True)
        assert low < said.agreement < high
    # Two are wanted: one of them does not do, and two who disagree are a dispute.
    assert not outcome(consensus, says("new", "a"), wanted_n=2).is_decided
    split = outcome(DawidSkene(unsure="asked"), says("x", "a"), says("y", "b", 2), wanted_n=2)
    assert (split.label, split.is_decided) == (None, True)


def test_nobody_who_could_tell_is_a_refusal() -> None:
    found = outcome(DawidSkene(), *(says(name, None) for name in "abcd"))
    assert (found.label, found.is_decided, found.reason) == (None, True, "refused")
    assert outcome(DawidSkene(), is_closing=True) == Outcome(None, False, {})


def test_answers_beyond_those_that_decide_change_nothing() -> None:
    two = [says("x", "a"), says("y", "a", 2)]
    assert outcome(DawidSkene(), *two, says("z", "b", 3)) == outcome(DawidSkene(), *two)


def test_a_second_opinion_is_weighed_by_who_gives_it() -> None:
    consensus = taught(DawidSkene(classes=["a", "b"]))
    assert hear_again([says("di", "a"), says("al", "b", 2)], consensus).label == "b"
    assert hear_again([says("x", "a"), says("y", "b", 2)], DawidSkene()).label is None


def test_the_first_of_the_alphabet_is_taken_of_two_as_likely() -> None:
    belief = {"b": 0.4, "a": 0.4}
    assert dawid_skene._find_likeliest({"b": 1, "a": 1}, belief) == "a"


# ------------------------------------------------------------------------------------- at the desk


def request(name: str, wanted_n: int = 2) -> LabelRequested:
    return LabelRequested(
        request_id=name, event_id=f"event-{name}", at=0.0, event_at=0.0, deadline=100.0,
        features={"x": 1.0}, reason="round", strategy="margin", utility=0.5, threshold=0.4,
        propensity=0.2, model_version=3, prediction={"a": 0.6, "b": 0.4}, round_n=1, seq=7,
        answers_wanted=wanted_n,
    )  # fmt: skip


def desk(**label: object) -> Desk:
    chosen = parse({"label": {"consensus": "dawid_skene", "answers_max": 5, **label}}).label
    return Desk(chosen, classes=["a", "b"], classes_max=4)


def known_to(desk: Desk) -> Reliability:
    assert isinstance(desk._consensus, DawidSkene)
    return desk._consensus.reliability


def test_the_desk_tells_of_ends_corrections_and_late_answers() -> None:
    one = desk()
    one.open_request(request("r"))
    assert one.take_answer(says("al", "a"), 1.0) == []
    assert known_to(one).window_n == 0
    [settled] = one.take_answer(says("bo", "a", 2.0), 2.0)
    assert isinstance(settled, LabelSettled)
    assert settled.agreement == pytest.approx(0.94, abs=0.01)
    assert list(known_to(one).said) == ["al", "bo"]
    # bo corrects: they disagree, nothing is likelier, the label is taken back.
    [taken] = one.take_answer(says("bo", "b", 3.0), 3.0)
    assert isinstance(taken, LabelDisputed)
    assert known_to(one).said["bo"].keys() == {"a", "b"}
    # bo can't tell after all: one answer that names a class tells nothing.
    one.take_answer(says("bo", None, 4.0), 4.0)
    assert (known_to(one).window_n, known_to(one).said) == (0, {})


def test_an_annotator_who_is_known_is_heard_alone_and_a_stranger_is_not() -> None:
    one = desk()
    for i in range(60):
        one.open_request(request(f"r{i}"))
        truth = "a" if i % 2 else "b"
        for at, who in enumerate(("al", "bo")):
            one.take_answer(says(who, truth, float(at), f"r{i}"), 2.0)
    for name in ("known", "new"):
        one.open_request(request(name, wanted_n=1))
    assert [type(o) for o in one.take_answer(says("al", "a", name="known"), 3.0)] == [LabelSettled]
    [question] = one.take_answer(says("eve", "a", name="new"), 3.0)
    assert isinstance(question, QuestionChanged)
    assert (question.record.request_id, question.record.not_by) == ("new:w2", ("eve",))
    # The deadline takes what there is.
    settled, *taken_back = one.advance_clock(100.0)
    assert [change.record.request_id for change in taken_back] == ["new", "new:w2"]
    assert isinstance(settled, LabelSettled)
    assert settled.request_id == "new"
    assert settled.agreement < 0.9


def test_what_was_learned_stays_when_other_settings_hold_from_now_on() -> None:
    one = desk()
    one.open_request(request("r"))
    one.take_answer(says("al", "a"), 1.0)
    one.take_answer(says("bo", "a"), 1.0)
    known = known_to(one)
    surer = parse({"label": {"consensus": "dawid_skene", "confidence": 0.99}}).label
    one.change_settings(surer, GoldQuestions(surer))
    assert known_to(one) is known
    one.open_request(request("s"))
    one.take_answer(says("al", "a", name="s"), 1.0)
    [question] = one.take_answer(says("bo", "a", name="s"), 1.0)
    assert isinstance(question, QuestionChanged)
    one.change_settings(LabelSettings(), GoldQuestions(LabelSettings()))
    [settled, *taken_back] = one.take_answer(says("cy", "a", name="s"), 2.0)
    assert [change.record.request_id for change in taken_back] == ["s", "s:w3"]
    assert isinstance(settled, LabelSettled)
    assert settled.agreement == 1.0


def test_settings_that_nothing_would_read_are_a_fault() -> None:
    with pytest.raises(BadSettings, match=r"label\.confidence is 0\.8; only `dawid_skene` reads"):
        parse({"label": {"confidence": 0.8}})
    with pytest.raises(BadSettings, match=r"label\.unsure is disputed"):
        parse({"label": {"unsure": "disputed"}})
    with pytest.raises(BadSettings, match=r"label\.second_opinion_share is 0"):
        parse({"label": {"consensus": "dawid_skene", "unsure": "asked"}})
