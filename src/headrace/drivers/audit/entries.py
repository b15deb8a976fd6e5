"""The inputs and outputs of a run as entries of its audit log: ids and decisions, no feature.

The events' own ids are left out as well: a request's id is a hash of one, which says nothing to a
reader without the event. Classes, annotators and what operators wrote are in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ... import messages
from ...adapters.chain import check_links, files_of
from ...errors import BadInput
from ...flow.effects import Part
from ...learn.caps import CapClaimed
from ...learn.rules import RulesInUse
from ...query.orders import Order
from .acts import DECIDED

TEXT_MAX = 500
"""The most characters of each text in an entry; the rest is cut off."""

Entry = dict[str, Any]

_ASKED = "reason strategy propensity control_p round_n model_version answers_wanted opinion_n"
_COMPARED = "job_id model_version champion_right challenger_right labels_n"
_COPIED: dict[type[messages.Message], tuple[str, str]] = {
    messages.LabelRequested: ("asked", f"request_id at deadline {_ASKED}"),
    messages.RequestRescored: ("rescored", "request_id at priority withdrawn"),
    messages.RequestWithdrawn: ("withdrawn", "request_id at reason"),
    messages.RequestExpired: ("expired", "request_id at answers_n"),
    messages.LabelSettled: (
        "settled",
        "request_id at label answers_n agreement revision is_late opinion_n confirms",
    ),
    messages.LabelDisputed: ("disputed", "request_id at reason answers revision opinion_n"),
    messages.DriftChanged: ("drift", "at level previous signal detector statistic"),
    messages.RoundOpened: (
        "round_opened",
        "round_n at reason pool_n wanted_n order_key order_reason",
    ),
    messages.RoundClosed: ("round_closed", "round_n at asked_n"),
    messages.RetrainRequested: ("retraining_opened", "job_id at reason examples_n model_version"),
    messages.ModelAdopted: ("challenger_adopted", f"at {_COMPARED}"),
    messages.ModelKept: (
        "challenger_rejected",
        "at job_id reason champion_right challenger_right labels_n",
    ),
    messages.ModelRolledBack: (
        "challenger_rolled_back",
        f"at {_COMPARED} to order_key order_reason",
    ),
    messages.Answer: ("answered", "request_id at label annotator"),
    messages.Withdrawal: ("withdrawal", "request_id at reason"),
    messages.RoundOrdered: ("round_ordered", "at labels_n key reason by"),
    messages.ErasureOrdered: ("erasure_ordered", "at key by desk"),
    messages.RollBackOrdered: ("roll_back_ordered", "at to key reason by"),
    messages.SubjectErased: ("erased", "at key erased is_refitted"),
    CapClaimed: ("cap_claimed", "partition number spent_n cap spent_money money partitions_n"),
    RulesInUse: ("rules_in_use", "parts"),
    messages.InputRejected: ("refused", "at reason input_id"),
}
"""For each message its name in the log, and the fields that an entry copies."""


def entry_of(
    message: messages.Output
    | messages.Answer
    | messages.Withdrawal
    | Order
    | CapClaimed
    | RulesInUse,
    **more: Any,
) -> Entry:
    """Return the entry about a message, with the fields `more`.

    >>> entry_of(messages.RequestExpired(request_id="r1", event_id="e1", at=9.0, answers_n=0))
    {'what': 'expired', 'request_id': 'r1', 'at': 9.0, 'answers_n': 0}
    """
    if isinstance(message, messages.QuestionChanged):
        message = message.record  # to annotators it is a request, or its end
    what, names = _COPIED[type(message)]
    return (
        {"what": what}
        | {name: _shorten_value(getattr(message, name)) for name in names.split()}
        | more
    )


def _shorten_value(value: Any) -> Any:
    if isinstance(value, str):
        return value[:TEXT_MAX]
    if isinstance(value, dict):
        return {str(key)[:TEXT_MAX]: n for key, n in value.items()}
    return value


class NextOffsets:
    """The next offset of each partition, by which a log's entries are checked.

    >>> places = NextOffsets()
    >>> places.check_entry({"what": "asked", "record": ["requests", 0, 0]})
    ''
    >>> places.check_entry({"what": "asked", "record": ["requests", 0, 2]})
    'it is about offset 2 of requests, partition 0; 1 is next'
    """

    def __init__(self) -> None:
        self.next: dict[Part, int] = {}
        self._parts: dict[Part, tuple[int, int]] = {}
        self._is_told = False

    @classmethod
    def from_folder(cls, folder: Path) -> NextOffsets:
        """Return the places that a log reached; its last two files suffice. Raises `BadInput`."""
        places = cls()
        for link in check_links(files_of(folder, DECIDED)[-2:]):
            if link.fault:
                raise BadInput(f"{link.place}: {link.fault}; headrace audit verify tells more")
            places.check_entry(link.entry)
        return places

    def written_n(self, part: Part, offset: int) -> int:
        """Return how many entries of a record are written, if it was not written to its end."""
        at, n = self._parts.get(part, (-1, 0))
        return n if at == offset else 0

    def check_entry(self, entry: Entry) -> str:
        """Take the next entry of a log; return what is wrong with its place, or an empty text."""
        # From then on all places are known: a partition without one is at its first.
        self._is_told |= entry["what"] in ("begun", "places")
        if entry["what"] == "places":
            return self._check_places({Part(t, number): n for t, number, n in entry["places"]})
        record = entry.get("record", ())
        if len(record) != 3:
            return ""
        topic, number, offset = record
        part, (i, of_n) = Part(topic, number), entry.get("part", (0, 1))
        wanted = self.next.get(part, 0 if self._is_told else offset), self.written_n(part, offset)
        if i + 1 < of_n:
            self._parts[part] = offset, i + 1
        else:
            self._parts.pop(part, None)
            until: int = entry.get("until", offset)
            self.next[part] = until + 1
        if wanted == (offset, i):
            return ""
        entry_n = f", entry {i} of it" if of_n > 1 else ""
        return (
            f"it is about offset {offset} of {topic}, partition {number}{entry_n}; {wanted[0]} is "
            "next"
        )

    def _check_places(self, told: dict[Part, int]) -> str:
        known = {part: n for part, n in told.items() if part in self.next}
        is_same = not self.next or known == self.next
        self.next = told
        return "" if is_same else "it says that partitions were read to other places"
