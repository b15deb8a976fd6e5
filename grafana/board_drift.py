"""The drill-down: which watch, which feature, how it is distributed, and what was done about it."""

from __future__ import annotations

from .board import board, choice
from .panels import (
    BLUE,
    GREY,
    Json,
    above,
    columns,
    heat,
    line,
    lines,
    never,
    override,
    ranking,
    row_of,
    table,
    timeline,
    told,
)
from .rows_health import BAND, LEVELS

ABOUT = (
    "Which watch fired, which feature moved and how, what became of the classes, and what Headrace "
    "did about it. Distributions are exported for the 4 features that moved most."
)


def drift() -> Json:
    """The dashboard's JSON."""
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
            choice(
                "feature",
                "Features",
                "label_values(headrace_feature_psi{S}, feature)",
                multi=True,
                about="Lines of single features.",
            ),
            choice(
                "moved",
                "Distributions of",
                "query_result(count by (feature) (headrace_feature_share_ratio{S}))",
                multi=True,
                about="The features that moved most; for others there are no distributions.",
                regex='/feature="([^"]+)"/',
            ),
        ],
    )


def _watches() -> list[Json]:
    return [
        timeline(
            "Drift level, by partition",
            [
                line(
                    "max by (partition) (headrace_partition_drift_level{S})",
                    "partition {{partition}}",
                )
            ],
            unit="none",
            steps=above(1, 2),
            mappings=LEVELS,
            about=told(
                "STABLE, WARNING or DRIFT, for each partition of the events.",
                red="DRIFT.",
                do="one partition alone: what is special about its keys? All at once: a release.",
            ),
        ),
        timeline(
            "Detectors: their statistics over their thresholds",
            [
                line(
                    "max by (signal, detector) (headrace_drift_statistic{S})",
                    "{{signal}} {{detector}}",
                )
            ],
            unit="none",
            steps=above(0.8, 1),
            height=7,
            decimals=2,
            about=told(
                "Green is quiet, yellow near its threshold, red above it.",
                red="the detector fires as long as it is red.",
                do="features first, then confidence, then error: inputs changed and the model "
                "suffers. Error alone: what is right has changed, not what is seen.",
            ),
        ),
        lines(
            "Alarms, last hour",
            [
                line(
                    "sum by (signal, detector, level) "
                    "(increase(headrace_drift_alarms_total{S}[1h])) > 0",
                    "{{signal}} {{detector}} {{level}}",
                )
            ],
            unit="short",
            steps=above(1, 5),
            low=0,
            about=told(
                "Alarms by watch; one that prolongs another is not counted.",
                red="five in an hour from one watch.",
                do="no cause in sight: raise its threshold (drift.watch), or lengthen "
                "drift.hold_n.",
            ),
        ),
        lines(
            "Changes of the level, last day",
            [
                line(
                    "sum by (level) (increase(headrace_drift_changes_total{S}[1d]))",
                    "{{level}}",
                )
            ],
            unit="short",
            steps=above(10, 30),
            low=0,
            about=told(
                "How often the level became this one, in the day before.",
                red="30: it flickers.",
                do="lengthen drift.hold_n.",
            ),
        ),
        table(
            "Last alarm of each watch",
            [
                row_of(
                    "max by (signal, detector) "
                    "(headrace_drift_last_alarm_timestamp_seconds{S}) * 1000"
                )
            ],
            unit="none",
            width=8,
            overrides=[override("last alarm", unit="dateTimeFromNow")],
            transformations=[
                {
                    "id": "organize",
                    "options": {
                        "excludeByName": {"Time": True},
                        "renameByName": {"Value": "last alarm"},
                    },
                }
            ],
            about=told(
                "When each watch last raised an alarm; those that never did are missing.",
                calm="it is a list.",
                do="start with the first that fired: the others follow from it.",
            ),
        ),
    ]


def _features() -> list[Json]:
    return [
        ranking(
            "Statistic by feature, top 20",
            "topk(20, max by (feature) (headrace_feature_statistic{S}))",
            "{{feature}}",
            unit="none",
            steps=above(0.8, 1),
            width=12,
            height=12,
            high=2,
            about=told(
                "The highest statistic of each feature over its own threshold, at the end of the "
                "time in view.",
                red="1 or more: the feature is not what it was.",
                do="one: its source. All: a release, or a season. Then look at the distribution.",
            ),
        ),
        ranking(
            "PSI by feature, top 20",
            "topk(20, max by (feature) (headrace_feature_psi{S}))",
            "{{feature}}",
            unit="none",
            steps=above(0.1, 0.25),
            width=12,
            height=12,
            high=1,
            about=told(
                "Population stability index of the window against the sample of the past, at the "
                "end of the time in view.",
                red="0.25 or more; from 0.1 on it is worth a look.",
                do="as beside it. High PSI with a low statistic: the window is small, it may be "
                "chance.",
            ),
        ),
        lines(
            "Statistic of the chosen features",
            [
                line(
                    'max by (feature) (headrace_feature_statistic{S,feature=~"$feature"})',
                    "{{feature}}",
                )
            ],
            unit="none",
            steps=above(0.8, 1),
            width=12,
            low=0,
            high=3,
            decimals=1,
            about=told(
                "The same over time, for the features chosen at the top. Cut off at 3.",
                red="1 or more.",
                do="a step is a release; a slope is the world; a spike a burst of odd events.",
            ),
        ),
        lines(
            "PSI of the chosen features",
            [
                line(
                    'max by (feature) (headrace_feature_psi{S,feature=~"$feature"})',
                    "{{feature}}",
                )
            ],
            unit="none",
            steps=above(0.1, 0.25),
            width=12,
            low=0,
            high=1,
            about=told(
                "The same over time, for the features chosen at the top. Cut off at 1.",
                red="0.25 or more.",
                do="it falls by itself as the sample of the past fills with the new world.",
            ),
        ),
    ]


def _distributions() -> list[Json]:
    side = 'max by (bin) (headrace_feature_share_ratio{S,feature=~"$moved",side="%s"})'
    now_and_then = columns(
        "$moved: now against the past",
        [("now", side % "now", BLUE), ("reference", side % "reference", GREY)],
        "bin",
        unit="percentunit",
        width=6,
        about=told(
            "Share of the events in each bin, in the window (now) and in the sample of the past "
            "(reference). Bins of a number are the octiles of the past, so the grey bars of one "
            "that is spread out are level; of a category its most frequent values.",
            calm="how far apart is too far, the statistic says.",
            do="all in one bin: a constant where a value should be. All in missing: a broken "
            "join. Shifted by some bins: another unit, or a new world.",
        ),
    )
    now_and_then |= {"repeat": "moved", "repeatDirection": "h", "maxPerRow": 4}
    borders = table(
        "Where the bins end",
        [row_of('max by (feature, bin) (headrace_feature_bin_border{S,feature=~"$moved"})')],
        unit="none",
        width=24,
        height=7,
        transformations=[
            {
                "id": "groupingToMatrix",
                "options": {"columnField": "bin", "rowField": "feature", "valueField": "Value"},
            }
        ],
        about=told(
            "Upper ends of the bins of features that are numbers; the last of them has none.",
            calm="it is a list.",
            do="use it to read the bars above.",
        ),
    )
    return [now_and_then, borders]


def _classes() -> list[Json]:
    side = 'max by (class) (headrace_class_share_ratio{S,side="%s"})'
    return [
        columns(
            "Class mix: now against the past",
            [("now", side % "now", BLUE), ("reference", side % "reference", GREY)],
            "class",
            unit="percentunit",
            width=8,
            about=told(
                "Share of the predictions by class, in the window and in the sample of the past.",
                calm="what the mix ought to be only you know.",
                do="a class that swallows the others: look at the features, then at the last "
                "adoption.",
            ),
        ),
        lines(
            "Predicted classes",
            [
                line(
                    "sum by (class) (rate(headrace_predictions_total{S}[5m])) "
                    "/ ignoring (class) group_left () "
                    "sum(rate(headrace_predictions_total{S}[5m]))",
                    "{{class}}",
                )
            ],
            unit="percentunit",
            steps=never(),
            low=0,
            high=1,
            stacked="normal",
            about=told(
                "Share of each class among the predictions, over 5 minutes.",
                calm="what the mix ought to be only you know.",
                do="compare the step with the markers: drift, adoption, or neither.",
            ),
        ),
        heat(
            "Confidence",
            "sum by (le) (increase(headrace_prediction_confidence_ratio_bucket{S}[R]))",
            unit="percentunit",
            width=8,
            about=told(
                "How many predictions had which confidence, over time.",
                calm="a model may be sure and wrong.",
                do="the mass sinks: the model meets what it does not know.",
            ),
        ),
    ]


def _consequences() -> list[Json]:
    return [
        lines(
            "Accuracy, with its 95 % interval",
            [
                line('min(headrace_accuracy_ratio{S,estimate="value"})', "estimated"),
                line('min(headrace_accuracy_ratio{S,estimate="low"})', "at least"),
                line('min(headrace_accuracy_ratio{S,estimate="high"})', "at most"),
            ],
            unit="percentunit",
            steps=never(),
            low=0,
            high=1,
            overrides=BAND,
            about=told(
                "What the drift cost, and whether it is coming back.",
                calm="the overview says what was surely lost.",
                do="it does not come back within some hundred labels: is anything adopted?",
            ),
        ),
        lines(
            "Requests and rounds because of drift, an hour",
            [
                line(
                    'sum(increase(headrace_label_requests_total{S,reason="drift"}[1h]))',
                    "requests",
                ),
                line('sum(increase(headrace_query_rounds_total{S,reason="drift"}[1h]))', "rounds"),
            ],
            unit="short",
            steps=never(),
            low=0,
            about=told(
                "What was asked because of drift, in the hour before.",
                calm="it is what the reserve is for.",
                do="none under DRIFT: the reserve is empty, or query.rounds.drift_n is 0.",
            ),
        ),
        lines(
            "Retraining, last hour",
            [
                line(
                    "max by (kind) (increase(headrace_model_updates_total"
                    '{S,kind=~"retrained|adopted|kept"}[1h]))',
                    "{{kind}}",
                )
            ],
            unit="short",
            steps=never(),
            low=0,
            about=told(
                "Retraining ordered; challengers adopted, or the model kept.",
                calm="kept is the gate at work.",
                do="many kept, none adopted: too few control labels to prove the challenger "
                "better (learn.adopt_labels_n), or it is no better.",
            ),
        ),
    ]
