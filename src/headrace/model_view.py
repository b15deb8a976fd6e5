"""What a shard sees of the trainer: the border between one partition and the model of all."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .messages import Context, Features, Moments
from .observe.originals import OriginalOf


class ModelView(Protocol):
    """A version, probabilities by it, and what the model wants back with a label."""

    @property
    def version(self) -> int:
        """Number of entries of the training log that the model has folded."""
        ...

    @property
    def has_learned(self) -> bool:
        """Whether the model knows anything: before its first label it predicts nothing."""
        ...

    @property
    def wants_context(self) -> bool:
        """Whether requests should carry a `Context`."""
        ...

    def suspects(self, request_id: str) -> bool:
        """Whether the label learned last is that of this request, and looks wrong."""
        ...

    def probabilities(
        self,
        X: NDArray[np.float64],
        at: NDArray[np.float64] | None = None,
        original_of: OriginalOf | None = None,
    ) -> NDArray[np.float64]:
        """Class probabilities, shape (n, k), of rows (n, d) at times (n,), seconds; or of now.

        A row on which the model failed is NaN.

        `original_of(i)` are the features of event i as they came: what rows can't hold.
        """
        ...

    @property
    def has_members(self) -> bool:
        """Whether the model is made of members that can be asked one by one."""
        ...

    def members(
        self,
        X: NDArray[np.float64],
        at: NDArray[np.float64],
        original_of: OriginalOf,
    ) -> NDArray[np.float64] | None:
        """The same by each member, shape (m, n, k); None where there are none yet."""
        ...

    def context(
        self,
        row: NDArray[np.float64],
        at: float,
        events_n: int,
        moments: dict[str, Moments],
        original: Features | None = None,
    ) -> Context | None:
        """What has to come back with the label of this event.

        `events_n` events, whose `moments` by numeric feature these are, came since the last one.
        """
        ...
