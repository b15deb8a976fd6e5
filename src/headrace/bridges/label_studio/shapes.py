"""The responses of Label Studio that are read here; fields that are not named are skipped."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

Moment: TypeAlias = Annotated[datetime, Meta(tz=True)]
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""A time before every event in Label Studio."""


class Annotation(msgspec.Struct, frozen=True):
    """One person's answer to a task."""

    id: int
    updated_at: Moment
    result: Any = None
    completed_by: Any = None
    was_cancelled: bool = False


class Task(msgspec.Struct, frozen=True):
    """A task, with the fields that the call asked for."""

    id: int
    updated_at: Moment = NEVER
    data: dict[str, Any] = {}
    annotations: tuple[Annotation, ...] = ()
    total_annotations: int = 0
    cancelled_annotations: int = 0
    draft_exists: bool = False

    @property
    def request_id(self) -> str:
        """The id of the request that the task is for; "" if it is not ours."""
        value = self.data.get("request_id")
        return value if isinstance(value, str) else ""

    @property
    def is_begun(self) -> bool:
        """Whether anybody has answered, skipped or drafted."""
        return self.total_annotations + self.cancelled_annotations > 0 or self.draft_exists


class TaskPage(msgspec.Struct, frozen=True):
    """One page of a list of tasks."""

    tasks: list[Task]


class Imported(msgspec.Struct, frozen=True):
    """The ids of imported tasks; other editions import later, and return none."""

    task_ids: list[int] = []


class Tag(msgspec.Struct, frozen=True):
    """A control of the labelling configuration."""

    type: str
    to_name: list[str] = []
    labels: list[str] = []


class ProjectFound(msgspec.Struct, frozen=True):
    """The description of a project."""

    id: int
    maximum_annotations: int
    show_collab_predictions: bool
    sampling: str | None
    model_version: str | None
    parsed_label_config: dict[str, Tag]


class Named(msgspec.Struct, frozen=True):
    """A project in a list."""

    id: int
    title: str


class ProjectPage(msgspec.Struct, frozen=True):
    """One page of a list of projects."""

    results: list[Named]


class Access(msgspec.Struct, frozen=True):
    """The access token that a personal token is exchanged for."""

    access: str


class WebhookFound(msgspec.Struct, frozen=True):
    """A webhook of a project."""

    id: int
    url: str
