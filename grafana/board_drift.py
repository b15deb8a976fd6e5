"""The drill-down: which watch, which feature, how it is distributed, and what was done about it."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig

from .board import board, several
from .panels import (
    BLUE,
    GREY,
    Panel,
    above,
    columns,
    heat,
    line,
    lines,
    never,
    now,
    override,
    ranking,
    row_of,
    rows,
    stacked,
    timeline,
    told,
)
from .rows_health import BAND, LEVELS

ABOUT = (
    "Which watch fired, which feature moved and how, what became of the classes, and what Headrace "
    "did about it. Distributions are exported for the 4 features that moved most."
)


def drift() -> Dashboard:
    """The dashboard."""
    return board(
        "headrace-drift",
        ABOUT,
        [
            ("Which watch?", _watches()),
            ("Which feature?", _features()),
            ("How is it distributed?", _distributions()),
            ("Classes and confidence", _classes()),
            ("What was done about it?", _consequences()),
        ],
        [
            several(
                "feature", "Features", "label_values(headrace_feature_psi{S}, feature)"
            ).description("The features whose lines are shown."),
            several(
                "moved",
                "Distributions of",
                "query_result(count by (feature) (headrace_feature_share_ratio{S}))",
            )
            .description("The features that moved most; for others there are no distributions.")
            .regex('/feature="([^"]+)"/'),
        ],
    )


def _watches() -> list[Panel]:
    return [
        timeline("Drift level, by partition", "none", above(1, 2))
        .with_target(
            line(
                "max by (partition) (headrace_partition_drift_level{S})", "partition {{partition}}"
            )
        )
        .mappings(LEVELS)
        .description(
            told(
                "STABLE, WARNING or DRIFT, for each partition of the events.",
                red="DRIFT.",
                do="one partition alone: what is special about its keys? All at once: a release.",
            )
        ),
        timeline("Detectors: their statistics over their thresholds", "none", above(0.8, 1))
        .with_target(
            line(
                "max by (signal, detector) (headrace_drift_statistic{S})", "{{signal}} {{detector}}"
            )
        )
        .height(7)
        .decimals(2)
        .description(
            told(
                "Each detector's statistic divided by its own threshold: green is quiet, yellow "
                "is near the threshold, red is above it.",
                red="the detector fires as long as it is red.",
                do="features first, then confidence, then error: inputs changed and the model "
                "suffers. Error alone: the right answers have changed, not the inputs.",
            )
        ),
        lines("Alarms, last hour", "short", above(1, 5))
        .with_target(
            line(
                "sum by (signal, detector, level) "
                "(increase(headrace_drift_alarms_total{S}[1h])) > 0",
                "{{signal}} {{detector}} {{level}}",
            )
        )
        .min(0)
        .description(
            told(
                "Alarms by watch; one that prolongs another is not counted.",
                red="five in an hour from one watch.",
                do="no cause in sight: raise its threshold (drift.watch), or lengthen "
                "drift.hold_n.",
            )
        ),
        lines("Changes of the level, last day", "short", above(10, 30))
        .with_target(
            line("sum by (level) (increase(headrace_drift_changes_total{S}[1d]))", "{{level}}")
        )
        .min(0)
        .description(
            told(
                "How often the drift level changed to each level, in the day before.",
                red="30: it flickers.",
                do="lengthen drift.hold_n.",
            )
        ),
        rows("Last alarm of each watch", "none")
        .with_target(
            row_of(
                "max by (signal, detector) (headrace_drift_last_alarm_timestamp_seconds{S}) * 1000"
            )
        )
        .overrides([override("last alarm", unit="dateTimeFromNow")])
        .with_transformation(
            DataTransformerConfig(
                "organize",
                options={"excludeByName": {"Time": True}, "renameByName": {"Value": "last alarm"}},
            )
        )
        .description(
            told(
                "When each watch last raised an alarm; those that never did are missing.",
                calm="it is a list.",
                do="start with the first that fired: the others follow from it.",
            )
        ),
    ]


def _features() -> list[Panel]:
    return [
        ranking("Statistic by feature, top 20", "none", above(0.8, 1))
        .with_target(
            now("topk(20, max by (feature) (headrace_feature_statistic{S}))", "{{feature}}")
        )
        .span(12)
        .height(12)
        .max(2)
        .description(
            told(
                "The highest statistic of each feature over its own threshold, at the end of the "
                "time in view.",
                red="1 or more: the feature is not what it was.",
                do="one: its source. All: a release, or a season. Then look at the distribution.",
            )
        ),
        ranking("PSI by feature, top 20", "none", above(0.1, 0.25))
        .with_target(now("topk(20, max by (feature) (headrace_feature_psi{S}))", "{{feature}}"))
        .span(12)
        .height(12)
        .max(1)
        .description(
            told(
                "Population stability index of the window against the sample of the past, at the "
                "end of the time in view.",
                red="0.25 or more; from 0.1 on it is worth a look.",
                do="as beside it. High PSI with a low statistic: the window is small, it may be "
                "chance.",
            )
        ),
        lines("Statistic of the chosen features", "none", above(0.8, 1))
        .with_target(
            line(
                'max by (feature) (headrace_feature_statistic{S,feature=~"$feature"})',
                "{{feature}}",
            )
        )
        .span(12)
        .min(0)
        .max(3)
        .decimals(1)
        .description(
            told(
                "The highest statistic of each feature chosen at the top, over its own threshold. "
                "Cut off at 3.",
                red="1 or more.",
                do="a step is a release; a slope is the world; a spike a burst of odd events.",
            )
        ),
        lines("PSI of the chosen features", "none", above(0.1, 0.25))
        .with_target(
            line('max by (feature) (headrace_feature_psi{S,feature=~"$feature"})', "{{feature}}")
        )
        .span(12)
        .min(0)
        .max(1)
        .description(
            told(
                "Population stability index of each feature chosen at the top. Cut off at 1.",
                red="0.25 or more.",
                do="it falls by itself as the sample of the past fills with the new world.",
            )
        ),
    ]


def _distributions() -> list[Panel]:
    side = 'max by (bin) (headrace_feature_share_ratio{S,feature=~"$moved",side="%s"})'
    return [
        columns(
            "$moved: now against the past",
            "percentunit",
            "bin",
            [("now", side % "now", BLUE), ("reference", side % "reference", GREY)],
        )
        .span(6)
        .repeat("moved")
        .repeat_direction("h")
        .max_per_row(4)
        .description(
            told(
                "Share of the events in each bin, in the window (now) and in the sample of the "
                "past (reference). The bins of a number are the octiles of the past, so its grey "
                "bars are level if its values are spread out. The bins of a category are its most "
                "frequent values.",
                calm="the statistic says how far apart is too far.",
                do="all in one bin: a constant where a value should be. All in missing: a broken "
                "join. Shifted by some bins: another unit, or a new world.",
            )
        ),
        rows("Where the bins end", "none")
        .with_target(
            row_of('max by (feature, bin) (headrace_feature_bin_border{S,feature=~"$moved"})')
        )
        .span(24)
        .height(7)
        .with_transformation(
            DataTransformerConfig(
                "groupingToMatrix",
                options={"columnField": "bin", "rowField": "feature", "valueField": "Value"},
            )
        )
        .description(
            told(
                "Upper borders of the bins, for features that are numbers. The last bin has none.",
                calm="it is a list.",
                do="use it to read the bars above.",
            )
        ),
    ]


def _classes() -> list[Panel]:
    side = 'max by (class) (headrace_class_share_ratio{S,side="%s"})'
    return [
        columns(
            "Class mix: now against the past",
            "percentunit",
            "class",
            [("now", side % "now", BLUE), ("reference", side % "reference", GREY)],
        ).description(
            told(
                "Share of the predictions by class, in the window and in the sample of the past.",
                calm="only you know what the mix ought to be.",
                do="a class that swallows the others: look at the features, then at the last "
                "adoption.",
            )
        ),
        stacked("Predicted classes", "percentunit")
        .with_target(
            line(
                "sum by (class) (rate(headrace_predictions_total{S}[5m])) "
                "/ ignoring (class) group_left () "
                "sum(rate(headrace_predictions_total{S}[5m]))",
                "{{class}}",
            )
        )
        .min(0)
        .max(1)
        .description(
            told(
                "Share of each class among the predictions, over 5 minutes.",
                calm="only you know what the mix ought to be.",
                do="compare the step with the markers: drift, adoption, or neither.",
            )
        ),
        heat(
            "Confidence",
            "percentunit",
            "sum by (le) (increase(headrace_prediction_confidence_ratio_bucket{S}[R]))",
        ).description(
            told(
                "How many predictions had which confidence, over time.",
                calm="a model may be sure and wrong.",
                do="the mass sinks: the model meets what it does not know.",
            )
        ),
    ]


def _consequences() -> list[Panel]:
    return [
        lines("Accuracy, with its 95 % interval", "percentunit", never())
        .with_target(line('min(headrace_accuracy_ratio{S,estimate="value"})', "estimated"))
        .with_target(line('min(headrace_accuracy_ratio{S,estimate="low"})', "at least"))
        .with_target(line('min(headrace_accuracy_ratio{S,estimate="high"})', "at most"))
        .min(0)
        .max(1)
        .overrides(BAND)
        .description(
            told(
                "Estimated accuracy with its interval: what the drift cost, and whether the "
                "accuracy comes back.",
                calm="the overview says what was surely lost.",
                do="it does not come back within some hundred labels: is anything adopted?",
            )
        ),
        lines("Requests and rounds because of drift, an hour", "short", never())
        .with_target(
            line('sum(increase(headrace_label_requests_total{S,reason="drift"}[1h]))', "requests")
        )
        .with_target(
            line('sum(increase(headrace_query_rounds_total{S,reason="drift"}[1h]))', "rounds")
        )
        .min(0)
        .description(
            told(
                "Label requests and rounds because of drift, in the hour before.",
                calm="it is what the reserve is for.",
                do="none under DRIFT: the reserve is empty, or query.rounds.drift_n is 0.",
            )
        ),
        lines("Retraining, last hour", "short", never())
        .with_target(
            line(
                "max by (kind) (increase(headrace_model_updates_total"
                '{S,kind=~"retrained|adopted|kept"}[1h]))',
                "{{kind}}",
            )
        )
        .min(0)
        .description(
            told(
                "Retraining ordered; challengers adopted, or the model kept.",
                calm="kept is the gate at work.",
                do="many kept, none adopted: too few control labels to prove the challenger "
                "better (learn.adopt_labels_n), or it is no better.",
            )
        ),
    ]
