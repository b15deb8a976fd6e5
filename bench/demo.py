"""What docs/DEMO.md shows: the demo over several seeds, and the picture of its live view.

python bench/demo.py --seeds 5            the table
python bench/demo.py --picture FILE.svg   the view at three quarters of the stream
"""

from __future__ import annotations

import argparse
import io
import math
import re
import statistics
from pathlib import Path

from rich.console import Console

from headrace.commands.demo.command import EVENTS_N, Show
from headrace.commands.demo.duel import STRETCHES, Duel, Side, make_stream

# Student's 97.5 % quantile by degrees of freedom.
QUANTILES = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 7: 2.365, 9: 2.262, 19: 2.093}


def played(seed: int, events_n: int) -> Duel:
    duel = Duel.against_random(events_n, seed)
    for batch in make_stream(events_n, seed):
        duel.play_batch(batch)
    duel.end_requests()
    return duel


def mean(values: list[float], digits: int = 1) -> str:
    if len(values) < 2:
        return "-"
    error = statistics.stdev(values) / math.sqrt(len(values))
    half = QUANTILES.get(len(values) - 1, 1.96) * error
    return f"{statistics.fmean(values):.{digits}f} ± {half:.{digits}f}"


def table(duels: dict[int, Duel]) -> None:
    print(
        "| seed | | labels | before | just after | at the end | overall | recovered | DRIFT seen |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for seed, duel in duels.items():
        for side in duel.sides:
            shares = [f"{truth(side, stretch):.1f}" for stretch in STRETCHES]
            report = side.engine.report
            cells = [seed, side.name, report.asking.requests_n - report.budget.refunded_n, *shares]
            cells += [side.recovered_n or "not", side.noticed_n or "not"]
            print("|", " | ".join(map(str, cells)), "|")
    print()
    for stretch in STRETCHES:
        ours = [truth(duel.ours, stretch) for duel in duels.values()]
        twin = [truth(duel.twin, stretch) for duel in duels.values()]
        gained = [a - b for a, b in zip(ours, twin, strict=True)]
        print(f"| {stretch} | {mean(ours)} | {mean(twin)} | {mean(gained)} |")
    held, told = 0, 0
    for duel in duels.values():
        for side in duel.sides:
            for found in side.estimates.values():
                told += 1
                held += found.low <= side.true_of(found) <= found.high
    print(f"\n{held} of {told} intervals hold the truth.")


def truth(side: Side, stretch: str) -> float:
    return 100 * (side.true_of(side.estimates[stretch]) or math.nan)


def picture(path: Path, events_n: int, seed: int) -> None:
    show = Show(Duel.against_random(events_n, seed), events_n)
    for batch in make_stream(events_n, seed):
        show.play_batch(batch)
        if show.report.events.observed_n >= events_n * 3 // 4:
            break
    console = Console(record=True, width=112, height=32, file=io.StringIO(), force_terminal=True)
    console.print(show.draw_show(112, 32, "http://127.0.0.1:9187/metrics"))
    svg = console.export_svg(title="headrace demo")
    # No font is fetched from anywhere: the viewer's own monospaced one serves.
    path.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--events", type=int, default=EVENTS_N)
    parser.add_argument("--picture", type=Path)
    args = parser.parse_args()
    if args.picture:
        picture(args.picture, args.events, seed=7)
    else:
        table({seed: played(seed, args.events) for seed in range(1, args.seeds + 1)})


if __name__ == "__main__":
    main()
