"""Evidence followed one label at a time gives what solving it at once gives, by the same bits."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.learn.committee.committee import Committee
from headrace.learn.committee.evidence import Course, Evidence, Rows
from headrace.learn.committee.gaussian_process import GaussianProcess
from headrace.learn.committee.keeping import STEPS_MAX


def evidence_of(n, seed, k=2, d=3):
    rng = np.random.default_rng(seed)
    codes = rng.integers(k, size=n)
    return Evidence(
        Z=rng.normal(size=(n, d)) + codes[:, np.newaxis],
        codes=codes,
        at=np.sort(rng.uniform(0.0, 50.0, size=n)),
        weights=rng.choice([1.0, 0.4], size=n),
        classes_n=k,
        feature_of=np.arange(d),
        label_gap=1.0,
        event_gap=0.2,
    )


def said(member, newest):
    Z = np.random.default_rng(1).normal(size=(7, 3))
    return member.predict(Rows(Z=Z, at=np.full(7, newest), classes_n=2, features=lambda i: {}))


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 1000),
    base_n=st.integers(3, 30),
    steps=st.lists(st.sampled_from(["comes", "replaces", "too late"]), min_size=1, max_size=20),
    fits_at=st.sets(st.integers(0, 20)),
)
def test_steps_lead_where_solving_at_once_does(seed, base_n, steps, fits_at):
    rows = evidence_of(base_n + len(steps), seed)
    course = Course(rows.take(np.arange(base_n)))
    present = list(range(base_n))
    often, late = GaussianProcess(), GaussianProcess()
    for i, step in enumerate(steps):
        number = base_n + i
        gone = {"comes": -1, "replaces": present[0], "too late": number}[step]
        present = [n for n in (*present, number) if n != gone]
        course.add(rows.take(np.array([number])), gone)
        now = replace(rows.take(np.array(present)), course=course)
        if i in fits_at:
            often.fit(now)
    often.fit(now)
    late.fit(now)
    newest = float(rows.at.max())
    assert said(often, newest).tobytes() == said(late, newest).tobytes()
    at_once = GaussianProcess()
    at_once.fit(replace(now, course=None))
    np.testing.assert_allclose(said(late, newest), said(at_once, newest), atol=1e-9)


def test_settings_move_alike_along_a_course_and_at_once():
    rows = evidence_of(40, 3)
    course = Course(rows.take(np.arange(30)))
    for number in range(30, 40):
        course.add(rows.take(np.array([number])), number - 30)
    now = replace(rows.take(np.arange(10, 40)), course=course)
    along, at_once = GaussianProcess(), GaussianProcess()
    along.tune(now)
    at_once.tune(replace(now, course=None))
    assert along.settings != GaussianProcess().settings
    assert along.settings == pytest.approx(at_once.settings, rel=1e-9)


def labels(n):
    """n labels of events whose order is not quite that of their times."""
    rng = np.random.default_rng(4)
    for i, row in enumerate(rng.normal(size=(n, 3))):
        x = {f"x{j}": float(v) for j, v in enumerate(row)}
        yield x, int(row[0] > 0), i + float(rng.integers(0, 9)), i


def ripe(**options):
    """A committee whose settings move at every tenth label, from the first on."""
    model = Committee(memory_n=12, **options)
    model.labels_n, model._moves_at = 1_000, 1_001
    return model


def taught(n, *, asked_at=(), copied_at=(), forgotten_at=()):
    model = ripe()
    for x, y, at, i in labels(n):
        model.learn_one(x, y, at=at, key=i)
        if i in forgotten_at:
            model.forget(i - 3)
        if i in copied_at:
            model = pickle.loads(pickle.dumps(model))
        if i in asked_at:
            model.predict_proba_one(x)
    return model


def bits(model):
    return [tuple(model.predict_proba_one(x).values()) for x, _, _, _ in labels(5)]


@pytest.mark.parametrize("n", [26, 33])
def test_when_it_was_asked_or_copied_leaves_no_trace(n):
    assert taught(n)._gone, "within a course"
    found = bits(taught(n))
    assert bits(taught(n, asked_at=range(0, n, 2))) == found
    assert bits(taught(n, copied_at=(14, n - 2, n - 1), asked_at=(n - 2,))) == found
    forgetful = taught(n, forgotten_at=(n - 1,))
    assert not forgetful._gone, "a label taken back starts a course"
    assert bits(taught(n, forgotten_at=(n - 1,), asked_at=range(n))) == bits(forgetful)


def test_a_course_is_short():
    model = ripe(members=[GaussianProcess()])
    model._moves_at = 2_000
    for x, y, at, i in labels(3 * STEPS_MAX):
        model.learn_one(x, y, at=at, key=i)
        assert len(model._gone) <= STEPS_MAX
        assert len(model._course) <= 12 + STEPS_MAX


def test_it_goes_on_after_all_was_forgotten():
    model = taught(26)
    assert model.erase(lambda key, x, at: True) == 12
    for x, y, at, i in labels(6):
        model.learn_one(x, y, at=100.0 + at, key=f"new {i}")
    assert len(bits(model)[0]) == 2
    assert model.failures_by_member() == {}
