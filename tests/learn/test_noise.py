"""Labels that look wrong: who is suspected, how many are expected, what a correction does."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from headrace import Answer, Engine, Event
from headrace.label.annotators import Alpha, error_of
from headrace.learn.noise import LATEST_N, LabelNoise
from headrace.messages import LabelRequested, LabelSettled
from headrace.settings import parse

CLASSES = ["a", "b"]


def settled(i: int, code: int) -> LabelSettled:
    return LabelSettled(
        request_id=f"r{i}", event_id=f"e{i}", at=float(i), event_at=0.0, label=CLASSES[code],
        features={}, prediction={}, reason="control", seq=i, answers_n=1, agreement=1.0,
        propensity=0.1,
    )  # fmt: skip


def played(n: int, wrong: float, right: float = 0.95, seed: int = 0) -> LabelNoise:
    """A model that is exact about the truth, and labels of which a share is turned round."""
    rng = np.random.default_rng(seed)
    noise = LabelNoise()
    for i in range(n):
        one = right if rng.random() < 0.5 else 1.0 - right
        said = np.array([one, 1.0 - one])
        code = int(rng.random() >= one) ^ int(rng.random() < wrong)
        noise.learn(settled(i, code), said, code, CLASSES)
    return noise


@pytest.mark.parametrize("wrong", [0.0, 0.1, 0.2])
def test_the_share_of_wrong_labels_is_found(wrong: float) -> None:
    low, high = played(4000, wrong).shares
    assert low == pytest.approx(wrong, abs=0.04)
    assert low <= high < wrong + 0.08


def test_hard_rows_alone_are_no_noise() -> None:
    noise = played(4000, 0.0, right=0.7)
    assert noise.suspicious_n > 800
    assert noise.shares[0] < 0.03 < noise.shares[1]


def test_the_latest_suspicious_labels_are_kept_with_what_was_likelier() -> None:
    noise = played(2000, 0.1)
    assert len(noise.latest) == LATEST_N < noise.suspicious_n
    last = noise.latest[-1]
    assert last.label != last.likelier and last.confidence == pytest.approx(0.95)
    noise.erase({last.request_id})
    assert last not in noise.latest and len(noise.latest) == LATEST_N - 1


def test_a_class_of_few_labels_accuses_nobody_and_is_not_accused() -> None:
    noise = LabelNoise()
    for i in range(60):
        noise.learn(settled(i, 0), np.array([0.9, 0.1]), 0, CLASSES)
    for i in range(60, 70):
        noise.learn(settled(i, 1), np.array([0.9, 0.1]), 1, CLASSES)
    assert noise.suspicious_n == 0 and noise.shares == (0.0, 0.0)


def test_it_survives_a_pickle() -> None:
    noise = played(500, 0.1)
    assert pickle.loads(pickle.dumps(noise)).latest == noise.latest


def test_disagreement_gives_the_error_of_an_answer() -> None:
    rng = np.random.default_rng(0)
    for k, error in ((2, 0.1), (4, 0.2)):
        alpha = Alpha()
        wrong = rng.random((20_000, 2)) < error
        for answers in ((wrong * rng.integers(1, k, wrong.shape)) % k).tolist():
            alpha.count([str(answer) for answer in answers], 1)
        assert error_of(alpha, k) == pytest.approx(error, abs=0.01)
    assert error_of(Alpha(), 2) is None


def test_the_engine_tells_of_wrong_labels_and_forgets_them_when_corrected() -> None:
    budget = {"share": 0.9, "burst": 2000}
    settings = parse({"model": {"name": "logistic"}, "query": {"budget": budget}})
    engine = Engine(settings=settings, classes=CLASSES)
    rng = np.random.default_rng(2)
    for i in range(400):
        x = float(rng.normal())
        event = Event(id=f"e{i}", at=float(i), features={"x": x})
        outputs = engine.feed([event])
        while outputs:
            asked = [o for o in outputs if isinstance(o, LabelRequested)]
            outputs = engine.feed(
                [
                    Answer(
                        request_id=o.request_id,
                        label=CLASSES[int((o.features["x"] > 0) ^ (hash_of(o.event_id) < 0.1))],
                        at=float(i),
                    )
                    for o in asked
                ]
            )
    report = engine.report
    low, high = report.noise.label_shares
    assert report.noise.suspicious_n > 10 and low < 0.1 < high + 0.05
    wrong = [one for one in report.noise.suspicious if hash_of(one.event_id) < 0.1]
    assert len(wrong) > 0.6 * len(report.noise.suspicious)
    one = wrong[-1]
    engine.feed([Answer(request_id=one.request_id, label=one.likelier, at=700.0)])
    assert one.request_id not in [left.request_id for left in engine.report.noise.suspicious]


def hash_of(event_id: str) -> float:
    return (int(event_id[1:]) * 0.6180339887) % 1.0
