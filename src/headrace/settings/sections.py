"""The whole configuration as frozen structs; `parse` makes it from a mapping.

The sections without a module of their own are defined here; each other section is in the module
of its name (`[label]` in `settings.label`), and `[worker]` is in `settings.kafka`.
`settings.reading` builds a section from a mapping; `settings.loading` reads a file.
docs/SETTINGS.md is generated from these modules: the description beside a field is its reference.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from msgspec import Meta, field

from ..errors import BadSettings
from ..query.slices import faults_of_slices
from .answers import AnswersSettings, Unit, faults_of_answers
from .audit import AuditSettings
from .columns import ColumnsSettings, faults_of_columns
from .drift import DriftSettings, faults_of_drift
from .fields import (
    Count,
    CountOrNone,
    Few,
    Seconds,
    Section,
    Share,
    ShareOrNone,
    Size,
    about,
    faults_of_zone,
)
from .http import HttpSettings, faults_of_http
from .join import JoinSettings, faults_of_join
from .kafka import KafkaSettings, WorkerSettings, faults_of
from .label import LabelSettings, faults_of_label
from .privacy import PrivacySettings, faults_of_privacy
from .query import QuerySettings, faults_of_query
from .queue import QueueSettings, faults_of_secrets
from .reading import section_of
from .retention import RetentionSettings, faults_of_retention
from .sealing import SealingSettings

_FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")

COMPARED_MIN = 10
"""The least control labels that decide between two models; with fewer the champion stays."""


class InputSettings(Section, frozen=True, kw_only=True):
    """[input]: how a record of the inference log becomes an event. Paths are dotted: `a.b.c`."""

    decoder: Annotated[
        str,
        about(
            "`module:function` that turns a record's bytes into an object, or an array of objects, "
            "as a JSON parser would; the other settings here then apply to each object. If the "
            "function has a parameter `headers`, it gets the headers of the Kafka record. Empty: "
            "records are JSON."
        ),
    ] = ""

    id: Annotated[str, about("Path of the event's id.")] = "id"
    at: Annotated[
        str, about("Path of the event's time: seconds since the epoch, or RFC 3339 with a zone.")
    ] = "at"
    zone: Annotated[
        str,
        about(
            "Time zone of times that are texts without a zone, such as `UTC`, `+02:00` or "
            "`Europe/Zurich`. Empty: an event with such a time is rejected as `bad_time`. Where "
            "clocks go back and an hour comes twice, the first one is meant."
        ),
    ] = ""
    at_unit: Annotated[Unit, about("The unit of times that are numbers.")] = "s"
    features: Annotated[
        str,
        about(
            "Path of the features: an object (nested objects are flattened with dots) or an array "
            "named by `feature_names`. Empty: every field of the record that has no other meaning."
        ),
    ] = "features"
    feature_names: Annotated[
        list[str], about("Names of the features where the log has an array.")
    ] = field(default_factory=list)
    predicted: Annotated[
        str,
        about("Path of the served model's class; may be absent. Its `probabilities` win over it."),
    ] = "predicted"
    probabilities: Annotated[
        str,
        about(
            "Path of the served model's probabilities: an object by class, an array, a list of "
            "{label, score}, two arrays as {classes, scores}, or, with two `classes`, one number: "
            "the probability of the second."
        ),
    ] = "probabilities"
    classes: Annotated[
        list[str], about("Names of the classes where `probabilities` is an array.")
    ] = field(default_factory=list)
    class_names: Annotated[
        dict[str, str],
        about('Names of the served model\'s classes, where the log has codes: `{1 = "fraud"}`.'),
    ] = field(default_factory=dict)
    key: Annotated[str, about("Path of a key that requests carry along; may be absent.")] = "key"
    model_version: Annotated[str, about("Path of the served model's version; may be absent.")] = (
        "model_version"
    )
    label: Annotated[
        str,
        about("Path of the class, when it is in the record. Only `headrace pilot` reads it."),
    ] = "label"
    batch: Annotated[
        Literal["none", "instances", "kserve-v1", "kserve-v2", "columns", "seldon"],
        about(
            "Records that hold many events: `instances` (an array under `batch_path`, or a text "
            "with one event per line, as CSV or JSON), `kserve-v1` ({instances: [...]}), "
            "`kserve-v2` ({inputs: [{name, shape, datatype, data}]}), `columns` (all formats that "
            "MLflow accepts: {columns: [...], data: [[...]]}, dataframe_split, dataframe_records, "
            "instances, inputs), `seldon` ({data: {names, ndarray or tensor}}, jsonData, strData)."
        ),
    ] = "none"
    batch_path: Annotated[str, about("Path of the array for `instances`, or of the payload.")] = ""
    status: Annotated[
        str,
        about(
            "Path of the request's status. A record whose status is not in `status_ok` is left "
            "out, and counted as `left_out`. Empty: every record counts."
        ),
    ] = ""
    status_ok: Annotated[
        list[str], about('The statuses of requests that succeeded; `""` stands for no status.')
    ] = field(default_factory=lambda: ["200"])
    join: JoinSettings = JoinSettings()
    line_bytes_max: Annotated[
        Count, about("The largest record in bytes; a longer one is rejected as `oversize`.")
    ] = 1_048_576
    jump_max_s: Annotated[
        Seconds,
        about(
            "An event further ahead of the clock than this is rejected as `future`, until the "
            "latest events confirm its time (docs/TIME.md). Seconds."
        ),
    ] = 31_622_400.0


class SchemaSettings(Section, frozen=True, kw_only=True):
    """[schema]: features and classes. Inferred from the stream where not declared."""

    classes: Annotated[
        list[str], about("The known classes, in order. Others are added when an answer names them.")
    ] = field(default_factory=list)
    classes_closed: Annotated[
        bool, about("Reject an answer that names a class not listed in `classes`.")
    ] = False
    class_spelling: Annotated[
        Literal["refuse", "join", "keep"],
        about(
            "What happens to an answer that differs from a known class only by upper and lower "
            "case. `refuse`: it is rejected. `join`: it counts as that class. `keep`: it is a "
            "class of its own. Space around a class never counts. Each desk knows the classes of "
            "`schema.classes` and those in its answers."
        ),
    ] = "refuse"
    features: Annotated[
        dict[str, Literal["numeric", "categorical", "text"]],
        about("The features and their kinds, in order. Empty: inferred when first seen."),
    ] = field(default_factory=dict)
    features_max: Annotated[
        Size, about("The most features; further ones are counted and ignored.")
    ] = 2_000
    categories_max: Annotated[
        Size, about("The most values of one categorical feature; all further ones share one.")
    ] = 1_000
    classes_max: Annotated[
        Size, about("The most classes; an answer with a further one is rejected.")
    ] = 200


class ModelSettings(Section, frozen=True, kw_only=True):
    """[model]: the river model that learns from the labels."""

    name: Annotated[
        str,
        about(
            "A preset (`committee`, `logistic`, `naive-bayes`, `tree`, `adaptive-tree`, `forest`, "
            "`knn`), or `module:function`, which is called with `options` and returns a classifier "
            "of river or of scikit-learn. A class will do as well: "
            "`sklearn.naive_bayes:GaussianNB`."
        ),
    ] = "committee"
    options: Annotated[
        dict[str, Any],
        about('Arguments of a `module:function`, such as `{loss = "log_loss"}`.'),
    ] = field(default_factory=dict)
    missing: Annotated[
        Literal["found", "absent", "none"],
        about(
            "How a missing feature is passed to a model. `absent`: it is left out. `none`: as "
            "`None`, river's convention for its imputers and `Select`; a model that is scored as "
            "arrays gets it only if it has one of these or an encoder. `found`: whichever works, "
            "tried on copies at the first label."
        ),
    ] = "found"


class ObserveSettings(Section, frozen=True, kw_only=True):
    """[observe]: what is kept of the unlabelled stream."""

    window_n: Annotated[Size, about("Events in the sliding window.")] = 2_000
    window_s: Annotated[
        Seconds | None, about("Age at which an event leaves the window in any case; seconds.")
    ] = None
    reservoir_n: Annotated[Size, about("Events in the random sample of the past.")] = 2_000
    reservoir_half_life_s: Annotated[
        Seconds | None,
        about(
            "Age at which an event is half as likely to be in that sample; none: all past events "
            "are equally likely. Seconds."
        ),
    ] = None
    ids_n: Annotated[
        Count, about("How many of the latest event ids are remembered, to reject duplicates.")
    ] = 100_000


class LearnSettings(Section, frozen=True, kw_only=True):
    """[learn]: how labels are remembered, and how models are retrained and adopted."""

    memory_n: Annotated[Size, about("Labelled examples kept for retraining.")] = 2_000
    half_life_s: Annotated[
        Seconds | None,
        about(
            "Age at which an example weighs one half when a model is retrained; none: half of the "
            "time that the memory covers, or a third of the time since the last drift. Seconds."
        ),
    ] = None
    retrain_every_s: Annotated[
        Seconds | None, about("Seconds from one retraining to the next, beside those on drift.")
    ] = None
    retrain_every_n: Annotated[
        Count | None, about("Labels from one retraining to the next, beside those on drift.")
    ] = None
    retrain_labels_min: Annotated[Count, about("The fewest examples to retrain from.")] = 30
    soft_labels: Annotated[
        bool,
        about(
            "When the model learns a label, weigh it by its probability, if the model takes "
            "weights; only with `dawid_skene` as `label.consensus` (docs/ANNOTATORS.md)."
        ),
    ] = False
    passes: Annotated[Few, about("How many times a retraining goes through the memory.")] = 2
    adopt_labels_n: Annotated[
        Count, about("The latest control labels on which challenger and champion are compared.")
    ] = 30
    adopt_margin: Annotated[
        ShareOrNone, about("How much better, as a share of those labels, a challenger must be.")
    ] = 0.01
    retrain_members: Annotated[
        bool,
        about(
            "Retrain the river members of a committee as any other model is retrained. If false, "
            "they learn each label once and forget nothing."
        ),
    ] = False
    parked_max_n: Annotated[
        Count, about("Displaced models kept, to be tried again when inputs look like theirs.")
    ] = 3
    trial_labels_n: Annotated[
        Count,
        about(
            "Control labels on which an adopted challenger is compared with the model it "
            "displaced; if it proves worse beyond noise, it is rolled back."
        ),
    ] = 50
    versions_kept: Annotated[
        CountOrNone,
        about(
            "How many versions of the model are kept for `headrace model roll-back`; 0: none. Each "
            "is as large as the model, in memory and in snapshots."
        ),
    ] = 0
    version_every_n: Annotated[
        Count,
        about("Labels after which a version is kept; one is also kept at each adoption."),
    ] = 100
    twins_share: Annotated[
        ShareOrNone,
        about(
            "Share of the labels, all of them control labels, that small twins of the model play "
            "through, to estimate what choosing events is worth against asking at random; 0: there "
            "is no such estimate."
        ),
    ] = 0.15


class EvaluationSettings(Section, frozen=True, kw_only=True):
    """[evaluation]: the live accuracy estimate."""

    window_n: Annotated[Size, about("Events over which accuracy is estimated.")] = 5_000
    judged: Annotated[
        Literal["model", "served"], about("Whose predictions the headline estimate judges.")
    ] = "model"
    interval: Annotated[
        Literal["window", "anytime"],
        about(
            "`window`: each interval, looked at once, holds with 95 %. `anytime`: the interval of "
            "the accuracy of the whole stream ever misses, over all looks together, with at most 5 "
            "%; it is wider."
        ),
    ] = "window"
    propensity_min: Annotated[
        Share,
        about(
            "For `anytime`: the smallest probability with which an event may be asked. An event "
            "asked with less breaks the guarantee; a value far below what is needed makes "
            "intervals wide."
        ),
    ] = 0.002

    @property
    def anytime_min(self) -> float | None:
        """`propensity_min` if `interval` is `anytime`, else None."""
        return self.propensity_min if self.interval == "anytime" else None


class RunSettings(Section, frozen=True, kw_only=True):
    """[run]: snapshots and ticks of `headrace run`."""

    snapshot_every_n: Annotated[Count, about("Events between two snapshots.")] = 20_000
    snapshots_kept: Annotated[Few, about("Snapshots kept; older ones are removed.")] = 2
    tick_s: Annotated[
        Seconds, about("With --follow: quiet time after which a tick moves the clock; seconds.")
    ] = 1.0


class Settings(Section, frozen=True, kw_only=True):
    """The root: `stream` and `seed` stand at the top of the file, before any section.

    Attributes:
        stream: The name of the stream, in metrics and reports.
        seed: The seed of every random choice.
        input: Where the fields of an event stand in the log.
        columns: The kinds of single features, where they are declared and not inferred.
        answers: Where the fields of an answer stand.
        schema: Declared features and classes.
        model: The model.
        observe: What is remembered of the stream.
        query: Which events are asked about, when, and how many.
        label: How answers become labels.
        learn: How labels are learned, and when the model is retrained.
        drift: What is watched for drift, and by which detectors.
        evaluation: How the accuracy is estimated.
        retention: After how many days events are forgotten.
        run: Snapshots and ticks of `headrace run`.
        http: The HTTP server of metrics.
        kafka: The brokers and topics of a worker.
        worker: The other settings of a worker.
        queue: A queue or a stream that events are read from.
        privacy: What requests and rejections show.
        audit: The audit log.
        sealing: Encryption of requests and answers at rest.
        bridges: Bridges to labelling tools, by name.

    Most fields are sections, whose settings docs/SETTINGS.md lists, with units and bounds.

    >>> Settings(seed=7).query.strategy
    'margin'
    """

    stream: Annotated[str, about("Name of the stream, in metrics and reports.")] = "default"
    seed: Annotated[
        Annotated[int, Meta(ge=0, lt=1 << 62)], about("Seed of every random choice.")
    ] = 0
    input: InputSettings = InputSettings()
    columns: ColumnsSettings = ColumnsSettings()
    answers: AnswersSettings = AnswersSettings()
    schema: SchemaSettings = SchemaSettings()
    model: ModelSettings = ModelSettings()
    observe: ObserveSettings = ObserveSettings()
    query: QuerySettings = QuerySettings()
    label: LabelSettings = LabelSettings()
    learn: LearnSettings = LearnSettings()
    drift: DriftSettings = DriftSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    retention: RetentionSettings = RetentionSettings()
    run: RunSettings = RunSettings()
    http: HttpSettings = HttpSettings()
    kafka: KafkaSettings = KafkaSettings()
    worker: WorkerSettings = WorkerSettings()
    queue: QueueSettings = QueueSettings()
    privacy: PrivacySettings = PrivacySettings()
    audit: AuditSettings = AuditSettings()
    sealing: SealingSettings = SealingSettings()
    bridges: Annotated[
        dict[str, dict[str, Any]],
        about(
            "Bridges to labelling tools, one section `[bridges.NAME]` each; `kind` names the tool "
            "where NAME does not. docs/BRIDGES.md has their settings."
        ),
    ] = field(default_factory=dict)


# ---------------------------------------------------------------------------------- reading


def parse(raw: dict[str, Any]) -> Settings:
    """Make the settings of a mapping, such as a parsed TOML file.

    Args:
        raw: Sections and settings by name.

    Returns:
        The settings, checked.

    Raises:
        BadSettings: Settings are unknown, out of bounds or contradict each other; with every fault.

    >>> parse({"sed": 3, "query": {"budget": {"share": 2}}})
    Traceback (most recent call last):
    headrace.errors.BadSettings: 2 faults in the settings:
      - sed is not a setting; did you mean seed?
      - query.budget.share is 2; must be above 0 and at most 1
    """
    faults: list[str] = []
    settings: Settings = section_of(Settings, raw, "", faults)
    faults += faults_of_drift(settings.drift) if faults else check(settings)
    if faults:
        raise BadSettings(faults)
    return settings


def check(settings: Settings) -> list[str]:
    """Find contradictions between settings that are each valid alone.

    Args:
        settings: The settings.

    Returns:
        A sentence for each; empty when there are none.

    >>> check(Settings())
    []
    """
    faults = faults_of_query(settings.query, settings.observe.window_n)
    faults += faults_of_slices(settings.query.slices, dict(settings.schema.features))
    faults += faults_of_label(settings.label)
    are_named = settings.label.names_annotators or settings.label.second_opinion_share > 0
    if settings.query.budget.price_by_annotator and not are_named:
        faults.append(
            "query.budget.price_by_annotator is set and labels do not say who answered; set "
            "label.names_annotators"
        )
    faults += faults_of_retention(
        settings.retention, settings.label, settings.observe.window_s, settings.model.name
    )
    if settings.learn.soft_labels and settings.label.consensus != "dawid_skene":
        faults.append(
            "learn.soft_labels is true, and label.consensus is majority, which gives labels no "
            "probability; set label.consensus to dawid_skene, or leave it out"
        )
    learn = settings.learn
    for path, decoder in (("input", settings.input.decoder), ("answers", settings.answers.decoder)):
        if decoder and not _FUNCTION.fullmatch(decoder):
            faults.append(f"{path}.decoder is {decoder!r}; must be module:function")
    faults += faults_of_answers(settings.answers)
    faults += faults_of_join(
        settings.input.join, {"id": settings.input.id, "at": settings.input.at}
    )
    if learn.adopt_labels_n < COMPARED_MIN:
        faults.append(
            f"learn.adopt_labels_n is {learn.adopt_labels_n}; must be at least {COMPARED_MIN}, "
            "fewer control labels decide nothing"
        )
    if learn.memory_n < learn.retrain_labels_min:
        faults.append(
            f"learn.memory_n is {learn.memory_n}; must be at least learn.retrain_labels_min, "
            f"which is {learn.retrain_labels_min}, or nothing is ever retrained"
        )
    if len(set(settings.schema.classes)) != len(settings.schema.classes):
        faults.append("schema.classes names a class twice")
    if settings.schema.classes_closed and not settings.schema.classes:
        faults.append("schema.classes_closed is true; schema.classes must name the classes")
    for path, zone in (("input", settings.input.zone), ("answers", settings.answers.zone)):
        faults += faults_of_zone(f"{path}.zone", zone)
    faults += faults_of_columns(settings.columns)
    faults += faults_of_drift(settings.drift)
    faults += faults_of_http(settings.http)
    faults += faults_of_secrets(settings.bridges)
    faults += faults_of_privacy(settings.privacy, settings.schema.features)
    return [*faults, *faults_of(settings.kafka, settings.worker)]
