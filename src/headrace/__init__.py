"""Headrace leads the events worth labelling out of an inference stream to the people who label.

The flow, which is also the order of the folders:

    observe   an event comes in; it is scored and kept, and detectors watch for drift
    query     decides which events are worth a label, how many, and when
    label     requests go out, answers come back late and contradict each other; a label settles
    learn     the model learns it, retrains on drift, and its accuracy is estimated honestly

`Engine` does all of this in one process, without any I/O; `run` drives it in a notebook.

The public names:

- the engine: `Engine`, `run`, `Result`, `Report`, `Settings`, `load`, `Chance`, `Pool`;
- inputs: `Event`, `EventBatch`, `Answer`, `Tick`, `Withdrawal`, `RoundOrdered`, `RollBackOrdered`,
  `ErasureOrdered`, `RetrainFinished`; `class_name` spells a class;
- outputs about requests: `LabelRequested`, `LabelSettled`, `LabelDisputed`, `RequestExpired`,
  `RequestWithdrawn`, `RequestRescored`, `QuestionChanged`, `RoundOpened`, `RoundClosed`;
- other outputs: `DriftChanged`, `RetrainRequested`, `ModelAdopted`, `ModelKept`,
  `ModelRolledBack`, `SubjectErased`, `InputRejected`;
- errors: `HeadraceError`, `BadInput`, `BadSettings`, `BrokenInvariant`;
- modules: `models`, `strategies`, `budgets`, `oracles`; and, to be imported by name,
  `headrace.settings`, `headrace.testing`, `headrace.embedding`, `headrace.extending`.

>>> import headrace as hr
>>> engine = hr.Engine(budget=hr.budgets.Share(0.5), seed=7)
>>> outputs = engine.feed([hr.Event(id=str(i), at=i, features={"x": i}) for i in range(50)])
>>> any(isinstance(output, hr.LabelRequested) for output in outputs)
True
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import models
    from .chance import Chance
    from .drivers.notebook import Result, run
    from .engine import Engine
    from .errors import BadInput, BadSettings, BrokenInvariant, HeadraceError
    from .messages import (
        Answer,
        DriftChanged,
        ErasureOrdered,
        Event,
        EventBatch,
        InputRejected,
        LabelDisputed,
        LabelRequested,
        LabelSettled,
        ModelAdopted,
        ModelKept,
        ModelRolledBack,
        QuestionChanged,
        RequestExpired,
        RequestRescored,
        RequestWithdrawn,
        RetrainFinished,
        RetrainRequested,
        RollBackOrdered,
        RoundClosed,
        RoundOpened,
        RoundOrdered,
        SubjectErased,
        Tick,
        Withdrawal,
        class_name,
    )
    from .query import budgets, strategies
    from .query.pool import Pool
    from .report import Report
    from .settings import Settings, load
    from .testing import oracles

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "BadInput",
    "BadSettings",
    "BrokenInvariant",
    "Chance",
    "DriftChanged",
    "Engine",
    "ErasureOrdered",
    "Event",
    "EventBatch",
    "HeadraceError",
    "InputRejected",
    "LabelDisputed",
    "LabelRequested",
    "LabelSettled",
    "ModelAdopted",
    "ModelKept",
    "ModelRolledBack",
    "Pool",
    "QuestionChanged",
    "Report",
    "RequestExpired",
    "RequestRescored",
    "RequestWithdrawn",
    "Result",
    "RetrainFinished",
    "RetrainRequested",
    "RollBackOrdered",
    "RoundClosed",
    "RoundOpened",
    "RoundOrdered",
    "Settings",
    "SubjectErased",
    "Tick",
    "Withdrawal",
    "budgets",
    "class_name",
    "load",
    "models",
    "oracles",
    "run",
    "strategies",
]

# Names are imported at first use: river takes a second, and `headrace --help` needs none of it.
# Those that are not listed here are messages.
_FROM = {
    ".chance": "Chance",
    ".engine": "Engine",
    ".errors": "BadInput BadSettings BrokenInvariant HeadraceError",
    ".models": "models",
    ".query": "budgets strategies",
    ".query.pool": "Pool",
    ".report": "Report",
    ".settings": "Settings load",
    ".drivers.notebook": "Result run",
    ".testing": "oracles",
}
_HOME = dict.fromkeys(__all__, ".messages")
_HOME |= {name: home for home, names in _FROM.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = import_module(_HOME[name], __name__)
    value = home if _HOME[name] == f".{name}" else getattr(home, name, None)
    globals()[name] = import_module(f"{_HOME[name]}.{name}", __name__) if value is None else value
    return globals()[name]


def __dir__() -> list[str]:
    return __all__
