import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.chance import Chance
from headrace.errors import BadSettings
from headrace.messages import LabelSettled
from headrace.observe.drift import DriftLevel, DriftMonitor
from headrace.observe.schema import Schema
from headrace.observe.window import Columns
from headrace.settings import DriftSettings, SchemaSettings, WatchSettings

CHANCE = Chance(7)


def monitor(*watches: tuple[str, str], **fields) -> DriftMonitor:
    chosen = tuple(WatchSettings(signal=signal, detector=detector) for signal, detector in watches)
    return DriftMonitor(
        DriftSettings(watch=chosen, **fields) if chosen else DriftSettings(**fields), CHANCE
    )


def feed(drift: DriftMonitor, confidence, predicted=None, seq0=0, run_n=10_000) -> list:
    """All changes; runs are cut as a shard cuts them."""
    confidence = np.asarray(confidence, float)
    n = len(confidence)
    predicted = np.zeros(n, dtype=np.int64) if predicted is None else np.asarray(predicted)
    at = seq0 + np.arange(n, dtype=float)
    changes, i = [], 0
    while i < n:
        stop = min(n, i + run_n)
        taken_n, change = drift.watch_confidences(
            confidence[i:stop], predicted[i:stop], at[i:stop], seq0 + i
        )
        assert 1 <= taken_n <= stop - i
        i += taken_n
        if change:
            assert change.at == at[i - 1]
            changes.append(change)
    return changes


def levels(changes) -> list[tuple[float, str]]:
    return [(change.at, change.level) for change in changes]


def sample(rows, seq0=0, predicted=None, classes_n=3) -> Columns:
    rows = np.asarray(rows, float)
    n = len(rows)
    ids = [f"e{seq0 + i}" for i in range(n)]
    probabilities = np.full((n, classes_n), 0.1)
    probabilities[np.arange(n), np.zeros(n, int) if predicted is None else predicted] = 0.8
    return Columns.of(
        seq0=seq0,
        ids=ids,
        at=np.arange(n, dtype=float),
        keys=CHANCE.keys(ids),
        rows=rows,
        probabilities=probabilities,
    )


def schema(*kinds: str) -> Schema:
    names = {f"f{j}": kind for j, kind in enumerate(kinds)}
    return Schema(SchemaSettings(features=names))


def confident(rng, n, doubtful=False):
    return rng.beta(2, 2, n) if doubtful else rng.beta(9, 1, n)


# ------------------------------------------------------------------------------ batching


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 5),
    watches=st.sampled_from(
        [
            (("confidence", "adwin"), ("error", "ddm")),
            (("confidence", "ddm"), ("confidence", "page_hinkley"), ("error", "hddm_w")),
            (("class_mix", "adwin"), ("confidence", "hddm_a"), ("error", "fhddm")),
        ]
    ),
    hold_n=st.integers(1, 90),
    run_n=st.integers(1, 300),
    warm_at=st.integers(0, 300),
)
def test_any_split_gives_the_same_changes_and_state(seed, watches, hold_n, run_n, warm_at):
    rng = np.random.default_rng(seed)
    n = 900
    confidence = np.concatenate([confident(rng, 500), confident(rng, 400, doubtful=True)])
    predicted = np.where(np.arange(n) < 600, rng.integers(0, 2, n), 3)
    is_wrong = rng.random(n) < np.where(np.arange(n) < 400, 0.1, 0.6)

    def run(step_n: int) -> tuple[list, DriftMonitor]:
        drift = monitor(*watches, hold_n=hold_n, agree_n=2)
        changes = []
        # Labels arrive after every 50th event; the model is warm at one point, adopted at another.
        for start in range(0, n, 50):
            if start >= warm_at:
                drift.end_cold_start(start)
            stop = start + 50
            changes += feed(drift, confidence[start:stop], predicted[start:stop], start, step_n)
            for i in range(start, stop, 5):
                changes.append(drift.watch_error(bool(is_wrong[i]), at=float(stop), seq=stop - 1))
            if stop == 700:
                drift.reset(stop)
        return [change for change in changes if change], drift

    at_once, whole = run(50)
    split, parts = run(run_n)
    single, singles = run(1)
    assert at_once == split == single
    for other in (parts, singles):
        assert other.statistics == whole.statistics
        assert other.record.alarms_n == whole.record.alarms_n
        assert vars(other).keys() == vars(whole).keys()
        assert (other.level, other._seq, other._fall_seq) == (
            whole.level,
            whole._seq,
            whole._fall_seq,
        )
        assert pickle.dumps([w.feeds for w in other.watches.all]) == pickle.dumps(
            [w.feeds for w in whole.watches.all]
        )


def test_a_snapshot_goes_on_as_before():
    rng = np.random.default_rng(0)
    drift = monitor()
    drift.end_cold_start(0)
    feed(drift, confident(rng, 1000))
    again = pickle.loads(pickle.dumps(drift))
    doubtful = confident(rng, 2500, doubtful=True)
    assert feed(drift, doubtful, seq0=1000) == feed(again, doubtful, seq0=1000) != []
    assert drift.statistics == again.statistics


# ------------------------------------------------------------------------- the state machine


def test_an_alarm_holds_and_then_falls_without_another():
    drift = monitor(("error", "hddm_w"), hold_n=100)
    changes = [drift.watch_error(i >= 60, at=float(i), seq=i) for i in range(90)]
    changes = [change for change in changes if change]
    assert [(c.previous, c.level) for c in changes] == [("STABLE", "WARNING"), ("WARNING", "DRIFT")]
    fired_at = int(changes[-1].at)
    assert changes[-1].statistic >= 1.0
    assert drift.watch_error(False, at=90.0, seq=90) is None
    later = feed(drift, np.ones(400), seq0=91, run_n=64)
    assert len(later) == 1
    assert later[0].level == "STABLE"
    # hddm_w may have fired once more at WARNING or DRIFT while the errors went on.
    assert fired_at + 101 <= later[0].at <= 89 + 101
    assert drift.level is DriftLevel.STABLE


def test_alarms_while_the_level_holds_are_not_told_again():
    drift = monitor(("error", "hddm_w"), hold_n=10_000)
    wrong = ([False] * 100 + [True] * 100) * 3
    told = [c for c in (drift.watch_error(w, at=0.0, seq=i) for i, w in enumerate(wrong)) if c]
    assert [c.level for c in told] == ["WARNING", "DRIFT"]
    assert drift.record.alarms_n[("error", "hddm_w", "DRIFT")] == 1


def test_recovery_is_no_drift():
    rng = np.random.default_rng(3)
    drift = monitor(("error", "adwin"), ("confidence", "adwin"), hold_n=200)
    drift.end_cold_start(0)
    changes = feed(
        drift, np.concatenate([confident(rng, 1500, doubtful=True), confident(rng, 1500)])
    )
    wrong = np.concatenate([rng.random(500) < 0.5, rng.random(500) < 0.05])
    changes += [
        c
        for c in (drift.watch_error(bool(w), at=0.0, seq=3000 + i) for i, w in enumerate(wrong))
        if c
    ]
    assert changes == []


def test_a_watch_raises_no_more_than_its_own_level():
    rng = np.random.default_rng(3)
    drift = monitor()
    drift.end_cold_start(0)
    changes = feed(
        drift, np.concatenate([confident(rng, 1000), confident(rng, 500, doubtful=True)])
    )
    assert [(c.level, c.signal, c.detector) for c in changes] == [
        ("WARNING", "confidence", "adwin")
    ]
    assert 1000 < changes[0].at < 1200
    assert drift.statistics["confidence", "adwin"] == 1.0


def test_signals_that_agree_make_a_drift():
    rng = np.random.default_rng(3)
    for agree_n, level in ((3, "DRIFT"), (4, "WARNING")):
        drift = monitor(agree_n=agree_n)
        drift.end_cold_start(0)
        past = sample(rng.normal(size=(500, 1)))
        window = sample(rng.normal(3.0, size=(500, 1)), 1000)
        change = drift.compare_windows(window, past, schema("numeric"), 1000.0, 1000)
        # psi and ks both look at the features: one signal. All inputs together are another.
        assert (change.level, change.signal) == ("WARNING", "features")
        changes = feed(
            drift,
            np.concatenate([confident(rng, 500), confident(rng, 300, doubtful=True)]),
            seq0=1001,
        )
        assert drift.level.name == level
        assert [(c.level, c.signal) for c in changes] == [("DRIFT", "confidence")] * (agree_n == 3)


def test_a_cold_model_is_not_watched():
    rng = np.random.default_rng(3)
    drift = monitor(("confidence", "adwin"), ("class_mix", "psi"))
    assert (
        feed(drift, np.concatenate([confident(rng, 800), confident(rng, 800, doubtful=True)])) == []
    )
    mix = sample(np.zeros((400, 1))), sample(np.zeros((400, 1)), 1600, np.ones(400, int))
    assert drift.compare_windows(mix[1], mix[0], schema("numeric"), 1.0, 1600) is None
    drift.end_cold_start(1600)
    assert feed(drift, confident(rng, 400, doubtful=True), seq0=1600) == []


def test_a_new_model_ends_what_was_said_about_the_old_one():
    drift = monitor(("error", "hddm_w"), hold_n=10_000)
    for i in range(100):
        drift.watch_error(i >= 60, at=float(i), seq=i)
    assert drift.level is DriftLevel.DRIFT
    drift.reset(100)
    assert levels(feed(drift, [0.9, 0.9], seq0=100)) == [(100.0, "STABLE")]
    # The old model's errors are no measure for the new one's.
    assert drift.watch_error(True, at=102.0, seq=102) is None


def test_a_windowed_alarm_holds_until_the_next_check():
    drift = monitor(("features", "psi"), hold_n=1, check_every_n=50)
    rng = np.random.default_rng(0)
    past, window = sample(rng.normal(size=(200, 1))), sample(rng.normal(9, 1, (200, 1)), 1000)
    assert drift.compare_windows(window, past, schema("numeric"), 1.0, 1000).level == "WARNING"
    assert feed(drift, np.ones(50), seq0=1001) == []
    assert drift.compare_windows(window, past, schema("numeric"), 1.0, 1050) is None
    assert levels(feed(drift, np.ones(60), seq0=1051)) == [(1101.0, "STABLE")]


def test_a_windowed_alarm_is_confirmed_by_a_window_that_shares_no_event_with_the_first():
    drift = monitor(("features", "psi"), check_every_n=100, window_n=200)
    rng = np.random.default_rng(0)
    past = sample(rng.normal(size=(200, 1)))
    told = []
    for seq in (1000, 1100, 1200, 1300):
        window = sample(rng.normal(9, 1, (200, 1)), seq - 200)
        change = drift.compare_windows(window, past, schema("numeric"), float(seq), seq)
        told += [(seq, change.level)] if change else []
    assert told == [(1000, "WARNING"), (1200, "DRIFT")]


def test_one_odd_window_confirms_nothing():
    drift = monitor(("features", "psi"), check_every_n=100, window_n=100, hold_n=50)
    rng = np.random.default_rng(0)
    past = sample(rng.normal(size=(200, 1)))
    told = []
    for seq, mean in ((1000, 9), (1100, 0), (1200, 9), (1300, 0)):
        window = sample(rng.normal(mean, 1, (100, 1)), seq - 100)
        change = drift.compare_windows(window, past, schema("numeric"), float(seq), seq)
        told += [change.level] if change else []
        told += [level for _, level in levels(feed(drift, np.ones(99), seq0=seq + 1))]
    assert "DRIFT" not in told and told.count("WARNING") == 2


def test_when_a_drift_is_over_the_new_world_is_the_reference():
    watches = (
        WatchSettings(signal="features", detector="psi", level="warning"),
        WatchSettings(signal="error", detector="hddm_w"),
    )
    rng = np.random.default_rng(0)
    reservoir = sample(np.concatenate([rng.normal(size=(1000, 1)), rng.normal(9, 1, (1900, 1))]))
    told = {}
    for is_wrong in (True, False):
        drift = DriftMonitor(
            DriftSettings(watch=watches, check_every_n=100, window_n=100, hold_n=150), CHANCE
        )
        for i in range(100):
            drift.watch_error(i % 20 == 0, float(i), i)
        found = []
        for seq in range(1100, 2900, 100):
            window = reservoir.take(slice(seq - 500, seq))
            change = drift.compare_windows(window, reservoir, schema("numeric"), float(seq), seq)
            for _ in range(20 if seq == 1300 else 0):
                change = drift.watch_error(is_wrong, float(seq), seq) or change
            found += [change.level] if change else []
            found += [level for _, level in levels(feed(drift, np.ones(99), seq0=seq + 1))]
        told[is_wrong] = found
    assert told == {True: ["WARNING", "DRIFT", "WARNING", "STABLE"], False: ["WARNING"]}


def test_a_rise_says_which_features_and_since_when_and_a_fall_does_not():
    drift = monitor(("features", "ks"), check_every_n=500, hold_n=100)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2000, 3))
    rows[1700:, 1] += 3.0
    stream = sample(rows)
    change = drift.compare_windows(
        stream.take(slice(1000, 2000)), stream, schema(*["numeric"] * 3), 2e3, 2000
    )
    assert change.features == ("f1",)
    assert abs(change.since - 1700) < 30
    [fall] = feed(drift, np.ones(700), seq0=2001)
    assert (fall.level, fall.features, fall.since) == ("STABLE", (), None)
    assert drift.record.last_rise is change


def test_what_moves_together_is_seen_by_all_inputs_at_once():
    """Each feature alone is as it was; only how two of them go together has changed."""
    rng = np.random.default_rng(0)
    drift = monitor(("features", "ks"), ("inputs", "domain_classifier"))
    rows = np.repeat(rng.normal(size=(2000, 1)), 8, axis=1) + rng.normal(size=(2000, 8))
    rows[1400:] += np.array([0.35, -0.35] * 4)
    stream = sample(rows)
    schemas = schema(*["numeric"] * 8)
    change = drift.compare_windows(stream.take(slice(0, 2000)), stream, schemas, 2e3, 2000)
    assert (change.signal, change.detector) == ("inputs", "domain_classifier")
    assert drift.statistics["features", "ks"] < 1.0 < change.statistic


def test_expected_accuracy_that_falls_is_a_warning_before_any_label():
    rng = np.random.default_rng(0)
    for fall, is_told in ((0.15, True), (0.0, False), (-0.15, False)):
        drift = monitor(("expected_accuracy", "welch"))
        drift.end_cold_start(0)
        guess = np.clip(rng.beta(8, 2, 2000) - 0.15, 0, 1)
        guess[1500:] -= fall
        ids = [str(i) for i in range(2000)]
        at, rows = np.arange(2000.0), np.zeros((2000, 1))
        p = np.column_stack([guess, 1 - guess])
        stream = Columns.of(
            seq0=0, ids=ids, at=at, keys=CHANCE.keys(ids), rows=rows, probabilities=p, guess=guess
        )
        change = drift.compare_windows(stream, stream, schema("numeric"), 2e3, 2000)
        assert (change is not None) is is_told


def test_labels_name_the_class_that_is_missed_and_since_when():
    drift = monitor(("surprise", "glr"), false_alarm_every_n=1_000)
    drift.end_cold_start(0)
    seen = ["a", "b", "c"] * 60
    changes = []
    for i, label in enumerate(seen):
        is_missed = i >= 120 and label == "c"
        prediction = {"a": 0.05, "b": 0.05, "c": 0.05}
        prediction["a" if is_missed else label] = 0.9
        entry = settled(label, float(10 * i))
        changes += drift.watch_settled(entry, prediction, 0.9, at=10.0 * i, seq=10 * i)
    drifts = [change for change in changes if change.level == "DRIFT"]
    assert drifts[0].classes == ("c",)
    assert abs(drifts[0].since - 1200) <= 100
    assert drifts[0].at < 1500


def test_recall_is_watched_class_by_class():
    drift = monitor(("recall", "glr"), ("error", "glr"), false_alarm_every_n=3_000)
    rng = np.random.default_rng(0)
    told = []
    for i in range(900):
        label = "rare" if i % 8 == 0 else "usual"
        is_wrong = bool(rng.random() < (0.9 if label == "rare" and i >= 600 else 0.05))
        for change in (
            drift.watch_error(is_wrong, float(i), i),
            drift.watch_recall(label, is_wrong, float(i), i),
        ):
            told += [(i, change.signal)] if change and change.level == "DRIFT" else []
    assert told[0][1] == "recall" and 600 < told[0][0] < 700


def settled(label: str, event_at: float, reason: str = "round") -> LabelSettled:
    return LabelSettled(
        request_id=f"r{event_at}",
        event_id=f"e{event_at}",
        at=event_at,
        event_at=event_at,
        label=label,
        features={},
        prediction={},
        reason=reason,
        seq=0,
        answers_n=1,
        agreement=1.0,
    )


# -------------------------------------------------------------------------- windowed tests


def test_each_feature_has_its_index_and_only_the_moved_one_is_high():
    rng = np.random.default_rng(1)
    n = 1000
    past = np.column_stack([rng.normal(size=n), rng.integers(0, 3, n), rng.normal(size=n)])
    recent = np.column_stack([rng.normal(size=n), rng.integers(0, 3, n), rng.normal(1.0, 1.0, n)])
    recent[::10, 0] = past[::10, 0] = np.nan
    drift = monitor(("features", "psi"), ("features", "ks"))
    change = drift.compare_windows(
        sample(recent, 5000), sample(past), schema("numeric", "categorical", "numeric"), 1.0, 6000
    )
    assert change.level == "WARNING" and change.statistic > 1.0
    assert drift.windows.feature_psi.keys() == {"f0", "f1", "f2"}
    assert (
        max(drift.windows.feature_psi["f0"], drift.windows.feature_psi["f1"])
        < 0.1
        < 0.5
        < drift.windows.feature_psi["f2"]
    )
    assert drift.statistics["features", "ks"] > 1.0


def test_categories_are_compared_by_share_and_never_by_rank():
    rng = np.random.default_rng(1)
    past, recent = rng.integers(0, 2, (500, 1)), rng.integers(0, 2, (500, 1)) * 3
    drift = monitor(("features", "psi"), ("features", "ks"))
    change = drift.compare_windows(
        sample(recent, 1000), sample(past), schema("categorical"), 1.0, 1500
    )
    assert (change.level, change.detector) == ("WARNING", "psi")
    assert drift.statistics["features", "ks"] == 0.0


def test_only_the_past_is_compared_and_only_if_there_is_enough_of_it():
    rng = np.random.default_rng(1)
    both = sample(np.concatenate([rng.normal(size=(29, 1)), rng.normal(9, 1, (500, 1))]))
    drift = monitor(("features", "psi"))
    assert (
        drift.compare_windows(both.take(slice(29, 529)), both, schema("numeric"), 1.0, 529) is None
    )
    assert drift.statistics == {("features", "psi"): 0.0}


def test_a_feature_that_came_later_counts_as_missing_before():
    rng = np.random.default_rng(1)
    past, recent = sample(rng.normal(size=(300, 1))), sample(rng.normal(size=(300, 2)), 1000)
    drift = monitor(("features", "psi"), ("features", "ks"))
    change = drift.compare_windows(recent, past, schema("numeric", "numeric", "numeric"), 1.0, 1300)
    assert change.detector == "psi"
    assert drift.windows.feature_psi["f0"] < 0.25 < drift.windows.feature_psi["f1"]
    assert drift.windows.feature_psi["f2"] == 0.0


def test_no_more_features_are_tested_than_allowed():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(100, 5))
    drift = monitor(("features", "psi"), features_max=2)
    drift.compare_windows(sample(rows, 1000), sample(rows), schema(*["numeric"] * 5), 1.0, 1100)
    assert list(drift.windows.feature_psi) == ["f0", "f1"]


def test_predictions_of_an_earlier_model_are_not_compared():
    drift = monitor(("class_mix", "psi"), ("confidence", "ks"), hold_n=100)
    drift.end_cold_start(0)
    past = sample(np.zeros((300, 1)))
    recent = sample(np.zeros((300, 1)), 1000, np.ones(300, int))
    assert drift.compare_windows(recent, past, schema("numeric"), 1.0, 1300).signal == "class_mix"
    drift.reset(1000)
    feed(drift, np.ones(1), seq0=1300)
    drift.compare_windows(recent, past, schema("numeric"), 1.0, 1301)
    assert drift.level is DriftLevel.STABLE
    assert drift.statistics["class_mix", "psi"] == 0.0


def test_confidence_is_compared_downwards_only():
    rng = np.random.default_rng(1)
    low, high = np.array([[0.6, 0.4]]), np.array([[0.95, 0.05]])
    for before, after, is_drift in ((high, low, True), (low, high, False)):
        sides = []
        for seq0, p in ((0, before), (1000, after)):
            noise = rng.random((300, 1)) * 0.01
            ids = [str(seq0 + i) for i in range(300)]
            probabilities = np.hstack([p[:, :1] - noise, p[:, 1:] + noise])
            at = np.zeros(300)
            sides.append(
                Columns.of(
                    seq0=seq0,
                    ids=ids,
                    at=at,
                    keys=CHANCE.keys(ids),
                    rows=np.zeros((300, 1)),
                    probabilities=probabilities,
                )
            )
        drift = monitor(("confidence", "ks"))
        drift.end_cold_start(0)
        change = drift.compare_windows(sides[1], sides[0], schema("numeric"), 1.0, 1300)
        assert (change is not None) is is_drift


# ------------------------------------------------------------------------ what it is all for


@pytest.mark.parametrize("seed", range(4))
def test_a_steady_stream_is_stable_and_an_abrupt_change_is_found(seed):
    rng = np.random.default_rng(seed)
    drift = monitor(false_alarm_every_n=1_000_000)
    drift.end_cold_start(0)

    def control_labels(start: int, share: float) -> list:
        changes = []
        for seq0 in range(start, start + 20_000, 1000):
            changes += feed(drift, confident(rng, 1000), seq0=seq0)
            for _ in range(10):
                changes.append(drift.watch_error(bool(rng.random() < share), 0.0, seq0 + 999))
        return [change for change in changes if change]

    assert "DRIFT" not in [change.level for change in control_labels(0, 0.1)]
    assert "DRIFT" in [change.level for change in control_labels(20_000, 0.4)]


def test_a_predicted_class_that_comes_up_is_noticed_by_a_detector_of_its_own():
    rng = np.random.default_rng(1)
    drift = monitor(("class_mix", "adwin"))
    drift.end_cold_start(0)
    predicted = np.where(np.arange(2000) < 1000, rng.integers(0, 2, 2000), 4)
    changes = feed(drift, np.full(2000, 0.9), predicted)
    assert changes and 1000 < changes[0].at < 1200
    assert len(drift.watches.all[0].feeds) == 5


def test_a_confidence_that_is_no_number_is_passed_over():
    drift = monitor(("confidence", "adwin"))
    drift.end_cold_start(0)
    assert feed(drift, [np.nan, 0.5, np.nan]) == []
    assert drift.watches.all[0].feeds[0]._n == 1


def test_every_fault_is_told_at_once():
    watches = (
        WatchSettings(signal="error", detector="adwin", options={"dleta": 1.0}),
        WatchSettings(signal="features", detector="psi"),
        WatchSettings(signal="features", detector="psi"),
    )
    with pytest.raises(BadSettings) as caught:
        DriftMonitor(DriftSettings(watch=watches), CHANCE)
    assert [fault.split(":")[0].split(" has")[0] for fault in caught.value.faults] == [
        "drift.watch[0]",
        "drift.watch[2]",
    ]


def surprised(drift, labels):
    """Feed (is_wrong, guess) pairs as labels of events 10 apart; the changes, with their number."""
    changes = []
    for i, (is_wrong, guess) in enumerate(labels):
        change = drift.watch_surprise(is_wrong, guess, float(i), 10 * i)
        if change is not None:
            changes.append((i, change.level))
    return changes


SURPRISE = WatchSettings(
    signal="surprise", detector="page_hinkley", options={"delta": 0.08, "threshold": 3.0}
)


def test_being_wrong_as_often_as_guessed_is_no_surprise():
    drift = DriftMonitor(DriftSettings(watch=(SURPRISE,)), CHANCE)
    drift.end_cold_start(0)
    # Doubtful predictions are wrong half the time, and that was guessed.
    assert surprised(drift, [(i % 2 == 0, 0.5) for i in range(500)]) == []


def test_confident_predictions_that_turn_wrong_are_a_surprise():
    drift = DriftMonitor(DriftSettings(watch=(SURPRISE,)), CHANCE)
    drift.end_cold_start(0)
    before = [(i % 10 == 0, 0.9) for i in range(200)]
    after = [(i % 2 == 0, 0.9) for i in range(60)]
    changes = surprised(drift, before + after)
    assert [level for _, level in changes] == ["DRIFT"]
    assert 200 < changes[0][0] < 240


def test_a_cold_model_cannot_be_surprised():
    drift = DriftMonitor(DriftSettings(watch=(SURPRISE,)), CHANCE)
    assert surprised(drift, [(True, 0.9)] * 200) == []
