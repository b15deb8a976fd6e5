"""The metrics of the model, its accuracy, and drift."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...learn.estimate import blind_labels
from ...learn.failures import ACTS, FAILING_N
from ...observe.drift import DriftLevel
from ...observe.shares import BINS
from ...report import Report
from .catalogue import (
    FEATURES_MAX,
    Exported,
    by_class,
    compute_by,
    define_by_label,
    define_computed,
    define_gathered,
    define_metric,
)

LEVELS = tuple(level.name for level in DriftLevel)
ESTIMATES = ("value", "low", "high", "naive")
SIDES = ("now", "reference")
AGAINST = ("blind", "all", "random")


def _read_accuracy(report: Report) -> Iterator[tuple[tuple[str, ...], float | None]]:
    estimate = report.estimates.accuracy
    values = (estimate.accuracy, estimate.low, estimate.high, estimate.naive)
    for name, value in zip(ESTIMATES, values, strict=True):
        yield (report.estimates.judged, name), value


def _read_saved(report: Report) -> Iterator[tuple[str, float | None]]:
    accuracy, settled_n = report.estimates.accuracy, report.labels.settled_n
    blind, ratio = blind_labels(accuracy), report.estimates.choosing.ratio
    yield "blind", None if blind is None else blind - accuracy.labels_n
    yield "all", report.events.observed_n - settled_n
    yield "random", None if ratio is None else (ratio - 1.0) * settled_n


def _read_alarms(report: Report) -> Iterator[tuple[tuple[str, ...], float]]:
    for name in report.drift.statistics:
        for level in LEVELS[1:]:
            count = report.drift.alarms_n.get(f"{name}/{level}", 0)
            yield (*name.split("/"), level), count


def _limit_features(values: dict[str, float]) -> Sequence[tuple[str, float]]:
    return list(values.items())[:FEATURES_MAX]


def _feature_shares(report: Report) -> Iterator[tuple[tuple[str, ...], float]]:
    for feature, shares_of_feature in report.drift.feature_shares.items():
        for side, shares in zip(
            SIDES, (shares_of_feature.now, shares_of_feature.past), strict=True
        ):
            for name, share in zip(shares_of_feature.bins, shares, strict=True):
                yield (feature, name, side), share


def _read_borders(report: Report) -> Iterator[tuple[tuple[str, ...], float]]:
    for feature, shares_of_feature in report.drift.feature_shares.items():
        for name, border in zip(shares_of_feature.bins, shares_of_feature.borders, strict=False):
            yield (feature, name), border


def _class_shares(report: Report) -> Iterator[tuple[tuple[str, ...], float]]:
    for side, place in zip(SIDES, (1, 0), strict=True):
        shares = {name: pair[place] for name, pair in report.drift.class_shares.items()}
        for name, share in by_class(shares, report.schema.classes) if shares else ():
            yield (name, side), share


MODEL = (
    define_metric("headrace_model_version", "model.version"),
    define_gathered(
        "kind",
        "headrace_model_updates_total",
        "updates",
        "Labels that the model has learned (learned) or could not learn (unlearnable). "
        "Retrainings ordered (retrained), and what followed: adopted, the model kept (kept), or "
        "an adoption undone (rolled_back).",
        {
            "learned": "model.learned_n",
            "unlearnable": "model.unlearnable_n",
            "retrained": "retraining.ordered_n",
            "adopted": "retraining.adopted_n",
            "kept": "retraining.kept_n",
            "rolled_back": "retraining.rolled_back_n",
        },
        over="max",
    ),
    define_gathered(
        "kind",
        "headrace_model_last_update_timestamp_seconds",
        "seconds",
        "When a label was last learned (learned), a retraining ordered (retrained), or a "
        "challenger adopted (adopted). No sample before the first.",
        {
            "learned": "model.learned_at",
            "retrained": "retraining.ordered_at",
            "adopted": "retraining.adopted_at",
        },
        over="max",
    ),
    compute_by(
        "act",
        "headrace_model_is_failing",
        "0 or 1",
        f"1: the model failed at the last {FAILING_N} or more that it was given: labels to learn, "
        "events to predict.",
        lambda r: [(act, act in r.model.failing) for act in ACTS],
        closed=ACTS,
        over="max",
    ),
    compute_by(
        "act",
        "headrace_model_members_failed",
        "members",
        "Members of the committee that have failed since this process began.",
        lambda r: [
            (act, sum(f.act == act and f.who != "model" for f in r.model.failures)) for act in ACTS
        ],
        closed=ACTS,
        over="max",
    ),
    define_metric("headrace_model_is_retraining", "retraining.is_open"),
    define_metric("headrace_model_memory_examples", "model.memory_n"),
    define_metric("headrace_model_parked_models", "model.parked_n"),
    define_gathered(
        "kind",
        "headrace_model_evidence_age_seconds",
        "seconds",
        "Age of the labelled events that a committee learns from: their mean age when the newest "
        "came (mean), and the age at which one nearby weighs 1/e (memory). No sample for other "
        "models.",
        {"mean": "model.evidence_age_s", "memory": "model.evidence_memory_s"},
        over="max",
    ),
)

ACCURACY = (
    Exported(
        name="headrace_accuracy_ratio",
        kind="gauge",
        unit="0 to 1",
        about="Estimated accuracy over the window (value), with the bounds of its 95 % interval "
        "(low, high). naive: the share of right predictions among the events asked about, which "
        "is biased.",
        read=_read_accuracy,
        labels=("judged", "estimate"),
        closed={"judged": ("model", "served"), "estimate": ESTIMATES},
        over="each",
    ),
    define_computed(
        "headrace_accuracy_labels",
        "labels",
        "Labels from which the accuracy is estimated.",
        lambda r: r.estimates.accuracy.labels_n,
    ),
    define_computed(
        "headrace_accuracy_blind_labels",
        "labels",
        "How many labels of blindly drawn events would give as narrow an interval. No sample "
        "without an interval.",
        lambda r: blind_labels(r.estimates.accuracy),
        over="each",
    ),
    compute_by(
        "against",
        "headrace_labels_saved",
        "labels",
        "Labels that were not needed. blind: for the estimate, compared with blindly drawn "
        "events; below 0 if more were needed. all: compared with a label for every event. random: "
        "for the model, compared with asking at random, as far as its twins can tell.",
        _read_saved,
        closed=AGAINST,
        over="each",
    ),
)

DRIFT = (
    define_metric("headrace_drift_level", "drift.level", DriftLevel.__getitem__),
    define_by_label("level", "headrace_drift_changes_total", "drift.changes_n", closed=LEVELS),
    define_by_label(
        "level",
        "headrace_drift_last_change_timestamp_seconds",
        "drift.changed_at",
        closed=LEVELS,
    ),
    define_metric("headrace_drift_since_timestamp_seconds", "drift.began_at"),
    Exported(
        name="headrace_drift_statistic",
        kind="gauge",
        unit="1 fires",
        about="Statistic of the watch divided by its threshold: from 1 on the watch fires. The "
        "highest of all features and partitions.",
        read=lambda r: [(tuple(name.split("/")), v) for name, v in r.drift.statistics.items()],
        labels=("signal", "detector"),
        over="max",
    ),
    Exported(
        name="headrace_drift_alarms_total",
        kind="counter",
        unit="alarms",
        about="Alarms of the watch. One that only prolongs another is not counted.",
        read=_read_alarms,
        labels=("signal", "detector", "level"),
        closed={"level": LEVELS[1:]},
    ),
    Exported(
        name="headrace_drift_last_alarm_timestamp_seconds",
        kind="gauge",
        unit="seconds",
        about="When the watch last raised an alarm. No sample before the first.",
        read=lambda r: [
            (tuple(name.split("/")), r.drift.alarmed_at.get(name)) for name in r.drift.statistics
        ],
        labels=("signal", "detector"),
        over="max",
    ),
)

SHARES = (
    define_by_label("feature", "headrace_feature_psi", "drift.feature_psi", _limit_features),
    define_by_label(
        "feature", "headrace_feature_statistic", "drift.feature_ratios", _limit_features
    ),
    Exported(
        name="headrace_feature_share_ratio",
        kind="gauge",
        unit="0 to 1",
        about="Share of the events in each bin, in the window (now) and in the past (reference), "
        "for the 4 features that moved most.",
        read=_feature_shares,
        labels=("feature", "bin", "side"),
        closed={"bin": BINS, "side": SIDES},
        over="each",
    ),
    Exported(
        name="headrace_feature_bin_border",
        kind="gauge",
        unit="that of the feature",
        about="Upper border of each of these bins, for features that are numbers. The last bin "
        "has none.",
        read=_read_borders,
        labels=("feature", "bin"),
        closed={"bin": BINS},
        over="each",
    ),
    Exported(
        name="headrace_class_share_ratio",
        kind="gauge",
        unit="0 to 1",
        about="Share of each class among the predictions, in the window (now) and in the past "
        "(reference).",
        read=_class_shares,
        labels=("class", "side"),
        closed={"side": SIDES},
        over="each",
    ),
)
