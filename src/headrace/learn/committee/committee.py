"""The committee: a river classifier of several members that learn much from each label.

It keeps the latest labelled events as evidence, hands them to members that are solved anew (a
Gaussian process, a discriminant) and to river classifiers that learn one label at a time, and pools
their opinions by a stacker. docs/COMMITTEE.md has the equations and the measurements.

State is the evidence and the settings. Settings move at fixed places in the sequence of labels, and
all that is solved from evidence and settings is solved when it is asked for: whoever reads the same
labels has the same model, whether it was asked in between or not.
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
from ...observe.values import is_free_text
from ..failures import Act, Failures
from ..members import as_distributions
from ..presets import long_memory_members
from .blas import one_blas_thread
from .discriminant import Discriminant
from .evidence import Floats, Member, Rows
from .gaussian_process import GaussianProcess
from .keeping import Example, Keeping
from .members import RiverMember
from .stacker import Stacker, logs_of

EARLY_N = 100
"""Settings move when labels grew by one in so many: at each up to twice as many."""

Features = Mapping[Any, Any]
_FAILED = object()


class Committee(Keeping, base.Classifier):
    """A Gaussian process, a discriminant and river classifiers, pooled by what they said before.

    Any feature that is a number or a text will do; features and classes may come and go. Nothing
    is random: the same calls give the same answers, bit for bit on one type of machine.

    Parameters
    ----------
    members
        Objects with `fit` and `predict` of `evidence.Member`, and river classifiers, unlearned.
        By default a Gaussian process, a discriminant, river's softmax regression and naive Bayes.
        A member that raises, or says what is no distribution, has no say for as long. One that has
        a `trust` weighs so many times what a river classifier does before labels judge it.
    memory_n
        Labelled events kept as evidence. A label costs O(memory_n^3).
    pools
        Whether the members' weights are learned; without, all weigh the same.
    tunes
        Whether the members' slow settings move.

    Examples
    --------
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
        # Copies: what was passed stays unlearned, so that a clone of this is blank.
        given = default_members() if members is None else members
        self._members: list[Member | RiverMember] = [
            RiverMember(copy.deepcopy(member))
            if isinstance(member, base.Classifier)
            else copy.deepcopy(member)
            for member in given
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
        """An event came, which may never be labelled: the clock moves, with a label the scale."""
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

        `w` is its weight. `at` is when its event happened, in any one unit; without it, events are
        counted. A label of the same `key` replaces the one before, as when an answer is corrected.
        With `context`, members are judged by what they said when the event came.
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
        self.remember(Example(at, self.labels_n, key, dict(x), code, w))
        self._is_fit = []
        if is_moving:
            self._move_settings()
        if not fine_n:
            raise ValueError(f"no member could learn it: {self.failures[0].first['learn']}")

    def _time_of(self, x: Features, at: float | None, context: Context | None) -> float:
        """When the labelled event happened; it is observed, unless that was done before."""
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
        """What the members said before this label, shape (members, classes), if that is known.

        Asking them anew takes a fit: it is done at those labels at which settings move.
        """
        said = None if context is None else self.said_in(context)
        if said is None and is_moving and self._examples:
            said = self.opinions(self._rows_of([x], at))[:, 0]
        return said

    def said_in(self, context: Context) -> Floats | None:
        """The opinions of a context, shape (members, classes); None where it has none."""
        if not context.opinions:
            return None
        said = np.zeros((len(self._members), len(self.classes)))
        for name, of_members in context.opinions.items():
            code = self._codes.get(name)
            if code is not None and len(of_members) == len(said):
                said[:, code] = of_members
        return as_distributions(said)

    def _code_of(self, y: Any) -> int:
        code = self._codes.get(y)
        if code is None:
            code = self._codes[y] = len(self.classes)
            self.classes.append(y)
        return code

    def _move_settings(self) -> None:
        """Members tune and the stacker learns; next after a hundredth more labels."""
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
        """Probabilities of the classes learned so far, as of now; {} before the first label."""
        return self.predict_proba_rows(self._rows_of([x], self._now))[0]

    def predict_proba_many(self, X: Any) -> Any:
        """The same for a DataFrame, one row an event; answers in a frame of the same library.

        A row's bits do not depend on the other rows.
        """
        frame = nw.from_native(X, eager_only=True)
        answers = self.pooled(self._rows_of(frame.rows(named=True), self._now))
        columns = {str(name): answers[:, code] for code, name in enumerate(self.classes)}
        return nw.from_dict(columns, backend=frame.implementation).to_native()

    def predict_proba_rows(self, rows: Rows) -> list[dict[Any, float]]:
        """Probabilities by class for each of the rows."""
        pooled = self.pooled(rows)
        return [
            {} if row and math.isnan(row[0]) else dict(zip(self.classes, row, strict=True))
            for row in pooled.tolist()
        ]

    def pooled(self, rows: Rows) -> Floats:
        """Probabilities, shape (n, classes), of n rows; (n, 0) before the first label.

        NaN where every member failed.
        """
        return self.pooled_of(*self.heard(rows))

    def pooled_of(self, said: Floats, has_failed: NDArray[np.bool_]) -> Floats:
        """The same of what `heard` gave."""
        if not self._examples:
            return np.full(said.shape[1:], 1.0 / max(1, len(self.classes)))
        pooled = self.pool_opinions(said)
        if np.logical_or.reduce(has_failed):
            pooled[has_failed] = np.nan
        return pooled

    def pool_opinions(self, opinions: Floats) -> Floats:
        """One distribution of the members', shape (members, n, classes)."""
        return self.stacker.pool(logs_of(opinions))

    def opinions(self, rows: Rows) -> Floats:
        """What each member says, shape (members, n, classes); uniform where it says nothing fit."""
        return self.heard(rows)[0]

    def heard(self, rows: Rows) -> tuple[Floats, NDArray[np.bool_]]:
        """The same, and on which of the rows every member failed, shape (n,)."""
        shape = (len(rows), len(self.classes))
        if not self._examples:
            # All were forgotten: nobody has anything to go by.
            said = np.full((len(self._members), *shape), 1.0 / max(1, len(self.classes)))
            return said, np.zeros(len(rows), np.bool_)
        said, is_given = np.empty((len(self._members), *shape)), [False] * len(self._members)
        with one_blas_thread(), _quiet():
            self._fit()
            for number, member in enumerate(self._members):
                said[number] = np.nan
                if self._is_fit[number]:
                    opinion = self._try(number, member.predict, rows, act="predict")
                    if np.shape(opinion) == shape:
                        said[number], is_given[number] = opinion, True
                    elif opinion is not _FAILED and not _is_of_fewer(opinion, shape):
                        self.failures[number].note_failure(
                            "predict", "its opinions have another shape"
                        )
        is_fine = np.logical_and.reduce(said >= 0.0, axis=2)
        is_fine &= np.add.reduce(said, axis=2) < np.inf
        if not np.logical_and.reduce(is_fine, axis=None):
            for number in np.flatnonzero(is_given & ~is_fine.all(axis=1)).tolist():
                self.failures[number].note_failure("predict", "its opinions are no distribution")
        return as_distributions(said), ~np.logical_or.reduce(is_fine, axis=0)

    def by_class(self, said: Floats) -> dict[Any, tuple[float, ...]]:
        """What each member said, shape (members, classes), to 6 digits: it is written to a log."""
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
        """Which members are solved; another object after every change of what they go by."""
        return self._is_fit

    def river_places(self) -> list[int]:
        """The numbers of the members that are river classifiers."""
        return [n for n, member in enumerate(self._members) if isinstance(member, RiverMember)]

    def river_members(self) -> list[RiverMember]:
        """The members that are river classifiers, as they are."""
        return [member for member in self._members if isinstance(member, RiverMember)]

    def take_river_members(self, members: Sequence[RiverMember]) -> None:
        """Others in their places: the same classifiers, trained in another way."""
        for place, member in zip(self.river_places(), members, strict=True):
            self._members[place] = member
        self._is_fit = []

    @property
    def evidence_memory(self) -> float | None:
        """Age, in the unit of `at`, at which what is near weighs 1/e in the Gaussian process."""
        for member in self._members:
            if isinstance(member, GaussianProcess) and self._examples:
                span = self._examples[-1].at - self._examples[0].at
                gap = max(span / max(1, len(self._examples) - 1), 1e-9)
                return member.settings["local_memory"] * gap
        return None

    def member_names(self) -> list[str]:
        """A name for each member, in their order."""
        return [
            type(member.model).__name__
            if isinstance(member, RiverMember)
            else type(member).__name__
            for member in self._members
        ]

    def trusts(self) -> list[float]:
        """What each member's word weighs before labels judge it; a river classifier's 1."""
        return [float(getattr(member, "trust", 1.0)) for member in self._members]

    def _rows_of(self, xs: Sequence[Features], at: float) -> Rows:
        raw = self.encoder.raw_rows(xs)
        at_rows = np.full(len(xs), at)
        return Rows(self.encoder.scale_rows(raw), at_rows, len(self.classes), lambda i: xs[i])

    def _fit(self) -> None:
        """Solve what evidence and settings say, unless that is done."""
        if self._is_fit:
            return
        self._is_fit = [True] * len(self._members)
        evidence = self.evidence()
        for number, member in enumerate(self._members):
            if not isinstance(member, RiverMember):
                self._is_fit[number] = self._try(number, member.fit, evidence) is not _FAILED

    def _try(self, number: int, do: Callable[..., Any], *args: Any, act: Act = "learn") -> Any:
        """What a member does, or `_FAILED`; a failure is its own alone, and the first is kept.

        To be called within `_quiet`, once for all members.
        """
        try:
            return do(*args)
        except Exception as error:  # whatever a member of the user's raises, the others go on
            self.failures[number].note_failure(act, error)
            return _FAILED

    def failures_by_member(self) -> dict[str, Failures]:
        """What members failed at, by their names; of those that did."""
        told = zip(self.member_names(), self.failures, strict=True)
        return {name: failures for name, failures in told if failures.first}

    def __getstate__(self) -> dict[str, Any]:
        """Evidence and settings; what is solved from them is solved again."""
        state = {**self.__dict__, "_is_fit": []}
        del state["failures"], state["_course_rows"]
        return state

    STATE_VERSION: ClassVar[int] = 3

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before 2 failures of members were counted, before 3 every label was a new start."""
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
    """Members may divide by 0: what comes of it is looked at, and no warning is told."""
    return np.errstate(all="ignore")


_PLAIN = frozenset((float, int, bool, type(None)))


def default_members() -> list[Any]:
    """The members of a `Committee` that was given none."""
    return [GaussianProcess(), Discriminant(), *long_memory_members()]


def without_free_texts(x: Features) -> Features:
    """For river members, who would take each text for a category of its own, and keep it."""
    if _PLAIN.issuperset(map(type, x.values())):
        return x
    if any(isinstance(value, str) and is_free_text(value) for value in x.values()):
        return {
            name: value
            for name, value in x.items()
            if not (isinstance(value, str) and is_free_text(value))
        }
    return x


def _is_of_fewer(opinion: Any, shape: tuple[int, int]) -> bool:
    """Whether a member speaks of all rows and has not met the newest class yet: no failure."""
    found = np.shape(opinion)
    return len(found) == 2 and found[0] == shape[0] and found[1] < shape[1]
