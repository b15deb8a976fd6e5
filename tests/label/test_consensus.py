"""The outcome of one request, as a function of the set of its answers."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.label.consensus import Majority, Outcome, select_standing
from headrace.messages import Answer


def says(annotator: str, label: str | None, at: float) -> Answer:
    return Answer(request_id="r", annotator=annotator, label=label, at=at)


def outcome(
    *answers: Answer, wanted_n: int = 1, answers_max: int = 3, is_closing: bool = False
) -> Outcome:
    return Majority().decide(
        select_standing(answers, wanted_n),
        wanted_n=wanted_n,
        answers_max=answers_max,
        is_closing=is_closing,
    )


def test_no_answers_decide_nothing() -> None:
    assert outcome() == Outcome(None, False, {})
    assert outcome(is_closing=True) == Outcome(None, False, {})


def test_the_first_answer_settles_where_one_is_wanted() -> None:
    found = outcome(says("bo", "ham", 2), says("al", "spam", 1))
    assert (found.label, found.answers_n, found.agreement) == ("spam", 1, 1.0)


def test_a_tie_waits_for_one_more() -> None:
    tie = [says("al", "spam", 1), says("bo", "ham", 2)]
    assert not outcome(*tie, wanted_n=2).is_decided
    found = outcome(*tie, says("cy", "ham", 3), wanted_n=2)
    assert (found.label, found.tally) == ("ham", {"ham": 2, "spam": 1})
    assert found.agreement == 2 / 3


def test_no_majority_at_the_limit_is_a_dispute() -> None:
    found = outcome(says("al", "a", 1), says("bo", "b", 2), says("cy", "c", 3), wanted_n=2)
    assert found.is_decided
    assert (found.label, found.reason) == (None, "no_majority")


def test_answers_beyond_the_dispute_change_nothing() -> None:
    three = [says("al", "a", 1), says("bo", "b", 2), says("cy", "c", 3)]
    assert outcome(*three, says("di", "a", 4), wanted_n=2) == outcome(*three, wanted_n=2)


def test_refusals_use_up_answers() -> None:
    found = outcome(says("al", None, 1), says("bo", None, 2), says("cy", None, 3))
    assert found.is_decided
    assert (found.label, found.reason) == (None, "refused")


def test_a_refusal_does_not_stand_in_the_way_of_a_label() -> None:
    assert outcome(says("al", None, 1), says("bo", "ham", 2)).label == "ham"


def test_a_correction_takes_the_place_of_what_it_corrects() -> None:
    found = outcome(says("al", "spam", 1), says("bo", "ham", 2), says("al", "eggs", 3))
    assert found.label == "eggs"


def test_answering_twice_the_same_keeps_the_place() -> None:
    found = outcome(says("al", "spam", 1), says("bo", "ham", 2), says("al", "spam", 3))
    assert found.label == "spam"


def test_at_one_moment_a_label_beats_a_refusal_and_the_later_text_wins() -> None:
    assert outcome(says("al", "ham", 1), says("al", None, 1)).label == "ham"
    assert outcome(says("al", "spam", 1), says("al", "ham", 1)).label == "spam"


def test_nameless_answers_correct_one_another_where_one_is_wanted() -> None:
    assert outcome(says("", "ham", 1), says("", "spam", 2)).label == "spam"


def test_nameless_answers_are_several_voices_where_more_are_wanted() -> None:
    found = outcome(says("", "ham", 1), says("", "ham", 2), wanted_n=2)
    assert (found.label, found.answers_n) == ("ham", 2)


def test_closing_takes_fewer_answers_but_no_tie() -> None:
    one = says("al", "ham", 1)
    assert not outcome(one, wanted_n=3).is_decided
    assert outcome(one, wanted_n=3, is_closing=True).label == "ham"
    assert outcome(one, says("bo", "spam", 2), wanted_n=3, is_closing=True).label is None


def test_a_limit_below_what_is_wanted_counts_as_what_is_wanted() -> None:
    three = [says("al", "a", 1), says("bo", "a", 2), says("cy", "a", 3)]
    assert not outcome(*three[:2], wanted_n=3, answers_max=1).is_decided
    assert outcome(*three, wanted_n=3, answers_max=1).label == "a"


ANSWERS = st.lists(
    st.builds(
        says,
        st.sampled_from(["", "al", "bo", "cy"]),
        st.sampled_from([None, "a", "b"]),
        st.integers(0, 5).map(float),
    ),
    max_size=9,
)


@settings(max_examples=50, deadline=None)
@given(ANSWERS, st.integers(1, 3), st.booleans(), st.data())
def test_the_outcome_depends_on_the_set_alone(
    answers: list[Answer], wanted_n: int, is_closing: bool, data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(answers), max_size=4)) if answers else []
    shuffled = data.draw(st.permutations([*answers, *again]))
    first = outcome(*answers, wanted_n=wanted_n, is_closing=is_closing)
    second = outcome(*shuffled, wanted_n=wanted_n, is_closing=is_closing)
    assert first == second
    assert list(first.tally) == list(second.tally)


@settings(max_examples=50, deadline=None)
@given(ANSWERS, st.integers(1, 3))
def test_closing_never_changes_what_is_decided(answers: list[Answer], wanted_n: int) -> None:
    before = outcome(*answers, wanted_n=wanted_n)
    if before.is_decided:
        assert outcome(*answers, wanted_n=wanted_n, is_closing=True) == before
