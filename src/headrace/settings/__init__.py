"""The whole configuration, one module per section; reading it reports every fault at once."""

from .answers import AnswersSettings
from .columns import ColumnsSettings
from .drift import DriftSettings, WatchSettings
from .join import JoinSettings
from .label import LabelSettings
from .loading import load, load_for_kafka
from .privacy import PrivacySettings
from .query import BudgetSettings, ColdStartSettings, QuerySettings, RoundSettings
from .sealing import SealingSettings
from .sections import (
    COMPARED_MIN,
    EvaluationSettings,
    InputSettings,
    LearnSettings,
    ModelSettings,
    ObserveSettings,
    RunSettings,
    SchemaSettings,
    Settings,
    check,
    parse,
)

__all__ = [
    "COMPARED_MIN",
    "AnswersSettings",
    "BudgetSettings",
    "ColdStartSettings",
    "ColumnsSettings",
    "DriftSettings",
    "EvaluationSettings",
    "InputSettings",
    "JoinSettings",
    "LabelSettings",
    "LearnSettings",
    "ModelSettings",
    "ObserveSettings",
    "PrivacySettings",
    "QuerySettings",
    "RoundSettings",
    "RunSettings",
    "SchemaSettings",
    "SealingSettings",
    "Settings",
    "WatchSettings",
    "check",
    "load",
    "load_for_kafka",
    "parse",
]
