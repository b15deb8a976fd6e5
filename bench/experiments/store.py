"""The rows on disk, and the work that is left: a run that is there is not made again.

A file of JSON lines; of two rows with one key the later counts. A row made by other code than
today's is stale: it is made anew, but after all that was never made.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

import msgspec
from bench.experiments.runs import Row, Run, digest, play
from bench.experiments.streams import load
from bench.storing import read_lines, write_lines

Told = Callable[[Row], None]


def read_rows(path: Path) -> dict[Run, Row]:
    """The rows by what was varied."""
    return read_lines(path, Row, lambda row: row.run)


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """The rows in order, one each."""
    write_lines(path, rows, lambda row: row.run)


def left_to_do(
    runs: Sequence[Run], rows: dict[Run, Row], code: str, *, keep_stale: bool
) -> list[Run]:
    """Runs to make, in order: those never made, then the stale ones."""
    missing = [run for run in runs if run not in rows]
    stale = [run for run in runs if run in rows and rows[run].code != code]
    return missing + ([] if keep_stale else stale)


def make_rows(
    path: Path, runs: Sequence[Run], folder: Path | None, jobs_n: int, told: Told
) -> dict[Run, str]:
    """Make the runs and append their rows; the runs that failed, each with its error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    failed: dict[Run, str] = {}
    code = digest()
    if path.exists() and path.read_bytes()[-1:] not in (b"", b"\n"):
        _append(path, b"\n")
    for run, row in _made(runs, folder, jobs_n, code):
        if isinstance(row, str):
            failed[run] = row
            continue
        _append(path, msgspec.json.encode(row) + b"\n")
        told(row)
    return failed


def _append(path: Path, line: bytes) -> None:
    # Opened for each row: the file may have been written in order by another run meanwhile.
    with path.open("ab") as file:
        file.write(line)


def _made(
    runs: Sequence[Run], folder: Path | None, jobs_n: int, code: str
) -> Iterator[tuple[Run, Row | str]]:
    if jobs_n == 1:
        for run in runs:
            yield run, _make(run, folder, code)
        return
    pool = ProcessPoolExecutor(jobs_n, multiprocessing.get_context("spawn"))
    try:
        waiting = iter(runs)
        places: dict[Future[Row | str], Run] = {}
        while True:
            # No more than are at work are handed out, so that Ctrl-C waits for these alone.
            while len(places) < jobs_n and (run := next(waiting, None)) is not None:
                places[pool.submit(_make, run, folder, code)] = run
            if not places:
                return
            ended, _ = wait(places, return_when=FIRST_COMPLETED)
            for future in ended:
                yield places.pop(future), future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _make(run: Run, folder: Path | None, code: str) -> Row | str:
    """The row, or the error: one stream that fails is not to end a night of runs."""
    try:
        return play(load(run.stream, folder), run, code, lambda n: None)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
