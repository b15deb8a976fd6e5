"""Counts the entries of a log: who asked, who answered, who changed the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAMES_MAX = 20
"""How many names of one kind a table shows; the others are one row."""

Counts = dict[str, int]

_MODEL = {
    "retraining_opened": "retrainings opened",
    "retraining_ended": "retrainings ended",
    "challenger_adopted": "challengers adopted",
    "challenger_rejected": "challengers rejected",
    "roll_back_ordered": "rolls back ordered",
    "challenger_rolled_back": "challengers rolled back",
    "drift": "changes of the drift level",
}
_ACTS = {
    "started": "starts of the run",
    "stopped": "ends of the run",
    "snapshot": "snapshots written",
    "records_lost": "losses of records, by power",
    "offsets_lost": "losses of records, deleted unread",
    "mended": "lines cut short by a kill",
    "removed": "files removed, by the limit",
}


class Summary:
    """The entries of a log, counted by who did what.

    >>> summary = Summary()
    >>> summary.add({"what": "asked", "reason": "control", "strategy": "random", "opinion_n": 1})
    >>> summary.list_rows()
    [('asked', 'control by random', 1)]
    """

    def __init__(self) -> None:
        self.asked: Counts = {}
        self.answered: Counts = {}
        self.ended: Counts = {}
        self.moved: Counts = {}
        self.acts: Counts = {}

    def add(self, entry: Mapping[str, Any]) -> None:
        """Count one entry."""
        match entry["what"]:
            case "asked":
                _count_one(self.asked, f"{entry.get('reason')} by {entry.get('strategy')}")
            case "round_ordered":
                _count_one(self.asked, f"round ordered by {entry.get('by') or 'somebody unnamed'}")
            case "round_opened":
                _count_one(self.asked, f"rounds, for {entry.get('reason')}")
            case "answered":
                through = f", through {entry['via']}" if "via" in entry else ""
                _count_one(
                    self.answered, f"{entry.get('annotator') or 'somebody unnamed'}{through}"
                )
            case "settled":
                self._count_settled(entry)
            case "disputed" | "expired" | "withdrawn" as what:
                _count_one(self.ended, what)
            case "withdrawal":
                _count_one(self.answered, "requests taken back")
            case "refused":
                _count_one(self.answered, f"refused, {entry.get('reason')}")
            case "round_closed" | "begun":
                pass
            case what if what in _MODEL:
                _count_one(self.moved, _MODEL[what])
            case what:
                self._count_act(what, entry)

    def list_rows(self) -> list[tuple[str, str, int]]:
        """Return part, name and count of what was counted; in each part the largest first."""
        table: list[tuple[str, str, int]] = []
        for part, counts in self.counts_by_part().items():
            ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
            table += [(part, name, n) for name, n in ordered[:NAMES_MAX]]
            if rest := ordered[NAMES_MAX:]:
                table.append((part, f"{len(rest)} others", sum(n for _, n in rest)))
        return table

    def counts_by_part(self) -> dict[str, Counts]:
        """Return all counts, by part of the log."""
        return {
            "asked": self.asked,
            "answered": self.answered,
            "ended": self.ended,
            "moved the model": self.moved,
            "acts": self.acts,
        }

    def _count_settled(self, entry: Mapping[str, Any]) -> None:
        again = " again" if entry.get("revision") else ""
        _count_one(self.ended, f"settled{again}, by {entry.get('consensus', 'consensus')}")
        _count_one(self.moved, "labels")

    def _count_act(self, what: str, entry: Mapping[str, Any]) -> None:
        by = entry.get("by")
        _count_one(self.acts, _ACTS.get(what, what.replace("_", " ")) + (f", {by}" if by else ""))
        if what == "started":
            if entry.get("changed"):
                _count_one(self.acts, f"settings changed: {', '.join(entry['changed'])}")
            if "restored" in entry:
                _count_one(self.moved, "snapshots restored")


def _count_one(counts: Counts, name: str) -> None:
    counts[name] = counts.get(name, 0) + 1
