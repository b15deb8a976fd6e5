"""One river classifier behind a narrow interface: rows and class codes in, probabilities out.

Nothing here chooses a model (models.py) or keeps examples (memory.py). Whatever river does, the
stream goes on: an empty answer becomes a uniform row; an exception, or an answer that is no
distribution, a row of NaN, as a failure is not doubt. `failures` has the first of each kind.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Hashable, Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from ..messages import Context, Features, Moments
from ..observe.originals import OriginalOf
from ..state.copying import copy_object
from .committee.committee import Committee
from .committee.discriminant import Discriminant
from .committee.table import CommitteeTable
from .estimator import SklearnClassifier, SklearnScorer
from .failures import Failures
from .habits import first_words, keeps_absence, takes_weight
from .many import answers_many, ask_many
from .members import as_answers, as_distributions, ensemble_in, opinions_of
from .own_labels import OwnLabels
from .parts import name_of
from .presets import RiverClassifier
from .schema_view import Floats, LastRow, SchemaView
from .scorers.compiling import compile_model
from .scorers.scorer import Scorer, by_class, is_likeliest, try_score

_CODES = (bool, int)

PAIRWISE_N = 8
"""Sums of at least this many numbers numpy does not add up one after the other."""


class Learner:
    """A river classifier that learns and scores rows; classes are codes 0..k-1.

    The model learns codes, not text, because some river models iterate over sets of labels, whose
    order for text depends on the hash seed of the process. A model that has its own labels learns
    those. `missing` says whether a missing feature is left out ("absent") or passed as None
    ("none"); by default the first label finds out which ("found").

    >>> from river import naive_bayes
    >>> class Amounts:
    ...     names, kinds, classes, width = ["amount"], ["numeric"], ["fine", "fraud"], 1
    ...     def features(self, row):
    ...         return {"amount": float(row[0])}
    >>> learner = Learner(naive_bayes.GaussianNB(), Amounts())
    >>> learner.probabilities(np.array([[3.0]])).tolist()
    [[0.5, 0.5]]
    >>> [learner.learn(np.array([x]), int(x > 50)) for x in (1.0, 4.0, 90.0, 99.0)]
    [True, True, True, True]
    >>> learner.is_right(np.array([3.0]), 0)
    True
    """

    def __init__(
        self,
        model: RiverClassifier,
        schema: SchemaView,
        missing: Literal["found", "absent", "none"] = "found",
    ) -> None:
        self.model = model
        self.schema = schema
        self.learned_n = 0
        self.unlearnable_n = 0
        self.failed_in_row_n = 0  # labels in a row, up to the latest, that could not be learned
        self.failures = Failures()
        # Cloned before the first label: a later clone() of some ensembles keeps what they learned.
        self._blank = model.clone()
        self._own_labels = OwnLabels.from_model(model)
        self._is_silent, self._gives_probabilities = first_words(model)
        self._accepts_weight: bool | None = None
        # Whether missing features are left out instead of None; None until the first label.
        self._is_absence_kept: bool | None = {"found": None, "absent": True, "none": False}[missing]
        self._compile()

    def _compile(self) -> None:
        """Make the scorer or table of a model that can be scored in batches."""
        self._table: CommitteeTable | None = None
        self._scorer: Scorer | None = None
        self._read = LastRow()
        if isinstance(self.model, Committee):
            self._table = CommitteeTable(self.model, self.schema)
        elif isinstance(self.model, SklearnClassifier):
            self._scorer = SklearnScorer(self.model, self.schema)
        elif not self._own_labels:
            gets_none = self._is_absence_kept is False
            scorer = compile_model(self.model, self.schema, gets_none=gets_none)
            if scorer is not None and gets_none:
                # A model that needs `None` for missing features, which trees can't be told.
                scorer.passes_none = scorer.asks_for_none
                if scorer.learns_originals and not scorer.asks_for_none:
                    scorer = None
            self._scorer = scorer

    def __getstate__(self) -> dict[str, Any]:
        """The state without the scorers, which are made from the model, and without failures."""
        left_out = ("_scorer", "_table", "_read", "failures")
        return {k: value for k, value in self.__dict__.items() if k not in left_out}

    STATE_VERSION: ClassVar[int] = 4

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before version 2 failures were counted otherwise, before 3 every model learned codes.

        Before 4 the state had `_is_multiclass`, which the model itself knows.
        """
        for name in ("failed_predictions_n", "_is_multiclass"):
            fields.pop(name, None)
        return {"failed_in_row_n": 0, "_own_labels": OwnLabels({})} | fields

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.failures = Failures()
        self._compile()

    @property
    def row_by_row(self) -> str:
        """The name of a model that cannot be scored in batches, or of such members of a committee.

        Empty if there are none. A model that has grown too large for arrays is one, too.
        """
        if self._table is not None:
            return self._table.members_alone
        is_scored = self._scorer is not None and not self._scorer.is_left_to_river
        return "" if is_scored or answers_many(self.model) else name_of(self.model)

    @property
    def wants_context(self) -> bool:
        """Whether labels should come back with the `Context` that `context` returned."""
        return self._table is not None

    @property
    def accepts_weight(self) -> bool:
        """Whether the model's weight argument works (docs/WEIGHTS.md); `takes_weight` tests it."""
        if self._accepts_weight is None:
            names = [
                name
                for name, kind in zip(self.schema.names, self.schema.kinds, strict=True)
                if kind == "numeric"
            ]
            self._accepts_weight = takes_weight(self._blank, names)
        return self._accepts_weight

    @property
    def is_silent(self) -> bool:
        """Whether the model has no answer yet, so that every row would be uniform."""
        return self._is_silent

    def probabilities(
        self, X: Floats, at: Floats | None = None, original_of: OriginalOf | None = None
    ) -> Floats:
        """Class probabilities, shape (n, k), for the k classes of the schema; each row sums to 1.

        `X` has shape (n, d), d at most the schema's width. `at`, shape (n,), are the events' times
        in seconds, for models whose evidence ages; by default the present. `original_of(i)` are the
        features of event i as they came, for models that are not compiled, and for free texts. A
        row has the same bits in any batch. It is uniform if the model has no answer, and NaN if the
        model fails; a class that the model does not know gets 0.
        """
        n, k = len(X), len(self.schema.classes)
        # An unlearned model is not called: river's forests fix their features at the first event
        # that they predict, so workers that see different events would diverge.
        if k == 0 or self._is_silent:
            return np.full((n, k), 1.0 / k if k else 0.0)
        if self._table is not None:
            scores = by_class(*self._table.score(X, at, original_of), k)
        elif self._scorer is not None and (said := try_score(self._scorer, X)) is not None:
            scores = self._by_scorer(self._scorer, *said, X, original_of)
        else:
            scores = self._by_river(X, k, original_of)
        return self._distributions(scores)

    @property
    def has_members(self) -> bool:
        """Whether the model is a committee or a river ensemble."""
        return self._table is not None or ensemble_in(self.model) is not None

    def members(self, X: Floats, at: Floats, original_of: OriginalOf) -> Floats | None:
        """The `probabilities` by each of m members: shape (m, n, k); None before the first label.

        A member without an answer, or that fails, has a uniform row.
        """
        k = len(self.schema.classes)
        if k == 0 or self._is_silent:
            return None
        if self._table is not None:
            committee = self._table.committee
            member_opinions = committee.opinions(self._table.rows(X, at, original_of))
            by_member = [by_class(committee.classes, opinion, k) for opinion in member_opinions]
        else:
            inputs = [self._make_input(row, original_of(i)) for i, row in enumerate(X)]
            codes = self._own_labels.code
            by_member = opinions_of(self.model, inputs, k, lambda y: codes(y, self.schema.classes))
        return as_distributions(np.stack(by_member)) if by_member else None

    def context(
        self,
        row: Floats,
        at: float,
        events_n: int,
        moments: Mapping[str, Moments],
        original: Features | None = None,
    ) -> Context | None:
        """The `Context` that must come back with this event's label; None if the model needs none.

        `row`, shape (d,), `at`, in seconds, and `original`, the features as they came, are of this
        event; `moments`, by numeric feature, are of the `events_n` events since the last request.
        """
        if self._table is None or self._is_silent:
            return Context(events_n=events_n, moments=dict(moments)) if self._table else None
        names = self.schema.classes
        said = self._table.read_opinions(row, at, original)
        opinions = self._table.committee.by_class(said)
        return Context(
            opinions={names[code]: said for code, said in opinions.items() if code < len(names)},
            events_n=events_n,
            moments=dict(moments),
        )

    def learn(
        self,
        row: Floats,
        code: int,
        weight: float = 1.0,
        *,
        at: float | None = None,
        key: Hashable = None,
        context: Context | None = None,
        original: Features | None = None,
    ) -> bool:
        """Learn one example; return False, and count it in `unlearnable_n`, if the model cannot.

        `row` has shape (d,), `code` is the class, `original` are the features as they came. A model
        without `accepts_weight` ignores `weight`. Only a committee uses `at`, the event's time in
        seconds, `key`, by which its label may be corrected, and `context`, which came with it.
        """
        classes_n = len(self.schema.classes) if self.model._multiclass else 2
        if not 0 <= code < classes_n:
            self.count_unlearnable(f"it tells {classes_n} classes apart, this is another")
            return False
        label = self._own_labels.label(code, self.schema.classes)
        x = self._make_input(row, original)
        if self._is_absence_kept is None and self._may_need_none:
            self._is_absence_kept = keeps_absence(
                self.model, {name: x.get(name) for name in self.schema.names}, label
            )
            if not self._is_absence_kept and not self._reads_originals:
                self._compile()
            x = self._make_input(row, original)
        try:
            if self._table is not None:
                context = None if context is None else self._in_codes(context)
                self._table.committee.learn_one(x, label, weight, at=at, key=key, context=context)
            elif weight == 1.0 or not self.accepts_weight:
                self.model.learn_one(x, label)
            else:
                self.model.learn_one(x, label, w=weight)
        except Exception as error:  # whatever river or a model of the user raises, we go on
            self.count_unlearnable(error)
            return False
        finally:
            if self._scorer is not None:
                self._scorer.is_stale = True
        self._is_silent = False
        self.learned_n += 1
        self.failed_in_row_n = 0
        return True

    def count_unlearnable(self, error: Exception | str) -> None:
        """Count a label that could not be learned, with its error or reason."""
        self.failures.note_failure("learn", error)
        self.unlearnable_n += 1
        self.failed_in_row_n += 1

    def failures_by_member(self) -> dict[str, Failures]:
        """The failures of a committee's members, by name, without members that never failed."""
        return self._table.committee.failures_by_member() if self._table is not None else {}

    @property
    def is_made_anew(self) -> bool:
        """Whether the model is solved anew from its evidence at each label, as a committee is."""
        return self._table is not None

    @property
    def river_members_n(self) -> int:
        """The number of river classifiers in a committee; 0 for any other model."""
        return len(self.model.river_places()) if self._table is not None else 0

    def describe_evidence(self) -> dict[str, Any]:
        """The amount of evidence of a committee and its age in seconds; None for other models."""
        committee = self.model if self._table is not None else None
        return {
            "evidence_n": committee.evidence_n if committee else None,
            "evidence_age_s": committee.evidence_age if committee else None,
            "evidence_memory_s": committee.evidence_memory if committee else None,
        }

    def make_novice(self) -> Learner:
        """An unlearned learner for comparing ways of asking; for a committee, one cheap member."""
        if self._table is None:
            fresh = self.make_unlearned()
            fresh._read = self._read
            return fresh
        return Learner(Committee(members=[Discriminant()]), self.schema)

    def forget(self, key: Hashable) -> None:
        """Unlearn the label with this key, if the model is a committee."""
        if self._table is not None:
            self._table.committee.forget(key)

    def erase(self, is_gone: Callable[[Hashable, Mapping[Any, Any], float], bool]) -> int:
        """Forget labels by key, features and time, as far as the model can, and all failures.

        `is_gone` decides by these, the time in seconds. Returns how many labels were erased.
        """
        self.failures = Failures()
        erased_n = 0
        if self._table is not None:
            erased_n = self._table.committee.erase(is_gone)
        elif isinstance(self.model, SklearnClassifier):
            # An sklearn model has neither ids nor times.
            erased_n = self.model.erase(lambda x: is_gone(None, x, math.inf))
        self._compile()
        return erased_n

    def is_right(
        self,
        row: Floats,
        code: int,
        context: Context | None = None,
        original: Features | None = None,
    ) -> bool:
        """Whether the model as it is now predicts class `code`, for testing before learning.

        The parameters are those of `learn`. Among equally likely classes the lowest code is
        predicted. River predicts: compiling the model anew for one row would cost more.
        """
        return is_likeliest(self.predict_row(row, context, original), code)

    def predict_row(
        self, row: Floats, context: Context | None = None, original: Features | None = None
    ) -> Floats:
        """Class probabilities of one row, shape (k,), as `is_right` uses them: by river.

        A committee pools its members' opinions on arrival, if the `context` has them. NaN if the
        model fails.
        """
        k = len(self.schema.classes)
        if k == 0 or self._is_silent:
            return np.full(k, 1.0 / k if k else 0.0)
        if self._table is not None:
            return self._pooled_before(row, k, context, original)
        scores, total = self._one_by_river(row, k, original), 0.0
        for p in scores:
            total += p
        if k < PAIRWISE_N and min(scores) >= 0.0 and 0.0 < total < math.inf:
            return np.array([p / total for p in scores])
        probabilities: Floats = self._distributions(np.array([scores]))[0]
        return probabilities

    def make_unlearned(self) -> Learner:
        """An unlearned learner with the same hyper-parameters, seed and schema."""
        fresh = Learner(self._blank.clone(), self.schema)
        fresh._accepts_weight = self._accepts_weight
        fresh._is_absence_kept = self._is_absence_kept
        fresh._own_labels = self._own_labels
        fresh._compile()
        return fresh

    def as_it_began(self) -> Learner:
        """A learner without what was learned, whose `make_novice` is what ours would be now."""
        alike = copy.copy(self)
        alike.model = self._blank
        alike.attach(self.schema)
        alike._read = self._read
        return alike

    def copy(self) -> Learner:
        """An independent copy of the learner; the schema is shared."""
        state = self.__getstate__()
        own = copy_object({**state, "schema": None})
        copied: Learner = object.__new__(type(self))
        copied.__setstate__({**own, "schema": self.schema})
        return copied

    def view_through(self, schema: SchemaView) -> Learner:
        """A view of the same model with another schema, until the next label; it must not learn."""
        view = copy.copy(self)
        view.attach(schema)
        return view

    def attach(self, schema: SchemaView) -> None:
        """Read rows by this schema from now on: for a learner back from another process."""
        self.schema = schema
        self._compile()

    def _pooled_before(
        self, row: Floats, k: int, context: Context | None, original: Features | None
    ) -> Floats:
        """The committee's probabilities of one row, shape (k,), before it learns the label."""
        assert self._table is not None
        committee = self._table.committee
        opinions = None if context is None else committee.said_in(self._in_codes(context))
        if opinions is None:
            present: Floats = self.probabilities(row[np.newaxis], None, lambda _: original)[0]
            return present
        pooled = committee.pool_opinions(opinions[:, np.newaxis])
        answer: Floats = by_class(committee.classes, pooled, k)[0]
        return answer

    def _in_codes(self, context: Context) -> Context:
        """The context with class names replaced by their codes, which the model learns."""
        codes = {name: code for code, name in enumerate(self.schema.classes)}
        said = context.opinions.items()
        opinions: dict[Any, Any] = {codes[name]: p for name, p in said if name in codes}
        return Context(opinions=opinions, events_n=context.events_n, moments=context.moments)

    @property
    def _reads_originals(self) -> bool:
        """Whether river scores the model event by event, from the features as they came."""
        return self._table is None and self._scorer is None

    @property
    def _may_need_none(self) -> bool:
        """Whether the model may want None for a missing feature."""
        return self._reads_originals or (self._scorer is not None and self._scorer.asks_for_none)

    def _make_input(self, row: Floats, original: Features | None) -> dict[str, Any]:
        """The features of one event for the model to learn or predict.

        A compiled model reads rows, so it learns their values. Any other model gets the event's own
        values, and `None` for a missing feature if it needs that.
        """
        scorer = self._scorer
        is_row_enough = scorer is not None and not (
            scorer.is_refusing_texts or scorer.learns_originals
        )
        x = self._read.features(row, self.schema, None if is_row_enough else original)
        if self._is_absence_kept is False and self._may_need_none:
            return {name: x.get(name) for name in self.schema.names}
        return x

    def _by_river(self, X: Floats, k: int, original_of: OriginalOf | None = None) -> Floats:
        scores, original = np.zeros((len(X), k)), original_of or (lambda i: None)
        failures = self.failures if self.learned_n else Failures()
        answers = ask_many(
            self.model, lambda i: self._make_input(X[i], original(i)), len(X), failures
        )
        for i, row in enumerate(X):
            scores[i] = self._one_by_river(row, k, original(i), answers.get(i))
        return scores

    def _by_scorer(
        self, scorer: Scorer, labels: list[int], answers: Floats, X: Floats, originals: Any
    ) -> Floats:
        classes = self.schema.classes
        scores = by_class(self._own_labels.codes(labels, classes), answers, len(classes))
        if originals is not None:
            for i in scorer.rows_beyond(X):
                scores[i] = self._one_by_river(X[i], len(classes), originals(i))
        return scores

    def _one_by_river(
        self, row: Floats, k: int, original: Features | None, answer: Any = None
    ) -> list[float]:
        """The probabilities by river for one row, a list of k, from its answer; NaN if it fails."""
        scores, own, classes = [0.0] * k, self._own_labels, self.schema.classes
        are_codes = not own and not own.is_turned(classes)
        try:
            if answer is None:
                answer = self._answer(self._make_input(row, original))
            for label, probability in answer.items():
                is_code = are_codes and type(label) in _CODES
                code = int(label) if is_code else own.code(label, classes)
                if 0 <= code < k:
                    scores[code] = float(probability)
        except Exception as error:  # as in learn
            if self.learned_n:
                self.failures.note_failure("predict", error)
            return [math.nan] * k
        return scores

    def _distributions(self, found: Floats) -> Floats:
        return as_answers(found, self.failures, is_learned=self.learned_n > 0)

    def _answer(self, x: dict[str, Any]) -> dict[Any, float]:
        if self._gives_probabilities:
            answer: dict[Any, float] | None = self.model.predict_proba_one(x)
            return answer or {}
        label = self.model.predict_one(x)
        return {} if label is None else {label: 1.0}
