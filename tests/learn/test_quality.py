"""Measures by class: against textbook values, and what happens at the edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from river import metrics

from headrace.learn.evaluation import Evaluation, join_evaluations
from headrace.learn.quality import Cells, Quality, quality_of


def cells_of(labels: list[str], predicted: list[str], weight: float = 1.0) -> Cells:
    cells = Cells()
    for label, said in zip(labels, predicted, strict=True):
        cells.add(label, said, weight, 0.8)
    return cells


def drawn(n: int, seed: int = 0) -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(seed)
    labels = rng.choice(["a", "b", "c"], n, p=[0.7, 0.2, 0.1])
    other = rng.choice(["a", "b", "c"], n)
    return labels.tolist(), np.where(rng.random(n) < 0.7, labels, other).tolist()


def test_with_every_label_known_it_is_the_textbook() -> None:
    labels, predicted = drawn(500)
    found = quality_of(cells_of(labels, predicted), 1.0)
    theirs = {
        "balanced_accuracy": metrics.BalancedAccuracy(),
        "kappa": metrics.CohenKappa(),
        "macro_f1": metrics.MacroF1(),
    }
    for metric in theirs.values():
        for label, said in zip(labels, predicted, strict=True):
            metric.update(label, said)
    for name, metric in theirs.items():
        rate = getattr(found, name)
        assert rate.value == pytest.approx(metric.get())
    is_a = np.array(labels) == "a"
    assert found.recall["a"].value == pytest.approx((np.array(predicted)[is_a] == "a").mean())
    said_b = np.array(predicted) == "b"
    assert found.precision["b"].value == pytest.approx((np.array(labels)[said_b] == "b").mean())


def test_everything_labelled_for_sure_leaves_no_doubt() -> None:
    labels, predicted = drawn(300)
    found = quality_of(cells_of(labels, predicted), 1.0)
    for rate in (found.balanced_accuracy, found.kappa, found.macro_f1, *found.recall.values()):
        assert rate.low == pytest.approx(rate.value, abs=1e-6)
        assert rate.high == pytest.approx(rate.value, abs=1e-6)


def test_weights_are_counts() -> None:
    labels, predicted = drawn(200)
    once = quality_of(cells_of(labels, predicted), 1.0)
    ten = quality_of(cells_of(labels, predicted, 10.0), 1.0)
    assert ten.kappa.value == pytest.approx(once.kappa.value)
    assert ten.macro_f1.value == pytest.approx(once.macro_f1.value)
    assert ten.kappa.high - ten.kappa.low > 0.05


def slope(measure: str, labels: list[str], predicted: list[str], cell: tuple[str, str]) -> float:
    """How much a little more weight in a cell moves the measure."""
    values = []
    for step in (-1e-4, 1e-4):
        cells = cells_of(labels, predicted)
        cells.add(*cell, step, 0.8)
        values.append(getattr(quality_of(cells, 1.0), measure).value)
    return (values[1] - values[0]) / 2e-4


@pytest.mark.parametrize("measure", ["kappa", "macro_f1", "balanced_accuracy"])
def test_the_interval_is_that_of_the_slopes(measure: str) -> None:
    # With many labels the care for few of them is nothing, and the linearised variance is all.
    labels, predicted = drawn(6000)
    n, weight = 6000, 20.0
    rate = getattr(quality_of(cells_of(labels, predicted, weight), 1.0), measure)
    cells = sorted(set(zip(labels, predicted, strict=True)))
    counts = {cell: sum(c == cell for c in zip(labels, predicted, strict=True)) for cell in cells}
    variance = sum(
        counts[cell] * weight * (weight - 1.0) * slope(measure, labels, predicted, cell) ** 2
        for cell in cells
    ) / (weight * weight)
    half = (rate.high - rate.low) / 2.0
    assert n == sum(counts.values())
    assert half == pytest.approx(1.96 * math.sqrt(variance), rel=0.03)


def test_a_class_with_few_labels_has_a_wide_interval_and_says_so() -> None:
    labels = ["a"] * 200 + ["b"] * 2
    found = quality_of(cells_of(labels, labels, 20.0), 1.0)
    assert found.recall["b"].is_thin and not found.recall["a"].is_thin
    assert found.recall["b"].value == 1.0 and found.recall["b"].low < 0.5
    assert found.balanced_accuracy.low < 0.8
    assert found.recall["a"].low > 0.95


def test_labels_that_are_all_right_are_no_proof_of_perfection() -> None:
    # The rule of three: of 100 blind draws, all right, up to three in a hundred may be wrong.
    found = quality_of(cells_of(["a"] * 100 + ["b"] * 100, ["a"] * 100 + ["b"] * 100, 20.0), 1.0)
    assert 0.94 < found.recall["a"].low < 0.97


def test_one_class_has_no_kappa_and_no_label_nothing() -> None:
    assert quality_of(Cells(), 1.0) == Quality()
    found = quality_of(cells_of(["a"] * 5, ["a"] * 5), 1.0)
    assert found.kappa.value is None
    assert found.balanced_accuracy.value == 1.0


def test_no_prediction_is_wrong_and_has_no_precision() -> None:
    found = quality_of(cells_of(["a", "a", "b"], ["", "a", "b"]), 1.0)
    assert found.recall["a"].value == pytest.approx(0.5)
    assert list(found.precision) == ["a", "b"]


def test_calibration_error_is_the_gap_and_the_floor_what_chance_gives() -> None:
    exact, sure = Cells(), Cells()
    for i in range(1000):
        exact.add("a", "a" if i % 10 < 8 else "b", 1.0, 0.8)
        sure.add("a", "a" if i % 10 < 8 else "b", 1.0, 0.99)
    assert quality_of(exact, 1.0).calibration_error == pytest.approx(0.0, abs=1e-9)
    assert quality_of(sure, 1.0).calibration_error == pytest.approx(0.19)
    floor = math.sqrt(2.0 / math.pi * 0.8 * 0.2 / 1000)
    assert quality_of(exact, 1.0).calibration_floor == pytest.approx(floor)


def evaluated(seed: int, n: int = 300) -> Evaluation:
    labels, predicted = drawn(n, seed)
    evaluation = Evaluation(n)
    evaluation.count_events(np.full(n, 0.8))
    for i, (label, said) in enumerate(zip(labels, predicted, strict=True)):
        evaluation.note_asked(i, f"r{i}", 0.8, 0.8)
        evaluation.note_chance(f"r{i}", 0.5)
        evaluation.note_label(f"r{i}", label == said, label, said)
    return evaluation


def test_shards_are_joined_as_one_set_of_labels() -> None:
    both = join_evaluations([evaluated(1), evaluated(2)])[2]
    (labels, predicted), (more, also) = drawn(300, 1), drawn(300, 2)
    alone = quality_of(cells_of(labels + more, predicted + also, 2.0), 1.0)
    assert both.kappa.value == pytest.approx(alone.kappa.value)
    assert both.recall["c"].labels_n == alone.recall["c"].labels_n
    assert evaluated(1).quality() == join_evaluations([evaluated(1)])[2]


def test_a_corrected_label_changes_its_cell() -> None:
    evaluation = evaluated(1)
    before = evaluation.quality().recall["a"].labels_n
    label = evaluation.requests["r0"].label
    evaluation.note_label("r0", False, "b" if label == "a" else "a", "c")
    assert abs(evaluation.quality().recall["a"].labels_n - before) == 1
