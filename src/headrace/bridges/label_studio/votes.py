"""The votes on a task, from its annotations, and what is new in them as replies.

An annotator has one vote a task, the latest of their annotations: over the API the same person may
annotate a task twice. The functions are pure: the votes known before are passed in.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, TypeAlias

import msgspec

from ..bridge import Reply
from .shapes import Annotation, Moment, Task

FAULT_N_MAX = 80


class Vote(msgspec.Struct, frozen=True, array_like=True):
    """The latest annotation of one annotator: its id, when it was last changed, and the class, or
    None for "cannot tell". `fault` says why it can't be used, "" if it can."""

    annotation_id: int
    changed: Moment
    label: str | None
    fault: str = ""


Votes: TypeAlias = dict[str, Vote]


def votes_of(task: Task, choices: str, classes: Collection[str]) -> Votes:
    """Return the votes on a task, by annotator.

    `task` must have its annotations. `choices` is the name of the tag in which a class is chosen,
    and `classes` are the valid ones.
    """
    votes: Votes = {}
    for annotation in task.annotations:
        vote = _make_vote(annotation, choices, classes)
        who = _name_annotator(annotation)
        known = votes.get(who)
        if known is None or _order_votes(vote) > _order_votes(known):
            votes[who] = vote
    return votes


def replies_of(
    request_id: str, before: Votes, task: Task, now: Votes
) -> tuple[list[Reply], list[str]]:
    """Return what is new on a task: replies, and sentences about votes that can't be used.

    - `request_id`: the request of the task.
    - `before`, `now`: the votes known before, and those of now.
    - `task`: has the annotations that are left.

    An answer that was removed, or corrected to one that can't be used, is a reply with a label of
    None. The id of a reply is that of the annotation and its revision; where an annotation became
    the latest because a later one was deleted, the id says so.
    """
    ids_left = {annotation.id for annotation in task.annotations}
    replies: list[Reply] = []
    faults: list[str] = []
    for who in sorted(before | now):
        old, new = before.get(who), now.get(who)
        if new == old:
            continue
        fault = new.fault if new is not None else ""
        if fault:
            faults.append(
                f"task {task.id} of Label Studio, request {request_id}: {who} {fault}; "
                "not handed on"
            )
        counted = old is not None and not old.fault and old.label is not None
        if (new is None or fault) and not counted:
            continue
        latest = new if new is not None else old
        assert latest is not None
        reply_id, at = f"{latest.annotation_id}:{latest.changed.isoformat()}", latest.changed
        if old is not None and old.annotation_id not in ids_left:
            # Take the time of the deletion, or the deleted answer would count as the later one.
            reply_id, at = f"{reply_id}:without {old.annotation_id}", task.updated_at
        if fault:
            reply_id += ":unusable"  # with other settings the same revision may be an answer
        label = new.label if new is not None and not fault else None
        replies.append(
            Reply(
                request_id=request_id,
                label=label,
                at=at.timestamp(),
                annotator=who,
                reply_id=reply_id,
            )
        )
    return replies, faults


def _make_vote(annotation: Annotation, choices: str, classes: Collection[str]) -> Vote:
    label, fault = None, ""
    if not annotation.was_cancelled:
        label, fault = _read_label(annotation.result, choices, classes)
    return Vote(annotation.id, annotation.updated_at, label, fault)


def _read_label(result: Any, choices: str, classes: Collection[str]) -> tuple[str | None, str]:
    """Return the one class that was chosen, or None and what is wrong."""
    chosen: list[Any] = []
    for region in result if isinstance(result, list) else []:
        if isinstance(region, dict) and region.get("from_name") == choices:
            value = region.get("value")
            names = value.get("choices") if isinstance(value, dict) else None
            chosen += names if isinstance(names, list) else []
    if not chosen:
        return None, "has chosen no class"
    if len(chosen) > 1:
        return None, f"has chosen {len(chosen)} classes"
    if not isinstance(chosen[0], str) or chosen[0] not in classes:
        return None, f"has chosen {str(chosen[0])[:FAULT_N_MAX]!r}, which is none of the classes"
    return chosen[0], ""


def _order_votes(vote: Vote) -> tuple[datetime, int]:
    return vote.changed, vote.annotation_id


def _name_annotator(annotation: Annotation) -> str:
    """Return a lasting name that reveals nothing about the person."""
    who = annotation.completed_by
    if isinstance(who, dict):
        who = who.get("id")
    # The account was removed: each annotation counts as one of a different person.
    return f"label-studio:{who}" if who is not None else f"label-studio:of {annotation.id}"
