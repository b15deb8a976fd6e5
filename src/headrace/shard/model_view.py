"""What a shard sees of the trainer: each partition has a shard, and one model serves them all."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..messages import Context, Features, Moments
from ..observe.originals import OriginalOf


class ModelView(Protocol):
    """The model as a shard uses it: version, probabilities, and the context a label needs."""

    @property
    def version(self) -> int:
        """Number of training log entries that are folded into the model."""
        ...

    @property
    def has_learned(self) -> bool:
        """Whether the model has learned a label; before, it predicts nothing."""
        ...

    @property
    def wants_context(self) -> bool:
        """Whether requests should carry a `Context`."""
        ...

    def suspects(self, request_id: str) -> bool:
        """Whether the label learned last is of this request and looks wrong."""
        ...

    def probabilities(
        self,
        X: NDArray[np.float64],
        at: NDArray[np.float64] | None = None,
        original_of: OriginalOf | None = None,
    ) -> NDArray[np.float64]:
        """Return class probabilities, shape (n, k); a row on which the model failed is NaN.

        `X`, shape (n, d), are the events' rows, `at`, shape (n,), their times in seconds; None:
        now. `original_of(i)` returns the features of event i as they came, since rows can't hold
        them all.
        """
        ...

    @property
    def has_members(self) -> bool:
        """Whether the model consists of members that give probabilities of their own."""
        ...

    def members(
        self,
        X: NDArray[np.float64],
        at: NDArray[np.float64],
        original_of: OriginalOf,
    ) -> NDArray[np.float64] | None:
        """Return class probabilities by each member, shape (m, n, k); None without members yet."""
        ...

    def context(
        self,
        row: NDArray[np.float64],
        at: float,
        events_n: int,
        moments: dict[str, Moments],
        original: Features | None = None,
    ) -> Context | None:
        """Return the context that has to come back with the label of this event, if any.

        - `row`, shape (d,), and `at`, seconds: the event.
        - `events_n`: how many events came since the last request.
        - `moments`: count, mean and spread of those events, by numeric feature.
        - `original`: the event's features as they came, where the row does not hold them all.
        """
        ...
