"""Bursts are asked about once where near-duplicates are passed over, and again where not."""

from bench.near_duplicates import DISTANCE, play


def test_a_burst_is_asked_about_less_often() -> None:
    without = play("sea_abrupt", 1, 0.1, None, 600)
    with_distance = play("sea_abrupt", 1, 0.1, DISTANCE, 600)
    assert with_distance[1] < without[1]
    assert abs(with_distance[0] - without[0]) <= 0.1 * without[0]
