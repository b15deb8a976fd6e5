"""The committee: a river classifier of several members that learn much from each label.

It keeps the latest labelled events as evidence, passes them to members that are solved anew (a
Gaussian process, a discriminant) and to river classifiers that learn one label at a time, and pools
their opinions by a stacker. docs/COMMITTEE.md has the equations and the measurements.

The state is the evidence and the settings. Settings move at fixed places in the sequence of labels,
and whatever follows from evidence and settings is solved on demand: the same labels make the same
model, whether it predicted in between or not.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, ClassVar

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray
from river import base

from ...messages import Context, Moments
from ..failures import Act, Failures
from ..members import as_distributions
from .blas import one_blas_thread
from .evidence import Floats, Member, Rows
from .gaussian_process import GaussianProcess
from .keeping import Keeping, LabelledEvent
from .members import RiverMember, default_members, without_free_texts
from .stacker import Stacker, logs_of

EARLY_N = 100
"""Settings move each time the number of labels has grown by one part in this many; so at every
label up to twice as many labels."""

Features = Mapping[Any, Any]
_FAILED = object()


class Committee(Keeping, base.Classifier):
    """A Gaussian process, a discriminant and river classifiers, pooled by their earlier accuracy.

    Features may be numbers or texts; features and classes may come and go. Nothing is random: the
    same calls return the same answers, bit for bit on one type of machine. docs/COMMITTEE.md has
    the equations, the papers and the measurements.

    Args:
        members: Unlearned objects with `fit` and `predict` of `evidence.Member`, and river
            classifiers. By default a Gaussian process, a discriminant, river's softmax regression
            and naive Bayes. A member that raises, or whose answer is no distribution, counts as
            undecided for that answer. A member's `trust` is its weight, as a multiple of a river
            classifier's, before labels judge it.
        memory_n: The most labelled events kept as evidence. A label costs O(memory_n^3).
        pools: Whether the members' weights are learned; otherwise they keep those of their `trust`.
        tunes: Whether the members' slow settings move.

    >>> from river import datasets, metrics
    >>> model, accuracy = Committee(), metrics.Accuracy()
    >>> for x, y in datasets.Phishing().take(300):
    ...     accuracy.update(y, model.predict_one(x))
    ...     model.learn_one(x, y)
    >>> accuracy.get() > 0.85
    True
    """

    def __init__(
        self,
        members: Sequence[Any] | None = None,
        memory_n: int = 300,
        pools: bool = True,
        tunes: bool = True,
    ) -> None:
        super().__init__(memory_n)
        self.members = members
        self.pools = pools
        self.tunes = tunes
        self.labels_n = 0
        # Copies: the passed members stay unlearned, so that a clone of this committee is blank.
        templates = default_members() if members is None else members
        self._members: list[Member | RiverMember] = [
            RiverMember(copy.deepcopy(member))
            if isinstance(member, base.Classifier)
            else copy.deepcopy(member)
            for member in templates
        ]
        self.failures = [Failures() for _ in self._members]
        self.stacker = Stacker(self.trusts(), memory_n)
        self._codes: dict[Any, int] = {}
        self._since_label_n = 0
        self._moves_at = 1

    @property
    def _multiclass(self) -> bool:
        return True

    # ---------------------------------------------------------------------------------- watching

    def observe_one(self, x: Features) -> None:
        """Observe an event, labelled or not: it moves the clock, and later the scale.

        Args:
            x: Its features.
        """
        moments = {
            str(name): Moments(1, float(value), 0.0)
            for name, value in x.items()
            if not isinstance(value, str) and value is not None and math.isfinite(value)
        }
        self._observe(1, moments)
        self._now += 1.0
        self._since_label_n += 1

    def _observe(self, events_n: int, moments: Mapping[str, Moments]) -> None:
        self.events_n += events_n
        self.encoder.observe(moments)

    # ---------------------------------------------------------------------------------- learning

    def learn_one(
        self,
        x: Features,
        y: Any,
        w: float = 1.0,
        *,
        at: float | None = None,
        key: Hashable = None,
        context: Context | None = None,
    ) -> None:
        """Learn one label.

        Args:
            x: The features of its event.
            y: Its class.
            w: Its weight.
            at: When the event happened, always in the same unit; by default events are counted.
            key: A label replaces the previous one with the same key, e.g. a corrected answer.
            context: Contains the members' opinions when the event came, by which they are judged.

        Raises:
            ValueError: Every member is a river classifier and none could learn it.
        """
        self.labels_n += 1
        is_moving = self.labels_n >= self._moves_at
        is_known = key is not None and key in self._by_key
        code, at = self._code_of(y), self._time_of(x, at, context)
        opinions = self._opinions_before(x, at, context, is_moving)
        if opinions is not None and not is_known:
            self.stacker.add(logs_of(opinions), code, w)
        fine_n, plain = len(self._members), without_free_texts(x)
        with _quiet():
            for number, member in enumerate(self._members):
                if isinstance(member, RiverMember):
                    learned = self._try(number, member.learn, plain, code, w)
                    fine_n -= learned is _FAILED
        self.remember(LabelledEvent(at, self.labels_n, key, dict(x), code, w))
        self._is_fit = []
        if is_moving:
            self._move_settings()
        if not fine_n:
            raise ValueError(f"no member could learn it: {self.failures[0].first['learn']}")

    def _time_of(self, x: Features, at: float | None, context: Context | None) -> float:
        """The time of the labelled event; the event is observed, unless that was done before."""
        if context is not None:
            self._observe(context.events_n, context.moments)
        elif not self._since_label_n:
            self.observe_one(x)
        self._since_label_n = 0
        at = self._now if at is None else float(at)
        self._now = max(self._now, at)
        self._first_at = at if self._first_at is None else self._first_at
        return at

    def _opinions_before(
        self, x: Features, at: float, context: Context | None, is_moving: bool
    ) -> Floats | None:
        """The members' opinions before this label, shape (members, classes); None if not known.

        Without a context they are computed only at labels at which settings move, because that
        takes a fit.
        """
        opinions = None if context is None else self.said_in(context)
        if opinions is None and is_moving and self._examples:
            opinions = self.opinions(self._rows_of([x], at))[:, 0]
        return opinions

    def said_in(self, context: Context) -> Floats | None:
        """Read the members' opinions in a context.

        Args:
            context: What a request carried.

        Returns:
            The opinions, shape (members, classes); None if it has none.
        """
        if not context.opinions:
            return None
        opinions = np.zeros((len(self._members), len(self.classes)))
        for name, of_members in context.opinions.items():
            code = self._codes.get(name)
            if code is not None and len(of_members) == len(opinions):
                opinions[:, code] = of_members
        return as_distributions(opinions)

    def _code_of(self, y: Any) -> int:
        code = self._codes.get(y)
        if code is None:
            code = self._codes[y] = len(self.classes)
            self.classes.append(y)
        return code

    def _move_settings(self) -> None:
        """Let members tune and the stacker learn; the next time after 1 % more labels."""
        self._moves_at = self.labels_n + max(1, self.labels_n // EARLY_N)
        if self.pools:
            self.stacker.fit()
        if not self.tunes:
            self.start_course()
            return
        evidence = self.evidence()
        with one_blas_thread(), _quiet():
            for number, member in enumerate(self._members):
                if not isinstance(member, RiverMember):
                    self._try(number, member.tune, evidence)
        self.start_course()

    # -------------------------------------------------------------------------------- predicting

    def predict_proba_one(self, x: Features, **kwargs: Any) -> dict[Any, float]:
        """Predict the classes learned so far for one event, as of now.

        Args:
            x: Its features.
            kwargs: Not used; river's classifiers take them.

        Returns:
            Probabilities by class; {} before the first label.
        """
        return self.predict_proba_rows(self._rows_of([x], self._now))[0]

    def predict_proba_many(self, X: Any) -> Any:
        """Predict for each row of a data frame. The bits of a row do not depend on the other rows.

        Args:
            X: A data frame of n rows, a column for each feature.

        Returns:
            Probabilities as a data frame of the same library, n rows, a column for each class.
        """
        frame = nw.from_native(X, eager_only=True)
        answers = self.pooled(self._rows_of(frame.rows(named=True), self._now))
        columns = {str(name): answers[:, code] for code, name in enumerate(self.classes)}
        return nw.from_dict(columns, backend=frame.implementation).to_native()

    def predict_proba_rows(self, rows: Rows) -> list[dict[Any, float]]:
        """Predict for encoded rows.

        Args:
            rows: n events.

        Returns:
            n dicts of probabilities by class; {} for a row on which all members failed.
        """
        pooled = self.pooled(rows)
        return [
            {} if row and math.isnan(row[0]) else dict(zip(self.classes, row, strict=True))
            for row in pooled.tolist()
        ]

    def pooled(self, rows: Rows) -> Floats:
        """Pool the members' opinions about encoded rows.

        Args:
            rows: n events.

        Returns:
            Probabilities, shape (n, classes), (n, 0) before the first label; NaN where all failed.
        """
        return self.pooled_of(*self.heard(rows))

    def pooled_of(self, said: Floats, has_failed: NDArray[np.bool_]) -> Floats:
        """Pool opinions that were heard before.

        Args:
            said: Opinions, shape (members, n, classes), as `heard` returns them.
            has_failed: On which rows every member failed, shape (n,), as `heard` returns it.

        Returns:
            Probabilities, shape (n, classes); NaN where all failed.
        """
        if not self._examples:
            return np.full(said.shape[1:], 1.0 / max(1, len(self.classes)))
        pooled = self.pool_opinions(said)
        if np.logical_or.reduce(has_failed):
            pooled[has_failed] = np.nan
        return pooled

    def pool_opinions(self, opinions: Floats) -> Floats:
        """Pool opinions by the stacker alone.

        Args:
            opinions: Opinions, shape (members, n, classes).

        Returns:
            Probabilities, shape (n, classes).
        """
        return self.stacker.pool(logs_of(opinions))

    def opinions(self, rows: Rows) -> Floats:
        """Ask each member about encoded rows.

        Args:
            rows: n events.

        Returns:
            Opinions, shape (members, n, classes); uniform where a member has no valid one.
        """
        return self.heard(rows)[0]

    def heard(self, rows: Rows) -> tuple[Floats, NDArray[np.bool_]]:
        """Ask each member about encoded rows, and say where all failed.

        Args:
            rows: n events.

        Returns:
            Opinions, shape (members, n, classes), and on which rows every member failed, shape
            (n,).
        """
        shape = (len(rows), len(self.classes))
        if not self._examples:
            # Before the first label, or after all were forgotten, there is nothing to fit.
            opinions = np.full((len(self._members), *shape), 1.0 / max(1, len(self.classes)))
            return opinions, np.zeros(len(rows), np.bool_)
        opinions, is_given = np.empty((len(self._members), *shape)), [False] * len(self._members)
        with one_blas_thread(), _quiet():
            self._fit_members()
            for number, member in enumerate(self._members):
                opinions[number] = np.nan
                if self._is_fit[number]:
                    opinion = self._try(number, member.predict, rows, act="predict")
                    if np.shape(opinion) == shape:
                        opinions[number], is_given[number] = opinion, True
                    elif opinion is not _FAILED and not _is_of_fewer(opinion, shape):
                        self.failures[number].note_failure(
                            "predict", "its opinions have another shape"
                        )
        is_fine = np.logical_and.reduce(opinions >= 0.0, axis=2)
        is_fine &= np.add.reduce(opinions, axis=2) < np.inf
        if not np.logical_and.reduce(is_fine, axis=None):
            for number in np.flatnonzero(is_given & ~is_fine.all(axis=1)).tolist():
                self.failures[number].note_failure("predict", "its opinions are no distribution")
        return as_distributions(opinions), ~np.logical_or.reduce(is_fine, axis=0)

    def by_class(self, said: Floats) -> dict[Any, tuple[float, ...]]:
        """Turn opinions into what a log stores.

        Args:
            said: Opinions, shape (members, classes).

        Returns:
            A tuple of the members' opinions by class, with 6 digits.
        """
        return {
            name: tuple(float(f"{p:.6g}") for p in said[:, code].tolist())
            for code, name in enumerate(self.classes)
        }

    # ---------------------------------------------------------------------- evidence and its fit

    @property
    def now(self) -> float:
        """The time of the newest event learned or observed."""
        return self._now

    @property
    def fitted(self) -> Sequence[bool]:
        """Whether each member could be solved; a new object after each change of the evidence."""
        return self._is_fit

    def river_places(self) -> list[int]:
        """Return the numbers of the members that are river classifiers."""
        return [n for n, member in enumerate(self._members) if isinstance(member, RiverMember)]

    def river_members(self) -> list[RiverMember]:
        """Return the members that are river classifiers, not copied."""
        return [member for member in self._members if isinstance(member, RiverMember)]

    def take_river_members(self, members: Sequence[RiverMember]) -> None:
        """Replace the river members by others: the same classifiers, trained in another way.

        Args:
            members: As many as there are now, in the same order.
        """
        for place, member in zip(self.river_places(), members, strict=True):
            self._members[place] = member
        self._is_fit = []

    @property
    def evidence_memory(self) -> float | None:
        """The age, in the unit of `at`, at which evidence weighs 1/e in the local part of the
        Gaussian process; None without one, or without evidence."""
        for member in self._members:
            if isinstance(member, GaussianProcess) and self._examples:
                span = self._examples[-1].at - self._examples[0].at
                gap = max(span / max(1, len(self._examples) - 1), 1e-9)
                return member.settings["local_memory"] * gap
        return None

    def member_names(self) -> list[str]:
        """Return a name for each member, in their order."""
        return [
            type(member.model).__name__
            if isinstance(member, RiverMember)
            else type(member).__name__
            for member in self._members
        ]

    def trusts(self) -> list[float]:
        """Return the weight of each member before labels judge it; 1 for a river classifier."""
        return [float(getattr(member, "trust", 1.0)) for member in self._members]

    def _rows_of(self, xs: Sequence[Features], at: float) -> Rows:
        raw = self.encoder.raw_rows(xs)
        at_rows = np.full(len(xs), at)
        return Rows(self.encoder.scale_rows(raw), at_rows, len(self.classes), lambda i: xs[i])

    def _fit_members(self) -> None:
        """Fit the members to the evidence, unless that is done."""
        if self._is_fit:
            return
        self._is_fit = [True] * len(self._members)
        evidence = self.evidence()
        for number, member in enumerate(self._members):
            if not isinstance(member, RiverMember):
                self._is_fit[number] = self._try(number, member.fit, evidence) is not _FAILED

    def _try(self, number: int, do: Callable[..., Any], *args: Any, act: Act = "learn") -> Any:
        """The result of a member's method, or `_FAILED` if it raises, which is noted.

        The caller enters `_quiet` once for all members.
        """
        try:
            return do(*args)
        except Exception as error:  # whatever a member of the user's raises, the others go on
            self.failures[number].note_failure(act, error)
            return _FAILED

    def failures_by_member(self) -> dict[str, Failures]:
        """Return the failures by member name, without members that never failed."""
        pairs = zip(self.member_names(), self.failures, strict=True)
        return {name: failures for name, failures in pairs if failures.first}

    def __getstate__(self) -> dict[str, Any]:
        """The evidence and the settings, without what is solved from them."""
        state = {**self.__dict__, "_is_fit": []}
        del state["failures"], state["_course_rows"]
        return state

    STATE_VERSION: ClassVar[int] = 3

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before version 2 members' failures were counted, before 3 each label was a new course."""
        fields.pop("failures_n", None)
        at = [example.at for example in fields["_examples"]]
        gap = (at[-1] - at[0]) / max(1, len(at) - 1) if at else 1.0
        more = {"_course": [*fields["_examples"]], "_gone": [], "_label_gap": max(gap, 1e-9)}
        return fields | more

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._course_rows = None
        self.failures = [Failures() for _ in self._members]


def _quiet() -> np.errstate:
    """Silence numpy's warnings: members may divide by 0, and their answers are checked."""
    return np.errstate(all="ignore")


def _is_of_fewer(opinion: Any, shape: tuple[int, int]) -> bool:
    """Whether an opinion lacks only the newest classes, which is no failure."""
    own = np.shape(opinion)
    return len(own) == 2 and own[0] == shape[0] and own[1] < shape[1]
