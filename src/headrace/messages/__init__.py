"""The messages that cross the core's border: nouns go in, past participles come out.

Everything here is frozen. Times are seconds since the epoch (float), classes are text (see
`class_name`), features are `{name: value}` with value a number, a text, a boolean or `None`.
"""

from .base import Features, Message, Value, class_name
from .erasure import ErasureOrdered, SubjectErased
from .inputs import (
    Answer,
    Context,
    Event,
    EventBatch,
    Input,
    Inputs,
    Moments,
    RetrainFinished,
    Tick,
    Withdrawal,
)
from .model import ModelRolledBack, RollBackOrdered
from .outputs import (
    DRAWN_AT_RANDOM,
    DriftChanged,
    ForAnnotators,
    LabelDisputed,
    LabelRequested,
    LabelSettled,
    ModelAdopted,
    ModelKept,
    Output,
    QuestionChanged,
    RequestEnded,
    RequestExpired,
    RequestWithdrawn,
    RetrainRequested,
    RoundClosed,
    RoundOpened,
)
from .rejected import InputRejected, Reason
from .rescored import RequestRescored
from .rounds import RoundOrdered

__all__ = [
    "DRAWN_AT_RANDOM",
    "Answer",
    "Context",
    "DriftChanged",
    "ErasureOrdered",
    "Event",
    "EventBatch",
    "Features",
    "ForAnnotators",
    "Input",
    "InputRejected",
    "Inputs",
    "LabelDisputed",
    "LabelRequested",
    "LabelSettled",
    "Message",
    "ModelAdopted",
    "ModelKept",
    "ModelRolledBack",
    "Moments",
    "Output",
    "QuestionChanged",
    "Reason",
    "RequestEnded",
    "RequestExpired",
    "RequestRescored",
    "RequestWithdrawn",
    "RetrainFinished",
    "RetrainRequested",
    "RollBackOrdered",
    "RoundClosed",
    "RoundOpened",
    "RoundOrdered",
    "SubjectErased",
    "Tick",
    "Value",
    "Withdrawal",
    "class_name",
]
