"""The model alone, as whoever scores with it needs it: schema, learner, calibration.

It learns nothing and holds no event, request or person; of a committee the evidence it judges by is
in it, which is labelled examples as columns of numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import BadInput
from .learn.calibration import Calibration
from .learn.learner import Learner
from .learn.models import build
from .observe.declared import Declared
from .observe.given import plain_features
from .observe.schema import Schema
from .observe.values import Refusal
from .settings import Settings
from .settings.columns import ColumnsSettings
from .state import frozen

KIND = "model"


class ScoringModel:
    """Probabilities of events by a learner; all it is made of is shared, and not copied.

    >>> from headrace import Engine
    >>> engine = Engine(seed=1, classes=["fine", "fraud"])
    >>> model = ScoringModel.of(engine.settings, engine.schema, engine.trainer.champion.learner)
    >>> thawed = ScoringModel.thaw(model.freeze(), engine.settings.model.name)
    >>> thawed.classes, thawed.predict_many([{"x": 1.0}]).shape
    (['fine', 'fraud'], (1, 2))
    """

    def __init__(
        self,
        schema: Schema,
        learner: Learner,
        calibration: Calibration,
        columns: ColumnsSettings,
        feature_names: Sequence[str],
    ) -> None:
        self._schema = schema
        self._learner = learner
        self._calibration = calibration
        self._columns = columns
        self._feature_names = list(feature_names)
        self._declared = Declared(columns)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_declared"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._declared = Declared(self._columns)

    @classmethod
    def of(
        cls,
        settings: Settings,
        schema: Schema,
        learner: Learner,
        calibration: Calibration | None = None,
    ) -> ScoringModel:
        """The model of an engine with these settings."""
        calibration = Calibration() if calibration is None else calibration
        return cls(schema, learner, calibration, settings.columns, settings.input.feature_names)

    @property
    def classes(self) -> list[str]:
        return list(self._schema.classes)

    def predict_many(self, events: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
        """Probabilities by event and class, shape (n, k); a row of NaN where the model fails.

        A feature or a category that the stream had not shown counts as missing. Raises `BadInput`
        for features that no event could have.
        """
        found = [self._plain(features) for features in events]
        if not found:
            return np.zeros((0, len(self._schema.classes)))
        rows = np.stack([self._schema.row(features, is_read_only=True) for features in found])
        said = self._learner.probabilities(rows, None, lambda i: found[i])
        return self._calibration.apply(said)

    def _plain(self, features: Mapping[str, Any]) -> dict[str, Any]:
        try:
            plain = plain_features(features, self._feature_names)
        except Refusal as refusal:
            raise BadInput(refusal.detail) from refusal
        return self._declared.apply_to(plain)

    def freeze(self) -> bytes:
        """All of it as bytes; the pickle in it is to be signed before it goes anywhere."""
        return frozen.freeze(self, kind=KIND)

    @staticmethod
    def thaw(
        blob: bytes, model_name: str, options: Mapping[str, Any] | None = None
    ) -> ScoringModel:
        """What `freeze` gave, once its signature was verified; by `model.name`, `model.options`.

        Raises `BadInput` for a blob that is damaged, of another version, or no model;
        `BadSettings` where the model is one of the user's own that can't be made here.
        """
        own = build(model_name, 0, 2, options) if ":" in model_name else None
        allowed = frozenset[str]() if own is None else frozen.allowed_by(own)
        found = frozen.thaw(blob, kind=KIND, allowed=allowed)
        if not isinstance(found, ScoringModel):
            raise BadInput("the state is not that of a model")
        found._learner.attach(found._schema)
        return found
