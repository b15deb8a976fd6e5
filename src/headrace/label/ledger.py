"""The requests, open and ended, with every answer they got: precious state, as data.

The ledger decides nothing and emits nothing: it knows which requests are open, which ended ones are
still remembered, and which deadline comes next. The desk decides what an answer means.

Limits: the asking side limits open requests (`LabelSettings.open_max`); the ledger does not,
because a request that was sent must not be forgotten. The latest `closed_n` ended requests are
remembered whole, because an answer or a correction may still make an example of them. At the limit
the request that ended first is forgotten, whether its deadline has passed or not: a later answer is
one to an unknown request, and if the request itself were delivered again, it would open again.
"""

from __future__ import annotations

import heapq
from typing import Any, ClassVar

from ..messages import Answer, LabelRequested
from ..messages.request_ids import base_id

HEAP_SLACK_N = 64


class Gold:
    """The gold questions about one request.

    `asked` has the time each was asked, in seconds, by its id; `answers` all answers to them.
    `accounted` are the answers, and the truth, that the annotators' statistics count now.
    """

    __slots__ = ("accounted", "answers", "asked")

    def __init__(self) -> None:
        self.asked: dict[str, float] = {}
        self.answers: list[Answer] = []
        self.accounted: tuple[tuple[Answer, ...], str | None] = ((), None)


class Entry:
    """One request and what became of it.

    - `order`: its number in order of registration.
    - `answers`: the distinct, valid answers, in order of arrival.
    - `revision`: that of its latest outcome, -1 while it is open; `label`: its present class.
    - `is_waiting`: its deadline will still decide something.
    - `is_withdrawn`: nobody is asked any longer; `is_paid_back`: it ended without a label for good.
    - `accounted`: the answers, and the label, that the annotators' statistics count now.
    - `opinion_n`: 1, 2 or 3, the latest opinion that was given; `asked_about`: the label that the
      second opinion was about.
    - `further`: the questions for one more answer, by id: when each was asked, in seconds, and
      whom it is not for; None once it is answered.
    - `gold`: the gold questions about it.
    """

    __slots__ = (
        "accounted",
        "answers",
        "asked_about",
        "further",
        "gold",
        "is_paid_back",
        "is_waiting",
        "is_withdrawn",
        "label",
        "opinion_n",
        "order",
        "request",
        "revision",
    )

    def __init__(self, request: LabelRequested, order: int) -> None:
        self.request = request
        self.order = order
        self.answers: list[Answer] = []
        self.revision = -1
        self.label: str | None = None
        self.is_waiting = True
        self.is_withdrawn = False
        self.is_paid_back = False
        self.accounted: tuple[tuple[Answer, ...], str | None] = ((), None)
        self.opinion_n = 1
        self.asked_about: str | None = None
        self.further: dict[str, tuple[float, tuple[str, ...]] | None] = {}
        self.gold: Gold | None = None

    STATE_VERSION: ClassVar[int] = 4

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before version 2 there were no further questions, before 3 no gold questions.

        Before 4 it was not known when a further question was asked, and whom it is not for.
        """
        fields = {"further": {}, "gold": None} | fields
        by = tuple(dict.fromkeys(a.annotator for a in fields["answers"] if a.annotator))
        asked = (fields["request"].at, by)
        further = {one: None if done else asked for one, done in fields["further"].items()}
        return fields | {"further": further}

    @property
    def has_ended(self) -> bool:
        return self.revision >= 0

    def is_late(self, now: float) -> bool:
        """Whether an answer at `now`, seconds, is late. While the request is open, none is."""
        return self.has_ended and (self.is_withdrawn or now >= self.request.deadline)


class Ledger:
    """Open requests, the latest `closed_n` ended ones, and the deadlines.

    >>> ledger = Ledger(closed_n=10)
    >>> ledger.next_deadline() is None
    True
    """

    STATE_VERSION: ClassVar[int] = 2

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before version 2 there were no gold questions."""
        return fields | {"_gold": {}}

    def __init__(self, closed_n: int) -> None:
        self.closed_n = closed_n
        self.registered_n = 0
        self._open: dict[str, Entry] = {}
        self._closed: dict[str, Entry] = {}
        self._deadlines: list[tuple[float, int, str]] = []
        self._heap_max = HEAP_SLACK_N
        # The id of the request that each gold question is about, by the question's id.
        self._gold: dict[str, str] = {}

    @property
    def open_n(self) -> int:
        return len(self._open)

    @property
    def remembered_n(self) -> int:
        """Ended requests that can still take answers; at most `closed_n`."""
        return len(self._closed)

    @property
    def oldest(self) -> Entry | None:
        """The open request that was registered first."""
        return next(iter(self._open.values()), None)

    @property
    def open_entries(self) -> list[Entry]:
        """The open requests, in order of registration."""
        return [*self._open.values()]

    def list_gold(self) -> list[tuple[str, Entry]]:
        """The id of each gold question, and the request that it is about, in order of asking."""
        return [
            (one, entry) for one, name in self._gold.items() if (entry := self.find_entry(name))
        ]

    def stale_n(self, now: float) -> int:
        """The number of open requests with less than half of their time left at `now`, seconds."""
        return sum(
            now - entry.request.at > (entry.request.deadline - entry.request.at) / 2.0
            for entry in self._open.values()
        )

    def register(self, request: LabelRequested) -> bool:
        """Open a request. Return false, and do nothing, if its id is already known."""
        if self.find_entry(request.request_id) is not None:
            return False
        entry = Entry(request, self.registered_n)
        self.registered_n += 1
        self._open[request.request_id] = entry
        self._push_deadline(entry)
        return True

    def find_entry(self, request_id: str) -> Entry | None:
        """The request with this id, open or remembered; None if it is neither."""
        return self._open.get(request_id) or self._closed.get(request_id)

    def find_asked(self, request_id: str) -> Entry | None:
        """The request that a question belongs to; the question may be a further or a gold one."""
        entry = self.find_entry(self._gold.get(request_id, request_id))
        if entry is not None:
            return entry
        base = self.find_entry(base_id(request_id))
        return base if base is not None and request_id in base.further else None

    def is_gold(self, request_id: str) -> bool:
        """Whether the id is that of a gold question about a request that is remembered."""
        return request_id in self._gold

    def ask_gold(self, entry: Entry, question_id: str, at: float) -> None:
        """Note a gold question about a request, asked at `at`, seconds."""
        entry.gold = entry.gold or Gold()
        entry.gold.asked[question_id] = at
        self._gold[question_id] = entry.request.request_id

    def record_outcome(self, entry: Entry, label: str | None) -> None:
        """Give a request its next outcome; the first one ends it."""
        entry.label = label
        entry.revision += 1
        if self._open.pop(entry.request.request_id, None) is None:
            return
        self._closed[entry.request.request_id] = entry
        if len(self._closed) > self.closed_n:
            self._forget_request(next(iter(self._closed)))

    def list_requests(self) -> list[LabelRequested]:
        """The open requests, then the ended ones that are remembered."""
        return [entry.request for entry in (*self._open.values(), *self._closed.values())]

    def erase(self, request_id: str) -> None:
        """Forget an ended request, whatever `closed_n` is."""
        if request_id in self._closed:
            self._forget_request(request_id)
        self._drop_settled()

    def _forget_request(self, request_id: str) -> None:
        gold = self._closed.pop(request_id).gold
        for question_id in gold.asked if gold is not None else ():
            del self._gold[question_id]

    def note_waiting(self, entry: Entry, is_waiting: bool) -> None:
        """Note whether the deadline of a request will still decide something."""
        if is_waiting and not entry.is_waiting:
            self._push_deadline(entry)
        entry.is_waiting = is_waiting
        self._drop_settled()

    def pop_due(self, now: float) -> list[Entry]:
        """Remove and return the requests whose deadline is at or before `now`, each once, ordered
        by (deadline, order of registration)."""
        entries = []
        while self._deadlines and self._deadlines[0][0] <= now:
            deadline = heapq.heappop(self._deadlines)
            entry = self._find_waiting(deadline)
            if entry is not None:
                entry.is_waiting = False
                entries.append(entry)
        self._drop_settled()
        return entries

    def next_deadline(self) -> float | None:
        """The earliest deadline that will still decide something."""
        return self._deadlines[0][0] if self._deadlines else None

    def _push_deadline(self, entry: Entry) -> None:
        """Add the deadline of a request to the heap, and clear the heap of settled ones if it has
        doubled: most requests are settled long before their deadline, which would stay there."""
        if len(self._deadlines) >= self._heap_max:
            self._deadlines = [d for d in self._deadlines if self._find_waiting(d) is not None]
            heapq.heapify(self._deadlines)
            self._heap_max = 2 * len(self._deadlines) + HEAP_SLACK_N
        request = entry.request
        heapq.heappush(self._deadlines, (request.deadline, entry.order, request.request_id))

    def _drop_settled(self) -> None:
        """Pop settled requests off the head of the heap, so that reading the next deadline changes
        nothing."""
        while self._deadlines and self._find_waiting(self._deadlines[0]) is None:
            heapq.heappop(self._deadlines)

    def _find_waiting(self, deadline: tuple[float, int, str]) -> Entry | None:
        """The request of this deadline, if it still waits for it."""
        _, order, request_id = deadline
        entry = self.find_entry(request_id)
        return entry if entry is not None and entry.order == order and entry.is_waiting else None
