"""The model alone, with all that scoring needs: schema, learner, calibration.

It learns nothing and holds no event, request or person; but a committee includes the evidence by
which it weighs its members: labelled examples as columns of numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BadInput
from ..observe.declared import Declared
from ..observe.given import plain_features
from ..observe.schema import Schema
from ..observe.values import Refusal
from ..settings import Settings
from ..settings.columns import ColumnsSettings
from ..state import frozen
from .calibration import Calibration
from .learner import Learner
from .models import build

KIND = "model"


class ScoringModel:
    """Computes class probabilities of events.

    - `schema`, `learner`, `calibration`: the engine's own objects, not copies.
    - `columns`: how features are declared, as in `[columns]`.
    - `feature_names`: the names of features that come as an array, as in `input.feature_names`.

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
        """Return the model of an engine with these settings; `calibration` None: uncalibrated."""
        calibration = Calibration() if calibration is None else calibration
        return cls(schema, learner, calibration, settings.columns, settings.input.feature_names)

    @property
    def classes(self) -> list[str]:
        return list(self._schema.classes)

    def predict_many(self, events: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
        """Return probabilities by event and class, shape (n, k); a row of NaN where it fails.

        A feature or a category that the stream has not shown counts as missing. Raises `BadInput`
        for features that no event could have.
        """
        plain = [self._plain_features(features) for features in events]
        if not plain:
            return np.zeros((0, len(self._schema.classes)))
        rows = np.stack([self._schema.row(features, is_read_only=True) for features in plain])
        probabilities = self._learner.probabilities(rows, None, lambda i: plain[i])
        return self._calibration.apply(probabilities)

    def _plain_features(self, features: Mapping[str, Any]) -> dict[str, Any]:
        try:
            plain = plain_features(features, self._feature_names)
        except Refusal as refusal:
            raise BadInput(refusal.detail) from refusal
        return self._declared.apply_to(plain)

    def freeze(self) -> bytes:
        """Return the model as bytes; sign them before they go anywhere, as they hold a pickle."""
        return frozen.freeze(self, kind=KIND)

    @staticmethod
    def thaw(
        blob: bytes, model_name: str, options: Mapping[str, Any] | None = None
    ) -> ScoringModel:
        """Return the model in the bytes of `freeze`; verify their signature first.

        `model_name` and `options` are the settings `model.name` and `model.options`; a user's own
        model is built from them, to know its types. Raises `BadInput` for a blob that is damaged,
        of another version, or no model; `BadSettings` where the user's own model can't be built.
        """
        own = build(model_name, 0, 2, options) if ":" in model_name else None
        allowed = frozenset[str]() if own is None else frozen.allowed_by(own)
        model = frozen.thaw(blob, kind=KIND, allowed=allowed)
        if not isinstance(model, ScoringModel):
            raise BadInput("the state is not that of a model")
        model._learner.attach(model._schema)
        return model
