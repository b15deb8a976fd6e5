"""The committee as a river classifier: awkward streams, awkward members, the same bits always."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import dummy, linear_model, naive_bayes
from river.checks import yield_checks

from headrace.learn.committee.committee import EARLY_N, Committee
from headrace.learn.committee.discriminant import Discriminant
from headrace.learn.committee.gaussian_process import GaussianProcess
from headrace.learn.committee.stacker import PRIOR_SUM
from headrace.learn.committee.table import CommitteeTable
from headrace.learn.models import check_model
from headrace.messages import Context, Moments
from learn.columns import Columns

RIVER_CHECKS = list(yield_checks(Committee(memory_n=30)))
NAMES = [check.__name__ for check in RIVER_CHECKS]
BETWEEN = {i for i, name in enumerate(NAMES) if name in NAMES[:i] and name in NAMES[i + 1 :]}
"""Checks on other streams than the first and the last of their kind."""
IN_FULL = {i for i, name in enumerate(NAMES) if name not in NAMES[:i]} | {
    max(i for i, name in enumerate(NAMES) if name == "check_predict_proba_one")
}
"""Checks on the first stream of their kind; and one that learns and answers, on the last."""
SKIPPED = Committee()._unit_test_skips()


@pytest.mark.parametrize(
    "i",
    [
        pytest.param(i, marks=[pytest.mark.long] if i in BETWEEN else [])
        for i in range(len(RIVER_CHECKS))
    ],
)
@pytest.mark.default_n(12)
def test_it_passes_rivers_own_checks(i):
    """All members on the first stream of each check, one on the others."""
    if NAMES[i] not in SKIPPED:
        members = None if i in IN_FULL else [Discriminant()]
        RIVER_CHECKS[i](Committee(memory_n=30, members=members))


def test_it_is_fit_for_the_core():
    check_model(Committee())
    check_model(Committee(members=[Discriminant(), naive_bayes.GaussianNB()]))


def blobs(n, k=3, d=4, seed=0, apart=3.0):
    """n events of k classes around centres that are `apart` deviations from 0."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(k, d)) * apart
    codes = rng.integers(k, size=n)
    X = centres[codes] + rng.normal(size=(n, d))
    return [{f"x{j}": float(v) for j, v in enumerate(row)} for row in X], codes.tolist()


def share_right(model, events, labels, learn_n):
    for x, y in zip(events[:learn_n], labels[:learn_n], strict=True):
        model.learn_one(x, y)
    rest = zip(events[learn_n:], labels[learn_n:], strict=True)
    right = [model.predict_one(x) == y for x, y in rest]
    return sum(right) / len(right)


# ------------------------------------------------------------------------------ awkward streams


@pytest.mark.parametrize(
    ("k", "d", "labels_n", "least"),
    [
        (2, 2, 60, 0.9),
        (10, 30, 100, 0.9),
        (24, 24, 130, 0.8),
        pytest.param(100, 40, 550, 0.8, marks=pytest.mark.long),
    ],
)
def test_few_and_many_classes(k, d, labels_n, least):
    events, labels = blobs(labels_n + 100, k, d, seed=1, apart=4.0)
    assert share_right(Committee(), events, labels, labels_n) > least


def test_five_hundred_features_and_few_labels():
    events, labels = blobs(140, 2, 500, apart=0.4)
    assert share_right(Committee(), events, labels, 60) > 0.9


def test_a_first_label_of_one_class_only():
    events, _ = blobs(40)
    model = Committee()
    assert model.predict_proba_one(events[0]) == {}
    model.learn_one(events[0], "fine")
    assert model.predict_proba_one(events[1]) == {"fine": 1.0}
    for x in events[:20]:
        model.learn_one(x, "fine")
    assert model.predict_one(events[30]) == "fine"


def test_a_class_that_comes_later_is_learned():
    events, labels = blobs(200, 3)
    order = sorted(range(150), key=lambda i: labels[i] == 2)
    events = [events[i] for i in order] + events[150:]
    labels = [labels[i] for i in order] + labels[150:]
    assert share_right(Committee(), events, labels, 150) > 0.9


def test_features_that_are_missing_appear_and_vanish():
    events, labels = blobs(300)
    rng = np.random.default_rng(1)
    for i, x in enumerate(events):
        if rng.random() < 0.2:
            x["x0"] = None if i % 2 else math.nan
        if i < 60:
            del x["x1"]
        elif i > 200:
            del x["x2"]
    assert share_right(Committee(), events, labels, 150) > 0.8


def test_constant_features_and_duplicates_change_little():
    events, labels = blobs(250)
    plain = share_right(Committee(), events, labels, 80)
    for x in events:
        x["constant"], x["copy"] = 7.0, x["x0"]
    assert share_right(Committee(), events, labels, 80) > plain - 0.05
    same = Committee()
    for _ in range(50):
        same.learn_one(events[0], 1)
        same.learn_one(events[0], 2)
    assert same.predict_proba_one(events[0])[1] == pytest.approx(0.5, abs=0.1)


def test_a_category_of_hundreds_of_values():
    rng = np.random.default_rng(2)
    # Half of the events have one of 24 cities, the others one of hundreds; 13 cities are class 1.
    cities = [int(rng.integers(24 if i % 2 else 300)) for i in range(600)]
    events = [{"city": f"c{city}", "noise": float(rng.normal())} for city in cities]
    labels = [int(city < 13) for city in cities]
    model = Committee()
    assert share_right(model, events, labels, 400) > 0.8
    assert model.encoder.columns_n == 24 + 8 + 1


def test_free_text_is_read_by_its_words():
    rng = np.random.default_rng(3)
    words = [f"word{i}" for i in range(200)]
    labels = rng.integers(2, size=260).tolist()
    events = [
        {"text": " ".join([*rng.choice(words, 6), "refund money back" if y else "thanks for this"])}
        for y in labels
    ]
    assert share_right(Committee(), events, labels, 160) > 0.9


def test_labels_that_change_are_followed():
    events, labels = blobs(400, 2)
    turned = [1 - y for y in labels]
    model = Committee()
    assert share_right(model, events, labels, 200) > 0.9
    assert share_right(model, events[200:], turned[200:], 120) > 0.9


# ------------------------------------------------------------------------------ awkward members


class Broken:
    """A member that fails in one of three ways."""

    def __init__(self, way):
        self.way = way

    def tune(self, evidence):
        if self.way == "raises":
            raise RuntimeError("no")

    def fit(self, evidence):
        if self.way == "raises":
            raise RuntimeError("no")

    def predict(self, rows):
        if self.way == "NaN":
            return np.full((len(rows), rows.classes_n), np.nan)
        return np.full((len(rows), rows.classes_n + 1), 0.5)


@pytest.mark.parametrize("way", ["raises", "NaN", "another shape"])
def test_a_broken_member_does_not_take_the_others_along(way):
    events, labels = blobs(160)
    model = Committee(members=[Broken(way), GaussianProcess(), Discriminant()])
    assert share_right(model, events, labels, 60) > 0.9
    first = model.failures_by_member()["Broken"].first
    assert (
        first
        == {
            "raises": {"learn": "RuntimeError: no"},
            "NaN": {"predict": "its opinions are no distribution"},
            "another shape": {"predict": "its opinions have another shape"},
        }[way]
    )
    said = model.opinions(model._rows_of(events[:1], 0.0))
    assert said[0].tolist() == [[1 / 3, 1 / 3, 1 / 3]]


def test_a_river_member_that_raises_does_not_take_the_others_along():
    events, labels = blobs(160)
    for x in events:
        x["city"] = "Rome"  # GaussianNB can't read a text
    model = Committee(members=[naive_bayes.GaussianNB(), GaussianProcess()])
    assert share_right(model, events, labels, 60) > 0.9
    assert list(model.failures_by_member()) == ["GaussianNB"]
    assert "'str'" in model.failures_by_member()["GaussianNB"].first["learn"]


def test_a_committee_of_members_that_all_fail_says_so():
    model = Committee(members=[Broken("raises"), Broken("raises")])
    model.learn_one({"x": 1.0}, "a")
    model.learn_one({"x": 2.0}, "b")
    assert model.predict_proba_one({"x": 1.0}) == {}
    rivers = Committee(members=[naive_bayes.GaussianNB()])
    with pytest.raises(ValueError, match="no member could learn it: "):
        rivers.learn_one({"city": "Rome"}, "a")


def test_what_members_failed_at_is_no_state():
    model = Committee(members=[Broken("raises"), GaussianProcess()])
    model.learn_one({"x": 1.0}, "a")
    model.predict_proba_one({"x": 1.0})
    assert list(model.failures_by_member()) == ["Broken"]
    assert pickle.loads(pickle.dumps(model)).failures_by_member() == {}


def test_any_river_classifier_is_a_member_and_stays_unlearned_itself():
    events, labels = blobs(120)
    own = linear_model.SoftmaxRegression()
    model = Committee(members=[own, dummy.PriorClassifier()])
    assert share_right(model, events, labels, 100) > 0.8
    assert not own.weights
    assert model.member_names() == ["SoftmaxRegression", "PriorClassifier"]
    assert model.clone().predict_proba_one(events[0]) == {}


# -------------------------------------------------------------------------- trust before evidence


class Sure:
    """A member that says class 0 whatever comes, and is trusted so far."""

    def __init__(self, trust):
        self.trust = trust

    def tune(self, evidence):
        """Nothing to tune."""

    def fit(self, evidence):
        """Nothing to solve."""

    def predict(self, rows):
        return np.tile([0.9, 0.1], (len(rows), 1))


class Contrary(Sure):
    """The opposite, as sure."""

    def predict(self, rows):
        return np.tile([0.1, 0.9], (len(rows), 1))


@pytest.mark.parametrize(("trusts", "first"), [((2.0, 1.0), True), ((1.0, 2.0), False)])
def test_before_labels_judge_them_the_more_trusted_member_prevails(trusts, first):
    model = Committee([Sure(trusts[0]), Contrary(trusts[1])])
    model.learn_one({"x": 1.0}, "a")
    model.learn_one({"x": 2.0}, "b")
    p = model.predict_proba_one({"x": 1.5})
    assert (p["a"] > p["b"]) is first


def test_labels_overrule_trust():
    model = Committee([Sure(1.0), Contrary(8.0)])
    for i in range(60):
        model.learn_one({"x": float(i)}, "ab"[i == 1])
    assert model.predict_one({"x": 1.5}) == "a"


@pytest.mark.parametrize("members", [None, [Discriminant()], [naive_bayes.GaussianNB()] * 3])
def test_whoever_the_members_are_the_prior_has_the_same_sum(members):
    assert math.isclose(Committee(members).stacker.prior.sum(), PRIOR_SUM)


# --------------------------------------------------------------------------------- the same bits


def learned(n=150, *, ask_between=False, contexts=False):
    events, labels = blobs(n + 50)
    model = Committee(memory_n=60)
    for i in range(n):
        context = None
        if contexts:
            opinions = {} if i == 0 else {0: (0.5,) * 4, 1: (0.3,) * 4, 2: (0.2,) * 4}
            context = Context(opinions=opinions, events_n=3, moments={"x0": Moments(3, 0.0, 3.0)})
        model.learn_one(events[i], labels[i], at=float(3 * i), key=i, context=context)
        if ask_between and i % 3 == 0:
            model.predict_proba_one(events[-1])
    return model, events[n:]


def bits(model, events):
    return [tuple(model.predict_proba_one(x).values()) for x in events]


def test_asking_in_between_changes_nothing():
    plain, rest = learned()
    asked, _ = learned(ask_between=True)
    assert bits(plain, rest) == bits(asked, rest)
    for i, x in enumerate(rest):
        plain.learn_one(x, i % 3, at=500.0 + i)
        asked.learn_one(x, i % 3, at=500.0 + i)
    assert bits(plain, rest) == bits(asked, rest)
    assert plain.stacker.exponents.tolist() == asked.stacker.exponents.tolist()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_goes_on_as_the_model_does(copied):
    model, rest = learned(70)
    other = copied(model)
    for i, x in enumerate(rest):
        assert bits(model, [x]) == bits(other, [x])
        model.learn_one(x, i % 3, at=500.0 + i)
        other.learn_one(x, i % 3, at=500.0 + i)


@cache
def learned_once():
    """A committee to score with alone: no example changes it."""
    return learned(90)[0]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_rows_of_a_table_have_the_same_bits_in_any_batch(cuts):
    model = learned_once()
    columns = Columns(4)
    columns.names = ["x0", "x1", "x2", "x3"]
    X = np.random.default_rng(5).normal(size=(sum(cuts), 4)) * 3
    X[::7, 1] = np.nan
    at = np.linspace(200.0, 900.0, len(X))
    table = CommitteeTable(model, columns)
    whole = table.score(X, at)[1]
    edges = np.cumsum([0, *cuts])
    parts = [table.score(X[a:b], at[a:b])[1] for a, b in itertools.pairwise(edges)]
    assert np.concatenate(parts).tobytes() == whole.tobytes()


def test_a_table_and_a_dictionary_give_the_same():
    model, rest = learned(90)
    columns = Columns(4)
    columns.names = ["x0", "x1", "x2", "x3"]
    X = np.array([[x[name] for name in columns.names] for x in rest])
    found = CommitteeTable(model, columns).score(X, None)[1]
    one_by_one = np.array(bits(model, rest))
    np.testing.assert_allclose(found, one_by_one, atol=1e-10)
    frame = model.predict_proba_many(pd.DataFrame(rest))
    np.testing.assert_allclose(frame.to_numpy(), one_by_one, atol=1e-12)
    assert list(frame.columns) == [str(name) for name in model.classes]


# ------------------------------------------------------------------------ evidence and its limits


def test_the_scale_is_that_of_every_event_labelled_or_not():
    events, labels = blobs(60)
    watching = Committee()
    for i in range(60):
        watching.observe_one({"x0": 1000.0 * i})
    for x, y in zip(events[:10], labels[:10], strict=True):
        watching.learn_one(x, y)
    assert watching.encoder.moments["x0"].n > 60
    assert watching.encoder.moments["x0"].deviation > 1000.0


def test_a_label_of_the_same_key_replaces_the_one_before():
    events, labels = blobs(60)
    right, mended = Committee(), Committee()
    for i in range(60):
        right.learn_one(events[i], labels[i], at=float(i), key=i)
        mended.learn_one(events[i], labels[i] if i else (labels[i] + 1) % 3, at=float(i), key=i)
    mended.learn_one(events[0], labels[0], at=0.0, key=0)
    assert [e.code for e in mended._examples] == [
        mended._codes[right.classes[e.code]] for e in right._examples
    ]
    mended.forget(5)
    mended.forget("never heard of")
    assert [e.key for e in mended._examples] == [i for i in range(60) if i != 5]


def test_labels_stand_in_order_of_their_events_however_late_they_come():
    events, labels = blobs(30)
    model = Committee(memory_n=20)
    for i in sorted(range(30), key=lambda i: (i * 7) % 30):
        model.learn_one(events[i], labels[i], at=float(i), key=i)
    at = [example.at for example in model._examples]
    assert at == sorted(at) and len(at) == 20 and len(model._by_key) == 20
    assert model.evidence_age == pytest.approx(at[-1] - sum(at) / 20)


def test_a_label_may_weigh_more():
    events, _ = blobs(80, 2)
    heavy, light = Committee(), Committee()
    for i, x in enumerate(events):
        heavy.learn_one(x, i % 2, w=4.0 if i % 2 else 1.0)
        light.learn_one(x, i % 2, w=0.25 if i % 2 else 1.0)
    more, less = ([m.predict_proba_one(x)[1] for x in events] for m in (heavy, light))
    assert sum(more) > sum(less) + 5


class Counted:
    """A member that counts how often it is solved and tuned."""

    fits_n = tunes_n = 0

    def tune(self, evidence):
        Counted.tunes_n += 1

    def fit(self, evidence):
        Counted.fits_n += 1

    def predict(self, rows):
        return np.full((len(rows), rows.classes_n), 1.0 / rows.classes_n)


def test_catching_up_with_many_labels_solves_at_few_of_them():
    Counted.fits_n = Counted.tunes_n = 0
    model = Committee(members=[Counted()])
    for i in range(2_000):
        opinions = {0: (0.5,), 1: (0.5,)} if i else {}
        context = Context(opinions=opinions, events_n=1, moments={})
        model.learn_one({"x": float(i % 5)}, i % 2, at=float(i), key=i, context=context)
    assert Counted.fits_n == 0
    assert Counted.tunes_n < EARLY_N * (2 + math.log(2_000 / EARLY_N))
    model.predict_proba_one({"x": 1.0})
    assert Counted.fits_n == 1
