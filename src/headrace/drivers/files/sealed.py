"""Answers that are sealed, as the reader of answers reads others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

import msgspec

from ...adapters.sealing import Sealer, load_sealer
from ...errors import NotSealed
from ...messages import Answer, InputRejected, Reason, Withdrawal
from ...observe.answers import AnswersDecoder
from ...observe.hook import Headers
from ...observe.raw import reject_line
from ...observe.values import Refusal
from ...settings import Settings

ANSWERS = "answers"
"""The name of the log of answers."""


class SealedAnswers(AnswersDecoder):
    """Opens each line at its place, which it needs, and reads what was in it.

    A line that is not sealed, was altered or moved is rejected as `not_sealed`, and a rejection
    quotes the line as it is stored. Raises `BadSettings` for a line whose key is not among ours: an
    answer is not to be lost for that.
    """

    def __init__(self, settings: Settings, line_bytes_max: int, sealer: Sealer) -> None:
        super().__init__(settings.answers, line_bytes_max)
        self._sealer = sealer

    def decode(
        self,
        lines: Sequence[bytes],
        source: str = "",
        positions: Sequence[int] = (),
        headers: Sequence[Headers] = (),
    ) -> list[Answer | Withdrawal | InputRejected]:
        found: list[Answer | Withdrawal | InputRejected] = []
        for i, (line, position) in enumerate(zip(lines, positions, strict=True)):
            if not line or line.isspace():
                continue
            stored = reject_line(Refusal(Reason.NOT_SEALED, ""), line, "", source, position)
            try:
                text = self._sealer.unseal(line, ANSWERS, position)
            except NotSealed as error:
                found.append(msgspec.structs.replace(stored, detail=str(error)))
                continue
            given = [headers[i]] if headers else []
            found += [
                msgspec.structs.replace(one, raw=stored.raw)
                if isinstance(one, InputRejected)
                else one
                for one in super().decode([text], source, [position], given)
            ]
        return found


def opened_of(
    sealer: Sealer | None, lines: Iterable[bytes], log: str, position: int
) -> Iterator[bytes]:
    """What was sealed in lines without newlines, the first at byte `position`, less what was not.

    Without a sealer the lines themselves.
    """
    for line in lines:
        if sealer is None:
            yield line
        else:
            with suppress(NotSealed):
                yield sealer.unseal(line, log, position)
        position += len(line) + 1


def answers_decoder_of(settings: Settings) -> AnswersDecoder:
    """What reads the answers of a run. Raises `BadSettings`."""
    sealer = load_sealer(settings.sealing, settings.stream)
    if sealer is None:
        return AnswersDecoder(settings.answers, settings.input.line_bytes_max)
    return SealedAnswers(settings, settings.input.line_bytes_max, sealer)
