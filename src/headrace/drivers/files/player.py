"""Feeds an engine the records of a journal: a restart and a replay go through the same code."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

import msgspec

from ...adapters.journal import Asked, Begun, Record, Retrained, Source, Span, Ticked, hash_content
from ...adapters.jsonl import open_input, split_lines
from ...engine import Engine
from ...errors import BadInput
from ...learn.retrain import Challenger, retrain
from ...messages import Input, InputRejected, LabelRequested, Output, RetrainFinished, Tick
from ...observe.admission import ID_LENGTH_MAX
from ...observe.decode import Decoded, Decoder
from ...privacy import WHOLE
from ...query.record import AskedRecord as AskedThen
from ...query.record import Decided, Differences, RescoredThen, decided_of, rescored_of
from ...shard.recalling import follow_record
from .base import restore_base
from .folder import RunFolder
from .orders import decode_order
from .sealed import answers_decoder_of

LINE_SHOWN_MAX = 500


class Player:
    """Feeds an engine the records of a journal; `rejected_n` counts lines that hold no event.

    `differences` counts decisions that differ from what the journal says.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.engine = Engine(settings=folder.settings, privacy=WHOLE)
        self.decoder = Decoder(folder.settings.input, folder.settings.columns)
        self.answers_decoder = answers_decoder_of(folder.settings)
        self.line_bytes_max = folder.settings.input.line_bytes_max
        self.rejected_n: dict[str, int] = {}
        self.differences = Differences()
        self._decided: list[tuple[str, Decided]] = []
        self._rescored: list[RescoredThen] = []
        self._began_n = 0
        self._folder = folder.path
        self._sources = folder.journal.sources
        self._files: dict[int, BinaryIO] = {}

    def play_record(
        self,
        record: Record,
        content: bytes | None = None,
        challenger: Challenger | None = None,
        *,
        asked: Asked | None = None,
    ) -> list[Output]:
        """Feed one record and return the outputs that follow.

        A caller that has the bytes of a span or the challenger of a job at hand may pass them.
        `asked` is what the record led to when it was first fed: it leads to the same requests
        again. Raises `BadInput` if the bytes of a source are gone, or not those that were fed.
        """
        shard = self.engine.shard
        self._decided, self._rescored, self._began_n = [], [], shard.events_n
        if asked is not None:
            then = AskedThen(asked.ids, asked.decided, shard.events_n, asked.rescored)
            follow_record(shard, then)
        outputs = self._play_record(record, content, challenger)
        if asked is not None:
            missing, differences = self.engine.settle_record()
            outputs += missing
            self.differences.add(differences)
        return outputs

    def collect_asked(self, ends: dict[str, int], digests: dict[str, str]) -> Asked:
        """Return what the record that was played last led to, for the journal.

        `ends` and `digests` are those of the output files, as `OutputLogs.ends_of` returns them.
        """
        ids, decided = [n for n, _ in self._decided], [numbers for _, numbers in self._decided]
        return Asked(ids=ids, decided=decided, ends=ends, digests=digests, rescored=self._rescored)

    def _feed_message(self, message: Input) -> list[Output]:
        """Feed one message and return its outputs; keep the numbers behind the requests in them."""
        followed, shard = list[Output](), self.engine.shard
        for outputs in self.engine.flow([message]):
            after_n = shard.events_n - self._began_n
            self._decided += [
                (o.request_id, decided_of(o, shard.chance.key(o.event_id), after_n))
                for o in outputs
                if isinstance(o, LabelRequested)
            ]
            self._rescored += rescored_of(outputs, after_n)
            followed += outputs
        return followed

    def _play_record(
        self, record: Record, content: bytes | None, challenger: Challenger | None
    ) -> list[Output]:
        match record:
            case Source() | Asked() | Begun():
                return []
            case Ticked():
                return self._feed_message(Tick(at=record.at))
            case Retrained():
                return self._feed_retrained(record, challenger)
            case Span():
                lines = self._split_lines(
                    record, self.read_span(record) if content is None else content
                )
                path = str(self.path_of(self._sources[record.source]))
                match self._sources[record.source].kind:
                    case "events":
                        return self._feed_events(lines, path)
                    case "answers":
                        return self._feed_answers(lines, path)
                    case "orders":
                        return self._feed_orders(lines, path)

    def begin_at_base(self, folder: RunFolder) -> dict[str, int | str]:
        """Bring the engine to where the journal begins; return the positions there, if any."""
        if not folder.journal.origin:
            return {}
        snapshot = restore_base(folder, self.engine)
        rejected_n = str(snapshot.positions["rejected_n"])
        self.rejected_n = msgspec.json.decode(rejected_n, type=dict[str, int])
        return snapshot.positions

    def path_of(self, source: Source) -> Path:
        """Return the path of a source."""
        return self._folder / source.path

    def read_span(self, span: Span) -> bytes:
        """Return the bytes of a span, verified. Raises `BadInput` if they have changed."""
        if span.source not in self._files:
            self._files[span.source] = open_input(self.path_of(self._sources[span.source]))
        file = self._files[span.source]
        content = os.pread(file.fileno(), span.stop - span.start, span.start)
        if hash_content(content) != span.digest:
            raise BadInput(
                f"{file.name} has changed: bytes {span.start} to {span.stop} are no longer those "
                "that were fed; put them back, or start with another --state"
            )
        return content

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def _split_lines(self, span: Span, content: bytes) -> list[tuple[int, bytes]]:
        """Return each line without its newline, and the byte at which it begins."""
        lines = split_lines(content, self.line_bytes_max)
        starts = accumulate(map(len, lines), initial=span.start)
        return [
            (start, line.removesuffix(b"\n")) for start, line in zip(starts, lines, strict=False)
        ]

    def _feed_events(self, lines: list[tuple[int, bytes]], path: str) -> list[Output]:
        """Feed lines of events; return rejections of unreadable ones, then the events' outputs."""
        texts, positions = [line for _, line in lines], [position for position, _ in lines]
        decoded = self.decoder.decode(
            texts, path, positions, halves=self.engine.shard.admission.halves
        )
        for rejected in decoded.rejected:
            self._count_reject(rejected)
        outputs = self._feed_message(decoded.batch) if len(decoded.batch) else []
        return [*decoded.rejected, *_place_rejects(outputs, decoded, lines, path)]

    def _feed_answers(self, lines: list[tuple[int, bytes]], path: str) -> list[Output]:
        outputs: list[Output] = []
        for position, line in lines:
            for answer in self.answers_decoder.decode([line], path, [position]):
                if isinstance(answer, InputRejected):
                    self._count_reject(answer)
                    outputs.append(answer)
                else:
                    outputs += _placed_at(self._feed_message(answer), path, position, line)
        return outputs

    def _feed_orders(self, lines: list[tuple[int, bytes]], path: str) -> list[Output]:
        """Feed orders, dated now by the engine's clock, whatever the time of day was."""
        outputs: list[Output] = []
        for position, line in lines:
            order = decode_order(line, self.engine.now)
            followed = [order] if isinstance(order, InputRejected) else self._feed_message(order)
            for output in followed:
                if isinstance(output, InputRejected):
                    self._count_reject(output)
            outputs += _placed_at(followed, path, position, line)
        return outputs

    def _count_reject(self, rejected: InputRejected) -> None:
        """Count a rejection that the engine does not count itself."""
        self.rejected_n[rejected.reason] = self.rejected_n.get(rejected.reason, 0) + 1

    def _feed_retrained(self, record: Retrained, challenger: Challenger | None) -> list[Output]:
        job = self.engine.trainer.retrainings.job(record.job_id)
        if challenger is None and record.error is None and job is not None:
            challenger = retrain(job)
        finished = RetrainFinished(
            job_id=record.job_id, at=record.at, challenger=challenger, error=record.error
        )
        return self._feed_message(finished)


def _place_rejects(
    outputs: list[Output], decoded: Decoded, lines: list[tuple[int, bytes]], path: str
) -> list[Output]:
    """Return the outputs, with the place of each event that the engine rejected."""
    placed: list[Output] = []
    event, line, first = len(decoded.batch), len(lines), len(decoded.batch)
    # From the end: of two events with the same id the later one was rejected.
    for output in reversed(outputs):
        if isinstance(output, InputRejected):
            event -= 1
            while decoded.batch.ids[event][:ID_LENGTH_MAX] != output.input_id:
                event -= 1
            while first > event:
                line -= 1
                first -= decoded.events_n[line]
            placed.append(_place_reject(output, path, *lines[line]))
        else:
            placed.append(output)
    return placed[::-1]


def _placed_at(outputs: Sequence[Output], path: str, position: int, line: bytes) -> list[Output]:
    """Return the outputs of a line, rejections with the line's place."""
    return [
        _place_reject(output, path, position, line) if isinstance(output, InputRejected) else output
        for output in outputs
    ]


def _place_reject(rejected: InputRejected, path: str, position: int, line: bytes) -> InputRejected:
    raw = line[: 4 * LINE_SHOWN_MAX].decode(errors="replace")[:LINE_SHOWN_MAX]
    return msgspec.structs.replace(rejected, source=path, position=position, raw=raw)
