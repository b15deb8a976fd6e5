"""What is remembered of a run: the same counts as the engine's, bounded, and no peak lost."""

import pytest

from headrace.commands.demo.duel import make_crowd, make_stream, settings_of
from headrace.drivers.notebook import Simulation
from headrace.engine import Engine
from headrace.learn.estimate import Estimate
from headrace.messages import DriftChanged, InputRejected, LabelRequested, LabelSettled
from headrace.pages.chronicle import (
    CHANGES_MAX,
    REJECTS_MAX,
    REQUESTS_MAX,
    SAMPLES_MAX,
    Chronicle,
    Spread,
)
from headrace.pages.report.parts import Axis, bands_of, half_blind
from headrace.settings import Settings, parse


def request(i, *, reason="control", round_n=-1, propensity=0.1):
    return LabelRequested(
        request_id=f"r{i}",
        event_id=f"e{i}",
        at=float(i),
        event_at=float(i),
        deadline=1e9,
        features={},
        reason=reason,
        strategy="random",
        utility=0.0,
        threshold=0.0,
        propensity=propensity,
        control_p=propensity if reason == "control" and round_n < 0 else 0.0,
        model_version=0,
        prediction={"a": 0.6, "b": 0.4},
        round_n=round_n,
        seq=i,
    )


def settled(i, label, **changes):
    return LabelSettled(
        request_id=f"r{i}",
        event_id=f"e{i}",
        at=float(i),
        event_at=float(i),
        label=label,
        features={},
        prediction={"a": 0.6, "b": 0.4},
        reason="control",
        seq=i,
        answers_n=1,
        agreement=1.0,
        **changes,
    )


def changed(level, previous, at, statistic=1.5):
    return DriftChanged(
        at=at, level=level, previous=previous, signal="error", detector="adwin", statistic=statistic
    )


@pytest.fixture(scope="module")
def played():
    """A demo of 2,000 events with annotators who dispute and fall silent; its engine."""
    engine = Engine(settings=settings_of("margin", 2_000, 3))
    chronicle = Chronicle(engine.settings)
    simulation = Simulation(engine, make_crowd(3))
    for batch in make_stream(2_000, 3):
        for outputs in simulation.play_batches([batch], settle=False):
            chronicle.add_outputs(outputs, engine.shard.events_n)
        chronicle.add_sample(engine.report)
    for outputs in simulation.play_batches([]):
        chronicle.add_outputs(outputs, engine.shard.events_n)
    chronicle.add_sample(engine.report)
    return engine.report, chronicle


def test_the_counts_are_those_of_the_engine(played):
    report, chronicle = played
    counts = chronicle.counts
    assert counts.asked_by_reason == report.asking.by_reason
    assert counts.asked_n == report.asking.requests_n > 0
    assert (counts.settled_n, counts.disputed_n) == (
        report.labels.settled_n,
        report.labels.disputed_n,
    )
    assert (counts.expired_n, counts.withdrawn_n) == (
        report.labels.expired_n,
        report.labels.withdrawn_n,
    )
    assert report.labels.disputed_n > 0 and report.labels.expired_n > 0


def test_samples_are_what_was_known_then(played):
    _, chronicle = played
    events = [sample.events_n for sample in chronicle.samples]
    assert events == sorted(events) and events[-1] == 2_000
    asked = [sample.counts.asked_n for sample in chronicle.samples]
    assert asked == sorted(asked) and asked[0] < asked[-1]


def test_the_control_estimate_is_the_share_right_among_what_was_drawn_on_arrival():
    chronicle = Chronicle(parse({"evaluation": {"window_n": 1_000}}))
    outputs = []
    for i in range(0, 400, 10):
        outputs += [request(i), settled(i, "a" if i % 40 else "b")]
        # Chosen ones, and rounds of the strategy `random`, are no control draws.
        outputs += [request(i + 1, reason="round", round_n=3), settled(i + 1, "b")]
        outputs += [request(i + 2, round_n=3), settled(i + 2, "b")]
    chronicle.add_outputs(outputs, 400)
    assert chronicle.control.labels_n == 40
    assert chronicle.control.accuracy == pytest.approx(0.75)
    assert chronicle.control_all.accuracy == pytest.approx(0.75)


def test_control_labels_count_by_their_chance():
    chronicle = Chronicle(parse({"evaluation": {"window_n": 1_000}}))
    outputs = [request(0, propensity=0.5), settled(0, "b")]
    outputs += [request(1, propensity=0.25), settled(1, "a")]
    chronicle.add_outputs(outputs, 10)
    assert chronicle.control.accuracy == pytest.approx(4 / 6)


def test_a_revised_label_replaces_the_first_and_counts_once():
    chronicle = Chronicle(Settings())
    chronicle.add_outputs([request(0), settled(0, "b"), settled(0, "a", revision=1)], 10)
    assert chronicle.counts.settled_n == 1
    assert chronicle.control.accuracy == 1.0


def test_what_became_of_a_request_stands_beside_it():
    chronicle = Chronicle(Settings())
    chronicle.add_outputs([request(0), request(1), settled(0, "a")], 2)
    assert [asked.end for asked in chronicle.requests.values()] == [settled(0, "a"), None]


def test_everything_is_bounded():
    chronicle = Chronicle(Settings())
    rejected = InputRejected(reason="not_json", detail="", at=0.0)
    for i in range(CHANGES_MAX + 10):
        chronicle.add_outputs([request(i), changed("DRIFT", "STABLE", float(i)), rejected], i + 1)
        chronicle.add_sample(None, at=float(i))
        assert len(chronicle.samples) <= SAMPLES_MAX
    assert len(chronicle.requests) == REQUESTS_MAX
    assert len(chronicle.changes) == CHANGES_MAX
    assert chronicle.counts.changes_n == CHANGES_MAX + 10
    assert len(chronicle.rejects) == REJECTS_MAX
    assert chronicle.rejected_n == {"not_json": CHANGES_MAX + 10}


def test_thinned_samples_keep_both_ends_and_every_peak():
    chronicle = Chronicle(Settings())
    n = 4 * SAMPLES_MAX
    for i in range(n):
        chronicle.add_statistics({"error/adwin": 7.0 if i == 801 else 0.5})
        chronicle.add_outputs([request(i, propensity=1e-4 if i == 801 else 0.1)], i + 1)
        chronicle.add_sample(None, at=float(i))
    assert (chronicle.samples[0].events_n, chronicle.samples[-1].events_n) == (1, n)
    assert max(s.statistics["error/adwin"] for s in chronicle.samples) == 7.0
    assert min(s.propensities.least for s in chronicle.samples) == 1e-4
    assert sum(s.propensities.n for s in chronicle.samples) == n


def test_the_highest_statistic_between_two_samples_is_kept():
    chronicle = Chronicle(Settings())
    chronicle.add_statistics({"features/psi": 0.2})
    chronicle.add_outputs([changed("DRIFT", "STABLE", 1.0, statistic=2.5)], 5)
    chronicle.add_statistics({"error/adwin": 0.1, "features/psi": 0.1})
    chronicle.add_sample(None, at=1.0)
    chronicle.add_sample(None, at=2.0)
    assert chronicle.samples[0].statistics == {"features/psi": 0.2, "error/adwin": 2.5}
    assert chronicle.samples[1].statistics == {}


def test_a_spread_is_the_same_in_any_grouping():
    values = [0.5, 0.01, 1.0, 0.2, 0.2]
    whole, parts = (
        Spread.from_values(values),
        Spread.from_values(values[:2]).join_spread(Spread.from_values(values[2:])),
    )
    assert (whole.least, whole.greatest, whole.n) == (parts.least, parts.greatest, parts.n)
    assert whole.mean == pytest.approx(parts.mean) == pytest.approx(0.0002**0.2)
    assert Spread.from_values([]) is None


# --------------------------------------------------------------------------------- the axis


def test_events_with_dates_stand_at_their_date_and_others_at_their_number():
    dated, numbered = Chronicle(Settings()), Chronicle(Settings())
    for n in (100, 200):
        dated.add_outputs([], n)
        dated.add_sample(None, at=1.7e9 + n)
        numbered.add_outputs([], n)
        numbered.add_sample(None, at=float(n))
    assert Axis(dated).is_time and not Axis(numbered).is_time
    assert Axis(dated).of_seq(150) == 1.7e9 + 150
    assert Axis(numbered).of_seq(150) == 150


def test_an_event_that_is_the_only_date_makes_no_axis_of_time():
    chronicle = Chronicle(Settings())
    for n in (100, 200):
        chronicle.add_outputs([], n)
        chronicle.add_sample(None, at=1.7e9)
    assert not Axis(chronicle).is_time


def test_the_bands_are_where_the_level_stood():
    chronicle = Chronicle(Settings())
    chronicle.add_outputs([], 10)
    chronicle.add_sample(None, at=10.0)
    chronicle.add_outputs([changed("WARNING", "STABLE", 20.0)], 20)
    chronicle.add_outputs([changed("DRIFT", "WARNING", 30.0)], 30)
    chronicle.add_outputs([changed("STABLE", "DRIFT", 40.0)], 40)
    chronicle.add_outputs([changed("DRIFT", "STABLE", 50.0)], 50)
    chronicle.add_outputs([], 60)
    chronicle.add_sample(None, at=60.0)
    found = [(band.low, band.high, band.level) for band in bands_of(chronicle, Axis(chronicle))]
    assert found == [(20, 30, "warning"), (30, 40, "drift"), (50, 60, "drift")]


def test_a_level_whose_beginning_was_forgotten_reaches_back_to_the_start():
    chronicle = Chronicle(Settings())
    chronicle.add_outputs([], 10)
    chronicle.add_sample(None, at=10.0)
    chronicle.add_outputs([changed("STABLE", "DRIFT", 40.0)], 40)
    chronicle.add_sample(None, at=40.0)
    (band,) = bands_of(chronicle, Axis(chronicle))
    assert (band.low, band.high, band.level) == (0, 40, "drift")


def test_of_estimates_that_end_at_the_same_event_the_last_is_drawn():
    chronicle = Chronicle(Settings())
    estimates = [Estimate(to_seq=n, accuracy=a) for n, a in [(20, 0.1), (10, 0.5), (20, 0.9)]]
    points = Axis(chronicle).points_of([(e, e.accuracy) for e in estimates])
    assert points == ([10, 20], [0.5, 0.9])


def test_a_blind_draw_of_labels_that_are_all_right_is_not_sure():
    assert half_blind(Estimate(accuracy=1.0, labels_n=10)) > 0.1
    assert half_blind(Estimate()) is None


def test_control_labels_that_are_all_right_do_not_prove_perfection():
    chronicle = Chronicle(parse({"evaluation": {"window_n": 1_000}}))
    for i in range(16):
        chronicle.add_outputs([request(i), settled(i, "a")], i + 1)
    found = chronicle.control
    # Wilson's interval of 16 in 16.
    assert (found.accuracy, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.806, abs=0.001)
