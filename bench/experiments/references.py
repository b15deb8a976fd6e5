"""Figures that are not made here: learners with every label, and published results.

`ALL_LABELS` was measured with river 0.26: prequential (predict, then learn each event's label at
once), over the very same rows, river's own defaults; numbers as they are for Bayes and trees,
scaled by all events so far for the linear model; categories of up to 20 levels one column each.
"""

from __future__ import annotations

ALL_LABELS: dict[str, dict[str, tuple[float, float]]] = {
    "elec2": {
        "tree": (79.8, 58),
        "logistic": (83.7, 66),
        "naive-bayes": (72.9, 42),
        "adaptive-tree": (83.2, 65),
        "forest": (87.1, 74),
    },
    "weather_noaa": {
        "tree": (73.5, 34),
        "logistic": (76.8, 43),
        "naive-bayes": (69.2, 31),
        "adaptive-tree": (73.0, 35),
        "forest": (77.2, 43),
    },
    "powersupply": {
        "tree": (15.1, 11),
        "logistic": (5.0, 1),
        "naive-bayes": (14.9, 11),
        "adaptive-tree": (15.1, 11),
        "forest": (16.0, 12),
    },
    "arabic_digits": {
        "tree": (77.7, 75),
        "logistic": (83.6, 82),
        "naive-bayes": (80.2, 78),
        "adaptive-tree": (74.8, 72),
        "forest": (69.1, 66),
    },
    "occupancy": {
        "tree": (99.0, 97),
        "logistic": (98.2, 95),
        "naive-bayes": (96.0, 89),
        "adaptive-tree": (98.5, 96),
        "forest": (98.5, 96),
    },
    "nycflights": {
        "tree": (63.0, 17),
        "logistic": (68.5, 33),
        "naive-bayes": (54.4, 5),
        "adaptive-tree": (64.8, 23),
        "forest": (65.3, 27),
    },
    "kdd99_10pct": {
        "tree": (75.3, 0),
        "logistic": (96.6, 91),
        "naive-bayes": (75.3, 0),
        "adaptive-tree": (75.3, 0),
        "forest": (99.6, 99),
    },
    "covtype": {
        "tree": (42.5, 1),
        "logistic": (88.5, 83),
        "naive-bayes": (55.0, 26),
        "adaptive-tree": (42.6, 1),
        "forest": (85.0, 77),
    },
    "sea_abrupt": {
        "tree": (84.8, 67),
        "logistic": (88.1, 75),
        "naive-bayes": (84.1, 65),
        "adaptive-tree": (84.7, 67),
        "forest": (85.6, 69),
    },
    "agrawal_gradual": {
        "tree": (73.1, 46),
        "logistic": (71.0, 42),
        "naive-bayes": (69.2, 37),
        "adaptive-tree": (80.3, 61),
        "forest": (81.2, 62),
    },
    "hyperplane_incremental": {
        "tree": (86.8, 74),
        "logistic": (91.9, 84),
        "naive-bayes": (87.7, 75),
        "adaptive-tree": (86.6, 73),
        "forest": (78.9, 58),
    },
    "rbf_incremental": {
        "tree": (38.7, 16),
        "logistic": (61.6, 48),
        "naive-bayes": (38.7, 16),
        "adaptive-tree": (45.8, 26),
        "forest": (78.9, 71),
    },
}
"""Accuracy and kappa in percent, by stream and learner; forest is ARF with five trees."""

CALMID: dict[str, tuple[float, float]] = {
    "covtype": (92.4, 87.9),
    "kdd99_10pct": (99.78, 99.63),
    "hyperplane_incremental": (59.5, 40.1),
}
"""Accuracy and kappa in percent of CALMID (Liu et al., "A comprehensive active learning method for
multiclass imbalanced data streams with concept drift", Knowledge-Based Systems, 2021) at 20 % of
the labels, from its authors' result files; over the whole of Covertype and KDD99, and a hyperplane
of its own."""

REPEAT_LAST: dict[str, float] = {"covtype": 95.3, "kdd99_10pct": 99.9}
"""Accuracy in percent of naming the last event's true class, over the rows used here."""


def best_all_labels(stream: str) -> tuple[str, float] | None:
    """The best learner with every label, and its accuracy in percent; None for other streams."""
    found = ALL_LABELS.get(stream)
    if found is None:
        return None
    name = max(found, key=lambda learner: found[learner][0])
    return name, found[name][0]
