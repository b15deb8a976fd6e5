"""The chronicle of a run from its --state folder, which is only read.

The run is decided again from its journal and its inputs, which gives every number at every point of
it. If that is impossible, because an input is gone or this version decides otherwise, the chronicle
is made of the recorded outputs and the newest snapshot, and says what is missing.

A run may go on meanwhile: it is read up to where its journal ended at the start.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

import msgspec

from ...adapters.journal import Record, Span, Ticked
from ...adapters.jsonl import open_input, split_lines
from ...adapters.snapshots.store import SnapshotStore
from ...engine import Engine
from ...errors import BadInput, BadSettings
from ...messages import InputRejected, LabelRequested, Output
from ...pages.chronicle import Chronicle
from ...pages.report.parts import describe_features
from ...privacy import WHOLE
from .folder import RunFolder
from .outputs import encode_output
from .player import Player

SAMPLES_N = 200
PIECES_N = 1_000
"""How many pieces a run is fed again in: what happens in one is at its end in the plots."""

Progressed = Callable[[int, int], None]

_DECODER: msgspec.json.Decoder[Output] = msgspec.json.Decoder(Output)


def read_chronicle(
    state: Path,
    *,
    is_replayed: bool = True,
    on_progress: Progressed = lambda done, of: None,
) -> Chronicle:
    """Return the chronicle of the run in this folder, without a replay if not `is_replayed`.

    `on_progress` is called with the bytes that are done, and all of them. Raises `BadInput` if the
    folder holds no run, or neither its inputs nor its outputs can be read.
    """
    with closing(RunFolder(state, is_shared=True)) as folder:
        gap = "It was made without a replay, as asked for."
        if is_replayed:
            try:
                _check_inputs(folder)
                return _replay_run(folder, on_progress)
            except _Differs as error:
                gap = str(error)
            except BadInput as error:
                gap = f"The run can't be decided again: {error}."
        try:
            chronicle = _read_recorded(folder, on_progress)
        except BadInput as error:
            raise BadInput(f"{gap} And its outputs can't be read: {error}") from error
        chronicle.gaps.insert(0, gap)
        return chronicle


# ------------------------------------------------------------------------------ decided again


class _Differs(Exception):  # noqa: N818 - no fault of anybody, but a finding
    """The replay gives something else than what was recorded."""


def _check_inputs(folder: RunFolder) -> None:
    """Raise `BadInput` at once for a file that is gone, not after an hour of replay."""
    journal = folder.journal
    if journal.origin:
        raise BadInput(f"{folder.path} has no record of what came before an erasure")
    for number, span in journal.last.items():
        path = folder.path / journal.sources[number].path
        with open_input(path) as file:
            size = file.seek(0, 2)
        if size < span.stop:
            raise BadInput(f"{path} has {size:,} bytes, and {span.stop:,} of it were fed")


def _replay_run(folder: RunFolder, on_progress: Progressed) -> Chronicle:
    journal, chronicle = folder.journal, Chronicle(folder.settings)
    is_events = {number: source.kind == "events" for number, source in journal.sources.items()}
    bytes_n = sum(span.stop for number, span in journal.last.items() if is_events[number])
    done_n = sampled_n = 0
    with closing(Player(folder)) as player, closing(_Recorded(folder.decisions)) as recorded:
        engine = player.engine
        for record, end in journal.read_records():
            if end > journal.size:
                break  # It was written since: the run goes on.
            for piece, content in _split_pieces(record, player, max(1, bytes_n // PIECES_N)):
                outputs = player.play_record(piece, content)
                recorded.compare_outputs(outputs)
                chronicle.add_outputs(outputs, engine.shard.events_n)
                statistics = engine.shard.drift.statistics
                chronicle.add_statistics(
                    {f"{s}/{d}": ratio for (s, d), ratio in statistics.items()}
                )
                if isinstance(piece, Span) and is_events[piece.source]:
                    done_n += piece.stop - piece.start
                if (done_n - sampled_n) * SAMPLES_N >= bytes_n > 0:
                    sampled_n = done_n
                    chronicle.add_sample(engine.report)
                elif isinstance(piece, Ticked) and chronicle.is_later(engine.now, SAMPLES_N):
                    chronicle.add_sample(engine.report)
            on_progress(end, journal.size)
        chronicle.add_sample(engine.report)
        chronicle.features = describe_features(engine.schema)
        if not recorded.is_there:
            chronicle.gaps.append(
                f"{folder.decisions} is gone, so the replay could not be compared with it."
            )
    return chronicle


def _split_pieces(
    record: Record, player: Player, piece_bytes: int
) -> Iterator[tuple[Record, bytes | None]]:
    """Yield a record, a long span in pieces of whole lines: that changes no decision."""
    if not isinstance(record, Span) or record.stop - record.start <= piece_bytes:
        yield record, None
        return
    start, piece = record.start, b""
    for line in [*split_lines(player.read_span(record), player.line_bytes_max), b""]:
        piece += line
        if piece and (len(piece) >= piece_bytes or not line):
            stop = start + len(piece)
            yield Span(source=record.source, start=start, stop=stop, digest=""), piece
            start, piece = stop, b""


class _Recorded:
    """The outputs as they were recorded, to be compared with those of a replay."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = path.open("rb") if path.exists() else None
        self._lines_n = 0

    @property
    def is_there(self) -> bool:
        return self._file is not None

    def compare_outputs(self, outputs: Sequence[Output]) -> None:
        """Raise `_Differs` for other outputs; a record that ends early is of a killed run."""
        if self._file is None:
            return
        for output in outputs:
            self._lines_n += 1
            if not encode_output(output).startswith(self._file.readline()):
                raise _Differs(
                    "This version of Headrace decides otherwise than was recorded, from line "
                    f"{self._lines_n:,} of {self._path} on; `headrace replay` shows the difference."
                )

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


# ------------------------------------------------------------------------------ as recorded


def _read_recorded(folder: RunFolder, on_progress: Progressed) -> Chronicle:
    """Make the chronicle of the outputs and the newest snapshot alone."""
    chronicle = Chronicle(folder.settings)
    events_n = done_n = sampled_n = broken_n = wiped_n = 0
    at = -math.inf
    with open_input(folder.decisions) as file:
        size = file.seek(0, 2)
        file.seek(0)
        for line in file:
            done_n += len(line)
            if line.isspace():
                wiped_n += 1
                continue
            try:
                output = _DECODER.decode(line)
            except msgspec.DecodeError:
                broken_n += 1
                continue
            if isinstance(output, LabelRequested):
                events_n = max(events_n, output.seq + 1)
            if not isinstance(output, InputRejected):
                at = max(at, output.at)
            chronicle.add_outputs([output], events_n)
            if (done_n - sampled_n) * SAMPLES_N >= size:
                sampled_n = done_n
                chronicle.add_sample(None, at=at if math.isfinite(at) else None)
                on_progress(done_n, size)
    chronicle.add_sample(None, at=at if math.isfinite(at) else None)
    if broken_n:
        chronicle.gaps.append(f"{broken_n:,} lines of {folder.decisions} can't be read.")
    if wiped_n:
        chronicle.gaps.append(f"{wiped_n:,} decisions were erased, and are not in the plots.")
    chronicle.gaps.append(_add_snapshot(folder, chronicle))
    return chronicle


def _add_snapshot(folder: RunFolder, chronicle: Chronicle) -> str:
    """Add the report of the newest snapshot; return a sentence on what is not known."""
    places = folder.path / "snapshots"
    if not any(places.glob("snapshot-*")):
        return f"There is no snapshot either. {_UNKNOWN}, who answered, what stands now."
    store = SnapshotStore(places, stream=folder.settings.stream, kept_n=1)
    engine = Engine(settings=folder.settings, privacy=WHOLE)
    try:
        found, why = store.read_latest(lambda snapshot: engine.restore(snapshot.blob)), ""
    except BadSettings as error:
        found, why = None, str(error)
    if found is None:
        why = why or "; ".join(store.refused)
        return f"No snapshot can be read: {why}. {_UNKNOWN}, who answered, what stands now."
    chronicle.report = engine.report
    chronicle.features = describe_features(engine.schema)
    return (
        "The outputs are all there; the accuracy by all labels, the last drift statistics and the "
        "annotators are those of the newest snapshot, after "
        f"{engine.report.events.observed_n:,} events. {_UNKNOWN}."
    )


_UNKNOWN = (
    "Not known are the accuracy by all labels over time, drift statistics but for those that "
    "changed the level, events after the last request"
)
