"""What Label Studio answers, as far as it is read here; fields that are not named are skipped."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

Moment: TypeAlias = Annotated[datetime, Meta(tz=True)]
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""Before everything that Label Studio tells of."""


class Annotation(msgspec.Struct, frozen=True):
    """What one person said about a task."""

    id: int
    updated_at: Moment
    result: Any = None
    completed_by: Any = None
    was_cancelled: bool = False


class Task(msgspec.Struct, frozen=True):
    """A task, with what was asked to be included."""

    id: int
    updated_at: Moment = NEVER
    data: dict[str, Any] = {}
    annotations: tuple[Annotation, ...] = ()
    total_annotations: int = 0
    cancelled_annotations: int = 0
    draft_exists: bool = False

    @property
    def request_id(self) -> str:
        """Whose task it is; empty for nobody's."""
        found = self.data.get("request_id")
        return found if isinstance(found, str) else ""

    @property
    def is_begun(self) -> bool:
        """Whether anybody has answered, skipped or drafted."""
        return self.total_annotations + self.cancelled_annotations > 0 or self.draft_exists


class TaskPage(msgspec.Struct, frozen=True):
    """One page of a list of tasks."""

    tasks: list[Task]


class Imported(msgspec.Struct, frozen=True):
    """What an import made; other editions import later, and name nothing."""

    task_ids: list[int] = []


class Tag(msgspec.Struct, frozen=True):
    """A control of the labelling configuration."""

    type: str
    to_name: list[str] = []
    labels: list[str] = []


class ProjectFound(msgspec.Struct, frozen=True):
    """A project as it is described."""

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
    """What a personal token buys."""

    access: str


class WebhookFound(msgspec.Struct, frozen=True):
    """A webhook of a project."""

    id: int
    url: str
