"""The flavour by which MLflow loads our models: `mlflow.pyfunc.load_model(...).predict(...)`.

A model of river can only be stored as a pickle, so a file from an artifact store is not unpickled
before its signature is verified. A process that scores therefore needs the key of the run, in
`HEADRACE_SNAPSHOT_KEY` or the file that `HEADRACE_SNAPSHOT_KEY_FILE` names.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from ..learn.scoring_model import ScoringModel
from .snapshots.keys import given_keys
from .snapshots.store import read_sealed

LOADER = __name__
SERIES = "model"
DATA = "model.hr"
NAME_SAID = "model"
"""The key in the file's header under which `model.name` of the run stands."""

OPTIONS_SAID = "options"
"""The key for `model.options` as JSON; missing where there are none."""


class PyfuncScorer:
    """A model as MLflow's `pyfunc` calls it.

    >>> from headrace import Engine
    >>> engine = Engine(seed=1, classes=["fine", "fraud"])
    >>> model = ScoringModel.of(engine.settings, engine.schema, engine.trainer.champion.learner)
    >>> import pandas
    >>> list(PyfuncScorer(model).predict(pandas.DataFrame({"x": [1.0, 2.0]})).columns)
    ['fine', 'fraud']
    """

    def __init__(self, model: ScoringModel) -> None:
        self.model = model

    def predict(self, model_input: Any, params: Any = None) -> Any:
        """Return probabilities as a frame: a row an event, a column a class; NaN where it fails.

        `model_input` is a `pandas.DataFrame`, a row an event and a column a feature; NaN and None
        are missing values. `params` is ignored. Raises `BadInput` for features that no event could
        have.
        """
        pandas = import_module("pandas")
        rows = [
            {str(name): value for name, value in row.items() if not _is_missing(value)}
            for row in model_input.to_dict(orient="records")
        ]
        return pandas.DataFrame(
            self.model.predict_many(rows), columns=self.model.classes, index=model_input.index
        )


def _is_missing(value: object) -> bool:
    # NaN and pandas' NaT don't equal themselves; pandas' NA can't be converted to a bool.
    return value is None or type(value).__name__ == "NAType" or bool(value != value)  # noqa: PLR0124


def load_scorer(path: Path) -> PyfuncScorer:
    """Load the model in a file, once its signature is verified.

    Raises `BadSettings` where the environment names no key, `BadInput` for a file that another key
    signed, or that is damaged.
    """
    sealed = read_sealed(path, series=SERIES, keys=given_keys())
    options = msgspec.json.decode(str(sealed.positions.get(OPTIONS_SAID, "{}")))
    return PyfuncScorer(ScoringModel.thaw(sealed.blob, str(sealed.positions[NAME_SAID]), options))


def _load_pyfunc(path: str) -> PyfuncScorer:
    """Load the model; MLflow calls this function by its name, with the path of the data."""
    return load_scorer(Path(path))
