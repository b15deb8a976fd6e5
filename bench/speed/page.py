"""docs/BENCHMARKS.md: its words and its tables, made from the rows alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from bench.experiments.tables import table
from bench.speed import endless, kafka
from bench.speed.aims import AIMS, WORKER, Aim
from bench.speed.growth import AXES, MODELS
from bench.speed.peers import BUDGET, FAMILIES
from bench.speed.plots import NAMES, PICTURES, draw, points
from bench.speed.rows import Made, Row, Scale

RIVAL = "peers/vw:--active, from Python"


def write_page(made: Mapping[str, Made], folder: Path) -> Path:
    """Write BENCHMARKS.md and its pictures into the folder; the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    draw(made, folder / "img")
    path = folder / "BENCHMARKS.md"
    path.write_text(page(made), encoding="utf-8")
    return path


def page(made: Mapping[str, Made]) -> str:
    """The whole page."""
    parts = [
        _opening(made),
        ["## The targets", "", *_targets(made)],
        ["## Beside others", "", *_peers(made)],
        ["## Kafka", "", *_kafka(made)],
        ["## Growth", "", *_growth(made)],
        ["## Two million events", "", *_endless(made)],
        ["## What is missing", "", *_missing()],
    ]
    return "\n".join("\n".join(part).strip("\n") + "\n" for part in parts)


# ------------------------------------------------------------------------------ the opening


def _opening(made: Mapping[str, Made]) -> list[str]:
    jobs = list(made.values())
    aims = [_reached(aim, made) for aim in AIMS]
    reached_n = sum(found.startswith("**yes") for found in aims)
    scales: dict[Scale, set[str]] = {}
    for job in jobs:
        scales.setdefault(job.scale, set()).add(job.job.partition("/")[0])
    said = "; ".join(
        f"{n:,} events, the best of {repeats} ({', '.join(sorted(families))})"
        for (n, repeats), families in sorted(scales.items(), reverse=True)
    )
    failed = [job.job for job in jobs if any(row.us is None for row in job.rows)]
    return [
        "# What is aimed at, and what is reached",
        "",
        f"Of {len(AIMS)} targets {reached_n or 'none'} {'are' if reached_n > 1 else 'is'} reached.",
        "",
        "`make benchmarks` makes this page, words and figures alike, from the rows in "
        f"`bench/speed/rows.jsonl`: {len(jobs)} jobs, each in a process of its own. "
        "`make bench` prints the table of the peers alone, measured then. What was tried, and what "
        "it was worth, is in [SPEED.md](SPEED.md) and in the decision records.",
        "",
        f"Measured {_range([job.day for job in jobs])} with the engine's code "
        f"{_listed([f'`{job.code}`' for job in jobs])}; {_machines(jobs)}, a load of "
        f"{min(job.load for job in jobs):.1f} to {max(job.load for job in jobs):.1f}. "
        + (f"Not measured: {', '.join(failed)}." if failed else "Nothing is left out."),
        "",
        f"**Times** are CPU of the process: {said}. Nothing is played again once 20 s have "
        "passed, and rows that are slow by nature have fewer events, as the tables say. "
        "A *bare loop* takes its turn in the same process: river's logistic regression predicts "
        "each event of 20 numbers and learns those asked at random, without ledger, window, drift "
        "or log. Others work on the same cores, and the machine's speed moves by a half from "
        "minute to minute, so compare within a row. "
        "**Memory** is the most that the process held, with the libraries that it loaded.",
    ]


def _machines(jobs: list[Made]) -> str:
    return "; ".join(sorted({job.machine for job in jobs}))


def _range(days: list[str]) -> str:
    first, last = min(days), max(days)
    return f"on {first}" if first == last else f"from {first} to {last}"


def _listed(names: list[str]) -> str:
    return ", ".join(dict.fromkeys(sorted(names)))


# ------------------------------------------------------------------------------ targets


def _row(made: Mapping[str, Made], job: str, name: str = "") -> Row | None:
    rows = made[job].rows if job in made else []
    return next((row for row in rows if name in (row.name, "") and row.us is not None), None)


def _row_of(aim: Aim, made: Mapping[str, Made]) -> Row | None:
    if aim.name == WORKER:
        return _row(made, "kafka", kafka.ASKING)
    return _row(made, f"aims/{aim.name}")


def _of_bare(row: Row) -> float:
    assert row.us is not None and row.bare_us is not None
    return row.bare_us / row.us


def _reached(aim: Aim, made: Mapping[str, Made]) -> str:
    row, rival = _row_of(aim, made), _row(made, RIVAL)
    if row is None or (aim.kind == "vw" and rival is None):
        return "not measured"
    assert row.us is not None
    if aim.kind == "label_ms":
        cost = (row.label_us or 0.0) / 1e3
        return "**yes**" if cost <= aim.bound else f"no: {cost:.1f} ms"
    if aim.kind == "per_s":
        return "**yes**" if 1e6 / row.us >= aim.bound else "no"
    times = _of_bare(row) / (_of_bare(rival) if aim.kind == "vw" and rival else 1.0)
    if times >= aim.bound:
        return "**yes**"
    return f"no: {times:.2f} x" if aim.kind == "vw" else "no"


def _wanted(aim: Aim) -> str:
    return {
        "x": f"{aim.bound:g} x",
        "vw": f"{aim.bound:g} x Vowpal Wabbit",
        "per_s": f"{aim.bound:,.0f}",
        "label_ms": f"a label in {aim.bound:g} ms",
    }[aim.kind]


def _targets(made: Mapping[str, Made]) -> list[str]:
    lines = []
    for aim in AIMS:
        row = _row_of(aim, made)
        cells = ["–"] * 5 if row is None else [f"{row.events_n:,}", *_speed(row)]
        lines.append([aim.name, _wanted(aim), *cells, _reached(aim, made)])
    head = ("what", "target", "events", *SPEED_HEAD, "reached")
    return [
        "They are of the engine with everything on: ledger, propensities, drift, window, "
        "reservoir, estimate. A target with an x is a multiple of the bare loop (of trees: river's "
        "own of that kind; of `headrace run`: decoding alone; on Kafka: aiokafka and msgspec), one "
        "without is events per CPU second. Vowpal Wabbit is its `--active` from Python in the "
        "section below, each taken as a share of its own bare loop.",
        "",
        *table(head, lines),
        "",
        "A committee's label is what a stream with 5 % of labels costs beyond watching it, for "
        "each label more; its events are those of that stream.",
    ]


SPEED_HEAD = ("events / CPU s", "µs an event", "bare loop, µs", "of the bare loop")


def _speed(row: Row) -> list[str]:
    assert row.us is not None
    bare = ["–", "–"] if row.bare_us is None else [f"{row.bare_us:.2f}", f"{_of_bare(row):.3f}"]
    return [f"{1e6 / row.us:,.0f}", f"{row.us:,.1f}", *bare]


# ------------------------------------------------------------------------------ peers


def peers_table(made: Mapping[str, Made]) -> list[str]:
    """The engine and the peers, and on Kafka the worker and a bare client: one table."""
    rows = [row for name in FAMILIES for row in _rows(made, f"peers/{name}")]
    rows += [row for row in _rows(made, "kafka") if row.name in (kafka.BARE, kafka.ASKING)]
    renamed = {kafka.BARE: f"Kafka, {kafka.BARE}", kafka.ASKING: f"**headrace**, {kafka.ASKING}"}
    lines = []
    for row in rows:
        name = renamed.get(row.name, row.name)
        if row.us is None:
            lines.append([name, *["–"] * 9, row.note])
            continue
        share = (
            "–" if row.labels_n is None else f"{row.labels_n:,} ({row.labels_n / row.events_n:.1%})"
        )
        right = "–" if row.right is None else f"{row.right:.1%}"
        memory = ["–" if mib is None else f"{mib:.0f}" for mib in (row.peak_mib, row.own_mib)]
        lines.append([name, f"{row.events_n:,}", *_speed(row), right, share, *memory, row.note])
    loads = [job.load for job in made.values()]
    facts = f"{_machines(list(made.values()))}; load {min(loads):.1f} to {max(loads):.1f}"
    head = ("what", "events", *SPEED_HEAD, "right", "labels", "peak MiB",
            "of that the run", "")  # fmt: skip
    return [facts, "", *table(head, lines)]


def _rows(made: Mapping[str, Made], job: str) -> list[Row]:
    return made[job].rows if job in made else []


def _peers(made: Mapping[str, Made]) -> list[str]:
    chosen = {job: one for job, one in made.items() if job.startswith("peers") or job == "kafka"}
    return [
        f"One stream of 20 normal features with a linear concept, {100 * BUDGET:.0f} % of labels, "
        "each learned before the next event. Every event is predicted before it is decided about; "
        "*right* is the share of these predictions. Peers and engine have the same kind of linear "
        "model, except the committee. Every process has engine, river and the stream loaded, some "
        "200 MiB; *of that the run* is what came on top while it was played first. Vowpal Wabbit "
        "and river's sampler have no budget, so they spend what they come to. `pip install -r "
        "bench/requirements.txt` gets the peers; without it their rows say so.",
        "",
        *(peers_table(chosen) if chosen else []),
        "",
        "These loops of the peers keep no requests that are answered later, watch no drift and "
        "estimate no accuracy; the engine does all of that in its rows.",
    ]


# ------------------------------------------------------------------------------ Kafka


def _kafka(made: Mapping[str, Made]) -> list[str]:
    lines = [
        [row.name, f"{row.events_n:,}", *_speed(row), f"{row.per_s or 0.0:,.0f}"]
        for row in _rows(made, "kafka")
        if row.us is not None
    ]
    return [
        "Events of 0.4 kB of JSON with 20 features in 4 partitions, a broker on the same cores; "
        "CPU of the reading process. The bare loop is aiokafka's `getmany` with msgspec to dicts. "
        "The worker's events are those that came after it was ready.",
        "",
        *table(("what", "events", *SPEED_HEAD, "events/s by the clock"), lines),
    ]


# ------------------------------------------------------------------------------ growth


def _growth(made: Mapping[str, Made]) -> list[str]:
    lines = []
    for axis in AXES:
        found = {model: points(made, axis, model) for model in MODELS}
        for value in AXES[axis]:
            cells: list[str] = []
            for model in MODELS:
                row = found[model].get(value)
                cells += ["–"] * 4 if row is None else _cells(row)
            lines.append([NAMES[axis], f"{value:,}", *cells])
    head = ("what", "n", *(f"{m}: {w}" for m in MODELS for w in ("µs an event", "ms a label",
            "MiB", "bare loop, µs")))  # fmt: skip
    pictures = [f"![{what}](img/growth-{name}.svg)" for name, (what, _) in PICTURES.items()]
    return [
        "One thing is varied at a time, the rest is: 20 features, 2 classes, the defaults for "
        "pool, window and reservoir, one partition. An event is one that is watched (0.1 % of "
        "labels); a label is what a stream with 5 % of labels takes beyond that, for each label "
        "more: asking, settling, learning, estimating, scoring anew. A dash: fewer labels than "
        "could be told apart. The pool is varied with rounds every so many events; else events are "
        "asked on arrival. Partitions are shards of one process, which share a model and hear each "
        "other's labels; the same events are spread over them, 1,000 a turn, answered behind it. A "
        "window or a reservoir as long as the stream is full at its end alone. These streams do "
        "not drift; where a false alarm led to retrainings, they are in the cost of the labels.",
        "",
        *("\n\n".join(pictures).split("\n")),
        "",
        *_lessons(made),
        "",
        *table(head, lines),
    ]


def _cells(row: Row) -> list[str]:
    label = "–" if row.label_us is None or row.label_us <= 0.0 else f"{row.label_us / 1e3:.2f}"
    label += f" ({row.note})" if row.note else ""
    peak = "–" if row.peak_mib is None else f"{row.peak_mib:.0f}"
    return [f"{row.us:,.1f}", label, peak, f"{row.bare_us:.2f}"]


def _lessons(made: Mapping[str, Made]) -> list[str]:
    """From the smallest to the largest value of each axis, what became of the three."""
    figures: list[tuple[str, Callable[[Row], float | None]]] = [
        ("an event", lambda row: row.us),
        ("a label", lambda row: row.label_us),
        ("memory", lambda row: row.peak_mib),
    ]
    lines = []
    for axis, values in AXES.items():
        cells = [f"{NAMES[axis]}, {values[0]:,} to {values[-1]:,}"]
        for model in MODELS:
            found = points(made, axis, model)
            first, last = found.get(values[0]), found.get(values[-1])
            for _, of in figures:
                a, b = (row and of(row) for row in (first, last))
                cells.append(f"{b / a:.1f} x" if a and b and a > 0 and b > 0 else "–")
        lines.append(cells)
    head = ("from the least to the most", *(f"{m}: {w}" for m in MODELS for w, _ in figures))
    return table(head, lines)


# ------------------------------------------------------------------------------ memory


def _endless(made: Mapping[str, Made]) -> list[str]:
    lines: list[list[str]] = []
    said: list[str] = []
    for job in ("endless/watching", "endless/asking"):
        rows = [row for row in _rows(made, job) if row.peak_mib is not None]
        for row in rows:
            cells = [row.name, f"{row.events_n:,}", f"{row.peak_mib:.1f}", f"{row.own_mib:.1f}"]
            numbers = [f"{row.us:.1f}", f"{row.per_s:,.0f}", f"{row.labels_n:,}", row.note]
            lines.append([*cells, *numbers])
        if len(rows) > 1:
            first, last = rows[0].peak_mib or 1.0, rows[-1].peak_mib or 0.0
            word = "flat" if last <= endless.FLAT * first else "**not flat**"
            said.append(
                f"*{rows[0].name}*, code `{made[job].code}`: at {rows[-1].events_n:,} events the "
                f"peak is {last / first:.3f} times that of the first look, {word}"
            )
        if rows and rows[-1].events_n < endless.EVENTS_N:
            said.append(f"the look at {endless.EVENTS_N:,} was not taken there")
    head = ("what", "events so far", "peak MiB", "of that the run", "CPU µs an event",
            "events/s by the clock", "labels", "")  # fmt: skip
    return [
        "One engine with the defaults (the committee) catches up with two million events of 20 "
        "features, in batches of 1,000. Watching asks 0.1 %, answered at once. The other asks 1 %, "
        "has its answers 500 events late, and meets another concept every half million. Making the "
        "events is in these times, and the time is of one run. A look comes with the first output "
        "behind each half million. Flat means that the last peak is at "
        f"most {100 * endless.FLAT - 100:.0f} % above the first. Where 1 % is asked, the "
        "10,000 ended requests that are remembered are only full after a million events.",
        "",
        *table(head, lines),
        "",
        "; ".join(said) + "." if said else "",
        "",
        "Everything that grows has a limit: window, reservoir, ids remembered (100,000), open and "
        "ended requests, examples, features, categories, classes.",
    ]


def _missing() -> list[str]:
    return [
        "Several workers are in [SCALING.md](SCALING.md). A compiled walk over the events would "
        "remove a seventh of what a label costs: "
        "[ADR 19](adr/0019-no-native-kernel-yet.md) has the profile and the trial. Where the time "
        "of an event and of a label goes, and what made them cheaper so far, is in "
        "[SPEED.md](SPEED.md#what-an-event-costs).",
    ]
