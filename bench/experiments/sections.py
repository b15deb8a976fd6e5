"""The sections of docs/RESULTS.md that hold measurements: each gives its lines."""

from __future__ import annotations

import math
import statistics
from itertools import pairwise

from bench.experiments.plan import (
    BUDGETS,
    LATE_N,
    NAMES,
    OLD_MODELS,
    OLD_STRATEGIES,
    PUBLISHED,
    QUICK_LATE_N,
)
from bench.experiments.references import ALL_LABELS, CALMID, REPEAT_LAST, best_all_labels
from bench.experiments.runs import P_MIN, SCORED_FROM
from bench.experiments.streams import COST, LOOK_N, STREAMS, TUNING
from bench.experiments.tables import (
    BURST_N,
    DASH,
    Figure,
    Pick,
    Results,
    accuracy,
    accuracy_late,
    asked_after,
    honesty,
    kappa,
    log_loss,
    macro_recall,
    ms_label,
    ms_label_in_all,
    number,
    over,
    percent,
    right_after,
    table,
    told,
    told_difference,
    us_event,
)
from bench.experiments.targets import best_after, labels_off, needless
from bench.experiments.variants import LATE_VARIANTS, VARIANTS, variant_of

NOT_RUN = "Not run yet."


def enumerated(names: list[str]) -> str:
    """a, b and c."""
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)


# ------------------------------------------------------------------------------------ budgets


def best_single(results: Results, budget: float, latency: int = 0) -> Pick | None:
    """The best pair of single model and strategy in the mean over the streams."""
    picks = [
        Pick(budget, strategy, model, latency=latency)
        for model in OLD_MODELS
        for strategy in OLD_STRATEGIES
    ]
    means = {pick: found.mean for pick in picks if (found := over(results.overall(pick)))}
    return max(means, key=lambda pick: means[pick], default=None)


def summary(results: Results) -> list[str]:
    lines = []
    for budget in BUDGETS:
        ours, random, single = Pick(budget), Pick(budget, "random"), best_single(results, budget)
        best = "" if single is None else f" ({single.model}, {single.strategy})"
        lines.append(
            [
                percent(budget),
                DASH if single is None else _mean_and_kappa(results, single) + best,
                _mean_and_kappa(results, random),
                _mean_and_kappa(results, ours),
                told_difference(results.overall_difference(ours, random)),
                _needed(results, ours),
            ]
        )
    others = [
        [
            percent(budget),
            *(
                told(over(results.overall(Pick(budget, strategy), figure)), digits)
                for figure, digits in ((macro_recall, 1), (log_loss, 3))
                for strategy in ("random", "default")
            ),
        ]
        for budget in BUDGETS
    ]
    known = [best for name in results.names if (best := best_all_labels(name))]
    head = ("labels", "best single model", "random", "default", "default minus random",
            "labels random needs for it")  # fmt: skip
    words = [
        f"Mean accuracy in percent over the {len(results.names)} streams, kappa in brackets. The "
        "last column: at which share random would have that accuracy, read off the straight line "
        "between the shares that were run, over the logarithm of the share.",
        "",
        *table(head, lines),
    ]
    if known:
        mean = sum(one[1] for one in known) / len(known)
        forest = _mean_of_learner(results, "forest")
        words += [
            "",
            f"With all labels: {forest} by river's adaptive random forest, the best single learner "
            f"of all; {mean:.1f} by the best learner of each stream, picked in hindsight.",
        ]
    words += [
        "",
        "Balanced accuracy (the mean of the classes' recalls, percent) and log-loss, likewise; a "
        f"probability below {P_MIN} counts as {P_MIN}.",
        "",
        *table(("labels", "balanced, random", "default", "log-loss, random", "default"), others),
    ]
    return words


def _needed(results: Results, ours: Pick) -> str:
    """The share of labels with which random is as right; a bound beyond what was run."""
    wanted = over(results.overall(ours))
    curve = [
        (math.log(share), found.mean)
        for share in BUDGETS
        if (found := over(results.overall(Pick(share, "random"))))
    ]
    if wanted is None or not curve:
        return DASH
    if wanted.mean > max(mean for _, mean in curve):
        return f"> {percent(math.exp(curve[-1][0]))}"
    for (x0, y0), (x1, y1) in pairwise(curve):
        if y0 <= wanted.mean <= y1:
            return percent(math.exp(x0 + (x1 - x0) * (wanted.mean - y0) / max(y1 - y0, 1e-9)), 1)
    return f"< {percent(math.exp(curve[0][0]))}"


def _mean_of_learner(results: Results, learner: str) -> str:
    found = [ALL_LABELS[name][learner] for name in results.names if name in ALL_LABELS]
    n = max(1, len(found))
    return f"{sum(a for a, _ in found) / n:.1f} ({sum(k for _, k in found) / n:.0f})"


def _mean_and_kappa(results: Results, pick: Pick) -> str:
    found, agreed = over(results.overall(pick)), over(results.overall(pick, kappa))
    return DASH if found is None or agreed is None else f"{told(found)} ({agreed.mean:.0f})"


def budget(results: Results, budget: float) -> list[str]:
    ours, random = Pick(budget), Pick(budget, "random")
    if not results.played([ours]):
        return [f"### {percent(budget)} of the labels", "", NOT_RUN]
    lines = []
    for name in results.names:
        found, best = results.mean(name, ours), best_all_labels(name)
        off = [labels_off(row) for row in results.rows(name, ours).values()]
        lines.append(
            [
                marked(name),
                told(results.mean(name, random)),
                f"{told(found)} ({number(_mean(results, name, ours, kappa), 0)})",
                told_difference(results.difference(name, ours, random)),
                DASH if best is None else f"{best[1]:.1f} ({best[0]})",
                DASH if best is None or found is None else f"{found.mean - best[1]:+.1f}",
                DASH if not off else f"{min(off):+.1f} to {max(off):+.1f}",
            ]
        )
    head = ("stream", "random", "default (kappa)", "difference", "all labels", "default minus all",
            "labels off by, %")  # fmt: skip
    seeds_n = len(results.overall(ours))
    worst = [d.mean for name in results.names if (d := results.difference(name, ours, random))]
    words = f"Seeds: {seeds_n}." if seeds_n else "Not every stream was run."
    if worst:
        words += (
            f" The default is ahead of random on {sum(mean > 0 for mean in worst)} of "
            f"{len(worst)} streams; the worst difference is {min(worst):+.1f}."
        )
    gaps = [
        found.mean - best[1]
        for name in results.names
        if (found := results.mean(name, ours)) and (best := best_all_labels(name))
    ]
    if gaps:
        words += (
            f" It is above the best learner with all labels on {sum(gap >= 0 for gap in gaps)}, "
            f"within a point of it or above on {sum(gap >= -1 for gap in gaps)}."
        )
    return [f"### {percent(budget)} of the labels", "", words, "", *table(head, lines)]


def _mean(results: Results, name: str, pick: Pick, figure: Figure) -> float | None:
    found = results.mean(name, pick, figure)
    return None if found is None else found.mean


def marked(name: str) -> str:
    """The stream's name, with a star where settings were chosen on it."""
    return f"{name}*" if name in TUNING else name


# --------------------------------------------------------------------------------- late, drift


def late(results: Results) -> list[str]:
    latency = LATE_N if results.names == NAMES else QUICK_LATE_N
    ours, random = Pick(0.05, latency=latency), Pick(0.05, "random", latency=latency)
    if not results.played([ours]):
        return [NOT_RUN]
    figure = accuracy_late
    single = [Pick(0.05, "random", model, latency=latency) for model in OLD_MODELS]
    lines = [
        [
            marked(name),
            *(told(results.mean(name, pick, figure)) for pick in single),
            told(results.mean(name, random, figure)),
            told(results.mean(name, ours, figure)),
            told_difference(results.difference(name, ours, random, figure)),
            told_difference(results.difference(name, ours, Pick(0.05), figure)),
        ]
        for name in results.names
    ]
    lines.append(
        [
            "**mean**",
            *(told(over(results.overall(pick, figure))) for pick in (*single, random, ours)),
            told_difference(results.overall_difference(ours, random, figure)),
            told_difference(results.overall_difference(ours, Pick(0.05), figure)),
        ]
    )
    head = ("stream", *OLD_MODELS, "random", "default", "default minus random", "lost by the wait")
    return [
        f"At 5 %, every label comes {latency:,} events after it was asked for. Judged from event "
        f"{SCORED_FROM:,} on. The single models ask at random, under the same latency; the last "
        "column is against the default with labels at once.",
        "",
        *table(head, lines),
    ]


def change(results: Results) -> list[str]:
    ours, random = Pick(0.05), Pick(0.05, "random")
    lines = []
    for name, stream in STREAMS.items():
        if not stream.changes or not results.rows(name, ours):
            continue
        right, best = right_after(name), best_after(results, name)
        lines.append(
            [
                marked(name),
                len(stream.changes),
                DASH if best is None else f"{best[1]:.1f} ({best[0]})",
                told(results.mean(name, random, right)),
                told(results.mean(name, ours, right)),
                told_difference(results.difference(name, ours, random, right)),
                told(results.mean(name, ours, asked_after(name)), 0),
                told(results.mean(name, ours, lambda row: float(len(row.drifts)))),
            ]
        )
    if not lines:
        return [NOT_RUN]
    head = ("stream", "changes", "all labels", "random", "default", "difference", "labels asked",
            "DRIFT in a run")  # fmt: skip
    words = [
        f"Percent right in the {BURST_N} events after each known abrupt change, at 5 % of the "
        "labels; labels asked about those events; how often a run rose to DRIFT. All labels: the "
        f"better of {enumerated([f'`{model}`' for model in OLD_MODELS[:2]])} with every label.",
        "",
        *table(head, lines),
    ]
    calm = results.mean("phishing", ours, needless)
    if calm is not None:
        words += [
            "",
            f"On phishing, where no drift is known, {told(calm)} rounds in 10,000 events were "
            "opened by drift.",
        ]
    return words


# ------------------------------------------------------------------------------------ honesty


def interval(results: Results) -> list[str]:
    if not results.played([Pick(0.05)]):
        return [NOT_RUN]
    lines = []
    for name in results.names:
        cells: list[object] = [marked(name)]
        for budget in BUDGETS:
            found = honesty(results, name, Pick(budget))
            cells.append(DASH if found is None else f"{found.covered:.0f}")
        found = honesty(results, name, Pick(0.05))
        random = honesty(results, name, Pick(0.05, "random"))
        if found is None:
            cells += [DASH] * 5
        else:
            cells += [
                found.looks_n,
                f"{found.bias:+.1f}",
                f"{found.half:.1f}",
                f"{found.half / found.blind:.2f}",
                DASH if random is None else f"{found.half / random.half:.2f}",
            ]
        lines.append(cells)
    head = ("stream", *(f"covers at {percent(budget)}, %" for budget in BUDGETS), "looks at 5 %",
            "bias", "half-width", "to blind", "to random's")  # fmt: skip
    return [
        f"Every {LOOK_N} events the live estimate is compared with the truth of the events it is "
        "about; all seeds together. Bias and half-width are in points, at 5 %. *To blind* is the "
        "half-width divided by that of as many labels drawn blindly from the same events, *to "
        "random's* by that of the same engine asking at random. Looks of one run overlap, so the "
        "share covered moves by some points with the luck of a few long windows.",
        "",
        *table(head, lines),
    ]


def published(results: Results) -> list[str]:
    ours, random = Pick(0.20), Pick(0.20, "random")
    if not any(results.rows(name, ours) for name in PUBLISHED):
        return [NOT_RUN]
    lines = [
        [
            name,
            "{} / {}".format(*CALMID[name]),
            f"{told(results.mean(name, random), 2)} / {told(results.mean(name, random, kappa))}",
            f"{told(results.mean(name, ours), 2)} / {told(results.mean(name, ours, kappa))}",
            number(REPEAT_LAST.get(name)),
        ]
        for name in PUBLISHED
    ]
    head = ("stream", "CALMID", "random", "default", "naming the last label")
    return [
        "At 20 % of the labels, accuracy / kappa in percent, beside CALMID (Liu et al., "
        "Knowledge-Based Systems, 2021; from its authors' result files).",
        "",
        *table(head, lines),
        "",
        "Read with care: CALMID ran over the whole of Covertype (581,012 rows) and KDD99 "
        "(494,021), here it is 10,000 and 15,000 rows of them; its hyperplane is another "
        "stream, of several classes, so that line compares nothing but a name. On Covertype "
        "and KDD99 naming the last event's true class scores as high as any learner, if somebody "
        "tells it.",
    ]


# ------------------------------------------------------------------------------- cost, parts


def cost(results: Results) -> list[str]:
    """Processor time by event and by label."""
    measured = [
        (stream.about, stream.name, 0.05)
        for stream in COST
        if results.rows(stream.name, Pick(0.05))
    ]
    measured += [
        (f"{marked(name)}, {percent(share)}", name, share)
        for share in BUDGETS
        for name in results.names
        if results.rows(name, Pick(share))
    ]
    if not measured:
        return [NOT_RUN]
    lines = []
    for about, name, share in measured:
        pick = Pick(share)
        lines.append(
            [
                about,
                number(_mean(results, name, pick, us_event)),
                number(_mean(results, name, pick, ms_label)),
                number(_mean(results, name, pick, ms_label_in_all)),
            ]
        )
    head = ("stream", "µs an event", "ms a label", "all of it, ms a label")
    return [
        "Processor time of the whole engine on one core of a machine that did other things as "
        f"well; batches of {LOOK_N} events where nothing else is said, 5 % of the labels in the "
        "first lines. A label's time is what feeding its answer takes: settling, learning, "
        "moving the members' settings. The members are solved anew when the next event is scored, "
        "and scores made ahead are made again: both count with the events, so events are dear "
        "where labels are many. The last column is all processor time divided by the labels.",
        "",
        *table(head, lines),
    ]


def parts(results: Results) -> list[str]:
    """What is lost, or gained, when one thing is changed."""
    kinds = [(name, budget, 0, accuracy) for name in VARIANTS for budget in (0.01, 0.05)]
    kinds += [(name, 0.05, LATE_N, accuracy_late) for name in LATE_VARIANTS]
    lines = [
        line
        for name, budget, latency, figure in kinds
        if (line := _part(results, name, budget, latency, figure))
    ]
    if not lines:
        return [NOT_RUN]
    head = ("changed", "labels", "streams × seeds", "accuracy, points", "worst", "best")
    return [
        "One thing changed, all else as in the default; accuracy minus the default's, same stream, "
        "same seed. Below 0: the part earns its place." + _noise(results),
        "",
        *table(head, lines),
    ]


def _noise(results: Results) -> str:
    """How far the default's own mean moves by luck."""
    values = list(results.overall(Pick(0.01)).values())
    if len(values) < 2:
        return ""
    return (
        f" From seed to seed the default's own mean moves by {statistics.stdev(values):.1f} points "
        "at 1 % (standard deviation): a smaller difference on one seed says nothing."
    )


def _part(
    results: Results, name: str, budget: float, latency: int, figure: Figure
) -> list[str] | None:
    """A line; None where it was not run."""
    changed, default = Pick(budget, variant=name, latency=latency), Pick(budget, latency=latency)
    means = {
        stream: found.mean
        for stream in results.names
        if (found := results.difference(stream, changed, default, figure))
    }
    if not means:
        return None
    low, high = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
    seeds_n = max(len(results.rows(stream, changed)) for stream in means)
    overall = (
        told_difference(results.overall_difference(changed, default, figure), 2)
        if len(means) == len(results.names)
        else f"{sum(means.values()) / len(means):+.2f}"
    )
    return [
        variant_of(name).about,
        percent(budget) + (f", {latency:,} late" if latency else ""),
        f"{len(means)} × {seeds_n}",
        overall,
        f"{means[low]:+.1f} ({low})",
        f"{means[high]:+.1f} ({high})",
    ]
