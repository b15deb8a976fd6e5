"""What choosing is worth: who learns what, and what is said of it."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
from river import naive_bayes

from headrace import Answer, Engine, Event, LabelRequested
from headrace.chance import Chance
from headrace.learn.learner import Learner
from headrace.learn.twins import RATIO_MAX, ChoosingGain, Twins
from headrace.messages import LabelSettled
from headrace.observe.schema import Schema
from headrace.settings import SchemaSettings, parse
from marks import long_ones


def learner() -> Learner:
    schema = Schema(SchemaSettings(classes=["a", "b"], features={"x": "numeric", "y": "numeric"}))
    return Learner(naive_bayes.GaussianNB(), schema)


def settled(i: int, reason: str = "control") -> LabelSettled:
    return LabelSettled(
        request_id=f"r{i}", event_id=f"e{i}", at=0.0, event_at=0.0, label="a", features={},
        prediction={}, reason=reason, seq=i, answers_n=1, agreement=1.0, propensity=0.1,
    )  # fmt: skip


def played(n: int, share: float = 1.0, seed: int = 0, every: int = 1) -> Twins:
    """Every so manieth label is a control label; the classes are told by the sum of x and y."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2))
    twins = Twins(learner(), share, Chance(seed))
    for i, row in enumerate(X):
        reason = "control" if i % every == 0 else "schedule"
        twins.learn(settled(i, reason), row, int(row.sum() + rng.normal() > 0))
    return twins


@cache
def played_once(seed: int) -> Twins:
    """800 control labels; no test changes these twins."""
    return played(800, seed=seed)


def test_random_twins_share_the_labels_and_the_joint_one_has_them_all() -> None:
    twins = played_once(0)
    counts = [twin.learned_n for twin in twins.random]
    assert sum(counts) == twins.joint.learned_n == 800
    assert min(counts) > 200
    assert [twin.learned_n for twin in twins.chosen] == pytest.approx([266] * 3, abs=15)


def test_only_labels_drawn_blindly_are_played_and_no_more_than_the_share() -> None:
    assert played(300, every=5).joint.learned_n == 60
    assert played(1000, share=0.1).joint.learned_n == pytest.approx(100, abs=25)
    assert played(1000, share=0.1, every=5).joint.learned_n == pytest.approx(100, abs=25)
    assert played(200, share=0.0).joint.learned_n == 0


def test_chosen_twins_learn_the_closest_calls() -> None:
    class Doubting(Learner):
        def predict_row(self, row: np.ndarray, **_: object) -> np.ndarray:
            return np.array([0.5 + row[0] / 2.0, 0.5 - row[0] / 2.0])

        def make_unlearned(self) -> Doubting:
            return Doubting(self.model.clone(), self.schema)

        def learn(self, row: np.ndarray, code: int, weight: float = 1.0, **_: object) -> bool:
            rows.setdefault(id(self), []).append(row[0])
            return super().learn(row, code, weight)

    rows: dict[int, list[float]] = {}
    first = learner()
    twins = Twins(Doubting(first.model, first.schema), 1.0, Chance(3))
    for i, x in enumerate(np.random.default_rng(3).random(900)):
        twins.learn(settled(i), np.array([x, 0.0]), i % 2)
    random = np.mean([np.mean(rows[id(twin)]) for twin in twins.random])
    chosen = np.mean([np.mean(rows[id(twin)]) for twin in twins.chosen])
    assert random == pytest.approx(0.5, abs=0.03)
    assert chosen < 0.4


def test_nothing_is_said_before_there_is_something_to_say() -> None:
    found = Twins(learner(), 0.2, Chance(0)).estimate()
    assert found == ChoosingGain()
    assert found.sentence.startswith("whether choosing pays can't be told yet: too few")


@pytest.mark.parametrize("seeds", [(0, 1), *long_ones((2, 3, 4))])
def test_the_gain_is_within_its_interval_and_the_ratio_within_bounds(seeds: Sequence[int]) -> None:
    ratios_n = 0
    for seed in seeds:
        found = played_once(seed).estimate()
        assert found.gain_low <= found.gain <= found.gain_high
        assert found.labels_n > 700 and found.twin_labels_n == 266
        if found.ratio is not None:
            assert 1 / RATIO_MAX <= found.ratio_low <= found.ratio <= found.ratio_high <= RATIO_MAX
            ratios_n += 1
    assert ratios_n > 0


def test_twins_that_agree_prove_little() -> None:
    twins = Twins(learner(), 1.0, Chance(0))
    for i in range(60):
        twins.learn(settled(i), np.array([1.0, 1.0]), 0)
    found = twins.estimate()
    assert found.gain == 0.0 and found.gain_low < -0.05 and found.gain_high > 0.05
    assert found.ratio is None


@pytest.mark.parametrize(
    ("bounds", "says"),
    [
        ((0.01, 0.05), "choosing pays: +3.0 points (+1.0 to +5.0)"),
        ((-0.05, -0.01), "choosing does not pay on this stream: -3.0 points"),
        ((-0.02, 0.08), "whether choosing pays can't be told yet: +3.0 points"),
    ],
)
def test_one_plain_sentence(bounds: tuple[float, float], says: str) -> None:
    low, high = bounds
    found = ChoosingGain(gain=(low + high) / 2, gain_low=low, gain_high=high, twin_labels_n=100)
    assert found.sentence.startswith(says)
    assert "random would need" not in found.sentence


def test_the_ratio_is_said_where_choosing_pays() -> None:
    found = ChoosingGain(
        gain=0.03, gain_low=0.01, gain_high=0.05, ratio=1.6, ratio_low=1.1, ratio_high=8.0
    )
    assert found.sentence.endswith(
        "random would need 1.6 times as many (1.1 times to over 8 times)"
    )


def test_they_survive_a_pickle_bit_for_bit() -> None:
    rng = np.random.default_rng(5)
    twins = played(300, seed=1)
    again = pickle.loads(pickle.dumps(twins))
    for i, row in enumerate(rng.normal(size=(100, 2))):
        for one in (twins, again):
            one.learn(settled(1000 + i), row, int(row[0] > 0))
    assert again.estimate() == twins.estimate()


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_the_setting_says_how_many_labels_are_played(share: float) -> None:
    settings = parse(
        {
            "model": {"name": "naive-bayes"},
            "schema": {"classes": ["a", "b"]},
            # Half of what is asked is drawn blindly; only that can be played.
            "query": {"budget": {"share": 0.5, "reserve": 0}, "control_share": 0.5},
            "learn": {"twins_share": share},
        }
    )
    engine, rng = Engine(settings=settings), np.random.default_rng(4)
    for i in range(400):
        x = float(rng.normal())
        for output in engine.feed([Event(id=f"e{i}", at=float(i), features={"x": x})]):
            if isinstance(output, LabelRequested):
                label = "a" if x > 0 else "b"
                answer = Answer(request_id=output.request_id, label=label, at=output.at)
                engine.feed([answer])
    twins, told = engine.trainer.twins, engine.report.estimates.choosing
    assert twins.share == share and twins.labels_n == engine.report.labels.settled_n > 180
    wanted_n = min(twins.blind_n, share * twins.labels_n)
    assert 90 < twins.blind_n < 130 or share == 0.0
    assert twins.joint.learned_n == pytest.approx(wanted_n, abs=15 if share < 1.0 else 0)
    assert (told.gain is None) is (share < 1.0) and (told.gain is None) is (twins.judged_n < 2)
    assert told.labels_n == twins.judged_n
