"""A shard's view of a trainer with another schema: the model, read through the shard's schema.

In one process a shard and the trainer share a schema. On many workers they must not: the order of
features depends on the events that a shard reads, and the trainer has to be the same everywhere. So
the trainer's schema grows by the training log alone, each shard's by its own events and that log.
A view joins the two: columns and classes by their names. It learns nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..messages import Context, Features, Moments
from ..observe.originals import OriginalOf
from ..observe.schema import Schema
from .learner import Learner
from .trainer import Trainer


class View:
    """A trainer's champion for the rows of one shard. A snapshot of the view has no trainer.

    >>> from river import naive_bayes
    >>> from headrace.chance import Chance
    >>> from headrace.settings import LearnSettings, SchemaSettings
    >>> schema = Schema(SchemaSettings(classes=["ham", "spam"]))
    >>> learner = Learner(naive_bayes.GaussianNB(), schema)
    >>> trainer = Trainer(learner, schema, LearnSettings(), Chance(0))
    >>> View(trainer, Schema(SchemaSettings(classes=["spam"]))).probabilities(np.zeros((1, 0)))
    array([[1.]])
    """

    def __init__(self, trainer: Trainer, schema: Schema) -> None:
        self.schema = schema
        self.attach(trainer)

    def __getstate__(self) -> dict[str, Any]:
        return {"schema": self.schema}

    def attach(self, trainer: Trainer) -> None:
        """Use this trainer from now on: another one at the same version, or after a restore."""
        self._trainer = trainer
        self._seen: Learner | None = None
        self._seen_version = -1

    @property
    def version(self) -> int:
        """The version of the trainer's model."""
        return self._trainer.version

    @property
    def has_learned(self) -> bool:
        """Whether the trainer's champion has learned a label."""
        return self._trainer.has_learned

    def suspects(self, request_id: str) -> bool:
        """Whether the label of this request was learned last and looks wrong."""
        return self._trainer.suspects(request_id)

    @property
    def wants_context(self) -> bool:
        """Whether requests should carry a `Context`."""
        return self._trainer.champion.learner.wants_context

    def context(
        self,
        row: NDArray[np.float64],
        at: float,
        events_n: int,
        moments: dict[str, Moments],
        original: Features | None = None,
    ) -> Context | None:
        """The `Context` that must come back with this event's label; see `Learner.context`."""
        return self._joined().context(row, at, events_n, moments, original)

    def probabilities(
        self,
        X: NDArray[np.float64],
        at: NDArray[np.float64] | None = None,
        original_of: OriginalOf | None = None,
    ) -> NDArray[np.float64]:
        """The calibrated probabilities over the shard's k classes, shape (n, k), for n rows.

        A class that the trainer does not know gets 0; while the champion has learned nothing, rows
        are uniform. A row on which the champion failed is NaN.
        """
        champion, n, k = self._trainer.champion.learner, len(X), len(self.schema.classes)
        if champion.is_silent or not self._trainer.schema.classes:
            return np.full((n, k), 1.0 / k if k else 0.0)
        calibrated = self._trainer.champion.calibration.apply(
            self._joined().probabilities(X, at, original_of)
        )
        answers = self._in_own_classes(calibrated)
        answers[np.isnan(calibrated[:, 0])] = np.nan
        return answers

    @property
    def has_members(self) -> bool:
        """Whether the trainer's champion is a committee or an ensemble."""
        return self._trainer.champion.learner.has_members

    def members(
        self,
        X: NDArray[np.float64],
        at: NDArray[np.float64],
        original_of: OriginalOf,
    ) -> NDArray[np.float64] | None:
        """Each member's probabilities over the shard's classes, (m, n, k); None without any."""
        if self._trainer.champion.learner.is_silent or not self._trainer.schema.classes:
            return None
        opinions = self._joined().members(X, at, original_of)
        return None if opinions is None else self._in_own_classes(opinions)

    def _in_own_classes(self, found: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert probabilities, shape (..., n, k), from the trainer's classes to the shard's."""
        if self.schema.classes == self._trainer.schema.classes:
            return found
        answers = np.zeros((*found.shape[:-1], len(self.schema.classes)))
        for code, name in enumerate(self._trainer.schema.classes):
            own_code = self.schema.code_of(name)
            if own_code is not None:
                answers[..., own_code] = found[..., code]
        return answers

    def _joined(self) -> Learner:
        """The champion with the shard's columns; it is made anew at each version."""
        if self._seen is None or self._seen_version != self.version:
            joined = _Joined(self.schema, self._trainer.schema)
            self._seen = self._trainer.champion.learner.view_through(joined)
            self._seen_version = self.version
        return self._seen


class _Joined:
    """A `SchemaView` with the columns of the shard and the classes of the trainer."""

    def __init__(self, shard: Schema, trainer: Schema) -> None:
        self._shard = shard
        self._trainer = trainer

    @property
    def names(self) -> Sequence[str]:
        return self._shard.names

    @property
    def kinds(self) -> Sequence[str]:
        return self._shard.kinds

    @property
    def width(self) -> int:
        return self._shard.width

    @property
    def classes(self) -> Sequence[str]:
        return self._trainer.classes

    def features(
        self, row: NDArray[np.float64], original: Features | None = None
    ) -> dict[str, Any]:
        return self._shard.features(row, original)
