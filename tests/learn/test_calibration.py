"""The temperature: what it does to probabilities, and when it dares to move."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from headrace import Engine
from headrace.learn.calibration import Calibration
from worlds import events_of, played, settings_with


def world(n: int, sharpness: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """What a model says that is `sharpness` times too sure in its logits, and the labels."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, 3))
    honest = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(3, p=row) for row in honest])
    said = np.exp(sharpness * logits)
    return said / said.sum(axis=1, keepdims=True), labels


def taught(
    said: np.ndarray, labels: np.ndarray, propensity: np.ndarray | float = 1.0
) -> Calibration:
    calibration = Calibration()
    chances = np.broadcast_to(propensity, len(labels))
    for row, label, p in zip(said, labels, chances, strict=True):
        calibration.learn(row, int(label), float(p))
    return calibration


@pytest.mark.parametrize(("sharpness", "low", "high"), [(1.0, 0.8, 1.25), (3.0, 2.2, 3.6)])
def test_it_finds_how_much_too_sure_the_model_is(sharpness: float, low: float, high: float) -> None:
    said, labels = world(600, sharpness)
    assert low < taught(said, labels).temperature < high


def test_an_unsure_model_is_made_surer() -> None:
    said, labels = world(600, 0.4)
    assert taught(said, labels).temperature < 0.7


def test_few_labels_change_little() -> None:
    said, labels = world(600, 4.0)
    few, many = taught(said[:5], labels[:5]), taught(said, labels)
    assert 0.8 < few.temperature < 2.0 < many.temperature


def test_without_labels_nothing_is_touched() -> None:
    said, _ = world(10, 3.0)
    assert Calibration().apply(said) is said


def test_weights_undo_the_choice() -> None:
    # Rows of one kind are exact and seldom asked, of the other far too sure and always asked.
    rng = np.random.default_rng(1)
    n = 4000
    is_sure = rng.random(n) < 0.9
    said = np.where(is_sure[:, None], [0.7, 0.3], [0.98, 0.02])
    labels = (rng.random(n) > np.where(is_sure, 0.7, 0.5)).astype(int)
    chance = np.where(is_sure, 0.1, 1.0)
    asked = rng.random(n) < chance
    weighed = taught(said[asked], labels[asked], chance[asked])
    naive = taught(said[asked], labels[asked])
    assert weighed.temperature < naive.temperature - 0.3


def test_rows_are_distributions_with_the_same_likeliest_class_in_any_batch() -> None:
    said, labels = world(500, 3.0)
    calibration = taught(said, labels)
    found = calibration.apply(said)
    assert found.sum(axis=1) == pytest.approx(1.0)
    assert (found.argmax(axis=1) == said.argmax(axis=1)).all()
    pieces = [calibration.apply(said[i:j]) for i, j in [(0, 1), (1, 8), (8, 300), (300, 500)]]
    assert np.vstack(pieces).tobytes() == found.tobytes()
    assert calibration.apply(np.asfortranarray(said)).tobytes() == found.tobytes()


def test_what_no_temperature_could_help_teaches_nothing() -> None:
    calibration = Calibration()
    calibration.learn(np.array([1.0, 0.0]), 1, 1.0)
    calibration.learn(np.array([0.5, 0.5]), 2, 1.0)
    calibration.learn(np.array([0.5, 0.5]), 1, 0.0)
    calibration.learn(np.array([0.5, 0.5]), 1, float("nan"))
    assert (calibration.labels_n, calibration.temperature) == (0, 1.0)


def test_absurd_confidence_does_not_flatten_everything() -> None:
    said, labels = world(400, 1.0)
    said[::40] = [1.0 - 2e-200, 1e-200, 1e-200]
    labels[::40] = 1
    assert taught(said, labels).temperature < 2.0


def test_one_heavy_label_does_not_drown_the_others() -> None:
    said, labels = world(300, 1.0)
    calibration = taught(said, labels)
    before = calibration.temperature
    calibration.learn(np.array([0.9, 0.05, 0.05]), 2, 1e-9)
    assert abs(calibration.temperature - before) < 0.3


def test_it_survives_a_pickle_bit_for_bit() -> None:
    said, labels = world(100, 2.0)
    calibration = taught(said[:50], labels[:50])
    again = pickle.loads(pickle.dumps(calibration))
    for one in (calibration, again):
        for row, label in zip(said[50:], labels[50:], strict=True):
            one.learn(row, int(label), 0.5)
    assert again.temperature == calibration.temperature


def test_the_engine_uses_it_and_an_adopted_model_starts_anew() -> None:
    settings = settings_with(seed=6, model={"name": "naive-bayes"})
    run = played(settings, events_of(6, 320), 6)
    engine = Engine(settings=settings)
    engine.feed(run.inputs)
    trainer = engine.trainer
    assert trainer.retrainings.adopted_n > 0
    assert 0 < trainer.champion.calibration.labels_n < trainer.champion.learned_n
    assert trainer.champion.calibration.temperature != 1.0
    assert engine.report.model.temperature == trainer.champion.calibration.temperature
    rows = engine.shard.window.since(0).rows
    raw = trainer.champion.learner.probabilities(rows)
    assert (
        trainer.probabilities(rows).tobytes() == trainer.champion.calibration.apply(raw).tobytes()
    )
