"""`headrace pilot`: what would active learning have saved on the events you already labelled?

The history is played through the engine for each budget, latency, strategy and seed, and for
`random`, which is the one to beat. Runs are independent: the number of processes that share them
does not change the results. `pilot.history` has the events, `pilot.runs` plays one run,
`pilot.compare` does the arithmetic over runs, `pilot.report` shows the results.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ... import settings as settings_module
from ...adapters.printing import make_wide_console, try_drawing
from ...adapters.tables import read_table
from ...errors import BadSettings
from ...learn.models import build
from ...query.strategies import resolve
from ...settings import Settings
from ..report import check_plots, write_page
from ..stopping import end_on_sigterm
from .compare import RANDOM, describe_rejects, reaches_of, rows_of, write_advice
from .expected import describe_expected, measure_costs, share_of
from .history import ColumnsRead, History, history_of
from .report import Pilot, as_html, as_json, show_pilot, show_reading
from .runs import Case, RunOutcome, play_all, play_case, settings_of
from .sharing import SharedHistory, share_history

GRID = (0.5, 2.0, 4.0)
"""Multiples of each budget at which random is run as well, to read savings off."""

GRID_EVENTS_MAX = 100_000
"""With more events than this, random is run at the given budgets alone."""

GRID_SHARE_MAX = 0.5
GRID_NEAR = 1.3

DEFAULT_STRATEGIES = ("random", "margin", "hybrid")
DEFAULT_BUDGETS = (0.01, 0.05)
"""Budgets of a pilot; in a history of more than `GRID_EVENTS_MAX` events, shares of so many."""


def run_pilot(
    history: History,
    settings: Settings | None = None,
    *,
    budgets: tuple[float, ...] | None = None,
    strategies: tuple[str, ...] = DEFAULT_STRATEGIES,
    latencies: tuple[float, ...] = (0.0,),
    seeds_n: int = 3,
    processes_n: int | None = None,
    progress: Callable[[int, int], None] = lambda done_n, all_n: None,
    tell: Callable[[str], None] | None = None,
    reading: ColumnsRead | None = None,
) -> Pilot:
    """Play the history under every combination and compare.

    Budgets are shares of the events, by default those of `default_budgets`; latencies are in
    events (seconds where events have a time).
    `seeds_n` runs are made of each. `progress` is called with events done and events in all;
    `tell`, before the runs, with a sentence on how long they will take, which short runs
    measure. `reading` is kept for the page. `processes_n` is by default the number of cores; 1 runs
    all in this process. Raises `BadSettings` for whatever can't be run, before any run.
    """
    settings = settings or Settings()
    cases = cases_of(
        history,
        settings,
        budgets=budgets,
        strategies=strategies,
        latencies=latencies,
        seeds_n=seeds_n,
    )
    jobs: list[Case | None] = [None, *cases]
    all_n = len(jobs) * len(history)
    processes_n = min(len(jobs), processes_n or os.cpu_count() or 1)
    if tell:
        costs = measure_costs(history, settings)
        tell(describe_expected(costs, len(history), jobs, processes_n))
    runs = _run_in_processes if processes_n > 1 else _run_here
    outcome_of = dict(runs(history, settings, jobs, processes_n, lambda n: progress(n, all_n)))
    outcomes = [outcome_of[i] for i in range(1, len(jobs))]
    rows = rows_of(outcomes)
    unit = "events" if history.at is None else "s"
    return Pilot(
        history=history.name,
        events_n=len(history),
        features_n=min(len(history.names), settings.schema.features_max),
        reading=reading or ColumnsRead(),
        rejects=describe_rejects(outcomes),
        classes=history.classes,
        latency_unit=unit,
        settings=settings,
        seeds_n=seeds_n,
        rows=rows,
        reaches=reaches_of(outcomes, outcome_of[0].accuracy),
        all_labels=outcome_of[0],
        outcomes=outcomes,
        advice=write_advice(rows, unit),
    )


def cases_of(
    history: History,
    settings: Settings,
    *,
    budgets: tuple[float, ...] | None = None,
    strategies: tuple[str, ...] = DEFAULT_STRATEGIES,
    latencies: tuple[float, ...] = (0.0,),
    seeds_n: int = 3,
) -> list[Case]:
    """List every run to make, `random` first; parameters as of `run_pilot`.

    Raises `BadSettings` with every fault.
    """
    budgets = default_budgets(len(history)) if budgets is None else budgets
    faults = [f"budget {b:g} must be above 0 and at most 1" for b in budgets if not 0 < b <= 1]
    faults += [f"latency {s:g} must be at least 0" for s in latencies if not s >= 0]
    if seeds_n < 1:
        faults.append(f"seeds is {seeds_n}; must be at least 1")
    if len(history.classes) < 2:
        faults.append("the labels name fewer than two classes; choose the label's column: --label")
    if len(history.classes) > settings.schema.classes_max:
        faults.append(
            f"the labels name {len(history.classes)} classes; must be at most schema.classes_max, "
            f"which is {settings.schema.classes_max}: is it a class? choose another with --label"
        )
    if faults:
        raise BadSettings(faults)
    budgets, latencies = tuple(dict.fromkeys(budgets)), tuple(dict.fromkeys(latencies))
    strategies = (RANDOM, *(name for name in dict.fromkeys(strategies) if name != RANDOM))
    for name in strategies:
        resolve(name)
    build(settings.model.name, 0, len(history.classes), settings.model.options)
    cases = [
        Case(budget=budget, latency=latency, strategy=strategy, seed=seed)
        for budget in budgets
        for latency in latencies
        for strategy in strategies
        for seed in range(seeds_n)
    ]
    for case in cases:
        settings_of(history, settings, case)
    if len(strategies) > 1 and len(history) <= GRID_EVENTS_MAX:
        cases += [
            Case(budget=budget, latency=latency, strategy=RANDOM, seed=seed, is_asked_for=False)
            for budget in _spread_budgets(budgets, len(history))
            for latency in latencies
            for seed in range(seeds_n)
        ]
    return cases


def default_budgets(events_n: int) -> tuple[float, ...]:
    """Return the budgets where none is named: of a long history they buy no more labels.

    >>> default_budgets(45_312), default_budgets(1_000_000)
    ((0.01, 0.05), (0.001, 0.005))
    """
    part = min(1.0, GRID_EVENTS_MAX / max(1, events_n))
    return tuple(float(f"{part * budget:.2g}") for budget in DEFAULT_BUDGETS)


def _spread_budgets(budgets: tuple[float, ...], events_n: int) -> list[float]:
    """List budgets around those given, none near another or too small for two labels."""
    taken = list(budgets)
    for budget in budgets:
        for times in GRID:
            wanted = round(budget * times, 10)
            is_near = any(1 / GRID_NEAR < wanted / known < GRID_NEAR for known in taken)
            if not is_near and wanted * events_n >= 2 and wanted <= GRID_SHARE_MAX:
                taken.append(wanted)
    return sorted(taken[len(budgets) :])


# ---------------------------------------------------------------------------------- processes


def _run_job(
    history: History, settings: Settings, job: Case | None, progress: Callable[[int], None]
) -> RunOutcome:
    if job is None:
        return play_all(history, settings, settings.seed, progress)
    return play_case(history, settings, job, progress)


def _run_here(
    history: History,
    settings: Settings,
    jobs: list[Case | None],
    processes_n: int,
    progress: Callable[[int], None],
) -> Iterator[tuple[int, RunOutcome]]:
    done_n = 0

    def count_done(n: int) -> None:
        nonlocal done_n
        done_n += n
        progress(done_n)

    for i, job in enumerate(jobs):
        yield i, _run_job(history, settings, job, count_done)


def _run_in_processes(
    history: History,
    settings: Settings,
    jobs: list[Case | None],
    processes_n: int,
    progress: Callable[[int], None],
) -> Iterator[tuple[int, RunOutcome]]:
    # Spawned, not forked: the same on every system, and no thread is copied half-way.
    context = multiprocessing.get_context("spawn")
    done = context.Value("q", 0)
    # Without a lock: a run that is killed must not keep it.
    is_stopped = context.RawValue("b", 0)
    with TemporaryDirectory(prefix="headrace-pilot-") as folder:
        arguments = (share_history(history, Path(folder)), settings, done, is_stopped)
        pool = ProcessPoolExecutor(
            processes_n, context, initializer=_keep_inputs, initargs=arguments
        )
        try:
            # The longest first, so that in the end no process waits long for another.
            order = sorted(range(len(jobs)), key=lambda i: -share_of(jobs[i], len(history)))
            places: dict[Future[RunOutcome], int] = {
                pool.submit(_run_remembered, jobs[i]): i for i in order
            }
            open_runs = set(places)
            while open_runs:
                ended, open_runs = wait(open_runs, timeout=0.2, return_when=FIRST_COMPLETED)
                progress(done.value)
                for future in ended:
                    yield places[future], future.result()
        finally:
            # Whoever stops the pilot does not wait for the runs under way.
            is_stopped.value = 1
            pool.shutdown(wait=True, cancel_futures=True)


_remembered: list[Any] = []


def _keep_inputs(history: SharedHistory, settings: Settings, done: Any, is_stopped: Any) -> None:
    """Keep in this process what every run needs, so that it is sent once."""
    threading.Thread(target=_end_with_pilot, name="headrace-pilot", daemon=True).start()
    _remembered[:] = [history.open(), settings, done, is_stopped]


def _end_with_pilot() -> None:
    """End this process when the pilot's is gone, even if that was killed."""
    pilot = multiprocessing.parent_process()
    assert pilot is not None
    pilot.join()
    os._exit(1)


def _run_remembered(job: Case | None) -> RunOutcome:
    history, settings, done, is_stopped = _remembered

    def count_done(n: int) -> None:
        if is_stopped.value:
            raise _StoppedError
        with done.get_lock():
            done.value += n

    return _run_job(history, settings, job, count_done)


class _StoppedError(Exception):
    """The pilot was stopped during a run."""


# ------------------------------------------------------------------------------- command line


def register(subparsers: Any) -> None:
    """Add `pilot` to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "pilot",
        help="play a labelled history and compare strategies with random",
        description="Plays a labelled history (CSV, JSON lines, Parquet; rows in order of time) "
        "through the engine and compares query strategies with random choice. See docs/PILOT.md.",
    )
    add = parser.add_argument
    add(
        "history",
        type=Path,
        metavar="DATA",
        help="the file: .csv, .tsv, .jsonl or .parquet, with .gz too",
    )
    add("--label", metavar="COL", help="column of the class (default: label, else the last one)")
    add("--at", metavar="COL", help="column of the time (default: one second an event)")
    add("--rows", metavar="A:B", default=":", help="rows A to B, B not included; either may lack")
    add("--budget", type=float, nargs="+", metavar="SHARE",
        help=f"labels per event (default: {' '.join(map(str, DEFAULT_BUDGETS))}; with more than "
        f"{GRID_EVENTS_MAX:,} events as many labels as of so many)")  # fmt: skip
    add("--strategies", nargs="+", default=list(DEFAULT_STRATEGIES), metavar="NAME",
        help="query strategies; random always runs "
        f"(default: {' '.join(DEFAULT_STRATEGIES)})")  # fmt: skip
    add("--latency", type=float, nargs="+", default=[0.0], metavar="N",
        help="events from request to answer; seconds with --at (default: 0)")  # fmt: skip
    add("--seeds", type=int, default=3, metavar="N", help="runs of each (default: %(default)s)")
    add("--model", metavar="NAME", help="preset or module:function (default: committee)")
    add("--settings", type=Path, metavar="FILE", help="settings in TOML, for all the rest")
    add("--processes", type=int, metavar="N", help="processes to share the runs (default: cores)")
    add("--json", type=Path, metavar="FILE", help="write everything, machine readable")
    add("--html", type=Path, metavar="FILE", help="write a page with plots")
    parser.set_defaults(func=command)


def command(arguments: argparse.Namespace) -> int:
    """Run `headrace pilot`; return 0, or 1 if the table or the page can't be drawn."""
    console = make_wide_console()
    for page in (arguments.json, arguments.html):
        if page is not None and (page.is_dir() or not page.parent.is_dir()):
            raise BadSettings(f"{page} can't be written: give a file in a folder that is there")
    if arguments.processes is not None and arguments.processes < 1:
        raise BadSettings(f"--processes is {arguments.processes}; must be at least 1")
    settings = settings_module.load(arguments.settings) if arguments.settings else Settings()
    if arguments.model:
        model = msgspec.structs.replace(settings.model, name=arguments.model)
        settings = msgspec.structs.replace(settings, model=model)
    if arguments.html:
        check_plots()
    table = read_table(
        arguments.history,
        _parse_slice(arguments.rows),
        line_bytes_max=settings.input.line_bytes_max,
    )
    name = Path(arguments.history.name.removesuffix(".gz")).stem
    history, reading = history_of(table, name, arguments.label, arguments.at, settings)
    before = make_wide_console(stderr=True)
    show_reading(name, history, reading, before)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[pace]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("playing", total=None, pace="")

        def show_progress(done_n: int, all_n: int) -> None:
            speed = bar.tasks[0].speed or 0.0
            bar.update(task, completed=done_n, total=all_n, pace=f"{speed:,.0f} events/s")

        with end_on_sigterm():
            pilot = run_pilot(
                history,
                settings,
                budgets=tuple(arguments.budget) if arguments.budget else None,
                strategies=tuple(arguments.strategies),
                latencies=tuple(arguments.latency),
                seeds_n=arguments.seeds,
                processes_n=arguments.processes,
                progress=show_progress,
                tell=before.print,
                reading=reading,
            )
    # Results first: the drawing may fail, and must not lose hours of runs.
    if arguments.json:
        arguments.json.write_bytes(as_json(pilot))
    is_shown = try_drawing("the table", lambda: show_pilot(pilot, console))
    if not is_shown and not arguments.json:
        sys.stdout.write(as_json(pilot).decode())
    if arguments.html and not try_drawing(
        "the page", lambda: write_page(arguments.html, as_html(pilot))
    ):
        return 1
    return 0 if is_shown else 1


def _parse_slice(text: str) -> tuple[int, int | None]:
    first, colon, last = text.partition(":")
    try:
        start, stop = int(first or 0), int(last) if last else None
    except ValueError:
        colon = ""
    if not colon or start < 0 or (stop is not None and stop <= start):
        raise BadSettings(f"--rows is {text!r}; must be A:B with whole numbers, A below B")
    return start, stop
