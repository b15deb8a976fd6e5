"""How often is a steady annotator accused, and how soon is one noticed who gets worse?

    python bench/annotator_drift.py [--answers 400000]

First compared answers between two false alarms, of annotators who always agree as often; then the
compared answers until an alarm after a change, of 200 annotators each, after 150 or 400 at the old
share: the median, the 90 % quantile, and how many are noticed within 400. The figures
of docs/ANNOTATORS.md are this script's.
"""

from __future__ import annotations

import argparse
import random

from headrace.label.steadiness import Steadiness

STEADY = (0.98, 0.95, 0.9, 0.8, 0.7, 0.6)
CHANGES = ((0.95, 0.8), (0.95, 0.6), (0.9, 0.75), (0.9, 0.5), (0.8, 0.6), (0.8, 0.4))
BEFORE_N = (150, 400)
PEOPLE_N = 200
SOUGHT_N = 400


def false_alarms(agreement: float, answers_n: int, seed: int) -> int:
    """Alarms in so many answers of somebody who always agrees as often."""
    luck, watch = random.Random(seed), Steadiness()
    for i in range(answers_n):
        watch.note_comparison(luck.random() < agreement, float(i))
    return watch.falls_n


def delay(before: float, after: float, before_n: int, seed: int) -> int | None:
    """Answers after the change until the alarm; None where there is none in `SOUGHT_N`."""
    luck, watch = random.Random(seed), Steadiness()
    for i in range(before_n):
        watch.note_comparison(luck.random() < before, float(i))
    falls_n = watch.falls_n
    for i in range(SOUGHT_N):
        watch.note_comparison(luck.random() < after, float(i))
        if watch.falls_n > falls_n:
            return i + 1
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--answers", type=int, default=400_000)
    chosen = parser.parse_args()
    print("| agrees | answers | false alarms | answers between two |")
    print("|---|---|---|---|")
    for seed, agreement in enumerate(STEADY):
        n = false_alarms(agreement, chosen.answers, seed)
        between = f"{chosen.answers / n:,.0f}" if n else f"above {chosen.answers:,}"
        print(f"| {agreement:.0%} | {chosen.answers:,} | {n} | {between} |", flush=True)
    print("\n| agreed | agrees now | answers before | half within | 9 in 10 within | noticed, % |")
    print("|---|---|---|---|---|---|")
    for before, after in CHANGES:
        for before_n in BEFORE_N:
            found = [delay(before, after, before_n, seed) for seed in range(PEOPLE_N)]
            noticed = sorted(n for n in found if n is not None)
            at = [
                noticed[k] if k < len(noticed) else None
                for k in (PEOPLE_N // 2, 9 * PEOPLE_N // 10)
            ]
            half, most = (f"{n}" if n is not None else f"above {SOUGHT_N}" for n in at)
            share = f"{100 * len(noticed) / PEOPLE_N:.0f}"
            print(
                f"| {before:.0%} | {after:.0%} | {before_n} | {half} | {most} | {share} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
