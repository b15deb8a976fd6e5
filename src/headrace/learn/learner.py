"""One river classifier behind a narrow border: rows and class codes in, probabilities out.

Nothing here chooses a model (models.py) or keeps examples (memory.py). Whatever river does, the
stream goes on: an empty answer becomes a uniform row, and an exception, or what is no distribution,
a row of NaN - the model failed on it, which is no doubt. `failures` has the first of each kind.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Hashable, Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from ..messages import Context, Features, Moments
from ..observe.originals import OriginalOf
from .committee.committee import Committee
from .committee.discriminant import Discriminant
from .committee.table import CommitteeTable
from .estimator import SklearnClassifier, SklearnScorer
from .failures import Failures
from .habits import first_words, keeps_absence, takes_weight
from .members import as_distributions, ensemble_in, opinions_of
from .own_labels import OwnLabels
from .parts import name_of
from .presets import RiverClassifier
from .schema_view import Floats, LastRow, SchemaView
from .scoring import Scorer, by_class, compile, is_likeliest  # noqa: A004 - the word for it
from .tree_scoring import TreeScorer, is_of_trees

_CODES = (bool, int)

PAIRWISE_N = 8
"""From so many numbers on numpy adds them in another order than one after the other."""


class Learner:
    """A river classifier that learns and scores rows; classes are codes 0..k-1.

    Codes, not text, because some river models walk sets of labels and so depend on the hash seed of
    the process when labels are text; but a model that knows labels of its own learns those.

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
        # From before the first label: a later clone() of some ensembles keeps what they learned.
        self._blank = model.clone()
        self._own_labels = OwnLabels.of(model)
        self._is_silent, self._gives_probabilities = first_words(model)
        self._accepts_weight: bool | None = None
        # Whether missing features stay away or come as None: found out at the first label.
        self._is_absence_kept: bool | None = {"found": None, "absent": True, "none": False}[missing]
        self._compile()

    def _compile(self) -> None:
        """Whatever of the model can be scored in batches."""
        self._table: CommitteeTable | None = None
        self._scorer: Scorer | None = None
        self._read = LastRow()
        if isinstance(self.model, Committee):
            self._table = CommitteeTable(self.model, self.schema)
        elif isinstance(self.model, SklearnClassifier):
            self._scorer = SklearnScorer(self.model, self.schema)
        elif not self._own_labels and is_of_trees(self.model):
            # Where river is to be given `None` for what is missing, it is asked itself.
            is_absent = self._is_absence_kept is not False
            self._scorer = TreeScorer(self.model, self.schema) if is_absent else None
        elif not self._own_labels:
            self._scorer = compile(self.model, self.schema)

    def __getstate__(self) -> dict[str, Any]:
        """All but the scorers, which the model gives again, and failures, which are words."""
        left_out = ("_scorer", "_table", "_read", "failures")
        return {k: value for k, value in self.__dict__.items() if k not in left_out}

    STATE_VERSION: ClassVar[int] = 4

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before 2 failures were counted otherwise, before 3 every model learned codes.

        Before 4 it was kept whether the model tells more than two classes apart, which it says.
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
        """What the model is, if nothing of it can be scored in batches; else empty."""
        return name_of(self.model) if self._scorer is None and self._table is None else ""

    @property
    def wants_context(self) -> bool:
        """Whether labels should come back with a `Context` that `context` made."""
        return self._table is not None

    @property
    def accepts_weight(self) -> bool:
        """Whether the model's own weight argument does what a weight should (docs/WEIGHTS.md).

        Found out by behaviour on first use, on clones; see `takes_weight`.
        """
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
        """It has nothing to say yet: every row would be uniform."""
        return self._is_silent

    def probabilities(
        self, X: Floats, at: Floats | None = None, original_of: OriginalOf | None = None
    ) -> Floats:
        """Class probabilities, shape (n, k), k the classes of the schema; each row sums to 1.

        X has shape (n, d) with d at most the schema's width, `at`, shape (n,), are the events'
        times in seconds, for models whose evidence ages; without, they are of now. A row's answer
        has the same bits in any batch. Where the model has no answer, the row is uniform; where it
        fails, NaN; a class that it does not know gets 0. `original_of(i)` are the features of event
        i as they came, for models that are not compiled, and for free texts.
        """
        n, k = len(X), len(self.schema.classes)
        # An unlearned model is not even asked: river's forests take the features of the first event
        # they predict for all there are, and workers that see other events would drift apart.
        if k == 0 or self._is_silent:
            return np.full((n, k), 1.0 / k if k else 0.0)
        if self._table is not None:
            found = by_class(*self._table.score(X, at, original_of), k)
        elif isinstance(self._scorer, TreeScorer):
            found = self._by_trees(self._scorer, X, k, original_of)
        elif self._scorer is not None:
            found = by_class(*self._scorer.score(X), k)
        else:
            found = self._by_river(X, k, original_of)
        return self._distributions(found)

    @property
    def has_members(self) -> bool:
        """Whether the model is made of members: a committee, or an ensemble of river's."""
        return self._table is not None or ensemble_in(self.model) is not None

    def members(self, X: Floats, at: Floats, original_of: OriginalOf) -> Floats | None:
        """What `probabilities` says, by each member: shape (m, n, k); None before the first label.

        A member that fails, or says nothing, says that all classes are alike.
        """
        k = len(self.schema.classes)
        if k == 0 or self._is_silent:
            return None
        if self._table is not None:
            committee = self._table.committee
            said = committee.opinions(self._table.rows(X, at, original_of))
            found = [by_class(committee.classes, opinion, k) for opinion in said]
        else:
            inputs = [self._make_input(row, original_of(i)) for i, row in enumerate(X)]
            codes = self._own_labels.code
            found = opinions_of(self.model, inputs, k, lambda y: codes(y, self.schema.classes))
        return as_distributions(np.stack(found)) if found else None

    def context(
        self,
        row: Floats,
        at: float,
        events_n: int,
        moments: Mapping[str, Moments],
        original: Features | None = None,
    ) -> Context | None:
        """What has to come back with the label of this event, if the model wants anything.

        `events_n` events, whose `moments` by numeric feature these are, came since the last one.
        """
        if self._table is None or self._is_silent:
            return Context(events_n=events_n, moments=dict(moments)) if self._table else None
        names = self.schema.classes
        said = self._table.said(row, at, original)
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
        """Learn one example; False, and counted in `unlearnable_n`, when the model cannot.

        A model without `accepts_weight` is never given the weight. A committee is also told when
        the event happened, `at` in seconds, by which `key` its label may be corrected, and the
        `context` that came with it. `original` are the event's features as they came.
        """
        classes_n = len(self.schema.classes) if self.model._multiclass else 2
        if not 0 <= code < classes_n:
            self.count_unlearnable(f"it tells {classes_n} classes apart, this is another")
            return False
        label = self._label(code)
        x = self._make_input(row, original)
        if self._is_absence_kept is None and self._reads_originals:
            self._is_absence_kept = keeps_absence(
                self.model, {name: x.get(name) for name in self.schema.names}, label
            )
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

    def _label(self, code: int) -> Any:
        if not self.model._multiclass:
            return bool(code)  # what river's binary learners were written for
        return self._own_labels.label(self.schema.classes[code], code) if self._own_labels else code

    def count_unlearnable(self, error: Exception | str) -> None:
        """A label could not be learned, by this error or for this reason."""
        self.failures.note_failure("learn", error)
        self.unlearnable_n += 1
        self.failed_in_row_n += 1

    def failures_by_member(self) -> dict[str, Failures]:
        """What the members of a committee failed at, by their names; of those that did."""
        return self._table.committee.failures_by_member() if self._table is not None else {}

    @property
    def is_made_anew(self) -> bool:
        """The model is solved anew from its own evidence at each label: nothing is to retrain."""
        return self._table is not None

    @property
    def river_members_n(self) -> int:
        """How many river classifiers a committee has; 0 of any other model."""
        return len(self.model.river_places()) if self._table is not None else 0

    def describe_evidence(self) -> dict[str, Any]:
        """How much evidence a committee has and how old it is, seconds; None of other models."""
        committee = self.model if self._table is not None else None
        return {
            "evidence_n": committee.evidence_n if committee else None,
            "evidence_age_s": committee.evidence_age if committee else None,
            "evidence_memory_s": committee.evidence_memory if committee else None,
        }

    def novice(self) -> Learner:
        """An unlearned learner to compare ways of asking on; of a committee one cheap member."""
        if self._table is None:
            fresh = self.unlearned()
            fresh._read = self._read
            return fresh
        return Learner(Committee(members=[Discriminant()]), self.schema)

    def forget(self, key: Hashable) -> None:
        """Take a label back, as far as the model can."""
        if self._table is not None:
            self._table.committee.forget(key)

    def erase(self, is_gone: Callable[[Hashable, Mapping[Any, Any], float], bool]) -> int:
        """Forget labels by key, features and time, as far as the model can; words of failures too.

        How many of its own evidence, or of its own memory.
        """
        self.failures = Failures()
        found_n = 0
        if self._table is not None:
            found_n = self._table.committee.erase(is_gone)
        elif isinstance(self.model, SklearnClassifier):
            # It knows neither ids nor times.
            found_n = self.model.erase(lambda x: is_gone(None, x, math.inf))
        self._compile()
        return found_n

    def is_right(
        self,
        row: Floats,
        code: int,
        context: Context | None = None,
        original: Features | None = None,
    ) -> bool:
        """Whether the model, as it is now, would have said so: test, then learn.

        Among equally likely classes the lowest code is the one predicted. Always asks river: for
        one row between two labels, compiling the model anew would cost more than it saves.
        """
        return is_likeliest(self.predict_row(row, context, original), code)

    def predict_row(
        self, row: Floats, context: Context | None = None, original: Features | None = None
    ) -> Floats:
        """Class probabilities of one row, shape (k,), as `is_right` sees them: by river.

        A committee pools what its members said on arrival, if the `context` has that. NaN where it
        failed.
        """
        k = len(self.schema.classes)
        if k == 0 or self._is_silent:
            return np.full(k, 1.0 / k if k else 0.0)
        if self._table is not None:
            return self._pooled_before(row, k, context, original)
        found, total = self._one_by_river(row, k, original), 0.0
        for p in found:
            total += p
        if k < PAIRWISE_N and min(found) >= 0.0 and 0.0 < total < math.inf:
            return np.array([p / total for p in found])
        said: Floats = self._distributions(np.array([found]))[0]
        return said

    def unlearned(self) -> Learner:
        """The same hyper-parameters and seed, the same schema, nothing learned."""
        fresh = Learner(self._blank.clone(), self.schema)
        fresh._accepts_weight = self._accepts_weight
        fresh._is_absence_kept = self._is_absence_kept
        fresh._own_labels = self._own_labels
        fresh._compile()
        return fresh

    def as_it_began(self) -> Learner:
        """What makes novices later as this one would now, whatever it finds out until then."""
        alike = copy.copy(self)
        alike.model = self._blank
        alike.attach(self.schema)
        alike._read = self._read
        return alike

    def copy(self) -> Learner:
        """An independent learner that knows the same; the schema is shared."""
        return copy.deepcopy(self, {id(self.schema): self.schema})

    def through(self, schema: SchemaView) -> Learner:
        """The same model read through another schema, until the next label; it must not learn."""
        seen = copy.copy(self)
        seen.attach(schema)
        return seen

    def attach(self, schema: SchemaView) -> None:
        """Read rows by this schema from now on: for a learner back from another process."""
        self.schema = schema
        self._compile()

    def _pooled_before(
        self, row: Floats, k: int, context: Context | None, original: Features | None
    ) -> Floats:
        """What the committee says of one row without its label, shape (k,)."""
        assert self._table is not None
        committee = self._table.committee
        said = None if context is None else committee.said_in(self._in_codes(context))
        if said is None:
            alone: Floats = self.probabilities(row[np.newaxis], None, lambda _: original)[0]
            return alone
        pooled = committee.pool_opinions(said[:, np.newaxis])
        answer: Floats = by_class(committee.classes, pooled, k)[0]
        return answer

    def _in_codes(self, context: Context) -> Context:
        """The same with the codes of the classes for their names, as the model learns them."""
        codes = {name: code for code, name in enumerate(self.schema.classes)}
        opinions: dict[Any, tuple[float, ...]] = {
            codes[name]: said for name, said in context.opinions.items() if name in codes
        }
        return Context(opinions=opinions, events_n=context.events_n, moments=context.moments)

    @property
    def _reads_originals(self) -> bool:
        """The model is asked by river, event by event, and gets what came."""
        return self._table is None and self._scorer is None

    def _make_input(self, row: Floats, original: Features | None) -> dict[str, Any]:
        """What the model is given of one event.

        A compiled model reads rows, so it learns what they hold. One that is not is given what
        river would be: the event's own values, and `None` for a missing feature if it wants that.
        """
        scorer = self._scorer
        is_row_enough = scorer is not None and not (
            scorer.is_refusing_texts or scorer.learns_originals
        )
        x = self._read.features(row, self.schema, None if is_row_enough else original)
        if original is None:
            return x
        if self._reads_originals and self._is_absence_kept is False:
            return {name: x.get(name) for name in self.schema.names}
        return x

    def _by_river(self, X: Floats, k: int, original_of: OriginalOf | None = None) -> Floats:
        found = np.zeros((len(X), k))
        for i, row in enumerate(X):
            found[i] = self._one_by_river(row, k, None if original_of is None else original_of(i))
        return found

    def _by_trees(
        self, scorer: TreeScorer, X: Floats, k: int, original_of: OriginalOf | None
    ) -> Floats:
        if scorer.is_too_large:
            return self._by_river(X, k, original_of)
        found = by_class(*scorer.score(X), k)
        if original_of is not None:
            for i in scorer.beyond(X):
                found[i] = self._one_by_river(X[i], k, original_of(i))
        return found

    def _one_by_river(self, row: Floats, k: int, original: Features | None) -> list[float]:
        """What river says of each of k classes; NaN where it fails."""
        found, own, classes = [0.0] * k, self._own_labels, self.schema.classes
        are_codes = not own
        try:
            for label, probability in self._answer(self._make_input(row, original)).items():
                is_code = are_codes and type(label) in _CODES
                code = int(label) if is_code else own.code(label, classes)
                if 0 <= code < k:
                    found[code] = float(probability)
        except Exception as error:  # as in learn
            if self.learned_n:
                self.failures.note_failure("predict", error)
            return [math.nan] * k
        return found

    def _distributions(self, found: Floats) -> Floats:
        """Rows that sum to 1; uniform where the model said nothing, NaN where it failed.

        What an unlearned model fails at says nothing of it: that is uniform too.
        """
        # For one row these cost half of what the methods of an array do.
        total, lowest = np.add.reduce(found, axis=1), np.minimum.reduce(found, axis=1)
        # A NaN makes every comparison false.
        is_good = (lowest >= 0.0) & (total > 0.0) & (total < np.inf)
        if np.logical_and.reduce(is_good):
            good: Floats = found / total[:, np.newaxis]
            return good
        is_silent = (lowest >= 0.0) & (total == 0.0) | (not self.learned_n)
        if not (is_good | is_silent).all():
            self.failures.note_failure("predict", "its probabilities are no distribution")
        safe = np.where(is_good, total, 1.0)[:, np.newaxis]
        otherwise = np.where(is_silent, 1.0 / found.shape[1], np.nan)[:, np.newaxis]
        answers: Floats = np.where(is_good[:, np.newaxis], found / safe, otherwise)
        return answers

    def _answer(self, x: dict[str, Any]) -> dict[Any, float]:
        if self._gives_probabilities:
            answer: dict[Any, float] | None = self.model.predict_proba_one(x)
            return answer or {}
        label = self.model.predict_one(x)
        return {} if label is None else {label: 1.0}
