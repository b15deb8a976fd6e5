"""Of the overview: is it healthy, is the model good, did the world drift."""

from __future__ import annotations

from .panels import (
    BLUE,
    GREEN,
    GREY,
    RED,
    YELLOW,
    Json,
    above,
    below,
    line,
    lines,
    mapping,
    never,
    override,
    ranking,
    stat,
    timeline,
    told,
)

FIXED_BLUE = {"mode": "fixed", "fixedColor": BLUE}
FIXED_GREY = {"mode": "fixed", "fixedColor": GREY}
BAND = [
    override("estimated", color=FIXED_BLUE, custom__lineWidth=3),
    override(
        "at most",
        color=FIXED_BLUE,
        custom__lineWidth=0,
        custom__fillOpacity=18,
        custom__fillBelowTo="at least",
    ),
    override("at least", color=FIXED_BLUE, custom__lineWidth=0),
]
"""An estimate with its interval as a band."""

LEVELS = mapping({"0": ("STABLE", GREEN), "1": ("WARNING", YELLOW), "2": ("DRIFT", RED)})


def health() -> list[Json]:
    """Twelve numbers, two lines: green all over means that the page can be left."""
    return [
        stat(
            "Workers up",
            "avg(up{P}) or vector(0)",
            unit="percentunit",
            steps=below(1),
            decimals=0,
            about=told(
                "Share of the workers that answer Prometheus.",
                red="at least one does not, or none is scraped at all.",
                do="look at its /healthz, then at its log. Alert HeadraceDown.",
            ),
        ),
        stat(
            "Events a second",
            "sum(rate(headrace_events_observed_total{S}[R])) or vector(0)",
            unit="cps",
            steps=below(0.001),
            decimals=1,
            about=told(
                "Events scored and kept, over all workers.",
                red="nothing is observed.",
                do="look at the lag, in Stream below: lag means a worker is stuck, no lag that the "
                "producer has stopped. Alert HeadraceIntakeStalled.",
            ),
        ),
        stat(
            "Fresh decisions, last hour",
            'sum(rate(headrace_event_age_seconds_bucket{S,le="30.0"}[1h])) '
            "/ sum(rate(headrace_event_age_seconds_count{S}[1h]))",
            unit="percentunit",
            steps=below(0.99, 0.999),
            decimals=2,
            about=told(
                "Share of the events that were decided on within 30 s of happening.",
                red="below 99 %: what people are asked about is no longer what is going on.",
                do="look at lag and at processing time, in Stream below; add a worker if all "
                "partitions lag. Alerts HeadraceFreshnessFastBurn and HeadraceFreshnessSlowBurn.",
            ),
        ),
        stat(
            "Inputs rejected, last hour",
            "sum(increase(headrace_inputs_rejected_total{S}[1h])) / clamp_min("
            "sum(increase(headrace_inputs_rejected_total{S}[1h])) "
            "+ sum(increase(headrace_events_observed_total{S}[1h])), 1)",
            unit="percentunit",
            steps=above(0.001, 0.01),
            decimals=2,
            about=told(
                "Share of the inputs that could not be used.",
                red="above 1 %: most often the producer's format has changed.",
                do="find the reason in Stream below, then the inputs themselves in the rejects. "
                "Alert HeadraceInputsRejected.",
            ),
        ),
        stat(
            "Lag",
            "max(headrace_partition_lag_seconds{S})",
            unit="s",
            steps=above(60, 300),
            decimals=0,
            none="no log",
            about=told(
                "How long ago the first record came that was not fed yet; the worst partition.",
                red="more than 5 minutes behind.",
                do="see in Stream below whether one partition lags or all. Alert HeadraceLagHigh.",
            ),
        ),
        stat(
            "Drift now",
            "max(headrace_drift_level{S})",
            unit="none",
            steps=above(1, 2),
            mappings=LEVELS,
            graph=False,
            about=told(
                "The drift level, the worst of all partitions.",
                red="the world is not what the model learned.",
                do="open the drift board for which signal and which feature; look whether the "
                "producer changed anything; then watch the accuracy come back. "
                "Alert HeadraceDrift.",
            ),
        ),
        stat(
            "Accuracy",
            'min(headrace_accuracy_ratio{S,estimate="value"})',
            unit="percentunit",
            steps=never(),
            decimals=1,
            about=told(
                "Estimated from the labels bought, over the last window of events; the lowest "
                "worker.",
                calm="what is good enough depends on the use; what was lost stands beside it.",
                do="read it with its interval, in the next row.",
            ),
        ),
        stat(
            "Accuracy lost, last day",
            "max(clamp_min("
            'max_over_time(headrace_accuracy_ratio{S,estimate="low"}[1d]) '
            '- ignoring (estimate) headrace_accuracy_ratio{S,estimate="high"}, 0))',
            unit="percentunit",
            steps=above(0.001, 0.05),
            decimals=1,
            about=told(
                "How far the best that the accuracy can be now lies under the worst that it can "
                "have been at its best in the last day. 0 while the intervals overlap.",
                red="at least 5 points are gone, and it is not chance.",
                do="see Drift below; roll back what was released when it began; if it was the "
                "world, labels are the cure. Alert HeadraceAccuracyFell.",
            ),
        ),
        stat(
            "Labels, last hour",
            "sum(increase(headrace_labels_total{S}[1h]))",
            unit="short",
            steps=below(1),
            decimals=0,
            about=told(
                "Requests that were settled.",
                red="no label in an hour: the model learns nothing.",
                do="see Labelling below: are requests open, are answers refused, has the budget "
                "gone? Alert HeadraceLabelsStopped.",
            ),
        ),
        stat(
            "Open, near deadline",
            "sum(headrace_label_requests_stale{S}) "
            "/ clamp_min(sum(headrace_label_requests_open{S}), 1)",
            unit="percentunit",
            steps=above(0.25, 0.5),
            decimals=0,
            about=told(
                "Share of the open requests that have less than half of their time left.",
                red="half of them: the annotators do not keep up.",
                do="open the annotators board; lower the budget or ask more people. "
                "Alert HeadraceRequestsExpire.",
            ),
        ),
        stat(
            "Budget",
            "min(headrace_budget_is_exhausted{S})",
            unit="none",
            steps=above(None, 1),
            mappings=mapping({"0": ("open", GREEN), "1": ("SPENT", RED)}),
            graph=False,
            about=told(
                "Whether the cap on labels is reached. Without a cap it never is.",
                red="nothing will be asked again.",
                do="raise query.budget.cap, or let it rest: the model goes on as it is. "
                "Alert HeadraceBudgetExhausted.",
            ),
        ),
        stat(
            "Oldest snapshot",
            "time() - min(headrace_snapshot_last_timestamp_seconds{S})",
            unit="s",
            steps=above(900, 3600),
            decimals=0,
            none="none written",
            about=told(
                "How much of the log a restart would read again; the worst worker.",
                red="more than an hour.",
                do="see State below: is the disk full, is the store away? Nothing is lost, a "
                "restart only takes longer. Alert HeadraceSnapshotOld.",
            ),
        ),
    ]


def quality() -> list[Json]:
    """The accuracy, how sure it is, and what became of the labels."""
    return [
        lines(
            "Accuracy, with its 95 % interval",
            [
                line('min(headrace_accuracy_ratio{S,estimate="value"})', "estimated"),
                line('min(headrace_accuracy_ratio{S,estimate="low"})', "at least"),
                line('min(headrace_accuracy_ratio{S,estimate="high"})', "at most"),
                line('min(headrace_accuracy_ratio{S,estimate="naive"})', "naive"),
            ],
            unit="percentunit",
            steps=never(),
            width=12,
            height=9,
            low=0,
            high=1,
            overrides=[
                *BAND,
                override(
                    "naive",
                    color=FIXED_GREY,
                    custom__lineWidth=1,
                    custom__lineStyle={"fill": "dash", "dash": [6, 6]},
                ),
            ],
            about=told(
                "Of the predictions in the last window of events, from the labels bought and how "
                "likely each was to be bought; the lowest worker. The naive share of right answers "
                "among what was asked is biased: the questions are the hard ones.",
                calm="see what was surely lost, on the right.",
                do="nothing while the bands before and after overlap.",
            ),
        ),
        lines(
            "Accuracy surely lost, against the best of a day",
            [
                line(
                    "max(clamp_min("
                    'max_over_time(headrace_accuracy_ratio{S,estimate="low"}[1d]) '
                    '- ignoring (estimate) headrace_accuracy_ratio{S,estimate="high"}, 0))',
                    "lost",
                )
            ],
            unit="percentunit",
            steps=above(0.001, 0.05),
            width=6,
            height=9,
            low=0,
            about=told(
                "The lower bound at its best, less the upper bound now. Above 0 the fall is no "
                "chance.",
                red="5 points or more.",
                do="compare with the markers: after drift, wait for labels; after an adoption, "
                "look at the model; after neither, at the producer.",
            ),
        ),
        lines(
            "Labels behind the estimate",
            [
                line("sum(headrace_accuracy_labels{S})", "labels"),
                line("min(headrace_accuracy_blind_labels{S})", "worth as many blind ones"),
            ],
            unit="short",
            steps=below(20, 40),
            width=6,
            height=9,
            low=0,
            about=told(
                "How many labels the estimate stands on, and how many drawn blindly would say as "
                "much.",
                red="fewer than 20: too few to judge by.",
                do="wait, or raise query.control_share: control labels count most.",
            ),
        ),
        lines(
            "Width of the interval",
            [
                line(
                    'max(headrace_accuracy_ratio{S,estimate="high"} '
                    '- ignoring (estimate) headrace_accuracy_ratio{S,estimate="low"})',
                    "width",
                )
            ],
            unit="percentunit",
            steps=above(0.3, 0.5),
            width=5,
            low=0,
            about=told(
                "From the lower to the upper bound of the 95 % interval; the widest worker.",
                red="half of all there is: the estimate says next to nothing.",
                do="more control labels, or a longer evaluation window.",
            ),
        ),
        lines(
            "Labels saved, against labelling all",
            [line('max(headrace_labels_saved{S,against="all"})', "labels")],
            unit="short",
            steps=never(),
            width=5,
            low=0,
            about=told(
                "Events that needed no label.",
                calm="it can only grow.",
                do="what choosing gains over chance on your data, `headrace pilot` measures.",
            ),
        ),
        lines(
            "Saved for the estimate",
            [line('min(headrace_labels_saved{S,against="blind"})', "labels")],
            unit="short",
            steps=never(),
            width=4,
            about=told(
                "Labels drawn blindly that would give as narrow an interval, less those it took. "
                "Below 0 choosing costs the estimate some.",
                calm="that is the price of teaching the model with them.",
                do="more control labels (query.control_share) bring it nearer to 0.",
            ),
        ),
        lines(
            "Since the model changed",
            [
                line(
                    "time() - max by (kind) (headrace_model_last_update_timestamp_seconds{S})",
                    "{{kind}}",
                )
            ],
            unit="s",
            steps=above(21_600, 86_400),
            width=5,
            low=0,
            about=told(
                "Time since a label was learned, a retraining ordered, a challenger adopted.",
                red="a day. For adoptions that is fine in a stable world; for learned it is not.",
                do="labels but no learning: the trainer is stuck, see State. "
                "Alert HeadraceModelStuck.",
            ),
        ),
        lines(
            "Retraining, last hour",
            [
                line(
                    'max by (kind) (increase(headrace_model_updates_total{S,kind!="learned"}[1h]))',
                    "{{kind}}",
                )
            ],
            unit="short",
            steps=never(),
            width=5,
            low=0,
            decimals=0,
            about=told(
                "Retraining ordered, then the challenger adopted or the model kept; and labels "
                "that could not be learned.",
                calm="kept is the gate at work: the challenger was not better.",
                do="unlearnable above 0: the features of the event are gone, or the model refuses "
                "the class, see HeadraceModelFailing. Nothing adopted for days under drift: see "
                "docs/DRIFT.md.",
            ),
        ),
    ]


def drift() -> list[Json]:
    """What moved, and how far."""
    return [
        timeline(
            "Drift level over time",
            [line("max(headrace_drift_level{S})", "level")],
            unit="none",
            steps=above(1, 2),
            mappings=LEVELS,
            height=4,
            about=told(
                "STABLE, WARNING or DRIFT over time; the worst of all partitions.",
                red="DRIFT: rounds ask newer events, retraining is ordered, the reserve is spent.",
                do="find the watch in the next panel.",
            ),
        ),
        lines(
            "Statistics, over their own thresholds",
            [
                line(
                    "max by (signal, detector) (headrace_drift_statistic{S})",
                    "{{signal}} {{detector}}",
                )
            ],
            unit="none",
            steps=above(0.8, 1),
            width=12,
            low=0,
            high=3,
            decimals=1,
            about=told(
                "Every detector's statistic divided by its own threshold: at 1 it fires. Cut off "
                "at 3.",
                red="1 or more. A spike that returns was a burst; a plateau is a new world.",
                do="error or surprise: the model is wrong, labels will tell. features alone: look "
                "at the producer first, a broken join looks like drift.",
            ),
        ),
        ranking(
            "Features that moved most",
            "topk(10, max by (feature) (headrace_feature_statistic{S}))",
            "{{feature}}",
            unit="none",
            steps=above(0.8, 1),
            width=6,
            high=2,
            about=told(
                "The highest statistic of each feature over its own threshold, at the end of the "
                "time in view.",
                red="1 or more: the feature is not what it was.",
                do="one feature: its source. All at once: a release upstream, or a new season. "
                "The drift board shows the distributions.",
            ),
        ),
        lines(
            "Confidence",
            [
                line(_confidence(0.1), "10 % are below"),
                line(_confidence(0.5), "half are below"),
            ],
            unit="percentunit",
            steps=never(),
            width=6,
            low=0,
            high=1,
            about=told(
                "How sure the predictions are, over 5 minutes.",
                calm="a model may be sure and wrong.",
                do="it moves as soon as the inputs do, up or down, and needs no label: compare "
                "with the features.",
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
            width=12,
            low=0,
            high=1,
            stacked="normal",
            about=told(
                "Share of each class among the predictions, over 5 minutes.",
                calm="what the mix ought to be only you know.",
                do="a share that jumps without a release: a broken feature, or a new world.",
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
            width=12,
            low=0,
            about=told(
                "Alarms by watch; one that prolongs another is not counted.",
                red="five in an hour from one watch: it is too eager, or the world does not rest.",
                do="if no cause is found, raise the threshold of the watch (drift.watch).",
            ),
        ),
    ]


def _confidence(share: float) -> str:
    buckets = "headrace_prediction_confidence_ratio_bucket"
    return f"histogram_quantile({share}, sum by (le) (rate({buckets}{{S}}[5m])))"
