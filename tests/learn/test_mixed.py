import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import naive_bayes

from headrace.learn.mixed import MixedNB

NUMBERS = st.lists(st.tuples(st.floats(-5, 5), st.integers(0, 2)), min_size=1, max_size=20)


@settings(max_examples=30, deadline=None)
@given(numbers=NUMBERS)
def test_on_numbers_alone_it_is_rivers_gaussian_nb(numbers):
    mixed, gaussian = MixedNB(), naive_bayes.GaussianNB()
    for value, label in numbers:
        for model in (mixed, gaussian):
            model.learn_one({"a": value}, label)
    assert mixed.predict_proba_one({"a": 0.5}) == gaussian.predict_proba_one({"a": 0.5})


def test_texts_count_by_the_rule_of_succession():
    model = MixedNB()
    for city, label in [("Rome", 0), ("Rome", 0), ("Oslo", 0), ("Oslo", 1)]:
        model.learn_one({"city": city}, label)
    # Two values are known, so class 0 has 3 + 2 + 1 parts and class 1 has 1 + 2 + 1.
    rome = {0: 3 / 4 * 3 / 6, 1: 1 / 4 * 1 / 4}
    new = {0: 3 / 4 * 1 / 6, 1: 1 / 4 * 1 / 4}
    for city, joint in (("Rome", rome), ("Bonn", new)):
        expected = {label: part / sum(joint.values()) for label, part in joint.items()}
        assert model.predict_proba_one({"city": city}) == pytest.approx(expected)


def test_the_chances_of_all_values_and_of_a_new_one_sum_to_1():
    model = MixedNB()
    for city in ("Rome", "Oslo", "Rome"):
        model.learn_one({"city": city}, 0)
    logs = [model.log_chance(0, "city", city) for city in ("Rome", "Oslo", "a new one")]
    assert math.fsum(map(math.exp, logs)) == pytest.approx(1.0)


def test_nothing_learned_says_nothing():
    assert MixedNB().predict_proba_one({"a": 1.0, "city": "Rome"}) == {}
    assert MixedNB().clone().predict_one({}) is None
