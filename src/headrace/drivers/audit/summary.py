"""Counts the entries of a log: who asked, who answered, who changed the model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

NAMES_MAX = 20
"""How many names of one kind a table shows; the others are one row."""

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
        self.asked: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.moved: Counter[str] = Counter()
        self.acts: Counter[str] = Counter()

    def add(self, entry: Mapping[str, Any]) -> None:
        """Count one entry."""
        match entry["what"]:
            case "asked":
                self.asked[f"{entry.get('reason')} by {entry.get('strategy')}"] += 1
            case "round_ordered":
                self.asked[f"round ordered by {entry.get('by') or 'somebody unnamed'}"] += 1
            case "round_opened":
                self.asked[f"rounds, for {entry.get('reason')}"] += 1
            case "answered":
                through = f", through {entry['via']}" if "via" in entry else ""
                self.answered[f"{entry.get('annotator') or 'somebody unnamed'}{through}"] += 1
            case "settled":
                self._count_settled(entry)
            case "disputed" | "expired" | "withdrawn" as what:
                self.ended[what] += 1
            case "withdrawal":
                self.answered["requests taken back"] += 1
            case "refused":
                self.answered[f"refused, {entry.get('reason')}"] += 1
            case "round_closed" | "begun":
                pass
            case what if what in _MODEL:
                self.moved[_MODEL[what]] += 1
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

    def counts_by_part(self) -> dict[str, Counter[str]]:
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
        self.ended[f"settled{again}, by {entry.get('consensus', 'consensus')}"] += 1
        self.moved["labels"] += 1

    def _count_act(self, what: str, entry: Mapping[str, Any]) -> None:
        by = entry.get("by")
        self.acts[_ACTS.get(what, what.replace("_", " ")) + (f", {by}" if by else "")] += 1
        if what == "started":
            if entry.get("changed"):
                self.acts[f"settings changed: {', '.join(entry['changed'])}"] += 1
            if "restored" in entry:
                self.moved["snapshots restored"] += 1
