"""Versions of the model that are kept, so that somebody may order a roll back to one.

A version is the model after a certain number of entries of the training log. It is the whole model:
for a committee it includes the evidence, although a retraining replaces only the river members.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..messages import (
    InputRejected,
    ModelAdopted,
    ModelKept,
    ModelRolledBack,
    Reason,
    RollBackOrdered,
)
from ..query.orders import Orders, fault_of, refuse_order
from ..settings import LearnSettings
from .calibration import Calibration
from .learner import Learner
from .retrain import Challenger


@dataclass(frozen=True, eq=False, slots=True)
class Version:
    """The model after `number` entries of the training log, when it had learned `labels_n` labels.

    `at` is when it learned the last of them, in seconds.
    """

    number: int
    at: float
    labels_n: int
    learner: Learner
    calibration: Calibration


class Versions:
    """The versions that are kept, the newest last; at most `learn.versions_kept`.

    `in_use` is the number of the version that the present model continues, 0 before the first is
    kept; that version is removed last. `challenger` is the latest retrained model that was judged
    and not adopted, if versions are kept; its number is that of the entry that says so. Workers on
    Kafka keep none.
    """

    def __init__(self, settings: LearnSettings) -> None:
        # The number of changes; a higher one means that there is something new to save.
        self.changes_n = 0
        self.kept: list[Version] = []
        self.challenger: Version | None = None
        self.in_use = 0
        self._settings = settings
        self._labels_n = 0
        self._orders = Orders()

    def is_due(self, learned_n: int, *, is_new: bool) -> bool:
        """Whether to keep the model now: it `is_new`, or `learned_n` has grown far enough."""
        is_due = is_new or learned_n - self._labels_n >= self._settings.version_every_n
        return is_due and self._settings.versions_kept > 0

    def find(self, number: int | None) -> Version | None:
        """The kept version with this number, or None."""
        return next((version for version in self.all if version.number == number), None)

    @property
    def all(self) -> list[Version]:
        """All kept versions, and the challenger if there is one."""
        return self.kept if self.challenger is None else [*self.kept, self.challenger]

    def forget(self) -> None:
        """Drop all versions, because they have learned labels that must be erased."""
        self.kept, self.challenger, self.in_use = [], None, 0
        self.changes_n += 1

    def keep(self, version: Version, *, is_displaced: bool = False) -> None:
        """Keep a version. It is the one in use from now on, unless it `is_displaced`."""
        if not is_displaced:
            self.in_use, self._labels_n = version.number, version.labels_n
        if any(version.number == kept.number for kept in self.kept):
            return
        self.kept.append(version)
        self.changes_n += 1
        while len(self.kept) > self._settings.versions_kept:
            oldest = next(v for v in self.kept if v.number != self.in_use)
            self.kept.remove(oldest)

    def end_retraining(
        self,
        entry: ModelAdopted | ModelKept,
        challenger: Challenger | None,
        champion: Callable[[], Version],
    ) -> None:
        """Note the end of a retraining, and keep the challenger if it was not adopted.

        `champion` returns the model in use as a version. The challenger is taken over.
        """
        self.challenger = None
        if (
            isinstance(entry, ModelAdopted)
            or challenger is None
            or not self._settings.versions_kept
        ):
            return
        version = champion()
        learner, part = version.learner, challenger.learner
        part.attach(learner.schema)
        if isinstance(part, Learner):
            self.challenger = replace(version, learner=part, calibration=Calibration())
        else:
            learner.model.take_river_members(part.members)
            self.challenger = version
        self.changes_n += 1

    def go_back(self, version: Version, learned_n: int, order_key: str) -> None:
        """Note that the model is this version again, after `learned_n` labels in all."""
        self.in_use, self._labels_n = version.number, learned_n
        self._orders.is_known(order_key)
        self.changes_n += 1

    def order_roll_back(
        self, order: RollBackOrdered, now: float, model_version: int
    ) -> list[ModelRolledBack | InputRejected]:
        """The log entry of an ordered roll back, or its rejection; empty for a known order.

        `now` is in seconds; `model_version` is the version of the model after the entry.
        """
        if fault := fault_of(order):
            return [refuse_order(order, Reason.BAD_ORDER, fault, now)]
        if order.key in self._orders:
            return []
        if self.find(order.to) is None:
            return [refuse_order(order, Reason.NO_VERSION, self._why_no_version(order.to), now)]
        entry = ModelRolledBack(
            job_id=-1,
            at=now,
            model_version=model_version,
            champion_right=0.0,
            challenger_right=0.0,
            labels_n=0,
            to=order.to,
            order_key=order.key,
            order_reason=order.reason,
        )
        return [entry]

    def _why_no_version(self, number: int) -> str:
        if not self._settings.versions_kept:
            return "no version of the model is kept; learn.versions_kept says how many (0 here)"
        if not self.kept:
            return "no version is kept yet; the first comes with learn.version_every_n labels"
        numbers = ", ".join(str(version.number) for version in self.kept)
        return f"version {number} of the model is not kept; kept are {numbers}"
