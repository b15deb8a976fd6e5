"""The metrics: numbers of the report, closed label sets, few series, names as they should be."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from grafana.prometheus import program
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from adapters.streams import CLASSES, fed, unfed
from headrace.adapters.metrics.catalogue import Buckets, by_class
from headrace.adapters.metrics.prometheus import CATALOGUE, GROUPS, ReportCollector, registry_of
from headrace.adapters.metrics.timings import Timings
from headrace.learn.estimate import Estimate
from headrace.learn.twins import ChoosingGain
from headrace.observe.drift import SHARES_MAX
from headrace.observe.shares import BINS, FeatureShares
from headrace.report import Report
from reports import replace_numbers

SERIES_MAX = 650
LABELS = {
    "act", "against", "bin", "by", "class", "detector", "end", "estimate", "feature", "judged",
    "kind", "level", "limit", "log", "measure", "number", "outcome", "partition", "python",
    "reason", "river", "side", "signal", "strategy", "version",
}  # fmt: skip
UNITS = ("_seconds", "_ratio", "_bytes", "_labels", "_records", "_events", "_units", "_info")


def text_of(report: Report) -> str:
    timings = Timings(report.stream)
    timings.count_fed(100, 0.01, np.array([1.0, 70.0]))
    timings.count_retraining(0.4)
    return generate_latest(registry_of(lambda: report, timings)).decode()


def families_of(report: Report) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(text_of(report))}


def value_of(report: Report, name: str, **labels: str) -> float | None:
    registry = CollectorRegistry()
    registry.register(ReportCollector(lambda: report))
    return registry.get_sample_value(name, {"stream": report.stream, **labels})


def own_lines(text: str) -> list[str]:
    """The series of the stream; the process's own stand beside them."""
    return [line for line in text.splitlines() if line.startswith("headrace_")]


# ------------------------------------------------------------------------------------ numbers


def test_numbers_are_those_of_the_report() -> None:
    report = fed()
    assert value_of(report, "headrace_events_observed_total") == report.events.observed_n == 3_600
    ended = value_of(report, "headrace_label_requests_ended_total", end="settled")
    assert ended == report.labels.settled_n > 0
    accuracy = value_of(report, "headrace_accuracy_ratio", judged="model", estimate="low")
    assert accuracy == report.estimates.accuracy.low is not None
    assert value_of(report, "headrace_accuracy_labels") == report.estimates.accuracy.labels_n > 0
    assert (
        value_of(report, "headrace_label_cost_units_total") == 0.5 * report.answers.accepted_n > 0
    )
    assert value_of(report, "headrace_partition_lag_records", partition="2") == 20
    assert value_of(report, "headrace_partition_lag_seconds", partition="1") == 0.5
    assert value_of(report, "headrace_inputs_rejected_total", reason="not_json") == 3


def test_requests_add_up_however_they_are_told_apart() -> None:
    report, families = fed(), families_of(fed())
    for name in ("headrace_label_requests", "headrace_label_requests_by_class"):
        assert sum(sample.value for sample in families[name].samples) == report.asking.requests_n
    answers = families["headrace_annotator_answers"].samples
    assert sum(sample.value for sample in answers) == report.answers.accepted_n


def test_drift_is_told_against_its_own_threshold_with_its_times() -> None:
    report = fed()
    highest = max(report.drift.statistics.values())
    shown = value_of(report, "headrace_drift_statistic", signal="features", detector="ks")
    assert shown == report.drift.statistics["features/ks"]
    assert highest >= 1.0
    dated = value_of(
        report, "headrace_drift_last_alarm_timestamp_seconds", signal="features", detector="ks"
    )
    assert dated == report.drift.alarmed_at["features/ks"] >= 1_800.0
    assert value_of(report, "headrace_feature_statistic", feature="f00") == pytest.approx(
        report.drift.feature_ratios["f00"]
    )
    assert report.drift.feature_ratios["f00"] >= 1.0 > report.drift.feature_ratios["shop"]


def test_shares_of_a_feature_and_of_the_classes_add_up_to_one_on_either_side() -> None:
    families = families_of(fed())
    sums: dict[tuple[str, ...], float] = {}
    for name in ("headrace_feature_share_ratio", "headrace_class_share_ratio"):
        for sample in families[name].samples:
            key = (name, sample.labels.get("feature", ""), sample.labels["side"])
            sums[key] = sums.get(key, 0.0) + sample.value
    assert len(sums) == 10
    assert list(sums.values()) == pytest.approx([1.0] * 10)


def test_borders_stand_between_the_bins_that_are_shown() -> None:
    families = families_of(fed())
    bins: dict[str, set[str]] = {}
    for sample in families["headrace_feature_share_ratio"].samples:
        bins.setdefault(sample.labels["feature"], set()).add(sample.labels["bin"])
    borders: dict[str, list[float]] = {}
    for sample in families["headrace_feature_bin_border"].samples:
        assert sample.labels["bin"] in bins[sample.labels["feature"]]
        borders.setdefault(sample.labels["feature"], []).append(sample.value)
    assert borders
    assert all(found == sorted(found) for found in borders.values())


def test_labels_saved_compare_with_a_blind_draw_and_with_labelling_all() -> None:
    some = Estimate(accuracy=0.9, low=0.833, high=0.942, labels_n=100)
    report = replace_numbers(fed(), {"estimates.accuracy": some})
    blind = value_of(report, "headrace_accuracy_blind_labels")
    assert blind == pytest.approx(119, abs=1)
    assert value_of(report, "headrace_labels_saved", against="blind") == blind - 100
    assert (
        value_of(report, "headrace_labels_saved", against="all") == 3_600 - report.labels.settled_n
    )
    assert value_of(report, "headrace_labels_saved", against="random") is None
    known = ChoosingGain(gain=0.02, gain_low=0.01, gain_high=0.03, ratio=1.5)
    report = replace_numbers(report, {"estimates.choosing": known})
    saved = value_of(report, "headrace_labels_saved", against="random")
    assert saved == 0.5 * report.labels.settled_n
    assert value_of(report, "headrace_choosing_gain_ratio", estimate="low") == 0.01
    assert value_of(report, "headrace_random_labels_ratio", estimate="value") == 1.5


def test_quality_by_class_is_that_of_the_report_for_the_first_classes() -> None:
    report = fed()
    kappa = value_of(report, "headrace_quality_ratio", measure="kappa", estimate="high")
    assert kappa == report.estimates.quality.kappa.high is not None
    shown = {
        sample.labels["class"]
        for sample in families_of(report)["headrace_class_quality_ratio"].samples
        if sample.labels["measure"] == "recall"
    }
    assert shown and shown <= set(report.schema.classes[:10])
    for name in shown:
        labels = {"class": name, "measure": "recall", "estimate": "low"}
        found = value_of(report, "headrace_class_quality_ratio", **labels)
        assert found == report.estimates.quality.recall[name].low
    error = value_of(report, "headrace_calibration_error_ratio", estimate="error")
    assert error == report.estimates.quality.calibration_error is not None
    assert value_of(report, "headrace_calibration_temperature_ratio") == report.model.temperature
    unpredicted_n = value_of(report, "headrace_events_unpredicted_total")
    assert unpredicted_n == report.events.unpredicted_n > 0


def test_times_are_counted_by_event() -> None:
    families = families_of(fed())
    counts = {
        (sample.name.rpartition("_")[2], sample.labels.get("le")): sample.value
        for sample in families["headrace_event_processing_seconds"].samples
    }
    assert (counts["count", None], counts["sum", None]) == (100, pytest.approx(0.01))
    assert (counts["bucket", "5e-05"], counts["bucket", "0.0001"]) == (0, 100)
    ages = {s.labels.get("le"): s.value for s in families["headrace_event_age_seconds"].samples}
    assert (ages["1.0"], ages["60.0"], ages["300.0"]) == (1, 1, 2)


def test_a_scrape_changes_nothing() -> None:
    before = fed()
    assert own_lines(text_of(before)) == own_lines(text_of(before))
    assert fed() == before


# ------------------------------------------------------------------------------------- labels


def test_every_child_of_a_counter_or_histogram_is_born_at_zero() -> None:
    def children(report: Report) -> dict[str, dict[tuple[str, ...], float]]:
        return {
            name: {
                (sample.name, *sorted(map(str, sample.labels.items()))): sample.value
                for sample in family.samples
            }
            for name, family in families_of(report).items()
            if name.startswith("headrace_") and family.type in ("counter", "histogram")
        }

    # What the shell says of its own past is not the stream's.
    worker = replace(
        unfed().worker, rebalances_n=0, rejected_n={}, restarts_n={}, lost_n={}, recomputed_n=0
    )
    newborn = replace_numbers(unfed(), {"worker": worker, "events.rejected_n": {}})
    born, grown = children(newborn), children(fed())
    timed = {metric.name for metric in GROUPS["Times"]}
    assert {name: set(found) for name, found in born.items()} == {
        name: set(found) for name, found in grown.items()
    }
    for name, found in born.items():
        if name not in timed:
            assert set(found.values()) == {0.0}, name


def test_series_stay_few_with_all_that_can_be_there() -> None:
    # Four numbers with as many values as events would have all bins; these have fewer values.
    sides = (1 / 9,) * 9
    full = FeatureShares(bins=(*BINS[:8], "missing"), past=sides, now=sides, borders=(0.0,) * 7)
    shares = dict.fromkeys(list(fed().drift.feature_psi)[:SHARES_MAX], full)
    known = ChoosingGain(
        gain=0.02, gain_low=0.01, gain_high=0.03, ratio=1.5, ratio_low=1.1, ratio_high=2.0
    )
    numbered = fed().annotators.by_number
    changes = {
        "drift.feature_shares": shares,
        "estimates.choosing": known,
        "asking.quota_missing_n": dict.fromkeys(fed().schema.classes, 3),
        "annotators.by_number": tuple(replace(a, gold_n=9, gold_right_n=8) for a in numbered),
    }
    report = replace_numbers(fed(), changes)
    lines = own_lines(text_of(report))
    assert len(report.drift.feature_psi) == 20
    assert len(report.worker.partitions) == 3
    assert len(report.schema.classes) > 10 < report.annotators.known_n
    # Nothing is missing that would come on top: each metric of the catalogue has a sample.
    there = set(families_of(report))
    silent = [m.name for m in CATALOGUE if m.name.removesuffix("_total") not in there]
    empty = [name for name, family in families_of(report).items() if not family.samples]
    assert (silent, empty) == ([], [])
    assert len(lines) < SERIES_MAX


def test_labels_come_from_closed_sets_and_name_no_event_and_nobody() -> None:
    closed = {metric.name.removesuffix("_total"): metric.closed for metric in CATALOGUE}
    for name, family in families_of(fed()).items():
        if not name.startswith("headrace_"):
            continue
        for sample in family.samples:
            labels = {k: v for k, v in sample.labels.items() if k not in ("stream", "le")}
            assert set(labels) <= LABELS
            allowed = closed.get(name, {})
            assert all(value in allowed.get(label, [value]) for label, value in labels.items())
    text = text_of(fed())
    for secret in ("event-", "annotator-", "town-", "shop-"):
        assert secret not in text


def test_the_first_classes_keep_their_place_and_the_others_are_added_up() -> None:
    counts = {name: i for i, name in enumerate(CLASSES)}
    found = dict(by_class(counts, CLASSES))
    assert found[CLASSES[9]] == 9
    assert found["other"] == 10 + 11
    assert list(dict(by_class({}, CLASSES))) == list(found)
    # A class that is called so is among the others, or there would be two of that name.
    assert by_class({"other": 2, "a": 1}, ["other", "a"]) == [("a", 1), ("other", 2)]


# -------------------------------------------------------------------------------------- names


def test_names_end_in_what_they_are_and_are_there_once() -> None:
    names = [metric.name for metric in CATALOGUE]
    assert len(set(names)) == len(names)
    for metric in CATALOGUE:
        assert re.fullmatch(r"headrace_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        if metric.kind == "histogram":
            assert metric.name.endswith(UNITS)
        if metric.unit == "seconds":
            assert metric.name.removesuffix("_total").endswith("_seconds")
        if metric.unit in ("0 to 1", "-1 to 1"):
            assert metric.name.endswith("_ratio")
        assert metric.about.endswith(".")


def test_no_created_series_and_a_catalogue_that_is_all_there_is() -> None:
    text = text_of(fed())
    assert "_created" not in text
    known = {metric.name for metric in CATALOGUE}
    told = set(re.findall(r"^# TYPE (headrace_\w+) ", text, re.MULTILINE))
    assert told == known


@pytest.mark.parametrize("report", [unfed, fed], ids=["unfed", "fed"])
def test_promtool_has_nothing_to_say(report: Callable[[], Report]) -> None:
    promtool = program("promtool")
    if promtool is None:
        pytest.skip("there is no promtool; .ci/prometheus.sh unpacks one")
    done = subprocess.run(
        [promtool, "check", "metrics"],
        input=text_of(report()),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_buckets_are_cumulated() -> None:
    (metric,) = [m for m in CATALOGUE if m.name == "headrace_retrain_seconds"]
    found = Buckets((1.0, 2.0), (3, 4, 5), 20.0)
    family = replace(metric, read=lambda _: [((), found)]).make_family(None, "s")
    values = [(sample.labels.get("le"), sample.value) for sample in family.samples]
    assert values == [("1.0", 3), ("2.0", 7), ("+Inf", 12), (None, 12), (None, 20.0)]
