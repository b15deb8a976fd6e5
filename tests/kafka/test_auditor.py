"""The auditor finds what is wrong: a small true story is clean, and each lie in it is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from kafka.auditor import Book, audit
from kafka.workers import TOPICS

NAMES = {name: name for name in TOPICS}
SHARE = 0.5
ASKED = ("r1", "r2", "r3")


@dataclass
class Told:
    """A record as a consumer gives it."""

    topic: str
    partition: int
    row: dict[str, Any]
    key: bytes | None = None
    headers: list[tuple[str, bytes]] = field(default_factory=list)
    offset: int = 0
    timestamp: int = 0

    @property
    def value(self) -> bytes:
        return json.dumps(self.row).encode()


@dataclass
class Story:
    """Topics as a list of records; offsets follow from their order."""

    told: list[Told] = field(default_factory=list)

    def add(self, topic: str, kind: str, key: bytes | None = None, **fields: Any) -> Told:
        found = Told(topic, 0, {"type": kind, **fields}, key)
        self.told.append(found)
        return found

    def find(self, topic: str, request_id: str) -> Told:
        return next(t for t in self.told if t.topic == topic and t.row["request_id"] == request_id)

    def records(self, topic: str) -> Iterable[Told]:
        found = [told for told in self.told if told.topic == topic]
        for offset, told in enumerate(found):
            told.offset = offset
        return found


def end(story: Story, place: int, before: int, kind: str, request_id: str, **fields: Any) -> None:
    """An end of a request, from an entry of the desk's log."""
    told = story.add("training", kind, request_id=request_id, **fields)
    spots = f"0 {place} 0 {before} {0 if before >= 0 else -1}"
    told.headers.append(("headrace-origin", spots.encode()))


def true_story() -> Story:
    """Six events, three requests: one settled, one corrected, one expired."""
    story, sent = Story(), {"event_id": "", "label": ""}
    for number, request_id in enumerate(ASKED):
        row = {**sent, "request_id": request_id, "event_id": f"e{number}"}
        story.add("desk", "LabelRequested", **row)
        story.add("requests", "LabelRequested", request_id.encode(), **row)
    answers = [("r1", "high", 1.0), ("r2", "high", 2.0), ("r2", "low", 3.0)]
    for request_id, label, at in answers:
        given = {"request_id": request_id, "label": label, "annotator": "eva", "at": at}
        story.add("answers", "", **given)
        story.add("desk", "Answer", **given)
    end(story, 3, -1, "LabelSettled", "r1", label="high")
    end(story, 4, 3, "LabelSettled", "r2", label="high")
    end(story, 5, 4, "LabelSettled", "r2", label="low", revision=1)
    end(story, 6, 5, "RequestExpired", "r3")
    step = {"training": 0, "writer": "w"}
    story.add("journal", "", previous=-1, start=0, stop=2, is_first=True, asked=["r1"], **step)
    story.add("journal", "", previous=0, start=2, stop=6, asked=["r2", "r3"], **step)
    return story


def faults_of(story: Story) -> list[str]:
    book = Book(story, NAMES)  # type: ignore[arg-type]  # all it needs is `records`
    sent = {f"e{i}": 0 for i in range(6)}
    return audit(book, share=SHARE, sent=sent).faults


def test_true_story_is_clean() -> None:
    assert faults_of(true_story()) == []


def drop(topic: str, request_id: str) -> Callable[[Story], None]:
    return lambda story: story.told.remove(story.find(topic, request_id))


def ask_twice(story: Story) -> None:
    for topic in ("desk", "requests"):
        story.add(topic, "LabelRequested", b"r9", request_id="r9", event_id="e0")


def send_again(story: Story) -> None:
    story.told.append(story.find("requests", "r1"))


def settle_twice(story: Story) -> None:
    end(story, 7, 6, "LabelSettled", "r1", label="high")


def say_after_a_gap(story: Story) -> None:
    end(story, 9, 8, "RequestExpired", "r3")


def learn_another_label(story: Story) -> None:
    story.find("training", "r1").row["label"] = "low"


def skip_events(story: Story) -> None:
    [*_, step] = [told for told in story.told if told.topic == "journal"]
    step.row["start"] = 3


def follow_a_stranger(story: Story) -> None:
    [*_, step] = [told for told in story.told if told.topic == "journal"]
    step.row["writer"] = "somebody else"


def be_displaced(story: Story) -> None:
    """Its second step is lost to a stranger's, and its third fits by accident."""
    *_, step = (told for told in story.told if told.topic == "journal")
    story.told.remove(step)
    own = {"training": 0, "writer": "w", "start": 2, "stop": 6, "asked": ["r2", "r3"]}
    story.add("journal", "", previous=7, **own)
    story.add("journal", "", previous=0, **own)


def spend_too_much(story: Story) -> None:
    [*_, step] = [told for told in story.told if told.topic == "journal"]
    step.row["stop"] = 5


def answer_first(story: Story) -> None:
    request = story.find("desk", "r1")
    story.told.remove(request)
    story.told.append(request)


def answer_nobody(story: Story) -> None:
    given = {"request_id": "nobody", "label": "high", "annotator": "eva", "at": 1.0}
    story.add("answers", "", **given)
    story.add("desk", "Answer", **given)


def answer_badly(story: Story) -> None:
    story.add("answers", "", request_id="r1", label=["high"])


def order_out_of_turn(story: Story) -> None:
    story.add("training", "RetrainRequested", job_id=3)


@pytest.mark.parametrize(
    ("lie", "fault"),
    [
        (ask_twice, "asked twice"),
        (send_again, "sent again"),
        (drop("requests", "r3"), "never sent"),
        (drop("desk", "r3"), "no desk knows"),
        (drop("training", "r3"), "never ended"),
        (settle_twice, "not numbered"),
        (say_after_a_gap, "they are lost"),
        (learn_another_label, "not how they ended"),
        (skip_events, "goes on at 3, not at 2"),
        (follow_a_stranger, "not in the journal"),
        (be_displaced, "not in the journal"),
        (spend_too_much, "too many"),
        (answer_first, "before their request"),
        (answer_nobody, "nobody's request"),
        (answer_badly, "malformed"),
        (order_out_of_turn, "too early"),
    ],
)
def test_auditor_finds_the_lie(lie: Callable[[Story], None], fault: str) -> None:
    story = true_story()
    lie(story)
    assert any(fault in sentence for sentence in faults_of(story)), faults_of(story)


def test_auditor_finds_the_answer_that_reached_no_desk() -> None:
    story = true_story()
    story.told.remove(
        next(t for t in story.told if t.topic == "desk" and t.row["type"] == "Answer")
    )
    assert any("never reached a desk" in sentence for sentence in faults_of(story))


def test_whoever_takes_over_goes_on_where_a_displaced_writer_could_not() -> None:
    story = true_story()
    be_displaced(story)
    took = {"training": 0, "writer": "v", "start": 2, "stop": 6, "asked": ["r2", "r3"]}
    story.add("journal", "", previous=0, is_first=True, **took)
    assert faults_of(story) == []
