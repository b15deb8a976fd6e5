"""Every table and plot of docs/RESULTS.md: make the runs that are missing, then write the page.

python -m bench.experiments --data FOLDER          all of it, resumable
python -m bench.experiments --only scarce,late     some studies
python -m bench.experiments --quick                two minutes, small streams, a draft page
python -m bench.experiments --page                 the page from the rows that are there
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from bench.experiments.page import write_page
from bench.experiments.plan import SEEDS_N, playable, quick, studies
from bench.experiments.runs import ROOT, Row, Run, digest
from bench.experiments.store import left_to_do, make_rows, read_rows, write_rows
from bench.storing import make_bar
from rich.console import Console

FOLDER = "HEADRACE_DATA"
ROWS = Path(__file__).parent / "rows.jsonl"
DRAFTS = ROOT / "out"


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0, or 1 where a run failed."""
    args = parsed(arguments)
    console = Console(stderr=True)
    planned = quick() if args.quick else studies(args.seeds)
    unknown = [name for name in args.only if name not in planned]
    if unknown:
        console.print(f"unknown studies: {', '.join(unknown)}; known are {', '.join(planned)}")
        return 2
    failed: dict[Run, str] = {}
    if not args.page:
        names = args.only or list(planned)
        runs = list(dict.fromkeys(run for name in names for run in planned[name]))
        failed = worked(runs, args, console)
        for run, error in failed.items():
            console.print(f"failed: {run}: {error}", markup=False)
    rows = read_rows(args.rows)
    if not args.page:
        write_rows(args.rows, rows.values())
    page = write_page(rows, args.out, is_quick=args.quick)
    console.print(f"{len(rows)} rows in {args.rows}; the page is {page}", markup=False)
    return 1 if failed else 0


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, default=os.environ.get(FOLDER), metavar="FOLDER",
        help=f"folder of the streams' Parquet files (default: ${FOLDER}); "
        "streams whose file is not there are left out")  # fmt: skip
    add("--only", type=lambda text: text.split(","), default=[], metavar="STUDY,...")
    add("--jobs", type=int, default=2, metavar="N", help="processes (default: %(default)s)")
    add("--seeds", type=int, default=SEEDS_N, metavar="N", help="default: %(default)s")
    add("--quick", action="store_true", help="two small streams, one seed; the page is a draft")
    add("--page", action="store_true", help="make no run, only the page")
    add("--keep-stale", action="store_true", help="do not make anew what older code made")
    add("--rows", type=Path, help="the rows (default: beside this file; with --quick in out/)")
    add("--out", type=Path, help="folder of the page (default: docs; with --quick out)")
    args = parser.parse_args(arguments)
    args.rows = args.rows or (DRAFTS / "quick.jsonl" if args.quick else ROWS)
    args.out = args.out or (DRAFTS if args.quick else ROOT / "docs")
    return args


def worked(runs: list[Run], args: argparse.Namespace, console: Console) -> dict[Run, str]:
    """Make what is left of the runs, with a bar."""
    runs, missing = playable(runs, args.data)
    if missing:
        where = args.data or f"(no folder: --data or ${FOLDER})"
        console.print(f"left out, no file in {where}: {', '.join(missing)}", markup=False)
    todo = left_to_do(runs, read_rows(args.rows), digest(), keep_stale=args.keep_stale)
    with make_bar(console) as bar:
        task = bar.add_task("runs", total=len(runs), completed=len(runs) - len(todo))

        def told(row: Row) -> None:
            run = row.run
            what = f"{run.stream} {run.budget:.0%} {run.model} {run.strategy} {run.variant}"
            bar.update(task, advance=1, description=what)

        return make_rows(args.rows, todo, args.data, args.jobs, told)


if __name__ == "__main__":
    # Asked to end, it ends its workers as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
