"""The journal of one partition read without deciding anything: where its chain of steps ends.

As in `recovery`, a step counts if it follows the one before. Commands that run while no worker does
learn here what they need to know of a shard.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..query.accounts import NOTHING, Total
from ..settings import Settings
from . import wire
from .effects import Part, Routine
from .log_reader import LogReader
from .steps import ChainEnd


@dataclass(slots=True)
class JournalHead:
    """The head of a journal: `last` is the offset of its last step, -1 for none, `writer`
    that step's writer, and `end` the offset that the next record gets.

    The outputs of all steps up to `done` arrived. The steps reach offset `stop` of the events and
    `training` of the training log. Today's state follows from the events from `starts_at` on, and
    from `lost_n` steps that were deleted. `spent` is what the partition has spent of a cap and of
    money, `claim_n` the number of its last claim to them.
    """

    partition: int
    last: int
    writer: str
    done: int = -1
    stop: int = 0
    training: int = 0
    starts_at: int | None = None
    lost_n: int = 0
    end: int = 0
    spent: Total = NOTHING
    claim_n: int = 0


def read_journal_head(
    settings: Settings,
    partition: int,
    *,
    last: int = -1,
    writer: str = "",
    spent: Total = NOTHING,
    claim_n: int = 0,
) -> Routine[JournalHead]:
    """Return the head of a journal, read from its beginning or from a step known to be in it.

    That step is at offset `last` and of `writer`; by then `spent` was spent, at claim `claim_n`.
    Raises `BadInput` for a step beyond the end of the journal.
    """
    journal = Part(settings.kafka.journal, partition)
    logs = LogReader({journal: last + 1})
    yield from logs.go_to_starts()
    head = JournalHead(
        partition,
        last,
        writer,
        spent=spent,
        claim_n=claim_n,
        done=last,
        lost_n=logs.lost[journal],
    )
    is_any, rules = head.lost_n > 0, None
    at = ChainEnd(last, writer)
    head.end = logs.ends[journal]
    while records := (yield from logs.read_piece(journal, head.end)):
        for record in records:
            step = wire.step_of(record)
            if not at.accepts_step(step, record.offset, is_any=is_any):
                continue
            assert step is not None
            is_any, head.last, head.writer = False, record.offset, step.writer
            head.done = max(head.done, step.done)
            head.stop, head.training = step.stop, step.training
            head.spent = step.count_spent(settings, head.spent)
            head.claim_n = step.claim_n or head.claim_n
            if step.is_reset or rules not in (None, step.rules):
                head.starts_at, head.lost_n = step.stop, 0
            elif head.starts_at is None:
                head.starts_at = step.start
            rules = step.rules
    return head
