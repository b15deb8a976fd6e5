"""A decoder of sealed answers, with the interface of the one of plain answers."""

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
    """Opens each line, for which it needs the line's position, and decodes what was sealed.

    A line that is not sealed, was altered or moved is rejected as `not_sealed`, and a rejection
    quotes the line as it is stored. Raises `BadSettings` for a line whose key is not among ours: a
    missing key must not lose an answer.
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
        answers: list[Answer | Withdrawal | InputRejected] = []
        for i, (line, position) in enumerate(zip(lines, positions, strict=True)):
            if not line or line.isspace():
                continue
            stored = reject_line(Refusal(Reason.NOT_SEALED, ""), line, "", source, position)
            try:
                text = self._sealer.unseal(line, ANSWERS, position)
            except NotSealed as error:
                answers.append(msgspec.structs.replace(stored, detail=str(error)))
                continue
            headers_of_line = [headers[i]] if headers else []
            answers += [
                msgspec.structs.replace(answer, raw=stored.raw)
                if isinstance(answer, InputRejected)
                else answer
                for answer in super().decode([text], source, [position], headers_of_line)
            ]
        return answers


def opened_of(
    sealer: Sealer | None, lines: Iterable[bytes], log: str, position: int
) -> Iterator[bytes]:
    """Yield the opened lines of a file, without a sealer the lines as they are.

    The lines have no newlines, the first is at byte `position`; one that is not sealed is skipped.
    """
    for line in lines:
        if sealer is None:
            yield line
        else:
            with suppress(NotSealed):
                yield sealer.unseal(line, log, position)
        position += len(line) + 1


def answers_decoder_of(settings: Settings) -> AnswersDecoder:
    """Return the decoder of a run's answers. Raises `BadSettings`."""
    sealer = load_sealer(settings.sealing, settings.stream)
    if sealer is None:
        return AnswersDecoder(settings.answers, settings.input.line_bytes_max)
    return SealedAnswers(settings, settings.input.line_bytes_max, sealer)
