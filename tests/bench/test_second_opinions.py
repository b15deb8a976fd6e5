"""Second opinions about labels that look wrong are worth more than as many about any labels."""

from __future__ import annotations

import numpy as np
import pytest
from bench.second_opinions import centres, played


@pytest.mark.long
def test_labels_are_more_right_than_with_random_overlap_at_equal_cost() -> None:
    found = {
        way: [played(centres(2500, seed), way, 0.15, 0.1, seed) for seed in (0, 1)]
        for way in ("random", "suspicious")
    }
    mean = {
        way: {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}
        for way, runs in found.items()
    }
    random, suspicious = mean["random"], mean["suspicious"]
    assert abs(suspicious["answers"] - random["answers"]) <= 0.02 * random["answers"]
    assert suspicious["wrong_asked"] > 2.0 * random["wrong_asked"]
    assert suspicious["right_labels"] > random["right_labels"] + 1.0
    assert suspicious["per_answer"] > random["per_answer"]
