"""Of the overview: how the stream is read, and what the workers keep."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import DataTransformerConfig

from .panels import (
    GREEN,
    RED,
    Panel,
    above,
    below,
    fixed,
    line,
    lines,
    never,
    override,
    row_of,
    rows,
    stacked,
    steps,
    told,
)


def stream() -> list[Panel]:
    """Events in."""
    return [
        stacked("Events a second, by partition", "cps")
        .with_target(
            line(
                "max by (partition) (rate(headrace_partition_events_total{S}[R]))",
                "partition {{partition}}",
            )
        )
        .min(0)
        .description(
            told(
                "Events scored and kept.",
                calm="only the producer knows how many there should be.",
                do="one partition at 0: its worker, or the producer's key.",
            )
        ),
        lines("Lag, in records", "short", above(10_000, 100_000))
        .with_target(
            line(
                "max by (partition) (headrace_partition_lag_records{S})", "partition {{partition}}"
            )
        )
        .min(0)
        .description(
            told(
                "Records of each partition that are not processed yet.",
                red="100,000: a healthy worker does them in seconds, so this one is not healthy.",
                do="one partition alone: its worker is stuck or the key is hot. All: too few "
                "workers.",
            )
        ),
        lines("Lag, in seconds", "s", above(60, 300))
        .with_target(
            line(
                "max by (partition) (headrace_partition_lag_seconds{S})", "partition {{partition}}"
            )
        )
        .min(0)
        .description(
            told(
                "While records wait: how long ago the one that was read last came to its topic. 0 "
                "while none waits.",
                red="5 minutes: questions are about the past.",
                do="falling: it catches up by itself. Rising: as for records. "
                "Alert HeadraceLagHigh.",
            )
        ),
        lines("Event age, last 5 minutes", "s", above(30, 60))
        .with_target(line(_age(0.5), "half within"))
        .with_target(line(_age(0.99), "99 % within"))
        .min(0)
        .description(
            told(
                "Time from an event's own time to the decision on it.",
                red="more than a minute.",
                do="with lag: see there. Without: events come late, or a clock upstream is wrong.",
            )
        ),
        lines("Time for one event, last 5 minutes", "s", above(0.001, 0.01))
        .with_target(line(_processing(0.5), "half within"))
        .with_target(line(_processing(0.99), "99 % within"))
        .min(0)
        .description(
            told(
                "Time to score one event and decide on it, the mean of its batch. 1 divided by it "
                "is the number of events a second that one worker can do.",
                red="10 ms: less than 100 events a second.",
                do="a model of committees or trees is slow by nature; else look at the CPU below.",
            )
        ),
        lines("Newest event", "s", above(300, 1_800))
        .with_target(line("time() - max(headrace_last_event_timestamp_seconds{S})", "of all"))
        .with_target(
            line(
                "time() - max by (partition) (headrace_partition_last_event_timestamp_seconds{S})",
                "partition {{partition}}",
            )
        )
        .min(0)
        .description(
            told(
                "How old the newest event is.",
                red="half an hour of silence.",
                do="lag: a worker is stuck. No lag: the producer is silent.",
            )
        ),
        lines("Inputs rejected an hour, by reason", "short", never())
        .with_target(
            line(
                "sum by (reason) (increase(headrace_inputs_rejected_total{S}[1h])) > 0",
                "{{reason}}",
            )
        )
        .min(0)
        .description(
            told(
                "Inputs that could not be used, in the hour before.",
                calm="their share is judged at the top.",
                do="docs/REJECTS.md says what each reason means and what to do.",
            )
        ),
        lines("Features", "short", never())
        .with_target(line("max(headrace_features{S})", "known"))
        .with_target(line("max(headrace_features_vanished{S})", "vanished"))
        .span(4)
        .min(0)
        .decimals(0)
        .overrides([override("vanished", color=fixed(RED))])
        .description(
            told(
                "Known features, and those that had values before but have none in any event of "
                "the window.",
                calm="a feature may be retired. Alert HeadraceFeaturesVanished fires when another "
                "one vanishes.",
                do="vanished rises: a join upstream is broken.",
            )
        ),
        lines("Values ignored an hour", "short", above(1, 1_000))
        .with_target(
            line(
                "sum by (kind) (increase(headrace_feature_values_ignored_total{S}[1h]))", "{{kind}}"
            )
        )
        .span(4)
        .min(0)
        .description(
            told(
                "Values that were not used as they came, in the hour before. unknown: the feature "
                "found no room; mistyped: of another kind than the feature; not_finite: infinite; "
                "other_category: one category too many; number_in_text: a number taken as a "
                "category.",
                red="1,000 an hour: a feature changed its type, or new feature names keep coming.",
                do="unknown: raise schema.features_max or mend the names. mistyped: text where "
                "numbers were. other_category: columns.text. Alert HeadraceLimitReached.",
            )
        ),
        lines("Predictions failed, last hour", "short", above(None, 1))
        .with_target(line("sum(increase(headrace_predictions_failed_total{S}[1h]))", "failed"))
        .with_target(line("max(headrace_model_members_failed{S})", "members of the committee"))
        .span(4)
        .min(0)
        .description(
            told(
                "Events that the model failed to predict, and members of the committee that have "
                "failed since the worker started.",
                red="any: the event is observed, but nothing was predicted, and it counts as "
                "not right.",
                do="the model raises an error on some events: the closing table, the live view "
                "and readiness have the first one. Alert HeadracePredictionsFailed.",
            )
        ),
        lines("Events held", "short", never())
        .with_target(line("sum(headrace_window_events{S})", "window"))
        .with_target(line("sum(headrace_reservoir_events{S})", "sample of the past"))
        .span(4)
        .min(0)
        .description(
            told(
                "Events held in the window, to choose from, and in the sample of the past, to "
                "compare with.",
                calm="they fill up and stay full.",
                do="the window is empty while events come: observe.window_s is too short.",
            )
        ),
    ]


def state() -> list[Panel]:
    """What the workers keep, and how they get on with each other."""
    return [
        lines("Snapshot age", "s", above(900, 3_600))
        .with_target(
            line(
                "time() - min by (instance) (headrace_snapshot_last_timestamp_seconds{S})",
                "{{instance}}",
            )
        )
        .span(6)
        .min(0)
        .description(
            told(
                "Time since the last snapshot was written.",
                red="an hour: a restart reads that much of the log again.",
                do="see failures beside it. Alert HeadraceSnapshotOld.",
            )
        ),
        lines("Snapshot failures, last day", "short", above(None, 1))
        .with_target(
            line("sum by (kind) (increase(headrace_snapshot_failures_total{S}[1d]))", "{{kind}}")
        )
        .span(6)
        .min(0)
        .description(
            told(
                "Snapshots that could not be written, or that were found and not trusted.",
                red="any. write: the disk or the store. refused: damaged, or tampered with.",
                do="refused: treat it as an attack until shown otherwise; the state is rebuilt "
                "from the logs. Alerts HeadraceSnapshotFailed, HeadraceSnapshotRefused.",
            )
        ),
        lines("Snapshot size", "bytes", never())
        .with_target(line("max by (instance) (headrace_snapshot_size_bytes{S})", "{{instance}}"))
        .span(6)
        .min(0)
        .description(
            told(
                "Size of the last snapshot.",
                calm="it levels off once window, sample and memory are full.",
                do="it grows steadily: the model has no bound of its own, such as a tree.",
            )
        ),
        lines("Examples in memory", "short", never())
        .with_target(line("max(headrace_model_memory_examples{S})", "examples"))
        .span(6)
        .min(0)
        .description(
            told(
                "Labelled examples kept for retraining.",
                calm="they grow up to learn.memory_n and stay there.",
                do="none while labels come: learning has stopped, alert HeadraceModelStuck.",
            )
        ),
        lines("Training log, not in the model yet", "short", above(100, 1_000))
        .with_target(
            line("max by (instance) (headrace_training_log_lag_records{S})", "{{instance}}")
        )
        .with_target(
            line(
                "max(headrace_training_log_offset{S}) - min(headrace_training_log_offset{S})",
                "between the workers",
            )
        )
        .span(6)
        .min(0)
        .description(
            told(
                "Entries that a worker has read but not yet taken into its model, and how far the "
                "workers are apart. A worker reads about 5,000 ahead at most.",
                red="1,000: workers predict by different models.",
                do="one worker: restart it. All: retraining holds them up, see its time. "
                "Alert HeadraceTrainingLogBehind.",
            )
        ),
        lines("Entries in the model", "short", never())
        .with_target(line("headrace_model_version{S}", "{{instance}}"))
        .span(6)
        .description(
            told(
                "Entries of the training log that the model is made of, by worker: the lines lie "
                "upon each other.",
                calm="how far they are apart is judged beside it.",
                do="a line that stays flat while others rise: that worker does not learn.",
            )
        ),
        lines("Deciders", "short", steps((None, RED), (1, GREEN), (2, RED)))
        .with_target(line("sum(headrace_worker_is_decider{S})", "deciders"))
        .span(6)
        .min(0)
        .decimals(0)
        .description(
            told(
                "Workers that order retraining; there must be one.",
                red="none, or more than one.",
                do="it heals with the next rebalance; for minutes: restart the workers. "
                "Alert HeadraceDeciderMissing.",
            )
        ),
        stacked("Partitions of the desk, by worker", "short")
        .with_target(line("sum by (instance) (headrace_desk_partitions{S})", "{{instance}}"))
        .span(6)
        .min(0)
        .decimals(0)
        .description(
            told(
                "How many partitions of requests and answers each worker looks after.",
                calm="the sum is the number of partitions, whoever has them.",
                do="a step down that stays: partitions without a worker, see Workers up.",
            )
        ),
        lines("Rebalances, last hour", "short", above(5, 20))
        .with_target(line("max(increase(headrace_rebalances_total{S}[1h]))", "rebalances"))
        .span(6)
        .min(0)
        .description(
            told(
                "Times that the partitions were distributed anew among the workers.",
                red="one every 3 minutes: workers fall out of the group again and again.",
                do="memory or CPU of a worker, or the broker. Alert HeadraceRebalancing.",
            )
        ),
        lines("Time of a retraining, last hour", "s", above(60, 300))
        .with_target(line(_retraining(0.5), "half within"))
        .with_target(line(_retraining(0.9), "90 % within"))
        .span(6)
        .min(0)
        .description(
            told(
                "Time that a retraining took.",
                red="5 minutes: the world moves on meanwhile.",
                do="a smaller learn.memory_n, or a lighter model.",
            )
        ),
        lines("Retraining under way", "none", never())
        .with_target(line("max(headrace_model_is_retraining{S})", "retraining"))
        .span(6)
        .min(0)
        .max(1)
        .decimals(0)
        .description(
            told(
                "1 while a retraining is under way.",
                calm="it comes and goes.",
                do="1 for an hour: it has hung. Alert HeadraceRetrainingStuck.",
            )
        ),
        lines("Memory", "bytes", above(1e9, 2e9))
        .with_target(line("process_resident_memory_bytes{P}", "{{instance}}"))
        .span(6)
        .min(0)
        .description(
            told(
                "Resident memory of each worker.",
                red="2 GB, unless you know that your model needs it.",
                do="everything in Headrace is bounded; growth is the model's, see Snapshot size.",
            )
        ),
        lines("CPU", "percentunit", above(0.7, 0.95))
        .with_target(line("rate(process_cpu_seconds_total{P}[R])", "{{instance}}"))
        .span(6)
        .min(0)
        .description(
            told(
                "Share of one core; the loop has no more than one.",
                red="95 %: it is at its limit.",
                do="add a worker, up to the number of partitions.",
            )
        ),
        lines("Open files, of those allowed", "percentunit", above(0.5, 0.8))
        .with_target(line("process_open_fds{P} / process_max_fds{P}", "{{instance}}"))
        .span(6)
        .min(0)
        .description(
            told(
                "File descriptors in use.",
                red="8 in 10: soon nothing can be opened.",
                do="connections that are not closed, or too low a limit for the number of "
                "partitions.",
            )
        ),
        lines("Up since", "s", below(60, 300))
        .with_target(line("time() - process_start_time_seconds{P}", "{{instance}}"))
        .span(6)
        .min(0)
        .description(
            told(
                "Time since each worker was started. A saw-tooth is a worker that restarts.",
                red="started less than a minute ago.",
                do="if nobody restarted it: its last lines in the log, then its memory.",
            )
        ),
        rows("What is running", "none")
        .with_target(row_of("max by (instance, version, python, river) (headrace_build_info{P})"))
        .span(6)
        .with_transformation(
            DataTransformerConfig(
                "organize",
                options={
                    "excludeByName": {"Time": True, "Value": True},
                    "renameByName": {"instance": "worker", "version": "headrace"},
                },
            )
        )
        .description(
            told(
                "Versions, by worker.",
                calm="it is a list.",
                do="two versions for longer than a roll-out: finish it.",
            )
        ),
    ]


def _age(share: float) -> str:
    buckets = "headrace_event_age_seconds_bucket"
    return f"histogram_quantile({share}, sum by (le) (rate({buckets}{{S}}[5m])))"


def _processing(share: float) -> str:
    buckets = "headrace_event_processing_seconds_bucket"
    return f"histogram_quantile({share}, sum by (le) (rate({buckets}{{S}}[5m])))"


def _retraining(share: float) -> str:
    buckets = "headrace_retrain_seconds_bucket"
    return f"histogram_quantile({share}, sum by (le) (rate({buckets}{{S}}[1h])))"
