"""Of the overview: is it healthy, is the model good, did the world drift."""

from __future__ import annotations

from grafana_foundation_sdk.models.common import LineStyle

from .panels import (
    BLUE,
    GREEN,
    GREY,
    RED,
    YELLOW,
    Panel,
    above,
    bare,
    below,
    fixed,
    line,
    lines,
    mapping,
    never,
    now,
    override,
    ranking,
    single,
    stacked,
    timeline,
    told,
)

BAND = [
    override("estimated", color=fixed(BLUE), custom__lineWidth=3),
    override(
        "at most",
        color=fixed(BLUE),
        custom__lineWidth=0,
        custom__fillOpacity=18,
        custom__fillBelowTo="at least",
    ),
    override("at least", color=fixed(BLUE), custom__lineWidth=0),
]
"""An estimate with its interval as a band."""

LEVELS = mapping({"0": ("STABLE", GREEN), "1": ("WARNING", YELLOW), "2": ("DRIFT", RED)})


def health() -> list[Panel]:
    """Twelve numbers, two lines: green all over means that the page can be left."""
    return [
        single("Workers up", "percentunit", below(1))
        .with_target(line("avg(up{P}) or vector(0)"))
        .decimals(0)
        .description(
            told(
                "Share of the workers that answer Prometheus.",
                red="at least one does not, or none is scraped at all.",
                do="look at its /healthz, then at its log. Alert HeadraceDown.",
            )
        ),
        single("Events a second", "cps", below(0.001))
        .with_target(line("sum(rate(headrace_events_observed_total{S}[R])) or vector(0)"))
        .decimals(1)
        .description(
            told(
                "Events scored and kept, over all workers.",
                red="nothing is observed.",
                do="look at the lag, in Stream below: lag means a worker is stuck, no lag that the "
                "producer has stopped. Alert HeadraceIntakeStalled.",
            )
        ),
        single("Fresh decisions, last hour", "percentunit", below(0.99, 0.999))
        .with_target(
            line(
                'sum(rate(headrace_event_age_seconds_bucket{S,le="30.0"}[1h])) '
                "/ sum(rate(headrace_event_age_seconds_count{S}[1h]))"
            )
        )
        .decimals(2)
        .description(
            told(
                "Share of the events that were decided on within 30 s of happening.",
                red="below 99 %: what people are asked about is no longer what is going on.",
                do="look at lag and at processing time, in Stream below; add a worker if all "
                "partitions lag. Alerts HeadraceFreshnessFastBurn and HeadraceFreshnessSlowBurn.",
            )
        ),
        single("Inputs rejected, last hour", "percentunit", above(0.001, 0.01))
        .with_target(
            line(
                "sum(increase(headrace_inputs_rejected_total{S}[1h])) / clamp_min("
                "sum(increase(headrace_inputs_rejected_total{S}[1h])) "
                "+ sum(increase(headrace_events_observed_total{S}[1h])), 1)"
            )
        )
        .decimals(2)
        .description(
            told(
                "Share of the inputs that could not be used.",
                red="above 1 %: most often the producer's format has changed.",
                do="find the reason in Stream below, then the inputs themselves in the rejects. "
                "Alert HeadraceInputsRejected.",
            )
        ),
        single("Lag", "s", above(60, 300))
        .with_target(line("max(headrace_partition_lag_seconds{S})"))
        .decimals(0)
        .no_value("no log")
        .description(
            told(
                "While records wait: how long ago the one that was read last came to its topic. 0 "
                "while none waits. The worst partition.",
                red="more than 5 minutes behind.",
                do="see in Stream below whether one partition lags or all. Alert HeadraceLagHigh.",
            )
        ),
        bare("Drift now", "none", above(1, 2))
        .with_target(line("max(headrace_drift_level{S})"))
        .mappings(LEVELS)
        .description(
            told(
                "The drift level, the worst of all partitions.",
                red="the world is not what the model learned.",
                do="open the drift board for which signal and which feature; look whether the "
                "producer changed anything; then watch the accuracy come back. "
                "Alert HeadraceDrift.",
            )
        ),
        single("Accuracy", "percentunit", never())
        .with_target(line('min(headrace_accuracy_ratio{S,estimate="value"})'))
        .decimals(1)
        .description(
            told(
                "Estimated from the labels bought, over the last window of events; the lowest "
                "worker.",
                calm="what is good enough depends on the use; what was lost stands beside it.",
                do="read it with its interval, in the next row.",
            )
        ),
        single("Accuracy lost, last day", "percentunit", above(0.001, 0.05))
        .with_target(
            line(
                "max(clamp_min("
                'max_over_time(headrace_accuracy_ratio{S,estimate="low"}[1d]) '
                '- ignoring (estimate) headrace_accuracy_ratio{S,estimate="high"}, 0))'
            )
        )
        .decimals(1)
        .description(
            told(
                "The lower bound of the accuracy at its best in the last day, minus the upper "
                "bound now. 0 while the intervals overlap.",
                red="at least 5 points are gone, and it is not chance.",
                do="see Drift below; roll back what was released when it began; if it was the "
                "world, labels are the cure. Alert HeadraceAccuracyFell.",
            )
        ),
        single("Labels, last hour", "short", below(1))
        .with_target(line("sum(increase(headrace_labels_total{S}[1h]))"))
        .decimals(0)
        .description(
            told(
                "Requests that were settled.",
                red="no label in an hour: the model learns nothing.",
                do="see Labelling below: are requests open, are answers refused, has the budget "
                "gone? Alert HeadraceLabelsStopped.",
            )
        ),
        single("Open, near deadline", "percentunit", above(0.25, 0.5))
        .with_target(
            line(
                "sum(headrace_label_requests_stale{S}) "
                "/ clamp_min(sum(headrace_label_requests_open{S}), 1)"
            )
        )
        .decimals(0)
        .description(
            told(
                "Share of the open requests that have less than half of their time left.",
                red="half of them: the annotators do not keep up.",
                do="open the annotators board; lower the budget or ask more people. "
                "Alert HeadraceRequestsExpire.",
            )
        ),
        bare("Budget", "none", above(None, 1))
        .with_target(line("min(headrace_budget_is_exhausted{S})"))
        .mappings(mapping({"0": ("open", GREEN), "1": ("SPENT", RED)}))
        .description(
            told(
                "Whether the cap on labels is reached or the money spent. "
                "Without both it never is.",
                red="nothing will be asked again.",
                do="raise query.budget.cap or money, or let it rest: the model goes on as it is. "
                "Alert HeadraceBudgetExhausted.",
            )
        ),
        single("Oldest snapshot", "s", above(900, 3600))
        .with_target(line("time() - min(headrace_snapshot_last_timestamp_seconds{S})"))
        .decimals(0)
        .no_value("none written")
        .description(
            told(
                "How much of the log a restart would read again; the worst worker.",
                red="more than an hour.",
                do="see State below: is the disk full, is the store away? Nothing is lost, a "
                "restart only takes longer. Alert HeadraceSnapshotOld.",
            )
        ),
    ]


def quality() -> list[Panel]:
    """The accuracy, how sure it is, and what became of the labels."""
    return [
        lines("Accuracy, with its 95 % interval", "percentunit", never())
        .with_target(line('min(headrace_accuracy_ratio{S,estimate="value"})', "estimated"))
        .with_target(line('min(headrace_accuracy_ratio{S,estimate="low"})', "at least"))
        .with_target(line('min(headrace_accuracy_ratio{S,estimate="high"})', "at most"))
        .with_target(line('min(headrace_accuracy_ratio{S,estimate="naive"})', "naive"))
        .span(12)
        .height(9)
        .min(0)
        .max(1)
        .overrides(
            [
                *BAND,
                override(
                    "naive",
                    color=fixed(GREY),
                    custom__lineWidth=1,
                    custom__lineStyle=LineStyle("dash", [6, 6]),
                ),
            ]
        )
        .description(
            told(
                "Accuracy of the predictions in the last window of events, estimated from the "
                "labels bought and from how likely each was to be bought; the lowest worker. The "
                "naive line is the share of right predictions among the events asked about. It is "
                "biased, because the questions are the hard ones.",
                calm="see what was surely lost, on the right.",
                do="nothing while the bands before and after overlap.",
            )
        ),
        lines("Accuracy surely lost, against the best of a day", "percentunit", above(0.001, 0.05))
        .with_target(
            line(
                "max(clamp_min("
                'max_over_time(headrace_accuracy_ratio{S,estimate="low"}[1d]) '
                '- ignoring (estimate) headrace_accuracy_ratio{S,estimate="high"}, 0))',
                "lost",
            )
        )
        .span(6)
        .height(9)
        .min(0)
        .description(
            told(
                "The lower bound of the accuracy at its best in the last day, minus the upper "
                "bound now. Above 0 the fall is not chance.",
                red="5 points or more.",
                do="compare with the markers: after drift, wait for labels; after an adoption, "
                "look at the model; after neither, at the producer.",
            )
        ),
        lines("Labels behind the estimate", "short", below(20, 40))
        .with_target(line("sum(headrace_accuracy_labels{S})", "labels"))
        .with_target(line("min(headrace_accuracy_blind_labels{S})", "worth as many blind ones"))
        .span(6)
        .height(9)
        .min(0)
        .description(
            told(
                "How many labels the accuracy is estimated from, and how many blindly drawn ones "
                "would give as narrow an interval.",
                red="fewer than 20: too few to judge by.",
                do="wait, or raise query.control_share: control labels count most.",
            )
        ),
        lines("Width of the interval", "percentunit", above(0.3, 0.5))
        .with_target(
            line(
                'max(headrace_accuracy_ratio{S,estimate="high"} '
                '- ignoring (estimate) headrace_accuracy_ratio{S,estimate="low"})',
                "width",
            )
        )
        .span(5)
        .min(0)
        .description(
            told(
                "From the lower to the upper bound of the 95 % interval; the widest worker.",
                red="half of all there is: the estimate says next to nothing.",
                do="more control labels, or a longer evaluation window.",
            )
        ),
        lines("Labels saved, against labelling all", "short", never())
        .with_target(line('max(headrace_labels_saved{S,against="all"})', "labels"))
        .span(5)
        .min(0)
        .description(
            told(
                "Events that needed no label.",
                calm="it can only grow.",
                do="`headrace pilot` measures what choosing gains over chance on your data.",
            )
        ),
        lines("Labels saved for the estimate", "short", never())
        .with_target(line('min(headrace_labels_saved{S,against="blind"})', "labels"))
        .span(4)
        .description(
            told(
                "How many blindly drawn labels would give as narrow an interval, minus the labels "
                "that it took. Below 0: choosing cost the estimate some.",
                calm="that is the price of teaching the model with them.",
                do="more control labels (query.control_share) bring it nearer to 0.",
            )
        ),
        lines("Since the model changed", "s", above(21_600, 86_400))
        .with_target(
            line(
                "time() - max by (kind) (headrace_model_last_update_timestamp_seconds{S})",
                "{{kind}}",
            )
        )
        .span(5)
        .min(0)
        .description(
            told(
                "Time since a label was learned, a retraining ordered, a challenger adopted.",
                red="a day. For adoptions that is fine in a stable world; for learned it is not.",
                do="labels but no learning: the trainer is stuck, see State. "
                "Alert HeadraceModelStuck.",
            )
        ),
        lines("Retraining, last hour", "short", never())
        .with_target(
            line(
                'max by (kind) (increase(headrace_model_updates_total{S,kind!="learned"}[1h]))',
                "{{kind}}",
            )
        )
        .span(5)
        .min(0)
        .decimals(0)
        .description(
            told(
                "Retraining ordered, then the challenger adopted or the model kept; and labels "
                "that could not be learned.",
                calm="kept is the gate at work: the challenger was not better.",
                do="unlearnable above 0: the features of the event are gone, or the model refuses "
                "the class, see HeadraceModelFailing. Nothing adopted for days under drift: see "
                "docs/DRIFT.md.",
            )
        ),
    ]


def drift() -> list[Panel]:
    """What moved, and how far."""
    return [
        timeline("Drift level over time", "none", above(1, 2))
        .with_target(line("max(headrace_drift_level{S})", "level"))
        .height(4)
        .mappings(LEVELS)
        .description(
            told(
                "STABLE, WARNING or DRIFT over time; the worst of all partitions.",
                red="DRIFT: rounds ask newer events, retraining is ordered, the reserve is spent.",
                do="find the watch in the next panel.",
            )
        ),
        lines("Statistics, over their own thresholds", "none", above(0.8, 1))
        .with_target(
            line(
                "max by (signal, detector) (headrace_drift_statistic{S})", "{{signal}} {{detector}}"
            )
        )
        .span(12)
        .min(0)
        .max(3)
        .decimals(1)
        .description(
            told(
                "Every detector's statistic divided by its own threshold: at 1 it fires. Cut off "
                "at 3.",
                red="1 or more. A spike that returns was a burst; a plateau is a new world.",
                do="error or surprise: the model is wrong, labels will tell. features alone: look "
                "at the producer first, a broken join looks like drift.",
            )
        ),
        ranking("Features that moved most", "none", above(0.8, 1))
        .with_target(
            now("topk(10, max by (feature) (headrace_feature_statistic{S}))", "{{feature}}")
        )
        .span(6)
        .max(2)
        .description(
            told(
                "The highest statistic of each feature over its own threshold, at the end of the "
                "time in view.",
                red="1 or more: the feature is not what it was.",
                do="one feature: its source. All at once: a release upstream, or a new season. "
                "The drift board shows the distributions.",
            )
        ),
        lines("Confidence", "percentunit", never())
        .with_target(line(_confidence(0.1), "10 % are below"))
        .with_target(line(_confidence(0.5), "half are below"))
        .span(6)
        .min(0)
        .max(1)
        .description(
            told(
                "How sure the predictions are, over 5 minutes.",
                calm="a model may be sure and wrong.",
                do="it moves as soon as the inputs do, up or down, and needs no label: compare "
                "with the features.",
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
        .span(12)
        .min(0)
        .max(1)
        .description(
            told(
                "Share of each class among the predictions, over 5 minutes.",
                calm="only you know what the mix ought to be.",
                do="a share that jumps without a release: a broken feature, or a new world.",
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
        .span(12)
        .min(0)
        .description(
            told(
                "Alarms by watch; one that prolongs another is not counted.",
                red="five in an hour from one watch: it is too eager, or the world does not rest.",
                do="if no cause is found, raise the threshold of the watch (drift.watch).",
            )
        ),
    ]


def _confidence(share: float) -> str:
    buckets = "headrace_prediction_confidence_ratio_bucket"
    return f"histogram_quantile({share}, sum by (le) (rate({buckets}{{S}}[5m])))"
