"""Speed and memory, measured: a table on the screen, or docs/BENCHMARKS.md.

python -m bench.speed peers              one table, the engine and its peers, measured now
python -m bench.speed page               measure what is missing, then write the page; resumable
python -m bench.speed page --only growth some of it; the rest as it is
python -m bench.speed page --no-runs     the page from the rows that are there
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from bench.speed import aims, endless, growth, kafka, peers
from bench.speed.page import peers_table, write_page
from bench.speed.rows import ROOT, Jobs, Made, Scale, left_to_do, make, read, write
from bench.storing import make_bar
from rich.console import Console

ROWS = Path(__file__).parent / "rows.jsonl"


def all_jobs() -> Jobs:
    """All jobs by name, the quick ones first."""
    return peers.jobs() | aims.jobs() | kafka.jobs() | endless.jobs() | growth.jobs()


def main(arguments: list[str] | None = None) -> int:
    """The exit code: 1 where something could not be measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("what", choices=("peers", "page"))
    add("--events", type=int, default=Scale().events_n, help="default: %(default)s")
    add("--repeats", type=int, default=Scale().repeats_n, help="default: %(default)s")
    add("--only", type=lambda text: tuple(text.split(",")), default=("",), metavar="START,...",
        help="jobs whose names begin so, such as aims, growth/features, endless")  # fmt: skip
    add("--no-runs", action="store_true", help="measure nothing")
    add("--anew", action="store_true", help="measure what is there as well")
    add("--keep-stale", action="store_true", help="do not measure anew what older code made")
    add("--rows", type=Path, default=ROWS, help="the rows (default: beside this file)")
    add("--out", type=Path, default=ROOT / "docs", help="folder of the page (default: docs)")
    args = parser.parse_args(arguments)
    # One thread each: the peers differ in how eagerly they start more.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    console, scale = Console(stderr=True), Scale(args.events, args.repeats)
    if args.what == "peers":
        made = _measured([*peers.jobs(), *kafka.jobs()], scale, console, None)
        sys.stdout.write("\n".join(peers_table(made)) + "\n")
        return 0
    made = read(args.rows)
    if not args.no_runs:
        jobs = [job for job in all_jobs() if job.startswith(args.only)]
        todo = left_to_do(jobs, {} if args.anew else made)
        if args.keep_stale:
            todo = [job for job in todo if job not in made]
        made |= _measured(todo, scale, console, args.rows)
        write(args.rows, made.values())
    page = write_page(made, args.out)
    console.print(f"{len(made)} jobs in {args.rows}; the page is {page}", markup=False)
    return int(any(row.us is None for one in made.values() for row in one.rows))


def _measured(
    jobs: list[str], scale: Scale, console: Console, path: Path | None
) -> dict[str, Made]:
    """Do the jobs with a bar; each is in the file as soon as it is done."""
    found: dict[str, Made] = {}
    with make_bar(console) as bar:
        task = bar.add_task("jobs", total=len(jobs))
        for job in jobs:
            bar.update(task, description=job)
            found[job] = make(job, scale)
            if path is not None:
                write(path, (read(path) | {job: found[job]}).values())
            bar.advance(task)
    return found


if __name__ == "__main__":
    sys.exit(main())
