"""How far each partition was read, by the entries of a log; and that none left an offset out."""

from __future__ import annotations

from pathlib import Path

from ...adapters.chain import check_links, files_of
from ...errors import BadInput
from ...flow.effects import Part
from .acts import DECIDED
from .entries import Entry


class Places:
    """The offset that comes next in each partition.

    >>> places = Places()
    >>> places.check({"what": "asked", "record": ["requests", 0, 0]})
    ''
    >>> places.check({"what": "asked", "record": ["requests", 0, 2]})
    'it is about offset 2 of requests, partition 0; 1 is next'
    """

    def __init__(self) -> None:
        self.next: dict[Part, int] = {}
        self._parts: dict[Part, tuple[int, int]] = {}
        self._is_told = False

    @classmethod
    def of(cls, folder: Path) -> Places:
        """As a log has it; its last two files are enough to know. Raises `BadInput`."""
        places = cls()
        for link in check_links(files_of(folder, DECIDED)[-2:]):
            if link.fault:
                raise BadInput(f"{link.place}: {link.fault}; headrace audit verify tells more")
            places.check(link.entry)
        return places

    def written_n(self, part: Part, offset: int) -> int:
        """How many entries of this record are written, which was not written to its end."""
        at, n = self._parts.get(part, (-1, 0))
        return n if at == offset else 0

    def check(self, entry: Entry) -> str:
        """Take the next entry of a log; what is wrong with its place, or nothing."""
        # From then on all places are known: those that are not told are the first.
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
