"""Statistics of annotators: bounded, exact under corrections, alpha as published."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.label.annotators import (
    TURNAROUND_BOUNDS_S,
    Alpha,
    Annotators,
    Turnaround,
)
from headrace.messages import Answer
from headrace.report import AnnotatorReport
from headrace.report.people import _report_annotator


def says(annotator: str, label: str | None) -> Answer:
    return Answer(request_id="r", annotator=annotator, label=label, at=0.0)


# Four observers and twelve units (the last one pairable with nothing); Krippendorff, "Computing
# Krippendorff's Alpha-Reliability", 2011, section C.
OBSERVERS = (
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
)


def test_alpha_is_that_of_the_published_example() -> None:
    alpha = Alpha()
    for unit in zip(*(row.split() for row in OBSERVERS), strict=True):
        alpha.count([value for value in unit if value != "."], 1)
    assert alpha.value == pytest.approx(0.743, abs=5e-4)


def test_alpha_is_unknown_without_two_classes_and_one_when_all_agree() -> None:
    alpha = Alpha()
    assert alpha.value is None
    alpha.count(["a", "a"], 1)
    assert alpha.value is None
    alpha.count(["b", "b", "b"], 1)
    assert alpha.value == 1.0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abc"), max_size=5), max_size=8), st.data())
def test_taking_back_leaves_alpha_as_if_never_counted(
    units: list[list[str]], data: st.DataObject
) -> None:
    plain, corrected = Alpha(), Alpha()
    for unit in units:
        plain.count(unit, 1)
        wrong = data.draw(st.lists(st.sampled_from("abc"), max_size=5))
        corrected.count(wrong, 1)
        corrected.count(unit, 1)
        corrected.count(wrong, -1)
    assert corrected.value == plain.value


def test_agreement_is_with_the_label_and_only_where_others_answered() -> None:
    annotators = Annotators()
    annotators.count_comparisons([says("al", "a")], "a", 1)
    annotators.count_comparisons([says("al", "a"), says("bo", "b"), says("cy", "a")], "a", 1)
    annotators.count_comparisons([says("al", "a"), says("bo", None)], "a", 1)
    counts = {name: (a.compared_n, a.agreed_n) for name, a in annotators.by_name.items()}
    assert counts == {"al": (1, 1), "bo": (1, 0), "cy": (1, 1)}


def test_a_dispute_counts_for_alpha_and_for_nobodys_agreement() -> None:
    annotators = Annotators()
    annotators.count_comparisons([says("al", "a"), says("bo", "b")], None, 1)
    assert annotators.alpha == 0.0
    assert annotators.by_name == {}


def test_refusals_and_latency_are_counted() -> None:
    annotators = Annotators()
    annotators.count_answer(says("al", "a"), 10.0)
    annotators.count_answer(says("al", None), 30.0)
    al = annotators.by_name["al"]
    assert (al.answers_n, al.refused_n, al.latency_s) == (2, 1, 40.0)


def test_annotators_beyond_the_limit_share_one_row() -> None:
    annotators = Annotators(annotators_max=2)
    for i in range(5):
        annotators.count_answer(says(str(i), "a"), 1.0)
    assert list(annotators.by_name) == ["0", "1"]
    assert annotators.others.answers_n == 3
    unit = [says("0", "a"), says("4", "b")]
    annotators.count_comparisons(unit, "a", 1)
    annotators.count_comparisons(unit, "a", -1)
    assert (annotators.others.compared_n, annotators.by_name["0"].compared_n) == (0, 0)


def test_turnaround_bounds_are_inclusive() -> None:
    turnaround = Turnaround()
    for latency_s in (0.0, 1.0, 1.5, 604_800.0, 604_800.5):
        turnaround.add(latency_s)
    assert turnaround.counts[:2] == [2, 1]
    assert turnaround.counts[-2:] == [1, 1]
    assert len(turnaround.counts) == len(TURNAROUND_BOUNDS_S) + 1
    assert sum(turnaround.counts) == 5


def test_agreement_has_an_interval_as_soon_as_there_is_something_to_compare() -> None:
    counts = {"name": "al", "number": 1, "answers_n": 9, "refused_n": 0, "latency_s": 1.0}
    assert AnnotatorReport(**counts, compared_n=0, agreed_n=0).agreed_between is None
    few = AnnotatorReport(**counts, compared_n=4, agreed_n=4).agreed_between
    many = AnnotatorReport(**counts, compared_n=400, agreed_n=400).agreed_between
    assert few is not None and many is not None
    assert few[0] < 0.6 < 0.98 < many[0] < few[1] == many[1] == 1.0


def test_the_typical_delay_is_a_geometric_mean_with_an_interval() -> None:
    """Of 400 people with twelve log-normal delays each, about 380 have the truth inside."""
    luck, inside_n = random.Random(5), 0
    for _ in range(400):
        annotators = Annotators()
        for _ in range(12):
            annotators.count_answer(says("al", "a"), 60.0 * math.exp(luck.gauss(0.0, 1.2)))
        told = _report_annotator("al", 1, annotators.by_name["al"])
        low, typical, high = told.typical_latency_s or (0.0, 0.0, 0.0)
        assert low < typical < high
        inside_n += low < 60.0 < high
    assert 364 <= inside_n <= 396
    few = Annotators()
    few.count_answer(says("bo", "a"), 0.0)
    assert _report_annotator("bo", 1, few.by_name["bo"]).typical_latency_s is None
