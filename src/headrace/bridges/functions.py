"""Labelling functions as a bridge: rules of yours answer requests, each as an annotator `lf:NAME`.

After Ratner et al., "Snorkel: Rapid Training Data Creation with Weak Supervision" (VLDB 2018): a
rule sees the features of an event and names a class, or abstains. How often each rule is right is
not declared; the consensus of answers learns it (docs/FORMATS.md).
"""

from __future__ import annotations

import operator
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from msgspec import field

from ..errors import BadSettings
from ..importing import SAID_MAX, import_function
from ..label.answers import fault_of
from ..messages import Answer, LabelRequested, class_name
from ..messages.request_ids import is_further
from ..settings.fields import Section, about
from .bridge import Delivery, Receipt, Reply
from .database import open_transaction
from .reply_log import ReplyLog, open_replies

REPLIES_MAX = 1_000
KEPT_N = 100_000
"""How many requests are remembered, so that none is answered twice."""

ABSTAINED = -1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS answered (n INTEGER PRIMARY KEY AUTOINCREMENT, request_id TEXT UNIQUE);
"""
_PATH = re.compile(r"[\w.]+:\w+")


class FunctionsSettings(Section, frozen=True, kw_only=True):
    """[bridges.functions]: labelling functions of yours, which answer as annotators."""

    functions: Annotated[
        list[str],
        about(
            "Each a `module:function` that takes the features of an event and returns a class, or "
            "None or -1 where it has no opinion. It answers as the annotator `lf:` and its name."
        ),
    ] = field(default_factory=list)
    classes: Annotated[
        list[str],
        about(
            "The classes: a function that returns a whole number names the class at that place, "
            "from 0, and a text that is none of them is a fault. Empty: functions return texts."
        ),
    ] = field(default_factory=list)
    alone: Annotated[
        bool,
        about(
            "All functions answer a request, and may settle it by themselves. Without it the first "
            "that have an opinion do, one fewer than `label.answers_wanted`, so that a person is "
            "heard as well."
        ),
    ] = False


class EventRow(dict[str, Any]):
    """The features of an event as a mapping and, as functions for Snorkel expect, as attributes.

    >>> row = EventRow(subject="hello", n=3)
    >>> row["subject"], row.n
    ('hello', 3)
    """

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the event has no feature {name!r}") from None


class Functions:
    """A bridge to labelling functions.

    Args:
        settings: The section `[bridges.functions]`.
        folder: For the bridge's own file.
        clock: Returns the time, seconds since the epoch.
        outlives_power: Whether the file survives a loss of power.

    Raises:
        BadSettings: A function can't be imported, or two have the same name.

    >>> import tempfile
    >>> settings = FunctionsSettings(functions=["builtins:len"], classes=["short", "long"])
    >>> bridge = Functions(settings, Path(tempfile.mkdtemp()))
    >>> bridge.names
    ['len']
    >>> bridge.close()
    """

    Settings = FunctionsSettings

    def __init__(
        self,
        settings: FunctionsSettings,
        folder: Path,
        *,
        clock: Callable[[], float] = time.time,
        outlives_power: bool = True,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._functions, faults = _functions_of(settings)
        if faults:
            raise BadSettings([f"bridges.{folder.name}.{fault}" for fault in faults])
        self._faults: list[str] = []
        self._told: set[str] = set()
        self._db = open_replies(folder / "functions.sqlite", _SCHEMA, outlives_power=outlives_power)
        self._replies = ReplyLog(self._db)

    @staticmethod
    def faults_of(settings: FunctionsSettings) -> list[str]:
        """Check settings.

        Args:
            settings: The section `[bridges.functions]`.

        Returns:
            What is wrong with the functions, as sentences that begin with a setting's name; empty
            if nothing is.
        """
        return _functions_of(settings)[1]

    @property
    def names(self) -> list[str]:
        """The names of the functions, in order."""
        return list(self._functions)

    def close(self) -> None:
        """Close the bridge's own file."""
        self._db.close()

    def send(self, deliveries: Sequence[Delivery]) -> None:
        """Let each function answer each request, and store the answers as replies.

        Args:
            deliveries: Requests; those to remove are ignored.
        """
        now = self._clock()
        replies_by_request = [
            (delivery.request_id, self._ask_functions(delivery.request, now))
            for delivery in deliveries
            if delivery.request
        ]
        with open_transaction(self._db):
            for request_id, replies in replies_by_request:
                is_new = self._db.execute(
                    "INSERT OR IGNORE INTO answered (request_id) VALUES (?)", (request_id,)
                ).rowcount
                for reply in replies if is_new else ():
                    self._replies.add(reply)
            self._db.execute(
                "DELETE FROM answered WHERE n <= (SELECT MAX(n) FROM answered) - ?", (KEPT_N,)
            )

    def receive(self, mark: str) -> Receipt:
        """Return the functions' answers, and their faults, each kind once.

        Args:
            mark: The mark of an earlier receipt; "" at first.

        Returns:
            What is new since the mark.
        """
        replies, reached = self._replies.read_after(mark, REPLIES_MAX)
        faults, self._faults = tuple(self._faults), []
        return Receipt(replies=replies, mark=reached, faults=faults)

    def _ask_functions(self, request: LabelRequested, now: float) -> list[Reply]:
        replies: list[Reply] = []
        if is_further(request.request_id):
            return replies  # one more answer is for people: the functions have answered already
        functions_max = len(self._functions) if self._settings.alone else request.answers_wanted - 1
        if functions_max < 1:
            self._note_fault(
                "requests that want one answer are left to people, who are to be heard in any "
                "case: set label.answers_wanted to 2 or more, or `alone` of this bridge"
            )
        for name, function in self._functions.items():
            if len(replies) >= functions_max:
                break
            label = self._call_function(name, function, request)
            if label is None:
                continue
            reply = Reply(request.request_id, label, now, f"lf:{name}")
            answer = Answer(
                request_id=reply.request_id, label=label, at=now, annotator=reply.annotator
            )
            if fault := fault_of(answer):
                self._note_fault(f"lf:{name}: {fault}")
            else:
                replies.append(reply)
        return replies

    def _call_function(
        self, name: str, function: Callable[[EventRow], Any], request: LabelRequested
    ) -> str | None:
        try:
            result = function(EventRow(request.features))
        except Exception as error:
            # A function from outside may raise anything, and the others must go on.
            text = f"{type(error).__name__}: {error}"[:SAID_MAX]
            self._note_fault(
                f"lf:{name} failed: {text} (request {request.request_id}); it has no opinion there",
                kind=f"{name} {type(error).__name__}",
            )
            return None
        label = self._find_class(result)
        if label == "":
            known = ", ".join(self._settings.classes)[:SAID_MAX]
            known = known or "a text; set `classes` where it returns numbers"
            self._note_fault(
                f"lf:{name} returned {repr(result)[:SAID_MAX]}; must be None, -1 or one of {known}",
                kind=f"{name} returned",
            )
        return label or None

    def _find_class(self, said: object) -> str | None:
        """Return the class that a function returned; None if it abstains, "" for no class."""
        classes = self._settings.classes
        if isinstance(said, str | bool | np.bool_):
            # For a member of an enumeration of texts, this is the text itself.
            label = str.__str__(said) if isinstance(said, str) else class_name(said)
            return label if not classes or label in classes else ""
        try:
            number = ABSTAINED if said is None else operator.index(said)  # type: ignore[arg-type]
        except TypeError:
            return ""
        if number == ABSTAINED:
            return None
        return classes[number] if 0 <= number < len(classes) else ""

    def _note_fault(self, sentence: str, kind: str = "") -> None:
        """Report a fault with the next receipt; each kind once in the life of the process."""
        if (kind or sentence) not in self._told:
            self._told.add(kind or sentence)
            self._faults.append(sentence)


def _functions_of(
    settings: FunctionsSettings,
) -> tuple[dict[str, Callable[[EventRow], Any]], list[str]]:
    """Return the functions by name, in order, and sentences about what is wrong with them."""
    functions: dict[str, Callable[[EventRow], Any]] = {}
    faults = []
    if not settings.functions:
        faults.append("functions is empty; must name one module:function at least")
    if len(set(settings.classes)) < len(settings.classes):
        faults.append("classes names a class twice")
    for path in settings.functions:
        if not _PATH.fullmatch(path):
            faults.append(f"functions has {path!r}; must be module:function")
            continue
        try:
            function = import_function("functions", path)
        except BadSettings as error:
            faults += error.faults
            continue
        name = getattr(function, "name", None) or getattr(function, "__name__", None)
        name = name if isinstance(name, str) else path.partition(":")[2]
        if name in functions:
            faults.append(f"functions has two of the name {name}; name them apart")
        functions[name] = function
    return functions, faults
