"""One more answer only while the class is unsure: fewer answers for a right label."""

import numpy as np
import pytest
from bench.redundancy import THREE, WAYS, played


@pytest.mark.long
def test_fewer_answers_and_more_right_than_three_each() -> None:
    ways = {name: WAYS[name] for name in (THREE, "two to five, dawid_skene, 0.85")}
    found = {
        name: np.array([played(label, seed, (0.6, 0.95), 2) for seed in (11, 12)])
        for name, label in ways.items()
    }
    fixed, adaptive = found.values()
    assert np.all(np.abs(fixed[:, 0] - 3.1) < 0.05)
    assert np.all(adaptive[:, 0] / adaptive[:, 1] < 0.9 * fixed[:, 0] / fixed[:, 1])
    assert np.all(adaptive[:, 1] > fixed[:, 1])
