"""`LabelStudio`: sends requests as tasks, polls for annotations, removes tasks that are moot.

- A task is imported once: after a call that was cut short, the project is searched for the request
  before it is imported again. A server may finish such a call after the search; then the poll sees
  two tasks, and removes the one that nobody has begun.
- The poll reads the tasks that changed since the newest change of the previous poll, less
  `OVERLAP`, in the order of their ids: changes made while it reads neither shift nor hide a task.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from ...errors import BadInput, BadSettings
from ..bridge import Delivery, Receipt, Reply, Unreachable
from .memory import Known, VoteMemory
from .server import CallRefused, StudioServer
from .settings import LabelStudioSettings, faults_of, listen_address
from .shapes import NEVER, Imported, Moment, ProjectFound, ProjectPage, Task, TaskPage
from .tasks import MODEL_VERSION, label_config, task_of
from .votes import replies_of, votes_of
from .webhook import Webhook

OVERLAP = timedelta(seconds=60)
"""A change becomes visible when its transaction ends, which takes no longer than this."""

LISTED_N = 200
"""How many tasks are in one page of the poll."""

PAGES_MAX = 20
"""The most pages of one `receive`; the next call goes on behind them."""

SOUGHT_N = 20
"""How many requests one call searches for: its URL has their ids, and servers limit it to 4 kB."""

_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"
"""The only format of a time that Label Studio's filters take."""


class PollMark(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far the poll is: changes up to `since` were read. During a poll, `newest` is the newest
    change at its start, and `after` the id of the last task read. `n` counts marks with news.
    """

    since: Moment | None = None
    newest: Moment | None = None
    after: int = 0
    n: int = 0


_MARK = msgspec.json.Decoder(PollMark)


@dataclass(frozen=True, slots=True)
class Project:
    """A project in Label Studio, as far as it matters here."""

    id: int
    classes: frozenset[str]  # that count
    choices: frozenset[str]  # that its form offers
    to_name: str
    answers_max: int
    orders_by_us: bool


class LabelStudio:
    """A bridge to a project in Label Studio; `folder` is for a file of its own.

    Raises `BadSettings` for settings that don't fit together, and for a missing token.
    """

    Settings = LabelStudioSettings
    faults_of = staticmethod(faults_of)

    def __init__(self, settings: LabelStudioSettings, folder: Path) -> None:
        self._settings = settings
        if faults := faults_of(settings):
            raise BadSettings([f"bridges.label-studio.{fault}" for fault in faults])
        self._server = StudioServer(settings)
        self._memory = VoteMemory(folder / "label-studio.sqlite")
        listen = listen_address(settings)
        self._webhook = Webhook(listen) if listen else None
        self._project: Project | None = None
        self._polled: float | None = None
        self._given = ""
        # The time of change of each task read lately, so that tasks in the overlap are read once.
        self._read: dict[int, datetime] = {}

    def close(self) -> None:
        if self._webhook is not None:
            self._webhook.close()
        self._memory.close()

    # ------------------------------------------------------------------------------- sending

    def send(self, deliveries: Sequence[Delivery]) -> None:
        """Import tasks for requests; of requests that ended, delete tasks that nobody has begun."""
        project = self._open_project()
        may_be_there = [
            delivery.request_id
            for delivery in deliveries
            if delivery.request and delivery.may_be_there
        ]
        known_tasks = self._find_tasks(project, may_be_there)
        wanted = [
            delivery.request
            for delivery in deliveries
            if delivery.request and delivery.request_id not in known_tasks
        ]
        for request in wanted:
            if request.answers_wanted > project.answers_max:
                raise BadSettings(
                    f"request {request.request_id} wants {request.answers_wanted} answers, and "
                    f"bridges.label-studio.answers_wanted is {project.answers_max}; raise it"
                )
        if wanted:
            self._import_tasks(
                project,
                [
                    task_of(request, self._settings, project.to_name, project.choices)
                    for request in wanted
                ],
            )
        ended = [delivery.request_id for delivery in deliveries if delivery.request is None]
        moot_tasks = self._find_tasks(project, ended)
        self._delete_tasks(project, [task for tasks in moot_tasks.values() for task in tasks])

    def _import_tasks(self, project: Project, tasks: list[dict[str, Any]]) -> None:
        imported = self._server.call(
            "POST",
            f"/api/projects/{project.id}/import",
            Imported,
            query={"return_task_ids": "true", "commit_to_project": "true"},
            body=tasks,
        )
        if len(imported.task_ids) != len(tasks):
            # Other editions import later; the search before the next attempt finds their tasks.
            raise Unreachable("Label Studio has not yet said that it has imported the tasks", 5.0)
        if not project.orders_by_us:
            # Label Studio takes a model version only when there are predictions of it.
            self._change_project(project.id, {"model_version": MODEL_VERSION})
            self._project = None

    def _find_tasks(self, project: Project, request_ids: Sequence[str]) -> dict[str, list[Task]]:
        """Return the tasks of these requests, by request id, the oldest first."""
        by_request: dict[str, list[Task]] = {}
        for start in range(0, len(request_ids), SOUGHT_N):
            chunk = list(request_ids[start : start + SOUGHT_N])
            tasks = self._list_tasks(
                project,
                [_make_filter("data.request_id", "in_list", "String", chunk)],
                include="id,data,draft_exists,total_annotations,cancelled_annotations",
                fields="all",
            )
            for task in tasks:
                by_request.setdefault(task.request_id, []).append(task)
        return by_request

    def _delete_tasks(self, project: Project, tasks: Sequence[Task]) -> None:
        idle = [task.id for task in tasks if not task.is_begun]
        if not idle:
            return  # a list without ids would mean all tasks
        self._server.call(
            "POST",
            "/api/dm/actions",
            dict[str, Any],
            query={"id": "delete_tasks", "project": project.id},
            body={"selectedItems": {"all": False, "included": idle}},
        )

    # ----------------------------------------------------------------------------- receiving

    def receive(self, mark: str) -> Receipt:
        """Return new, corrected and removed answers, after `poll_s` or a call of the webhook."""
        place = _parse_place(mark)
        self._memory.confirm_mark(mark, place.n)
        if mark != self._given:
            self._read.clear()  # the last receipt has not arrived
            self._given = mark
        if place.newest is None:
            if self._is_early():
                return Receipt(mark=mark)
            newest = self._find_newest(self._open_project())
            self._polled = time.monotonic()
            if newest is None:
                return Receipt(mark=mark)
            place = PollMark(since=place.since, newest=newest, n=place.n)
        try:
            return self._scan_tasks(self._open_project(), place)
        except BaseException:
            self._read.clear()  # the tasks read so far are in no receipt
            raise

    def _is_early(self) -> bool:
        if self._webhook is not None and self._webhook.was_called():
            return False
        return self._polled is not None and time.monotonic() - self._polled < self._settings.poll_s

    def _find_newest(self, project: Project) -> datetime | None:
        """Return the time of the latest change of a task; None without tasks."""
        tasks = self._list_tasks(project, [], order="-tasks:updated_at", page_size=1)
        return tasks[0].updated_at if tasks else None

    def _scan_tasks(self, project: Project, place: PollMark) -> Receipt:
        """Go on reading behind `place`, to the first page with news, or to the end of the poll."""
        replies: list[Reply] = []
        faults: list[str] = []
        known: list[Known] = []
        assert place.newest is not None
        since = max(place.newest - OVERLAP, place.since or NEVER)
        for _ in range(PAGES_MAX):
            page = self._read_page(project, place)
            changed = [task.id for task in page if self._read.get(task.id) != task.updated_at]
            for task in self._read_details(project, changed):
                self._take_task(project, task, known, replies, faults)
                if task.updated_at > since:
                    self._read[task.id] = task.updated_at
            if len(page) < LISTED_N:
                place = PollMark(since=since, n=place.n)
                self._read = {i: at for i, at in self._read.items() if at > since}
                break
            place = PollMark(since=place.since, newest=place.newest, after=page[-1].id, n=place.n)
            if replies or faults:
                break
        if known:
            place = msgspec.structs.replace(place, n=place.n + 1)
        self._given = msgspec.json.encode(place).decode()
        if known:
            self._memory.store_tasks(self._given, known)
        return Receipt(tuple(replies), self._given, tuple(faults))

    def _read_page(self, project: Project, place: PollMark) -> list[Task]:
        filters = [_make_filter("id", "greater", "Number", place.after)]
        if place.since is not None:
            since = place.since.astimezone(UTC).strftime(_TIME)
            filters.append(_make_filter("updated_at", "greater", "Datetime", since))
        return self._list_tasks(project, filters, page_size=LISTED_N)

    def _read_details(self, project: Project, ids: list[int]) -> list[Task]:
        if not ids:
            return []
        return self._list_tasks(
            project,
            [],
            chosen=ids,
            # Label Studio applies `include` to nested objects too.
            include="id,data,updated_at,annotations,result,completed_by,was_cancelled",
            fields="all",
            page_size=LISTED_N,
        )

    def _take_task(
        self,
        project: Project,
        task: Task,
        known: list[Known],
        replies: list[Reply],
        faults: list[str],
    ) -> None:
        """Add what is new on one task to `known`, `replies` and `faults`."""
        before = self._memory.find_votes(task.id)
        request_id = task.request_id
        if not request_id:
            if before is None and task.annotations:
                faults.append(f"task {task.id} of Label Studio is no request of ours; left alone")
                known.append(Known(task.id, "", {}))
            return
        votes = votes_of(task, self._settings.choices, project.classes)
        if before == votes:
            return
        new_replies, new_faults = replies_of(request_id, before or {}, task, votes)
        replies += new_replies
        faults += new_faults
        is_second = before is None and (
            self._memory.has_another(request_id, task.id)
            or any(one.request_id == request_id for one in known)
        )
        known.append(Known(task.id, request_id, votes))
        if is_second:
            faults += self._remove_doubles(project, request_id)

    def _remove_doubles(self, project: Project, request_id: str) -> list[str]:
        """Keep one task of a request, the begun or else the oldest one; return what was removed."""
        tasks = self._find_tasks(project, [request_id]).get(request_id, [])
        kept_task = next((task for task in tasks if task.is_begun), tasks[0] if tasks else None)
        others = [task for task in tasks if task is not kept_task and not task.is_begun]
        self._delete_tasks(project, others)
        return [
            f"task {task.id} of Label Studio was a second task of request {request_id}; removed"
            for task in others
        ]

    # ------------------------------------------------------------------------------- project

    def _open_project(self) -> Project:
        """Return the project, found or created at the first call, and changed as settings want."""
        if self._project is not None:
            return self._project
        wanted = {
            "maximum_annotations": self._settings.answers_wanted,
            "show_collab_predictions": self._settings.show_guess,
            "sampling": "Uncertainty sampling",
        }
        found = self._find_project()
        if found is None:
            if not self._settings.classes:
                raise BadSettings(
                    f"there is no project {self._settings.project!r} in Label Studio; to make one, "
                    "bridges.label-studio.classes has to name the classes"
                )
            config = label_config(self._settings, self._settings.classes)
            found = self._server.call(
                "POST",
                "/api/projects/",
                ProjectFound,
                body={
                    **wanted,
                    "title": self._settings.project,
                    "label_config": config,
                    "model_version": MODEL_VERSION,
                },
            )
        elif any(getattr(found, name) != value for name, value in wanted.items()):
            found = self._change_project(found.id, wanted)
        project = self._check_project(found)
        if self._webhook is not None:
            self._webhook.register_url(self._server, project.id, self._settings.webhook_url)
        self._project = project
        return project

    def _find_project(self) -> ProjectFound | None:
        """Return the project as Label Studio describes it; None if none has the title."""
        project = self._settings.project
        if isinstance(project, int):
            return self._describe_project(project)
        # The API's filter also finds titles that contain this one.
        page = self._server.call(
            "GET",
            "/api/projects/",
            ProjectPage,
            query={"title": project, "include": "id,title", "page_size": 1000},
        )
        ids = [one.id for one in page.results if one.title == project]
        if len(ids) > 1:
            raise BadSettings(
                f"Label Studio has {len(ids)} projects {project!r}: set "
                f"bridges.label-studio.project to the id of one, {sorted(ids)}"
            )
        return self._describe_project(ids[0]) if ids else None

    def _describe_project(self, project_id: int) -> ProjectFound:
        try:
            return self._server.call("GET", f"/api/projects/{project_id}/", ProjectFound)
        except CallRefused as refused:
            if refused.status != 404:
                raise
            raise BadSettings(
                f"bridges.label-studio.project is {project_id}, and Label Studio has none with "
                "this id that the owner of the token may see"
            ) from None

    def _change_project(self, project_id: int, wanted: dict[str, Any]) -> ProjectFound:
        path = f"/api/projects/{project_id}/"
        return self._server.call("PATCH", path, ProjectFound, body=wanted)

    def _check_project(self, found: ProjectFound) -> Project:
        """Return what matters of a project. Raises `BadSettings` if we can't work with it."""
        name = self._settings.choices
        tags = found.parsed_label_config
        tag = tags.get(name)
        if tag is None or tag.type != "Choices":
            others = sorted(one for one, other in tags.items() if other.type == "Choices")
            raise BadSettings(
                f"project {found.id} of Label Studio has no Choices tag {name!r}; "
                f"bridges.label-studio.choices has to be one of {others}"
            )
        offered = frozenset(tag.labels)
        classes = frozenset(self._settings.classes) or offered
        if missing := sorted(classes - offered):
            raise BadSettings(
                f"project {found.id} of Label Studio does not offer {missing} to choose; add "
                "them to its labelling configuration, or take them out of "
                "bridges.label-studio.classes"
            )
        return Project(
            id=found.id,
            classes=classes,
            choices=offered,
            to_name=tag.to_name[0],
            answers_max=found.maximum_annotations,
            orders_by_us=found.model_version in ("", None, MODEL_VERSION),
        )

    def _list_tasks(
        self,
        project: Project,
        filters: list[dict[str, Any]],
        *,
        order: str = "tasks:id",
        chosen: Collection[int] = (),
        include: str = "id,updated_at",
        fields: str = "task_only",
        page_size: int = 1000,
    ) -> list[Task]:
        """Return one page of tasks of the project that pass all filters; `chosen` are ids."""
        query: dict[str, Any] = {"ordering": [order]}
        if filters:
            query["filters"] = {"conjunction": "and", "items": filters}
        if chosen:
            query["selectedItems"] = {"all": False, "included": list(chosen)}
        page = self._server.call(
            "GET",
            "/api/tasks",
            TaskPage,
            query={
                "project": project.id,
                "fields": fields,
                "include": include,
                "page_size": page_size,
                "query": msgspec.json.encode(query).decode(),
            },
        )
        return page.tasks


def _make_filter(column: str, operator: str, kind: str, value: Any) -> dict[str, Any]:
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": kind, "value": value}


def _parse_place(mark: str) -> PollMark:
    if not mark:
        return PollMark()
    try:
        return _MARK.decode(mark)
    except msgspec.MsgspecError as error:
        raise BadInput(f"{mark!r} is no mark of a bridge to Label Studio: {error}") from None
