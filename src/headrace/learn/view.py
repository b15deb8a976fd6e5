"""What a shard sees of a trainer that is not its own: the model, through the shard's schema.

In one process a shard and the trainer share a schema. On many workers they must not: which feature
comes first depends on the events a shard reads, and the trainer has to be the same everywhere. So
the trainer's schema grows by the training log alone, each shard's by its own events and that log,
and a view joins them: columns by their names, classes by theirs. It learns nothing.
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
    """A trainer's champion for the rows of one shard. A snapshot of it holds no trainer.

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
        """See this trainer from now on: another one at the same version, or after a restore."""
        self._trainer = trainer
        self._seen: Learner | None = None
        self._seen_version = -1

    @property
    def version(self) -> int:
        """The trainer's."""
        return self._trainer.version

    @property
    def has_learned(self) -> bool:
        """Whether the trainer's champion knows anything."""
        return self._trainer.has_learned

    def suspects(self, request_id: str) -> bool:
        """Whether the label learned last is that of this request, and looks wrong."""
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
        """What the champion wants back with the label of this event; see `Learner.context`."""
        return self._joined().context(row, at, events_n, moments, original)

    def probabilities(
        self,
        X: NDArray[np.float64],
        at: NDArray[np.float64] | None = None,
        original_of: OriginalOf | None = None,
    ) -> NDArray[np.float64]:
        """Calibrated probabilities, shape (n, k) over the shard's classes, for its rows, (n, d).

        A class that the trainer does not know gets 0; while it knows nothing, all get the same. A
        row on which the champion failed is NaN.
        """
        champion, n, k = self._trainer.champion.learner, len(X), len(self.schema.classes)
        if champion.is_silent or not self._trainer.schema.classes:
            return np.full((n, k), 1.0 / k if k else 0.0)
        found = self._trainer.champion.calibration.apply(
            self._joined().probabilities(X, at, original_of)
        )
        answers = self._in_own_classes(found)
        answers[np.isnan(found[:, 0])] = np.nan
        return answers

    @property
    def has_members(self) -> bool:
        """Whether the trainer's champion is made of members."""
        return self._trainer.champion.learner.has_members

    def members(
        self,
        X: NDArray[np.float64],
        at: NDArray[np.float64],
        original_of: OriginalOf,
    ) -> NDArray[np.float64] | None:
        """What each member says, shape (m, n, k) over the shard's classes; None: none yet."""
        if self._trainer.champion.learner.is_silent or not self._trainer.schema.classes:
            return None
        found = self._joined().members(X, at, original_of)
        return None if found is None else self._in_own_classes(found)

    def _in_own_classes(self, found: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities over the trainer's classes, (..., n, k), over the shard's."""
        if self.schema.classes == self._trainer.schema.classes:
            return found
        answers = np.zeros((*found.shape[:-1], len(self.schema.classes)))
        for code, name in enumerate(self._trainer.schema.classes):
            mine = self.schema.code_of(name)
            if mine is not None:
                answers[..., mine] = found[..., code]
        return answers

    def _joined(self) -> Learner:
        """The champion read through the shard's columns; made anew at each version."""
        if self._seen is None or self._seen_version != self.version:
            joined = _Joined(self.schema, self._trainer.schema)
            self._seen = self._trainer.champion.learner.through(joined)
            self._seen_version = self.version
        return self._seen


class _Joined:
    """Columns of the shard, classes of the trainer."""

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
