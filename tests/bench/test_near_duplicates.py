"""Bursts are asked about once where near-duplicates are passed over, and again where not."""

import math

from bench.near_duplicates import DISTANCE, labels_for, play


def test_a_burst_is_asked_about_less_often() -> None:
    without = play("sea_abrupt", 1, 0.1, None, 600)
    with_distance = play("sea_abrupt", 1, 0.1, DISTANCE, 600)
    assert with_distance[1] < without[1]
    assert abs(with_distance[0] - without[0]) <= 0.1 * without[0]


def test_labels_are_read_off_the_curve() -> None:
    labels, rights = [10.0, 100.0, 1000.0], [0.6, 0.8, 0.7]
    assert labels_for(0.5, labels, rights) == 10.0
    assert round(labels_for(0.7, labels, rights)) == 32
    assert round(labels_for(0.8, labels, rights), 9) == 100.0
    assert math.isinf(labels_for(0.9, labels, rights))
