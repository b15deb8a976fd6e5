"""Upgrades of states of `Asking` that former versions wrote."""

from __future__ import annotations

from typing import Any

from ..settings.open import OpenSettings
from ..settings.query import DuplicateSettings, QuotaSettings
from .control import ControlDraw
from .duplicates import Duplicates
from .labels import Labels
from .open_questions import OpenQuestions
from .quotas import Quotas
from .remembered import Remembered
from .schedule import Schedule, workflow_of
from .waiting import Waiting


def upgrade_asking(fields: dict[str, Any], version: int) -> dict[str, Any]:
    """Return the fields of a former version as those of the present one.

    Before version 2 there was no workflow: batches on schedule. Before 3 `Asking` was one class.
    Before 4 open questions were not scored again, before 5 labels were not remembered.
    """
    if version < 2:
        fields["schedule"] = Schedule(workflow_of(fields["settings"].workflow))
    if version < 3:
        fields = _split_fields(fields)
    if version < 4:
        fields = fields | {"open": OpenQuestions(OpenSettings())}
    return fields | {"labels": Labels()}


def _split_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields of version 2 as those of 3: control draw and ids in parts, no quotas."""
    more = {
        "control_draw": ControlDraw.of_state(
            share=fields["settings"].control_share,
            p=fields.pop("control_p"),
            paces=fields.pop("_paces"),
            unweighted=fields.pop("_unweighted"),
        ),
        "remembered": Remembered.of_state(
            ended_max=fields.pop("closed_n"),
            opened=fields.pop("_open"),
            ended=fields.pop("_ended"),
        ),
        "queue": Waiting.of_state(
            requests=fields.pop("_waiting"),
            opinions_n=fields.pop("_opinions_waiting_n"),
            given_up_n=fields.pop("given_up_n"),
        ),
        "quotas": Quotas(QuotaSettings(), {}),
        "duplicates": Duplicates(DuplicateSettings()),
    }
    return fields | more
