"""What a committee's table remembers of the rows it scored last."""

import numpy as np

from headrace.learn.committee.blas import _libraries, one_blas_thread
from headrace.learn.committee.committee import Committee
from headrace.learn.learner import Learner
from learn.columns import Columns, stream


def learned(columns):
    learner = Learner(Committee(), columns)
    X, y = stream(columns, 60, seed=2)
    at = np.arange(60.0)
    for i in range(40):
        learner.learn(X[i], int(y[i]), at=float(i), key=str(i))
    return learner, X, y, at


def test_a_request_carries_what_members_said_when_its_event_was_scored(monkeypatch):
    learner, X, y, at = learned(Columns(4))
    alone = [learner.context(X[i], at[i], 1, {}).opinions for i in range(40, 60)]
    rows = X[40:].copy()
    learner.probabilities(rows, at[40:])
    # Whoever fed the rows may use them for others.
    rows[:] = 7.0
    with monkeypatch.context() as patched:
        patched.setattr(Committee, "heard", None)
        assert [learner.context(X[i], at[i], 1, {}).opinions for i in range(40, 60)] == alone
    learner.learn(X[59], int(1 - y[59]), at=60.0, key="more")
    assert learner.context(X[50], at[50], 1, {}).opinions != alone[10]
    # At another time evidence has another age.
    assert learner.context(X[50], at[50], 1, {}) != learner.context(X[50], 1e4, 1, {})


def test_rows_that_may_have_texts_are_asked_about_anew():
    learner, X, _, at = learned(Columns(3, 1))
    learner.probabilities(X[40:], at[40:])
    assert learner._table._heard.blocks == []


def test_blas_has_its_threads_back():
    before = [library.get_num_threads() for library in _libraries()]
    with one_blas_thread():
        assert {library.get_num_threads() for library in _libraries()} == {1}
    assert [library.get_num_threads() for library in _libraries()] == before
