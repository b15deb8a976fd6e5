"""Times: counted by event, read from another thread, and nothing for nothing."""

import numpy as np

from headrace.adapters.metrics.timings import TIMED, Timings


def counts_of(timings, name):
    (family,) = [family for family in timings.collect() if family.name == name]
    return {
        sample.labels.get("le", sample.name.rpartition("_")[2]): sample.value
        for sample in family.samples
    }


def test_a_batch_counts_each_of_its_events_at_their_mean():
    timings = Timings("s")
    timings.count_fed(1_000, 0.03, ages_s=np.full(1_000, 2.0))
    timings.count_fed(1, 0.03, ages_s=100.0)
    found = counts_of(timings, "headrace_event_processing_seconds")
    assert (found["2.5e-05"], found["5e-05"], found["0.1"]) == (0, 1_000, 1_001)
    assert found["count"] == 1_001
    np.testing.assert_allclose(found["sum"], 0.06)


def test_a_bound_belongs_to_its_bucket_and_the_future_has_no_age():
    timings = Timings("s")
    timings.count_fed(3, 0.0, ages_s=np.array([1.0, -5.0, 5.000001]))
    timings.count_fed(2, 0.0, ages_s=-7.0)
    found = counts_of(timings, "headrace_event_age_seconds")
    assert (found["1.0"], found["5.0"], found["15.0"]) == (4, 4, 5)
    np.testing.assert_allclose(found["sum"], 6.000001)


def test_no_event_is_no_time():
    timings = Timings("s")
    timings.count_fed(0, 1.0, ages_s=3.0)
    assert counts_of(timings, "headrace_event_processing_seconds")["count"] == 0


def test_what_is_told_is_in_the_catalogue():
    assert [family.name for family in Timings("s").collect()] == [metric.name for metric in TIMED]
