"""What was measured, as lines of JSON: each job in a fresh process, made once for its code.

A row's time is CPU of its process, the best of the repeats; a bare river loop takes its turn with
it, so that a slow minute hits both. The peak of memory is read after the first repeat.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from bench.engine_plugin import Asked, Linear, Run, bare_loop
from bench.storing import digest_code, read_lines, write_lines

ROOT = Path(__file__).parents[2]
LONG_S = 20.0
"""Once so long was played, by the clock, nothing is played again."""


class Scale(NamedTuple):
    """How many events a row has, and how often it is played."""

    events_n: int = 8_000
    repeats_n: int = 3


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line. Times are CPU microseconds: an event, an event of the bare loop, a label.

    `peak_mib` is the most memory that the process had, `own_mib` what of it came with the run;
    `note` says what to know, or, where nothing was measured, why.
    """

    name: str
    events_n: int = 0
    us: float | None = None
    bare_us: float | None = None
    label_us: float | None = None
    labels_n: int | None = None
    right: float | None = None
    peak_mib: float | None = None
    own_mib: float | None = None
    per_s: float | None = None
    note: str = ""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of a job, with the code, the day and the machine; `load` is that at its start."""

    job: str
    code: str
    day: str
    machine: str
    load: float
    scale: Scale
    rows: list[Row]


Jobs = Mapping[str, Callable[[Scale], list[Row]]]


# ------------------------------------------------------------------------------ one row


def measure(name: str, run: Run, bare: Run | None, repeats_n: int) -> Row:
    """Play both in turn."""
    before, ours, others = memory_mib("VmRSS"), [], []
    while len(ours) < repeats_n and sum(one["wall_s"] for one in ours) < LONG_S:
        ours.append(run())
        if len(ours) == 1:
            peak = memory_mib("VmHWM")
        if bare is not None:
            others.append(bare())
    first = ours[0]
    n = max(1, first["events"])
    return Row(
        name=name,
        events_n=first["events"],
        us=1e6 * min(one["cpu_s"] for one in ours) / n,
        bare_us=min((1e6 * one["cpu_s"] / one["events"] for one in others), default=None),
        labels_n=first.get("labels"),
        right=float(np.mean(first["correct"])) if "correct" in first else None,
        peak_mib=peak,
        own_mib=None if peak is None or before is None else peak - before,
        note=first.get("note", ""),
    )


def yardstick(share: float = 0.1, events_n: int = 4_000) -> Run:
    """The bare loop over 20 features, beside rows of other streams."""
    return bare_loop(Linear.of(events_n, 20, 7), Asked(share, 7))


def timed(loop: Callable[[], object], events_n: int) -> Run:
    """The run of a loop that says nothing."""

    def run() -> dict[str, float]:
        wall, cpu = time.perf_counter(), time.process_time()
        loop()
        return {
            "events": events_n,
            "wall_s": time.perf_counter() - wall,
            "cpu_s": time.process_time() - cpu,
        }

    return run


def memory_mib(field: str) -> float | None:
    """`VmRSS` of this process, or its peak, `VmHWM`; None where the system does not say."""
    # getrusage would tell the peak of the process that started this one.
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


# ------------------------------------------------------------------------------ the rows on disk


def code() -> str:
    """Twelve characters that change with the code of the engine."""
    return digest_code()


def machine() -> str:
    """What it was measured on."""
    model = ""
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = f" ({names[0].partition(': ')[2]})" if names else ""
    return (
        f"Python {platform.python_version()}, numpy {np.__version__}, river {version('river')}, "
        f"{platform.machine()}{model}, {os.cpu_count()} cores"
    )


def read(path: Path) -> dict[str, Made]:
    """What was made, by job."""
    return read_lines(path, Made, lambda made: made.job)


def write(path: Path, made: Iterable[Made]) -> None:
    """A line a job, in order of their names."""
    write_lines(path, made, lambda one: one.job)


def left_to_do(jobs: Iterable[str], made: Mapping[str, Made]) -> list[str]:
    """Jobs never made, made by other code, and those that lacked something."""
    now = code()
    return [
        job
        for job in jobs
        if job not in made or made[job].code != now or any(row.us is None for row in made[job].rows)
    ]


def make(job: str, scale: Scale) -> Made:
    """Do a job in a fresh process; one that fails has a row that says so."""
    load = os.getloadavg()[0]
    try:
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            rows = pool.submit(_do, job, scale).result()
    except Exception as error:
        rows = [Row(name=job.partition("/")[2], note=f"failed: {type(error).__name__}: {error}")]
    day = time.strftime("%Y-%m-%d")
    return Made(job=job, code=code(), day=day, machine=machine(), load=load, scale=scale, rows=rows)


def _do(job: str, scale: Scale) -> list[Row]:
    # Only the module of the job is loaded: the others' libraries would be in its memory.
    module = import_module(f"bench.speed.{job.partition('/')[0]}")
    jobs: Jobs = module.jobs()
    return jobs[job](scale)
