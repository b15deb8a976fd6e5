"""Which topic a name stood for: brokers give every topic an id, and one made anew another.

An offset does not show that a log was deleted and filled again. So the ids of the logs that a shard
goes by are kept in its snapshots, and in the first step of every writer; they are compared at a
start, at a takeover and while running. Brokers before 3.1 have no ids: there only a log that has
become shorter is noticed (`places`).
"""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import BadInput
from ..settings.kafka import KafkaSettings
from .effects import Bounds, Part

LOGS_KEPT = ("events", "journal", "desk", "training")
"""Settings in [kafka] of the logs without which nobody can go on where a shard stood."""


class TopicIds:
    """The ids of topics as they were last seen, by the name of the topic."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._setting_of = {getattr(kafka, name): name for name in LOGS_KEPT}
        self._are_checked = kafka.check_topic_ids
        self._seen: dict[str, str] = {}

    def is_other(self, part: Part, found: Bounds) -> bool:
        """Whether this is another topic than was last seen under that name."""
        if not found.topic_id:
            return False
        before = self._seen.setdefault(part.topic, found.topic_id)
        self._seen[part.topic] = found.topic_id
        return before != found.topic_id

    def check_ids(self, found: Mapping[Part, Bounds]) -> None:
        """Raise `BadInput` if a log that a shard needs to go on was made anew."""
        for part, bounds in found.items():
            if self.is_other(part, bounds) and part.topic in self._setting_of and self._are_checked:
                raise _fault_of_new_topic(part.topic, "while this worker ran")

    def check_kept(self, kept: Mapping[str, str], where: str) -> None:
        """Raise `BadInput` likewise, for ids by setting that were kept `where`."""
        for topic, setting in self._setting_of.items():
            now = self._seen.get(topic, "")
            if self._are_checked and now and kept.get(setting, now) != now:
                raise _fault_of_new_topic(
                    topic, f"since {where} was written, or that is of another cluster"
                )

    @property
    def kept(self) -> dict[str, str]:
        """The ids that are to be kept, by setting."""
        ids = {name: self._seen.get(topic, "") for topic, name in self._setting_of.items()}
        return {name: topic_id for name, topic_id in ids.items() if topic_id}


def _fault_of_new_topic(topic: str, when: str) -> BadInput:
    return BadInput(
        f"{topic} was deleted and made anew {when}: what we know of it is of another log. Give the "
        "topic a new name in [kafka], or begin anew with headrace reset; where all of its records "
        "were restored at their offsets, start once with kafka.check_topic_ids = false"
    )


def write_ids(ids: Mapping[str, str]) -> str:
    """Return ids as one line, for the places of a snapshot.

    >>> write_ids({"events": "Gq3", "desk": "x_1"})
    'desk=x_1 events=Gq3'
    """
    return " ".join(f"{name}={topic_id}" for name, topic_id in sorted(ids.items()))


def read_ids(line: str) -> dict[str, str]:
    """Return the ids from a line of `write_ids`.

    >>> read_ids("desk=x_1 events=Gq3")
    {'desk': 'x_1', 'events': 'Gq3'}
    """
    return dict(pair.split("=", 1) for pair in line.split() if "=" in pair)
