"""What happened at a desk, counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(slots=True)
class Counts:
    """What happened at the desk since its start.

    `asked_n` is the sum of open requests and of their ends: `settled_n`, `disputed_n`, `expired_n`,
    `withdrawn_n`, and of requests for an opinion `confirmed_n`, `overruled_n` and `undecided_n`, by
    what became of the label they were about. `revised_n` counts outcomes with a revision above 0,
    `asked_twice_n` requests delivered again. Of the answers, `accepted_n` entered a request, of
    which `refused_n` could not tell and `corrected_n` changed what their annotator had said; the
    others were `duplicate_n`, late and of no effect, or rejected. `late_n` counts all late ones.
    `rejected_n` includes the `unknown_n` to unknown requests. `gold_asked_n` gold questions were
    asked; `gold_answers_n` of the accepted answers are to them.
    """

    asked_n: int = 0
    settled_n: int = 0
    disputed_n: int = 0
    expired_n: int = 0
    withdrawn_n: int = 0
    confirmed_n: int = 0
    overruled_n: int = 0
    undecided_n: int = 0
    revised_n: int = 0
    asked_twice_n: int = 0
    accepted_n: int = 0
    refused_n: int = 0
    corrected_n: int = 0
    duplicate_n: int = 0
    late_n: int = 0
    unknown_n: int = 0
    rejected_n: int = 0
    gold_asked_n: int = 0
    gold_answers_n: int = 0

    STATE_VERSION: ClassVar[int] = 2

    @staticmethod
    def upgrade_state(fields: dict[str, Any], version: int) -> dict[str, Any]:
        """Before 2 there were no gold questions."""
        return fields | {"gold_asked_n": 0, "gold_answers_n": 0}
