"""All that is registered keeps the shipped contracts; what breaks them is told."""

from __future__ import annotations

import random
from importlib.metadata import entry_points
from typing import Any

import numpy as np
import pytest
from river import compose, drift, linear_model, naive_bayes, preprocessing
from river.drift.binary import DDM, HDDMA, HDDMW

from headrace.learn.models import PRESETS, build
from headrace.query.budgets import Cap, PerHour, Share
from headrace.query.strategies import STRATEGIES
from headrace.testing import check_budget, check_detector, check_model, check_strategy

REGISTERED = {
    **STRATEGIES,
    **{point.name: point.load() for point in entry_points(group="headrace.strategies")},
}


@pytest.mark.parametrize("name", REGISTERED)
@pytest.mark.default_n(12)
def test_every_strategy_keeps_its_contract(name: str) -> None:
    check_strategy(REGISTERED[name])


@pytest.mark.parametrize(
    "account",
    [Share(0.05), Share(1.0, burst=1), PerHour(60.0, start=3), PerHour(0.001), Cap(500)],
    ids=lambda account: type(account).__name__,
)
@pytest.mark.default_n(2)
def test_every_account_keeps_its_contract(account: Any) -> None:
    arguments = {
        Share: lambda: Share(account.share, burst=account.burst // 10**9),
        PerHour: lambda: PerHour(account.per_hour, start=account.start),
        Cap: lambda: Cap(account.cap),
    }
    check_budget(arguments[type(account)])


def committee() -> Any:
    return build("committee", 7, 3)


def logistic() -> Any:
    return build("logistic", 7, 3)


def naive_bayes_preset() -> Any:
    return build("naive-bayes", 7, 3)


def tree() -> Any:
    return build("tree", 7, 3)


def adaptive_tree() -> Any:
    return build("adaptive-tree", 7, 3)


def forest() -> Any:
    return build("forest", 7, 3)


def knn() -> Any:
    return build("knn", 7, 3)


MAKERS = {
    "committee": committee,
    "logistic": logistic,
    "naive-bayes": naive_bayes_preset,
    "tree": tree,
    "adaptive-tree": adaptive_tree,
    "forest": forest,
    "knn": knn,
}


def test_every_preset_is_checked() -> None:
    assert MAKERS.keys() == PRESETS.keys()


@pytest.mark.parametrize("name", MAKERS)
def test_every_preset_keeps_its_contract(name: str) -> None:
    check_model(MAKERS[name], in_two_processes=False)


# Two starts of Python a preset take long; the one with most sets inside stands for the others.
# That the bits of each are alike in two processes is tested where models are retrained.
@pytest.mark.long
def test_a_preset_is_the_same_in_two_processes() -> None:
    check_model(forest)


# ---------------------------------------------------------------------------- what is caught


def nan(pool: Any, chance: Any) -> Any:
    return np.full(len(pool), np.nan)


def one_too_few(pool: Any, chance: Any) -> Any:
    return np.zeros(len(pool) - 1)


def meddler(pool: Any, chance: Any) -> Any:
    pool.X[:] = 0.0
    return np.zeros(len(pool))


def dice(pool: Any, chance: Any) -> Any:
    return np.array([random.random() for _ in range(len(pool))])


def first_come(pool: Any, chance: Any) -> Any:
    return -np.arange(len(pool), dtype=float)


@pytest.mark.parametrize(
    ("strategy", "fault"),
    [
        (nan, "nan gave a utility not finite for a pool of 1 candidates"),
        (one_too_few, "one_too_few gave shape"),
        (meddler, "meddler changed a pool"),
        (dice, "dice gave a pool of 1 candidates with 0 classes two answers"),
        (first_come, "first_come lets the order of candidates decide"),
    ],
)
def test_a_strategy_that_breaks_the_rules_is_told(strategy: Any, fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        check_strategy(strategy)


class Rounded(Share):
    def events_passed(self, n: int) -> None:
        super().events_passed(n)
        self.balance -= self.balance % 10**8


class Floating(Share):
    def events_passed(self, n: int) -> None:
        self.balance += n * self.share  # type: ignore[assignment]


class Leaking(Share):
    def time_passed(self, now: float) -> None:
        self.balance -= self.balance // 10


class Eager(PerHour):
    def labels_per_event(self, gap_s: float) -> float:
        return self.per_hour * gap_s


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda: Rounded(0.051), "Rounded earns by the number of calls"),
        (lambda: Floating(0.05), "Floating has a balance that is no whole number"),
        (lambda: Leaking(0.05, start=5), "Leaking lost money"),
        (lambda: Eager(60.0), "Eager has a rate of labels per event that is not from 0 to 1"),
    ],
)
def test_a_budget_that_breaks_the_rules_is_told(make: Any, fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        check_budget(make)


class Moody(naive_bayes.GaussianNB):
    """Answers by a draw of its own."""

    def predict_proba_one(self, x: Any, **kwargs: Any) -> Any:
        u = random.random()
        return {0: u, 1: 1.0 - u}


class ByHash(naive_bayes.GaussianNB):
    """Answers by the hash of a text, which every process salts otherwise."""

    def predict_proba_one(self, x: Any, **kwargs: Any) -> Any:
        if not self.class_counts:
            return {}
        u = (hash("text") % 1000) / 1000
        return {0: u, 1: 1.0 - u}


def by_hash() -> Any:
    return ByHash()


def scaled() -> Any:
    return compose.Pipeline(
        compose.SelectType(float, int) | preprocessing.StandardScaler(),
        linear_model.LogisticRegression(),
    )


def test_a_model_that_breaks_the_rules_is_told() -> None:
    with pytest.raises(AssertionError, match="which is not a river classifier"):
        check_model(linear_model.LinearRegression)
    with pytest.raises(AssertionError, match="Moody answers by the size of the batch"):
        check_model(Moody, in_two_processes=False)


def test_a_pipeline_is_fit() -> None:
    check_model(scaled, in_two_processes=False)


def test_a_model_that_hashes_text_is_caught_by_two_processes() -> None:
    with pytest.raises(AssertionError, match="ByHash depends on the hash seed of the process"):
        check_model(by_hash)


# ---------------------------------------------------------------------------- detectors


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(drift.ADWIN, id="adwin"),
        pytest.param(DDM, id="ddm"),
        pytest.param(HDDMA, id="hddm_a"),
        pytest.param(HDDMW, id="hddm_w"),
        # A test of SciPy's at each number.
        pytest.param(lambda: drift.KSWIN(alpha=1e-4, seed=3), marks=pytest.mark.long, id="kswin"),
    ],
)
def test_river_s_detectors_keep_the_contract(make: Any) -> None:
    check_detector(make)


class Still:
    """Finds nothing, ever; the others are made of it."""

    drift_detected: Any = False

    def update(self, x: float) -> None:
        self.x = x


class Nervous(Still):
    drift_detected = True


class Vague(Still):
    drift_detected = "perhaps"


class Lucky(Still):
    @property
    def drift_detected(self) -> bool:
        return random.random() < 0.02


class Strict(Still):
    def update(self, x: float) -> None:
        raise ValueError("only whole numbers")


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (Still, "Still does not find a rise of the errors"),
        (Nervous, "Nervous alarms 1200 times in 1,200 steady numbers"),
        (Vague, "Vague.drift_detected is 'perhaps'; must be True or False"),
        (Lucky, "Lucky finds another thing the second time"),
        (Strict, "Strict failed on .*: ValueError: only whole numbers"),
        (dict, "'dict' is dict, which has not both update"),
    ],
)
def test_a_detector_that_breaks_the_rules_is_told(make: Any, fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        check_detector(make)
