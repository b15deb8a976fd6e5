"""Hard questions to whom gets them right: more right labels for an answer."""

import numpy as np
import pytest
from bench.routing import equal_at_classes, played


@pytest.mark.long
def test_more_right_labels_for_an_answer_where_doubt_tells_of_difficulty() -> None:
    runs = {
        share: np.array([played(share, equal_at_classes(seed, 0.9)) for seed in (21, 22)])
        for share in (0.0, 0.8)
    }
    worth = {share: np.mean(found[:, 1] / found[:, 0]) for share, found in runs.items()}
    assert worth[0.8] > worth[0.0]
