"""What people said, from annotations of any shape: pure, and for all inputs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.bridges.bridge import Reply
from headrace.bridges.label_studio.shapes import Annotation, Task
from headrace.bridges.label_studio.votes import Votes, replies_of, votes_of

CLASSES = ("ham", "spam")
START = datetime(2026, 11, 29, tzinfo=UTC)

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["ham", "label", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
regions = st.fixed_dictionaries(
    {"from_name": st.sampled_from(["label", "other"])},
    optional={"value": anything | st.fixed_dictionaries({"choices": anything})},
)


@st.composite
def odd_tasks(draw: st.DrawFn) -> Task:
    annotations = [
        Annotation(
            id=number,
            updated_at=START + timedelta(seconds=draw(st.integers(0, 3))),
            result=draw(anything | st.lists(regions, max_size=3)),
            completed_by=draw(anything),
            was_cancelled=draw(st.booleans()),
        )
        for number in range(draw(st.integers(0, 4)))
    ]
    return Task(id=1, updated_at=START, annotations=tuple(annotations))


@settings(max_examples=50, deadline=None)
@given(odd_tasks(), odd_tasks())
def test_any_annotation_is_a_vote_or_a_fault(before: Task, now: Task) -> None:
    old = votes_of(before, "label", CLASSES)
    new = votes_of(now, "label", CLASSES)
    replies, faults = replies_of("q1", old, now, new)
    assert all(reply.label in (*CLASSES, None) for reply in replies)
    assert all(len(fault) < 300 for fault in faults)
    assert replies_of("q1", new, now, new) == ([], [])
    assert msgspec.json.decode(msgspec.json.encode(new), type=Votes) == new


acts = st.lists(
    st.tuples(
        st.integers(1, 2),  # who
        st.sampled_from(["say", "correct", "delete"]),
        st.sampled_from(["ham", "spam", "eggs", None]),
        st.booleans(),  # whether the poll comes by after it
    ),
    max_size=12,
)


@settings(max_examples=50, deadline=None)
@given(acts)
def test_whenever_the_poll_comes_by_the_last_reply_of_each_is_what_stands(
    story: list[tuple[int, str, str | None, bool]],
) -> None:
    annotations: dict[int, Annotation] = {}
    votes: Votes = {}
    log: list[Reply] = []
    ids: set[str] = set()
    for second, (who, act, choice, polls) in enumerate([*story, (1, "", None, True)], 1):
        now = START + timedelta(seconds=second)
        theirs = [one for one in annotations.values() if one.completed_by == who]
        if act == "delete" and theirs:
            del annotations[theirs[-1].id]
        elif act == "correct" and theirs:
            annotations[theirs[0].id] = said(theirs[0].id, who, choice, now)
        elif act == "say":
            annotations[second] = said(second, who, choice, now)
        if polls:
            task = Task(id=1, updated_at=now, annotations=tuple(annotations.values()))
            found = votes_of(task, "label", CLASSES)
            replies, _ = replies_of("q1", votes, task, found)
            votes = found
            log += replies
            assert ids.isdisjoint(one.reply_id for one in replies)
            ids |= {one.reply_id for one in replies}
    for who in (1, 2):
        name = f"label-studio:{who}"
        theirs = [one for one in annotations.values() if one.completed_by == who]
        latest = max(theirs, key=lambda one: (one.updated_at, one.id), default=None)
        told = sorted((one for one in log if one.annotator == name), key=lambda one: one.at)
        stands = votes[name].label if latest is not None else None
        # The desk takes the latest of each annotator by its time.
        assert (told[-1].label if told else None) == stands


def said(number: int, who: int, choice: str | None, now: datetime) -> Annotation:
    result = [{"from_name": "label", "value": {"choices": [choice]}}]
    return Annotation(number, now, result, who, was_cancelled=choice is None)
