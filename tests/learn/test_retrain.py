import os
import pickle
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import base, naive_bayes, tree

from headrace.errors import BrokenInvariant
from headrace.learn.learner import Learner
from headrace.learn.memory import Example
from headrace.learn.models import PRESETS, build
from headrace.learn.retrain import RetrainJob, beats_champion, retrain
from learn.columns import Columns, stream

TESTS = Path(__file__).parents[1]
EXAMPLE = Example("s0", 20.0, np.zeros(1), 1, is_control=True)


class Diary(base.Classifier):
    """Writes down what it is asked and taught; the features carry the number of the example."""

    def __init__(self):
        self.lines = []

    @property
    def _multiclass(self):
        return True

    def learn_one(self, x, y):
        self.lines.append(("learned", int(x["x0"])))

    def predict_proba_one(self, x):
        if x:
            self.lines.append(("asked", int(x["x0"])))
        return {0: 1.0}


class WeighingDiary(Diary):
    """The same, with a weight that moves its answers, so that it is seen to weigh."""

    def __init__(self):
        super().__init__()
        self.sums = {}

    def learn_one(self, x, y, w=1.0):
        self.lines.append(("learned", int(x.get("x0", 0)), w))
        self.sums[y] = self.sums.get(y, 0.0) + w

    def predict_proba_one(self, x):
        total = sum(self.sums.values())
        return {y: n / total for y, n in self.sums.items()}


def job_of(model, n=12, control=(), weights=None, passes=2, adopt_labels_n=3, columns=None):
    columns = columns or Columns(1)
    examples = tuple(
        Example(f"e{i}", float(i), np.array([float(i)]), i % 2, i in control) for i in range(n)
    )
    weights = tuple(weights or [1.0] * n)
    return RetrainJob(5, examples, weights, 7, Learner(model, columns), passes, adopt_labels_n)


def stream_job(name, n=40, passes=2):
    columns = Columns(3, 1)
    X, y = stream(columns, n, seed=4)
    examples = tuple(
        Example(f"e{i}", float(i), X[i], int(y[i]), i % 4 == 0, i % 3 == 0) for i in range(n)
    )
    weights = tuple(0.5 ** ((n - 1 - i) / 20) for i in range(n))
    return RetrainJob(1, examples, weights, 7, Learner(build(name, 7, 2), columns), passes, 8), X


@cache
def retrained(name):
    """A job of this preset, its rows and its challenger; no test changes them."""
    job, X = stream_job(name)
    return job, X, retrain(job)


def printed(name):
    """All that a challenger of this preset says, to the last bit."""
    _, X, challenger = retrained(name)
    return challenger.learner.probabilities(X).tobytes().hex(), challenger.right


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.default_n(3)
def test_the_same_job_twice_gives_the_same_challenger(name):
    job, X, first = retrained(name)
    second = retrain(pickle.loads(pickle.dumps(job)))
    assert first.learner.probabilities(X).tobytes() == second.learner.probabilities(X).tobytes()
    assert len(first.right) == 8
    assert first.right == second.right == retrain(job).right
    assert job.unlearned.learned_n == 0


def test_another_process_with_another_hash_seed_gives_the_same_challenger():
    code = "from learn.test_retrain import *\nprint([printed(name) for name in PRESETS])"
    # This process has a seed of its own: a random one, or that of its environment.
    hash_seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str([printed(name) for name in PRESETS])


@settings(max_examples=50, deadline=None)
@given(
    control=st.lists(st.integers(0, 11), unique=True),
    passes=st.integers(1, 4),
    adopt_labels_n=st.integers(1, 12),
)
def test_what_is_judged_was_not_seen_before_nor_anything_later(control, passes, adopt_labels_n):
    job = job_of(Diary(), control=control, passes=passes, adopt_labels_n=adopt_labels_n)
    challenger = retrain(job)
    lines = challenger.learner.model.lines
    judged = sorted(control)[-adopt_labels_n:]
    assert [example_id for example_id, _ in challenger.right] == [f"e{i}" for i in judged]
    assert [number for verb, number in lines if verb == "asked"] == judged
    for place, (verb, number) in enumerate(lines):
        if verb == "asked":
            assert all(seen < number for _, seen in lines[:place])
    for i in range(12):
        assert lines.count(("learned", i)) == passes


def test_the_last_examples_are_the_last_learned():
    lines = retrain(job_of(Diary(), control=[6, 9], passes=3)).learner.model.lines
    assert [number for _, number in lines[-6:]] == [6, 7, 8, 9, 10, 11]


def test_without_control_examples_nothing_is_judged_and_all_is_learned():
    challenger = retrain(job_of(Diary(), control=[]))
    assert challenger.right == ()
    assert challenger.learner.learned_n == 24


def test_a_model_that_weighs_gets_the_weights_themselves():
    weights = [0.5 ** ((11 - i) / 3) for i in range(12)]
    challenger = retrain(job_of(WeighingDiary(), weights=weights, passes=1))
    assert [line[2] for line in challenger.learner.model.lines] == weights


def test_other_models_see_an_example_as_often_as_it_weighs_on_average():
    n, passes = 200, 20
    weights = [0.5 ** ((n - 1 - i) / 50) for i in range(n)]
    job = job_of(Diary(), n=n, weights=weights, passes=passes)
    numbers = [number for _, number in retrain(job).learner.model.lines]
    copies = np.bincount(numbers, minlength=n) / passes
    expected = np.array(weights) * n / sum(weights)
    # A count of copies is off by less than one a pass; over passes the luck evens out.
    assert abs(copies - expected).max() < 5 * 0.5 / np.sqrt(passes)
    assert abs(copies.sum() - n) < 0.02 * n
    assert copies[-1] >= np.floor(expected[-1])


def test_equal_weights_are_no_weights():
    plain = retrain(job_of(Diary())).learner.model.lines
    assert retrain(job_of(Diary(), weights=[0.25] * 12)).learner.model.lines == plain


def test_recent_examples_outweigh_old_ones_that_contradict_them():
    columns = Columns(1)
    examples = tuple(
        Example(str(i), float(i), np.array([float(i % 2)]), int(i % 2 == (i < 60)), False)
        for i in range(100)
    )
    weights = tuple(0.5 ** ((99 - i) / 10) for i in range(100))
    for model in (tree.HoeffdingTreeClassifier(leaf_prediction="nb"), naive_bayes.GaussianNB()):
        learner = Learner(model, columns)
        weighed = retrain(RetrainJob(0, examples, weights, 7, learner, 1, 5)).learner
        level = retrain(RetrainJob(0, examples, (1.0,) * 100, 7, learner, 1, 5)).learner
        row = np.array([1.0])
        assert weighed.is_right(row, 0) and not level.is_right(row, 0)


def test_catching_up_judges_control_labels_first_and_in_slices_alike():
    whole = retrain(job_of(naive_bayes.GaussianNB(), control=[9]))
    sliced, untouched = whole.copy(), whole.copy()
    rows, schema = [np.array([float(i)]) for i in range(3)], Columns(1)
    settled = [("s0", rows[0], 1, True), ("s1", rows[1], 1, False), ("s2", rows[2], 0, True)]
    since = [Example(name, 20.0, *rest) for name, *rest in settled]
    assert whole.learn_since(since, schema)
    assert [example_id for example_id, _ in whole.right] == ["e9", "s0", "s2"]
    # The next label comes between two slices.
    assert not sliced.learn_since(since[:2], schema, lambda: True)
    assert sliced.since_n == 1
    assert not sliced.learn_since(since, schema, lambda: True)
    assert sliced.learn_since(since, schema, lambda: True)
    assert sliced.learn_since(since, schema)
    assert sliced.right == whole.right
    says = [one.learner.probabilities(np.array(rows)).tobytes() for one in (sliced, whole)]
    assert says[0] == says[1]
    assert untouched.learner.learned_n == whole.learner.learned_n - 3
    assert whole.learner.schema is schema


def test_a_challenger_that_learned_by_another_schema_is_outdated():
    challenger, since = retrain(job_of(naive_bayes.GaussianNB(), control=[9])), [EXAMPLE]
    assert not challenger.is_outdated([], Columns(2)), "it has learned nothing since"
    challenger.learn_since(since, Columns(1))
    assert not challenger.is_outdated(since, Columns(1))
    assert challenger.is_outdated(since, Columns(2))
    assert challenger.is_outdated([], Columns(1)), "a restore has gone back before that label"


@pytest.mark.parametrize(
    ("champion", "challenger", "margin", "is_adopted"),
    [
        ([1, 0, 0, 0], [1, 1, 0, 0], 0.25, True),
        ([1, 0, 0, 0], [1, 1, 0, 0], 0.26, False),
        ([1, 0], [0, 1], 0.0, False),
        ([1, 1], [1, 0], 0.0, False),
        ([], [], 0.0, False),
    ],
)
def test_a_challenger_must_be_better_by_the_margin(champion, challenger, margin, is_adopted):
    assert beats_champion(champion, challenger, margin) is is_adopted


def test_verdicts_on_different_examples_are_not_compared():
    with pytest.raises(BrokenInvariant):
        beats_champion([True], [], 0.0)


def test_a_job_without_a_weight_for_each_example_is_broken():
    with pytest.raises(BrokenInvariant):
        retrain(job_of(Diary(), weights=[1.0]))
