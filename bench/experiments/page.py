"""docs/RESULTS.md: its words and its tables, made from the rows alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from bench.experiments import sections
from bench.experiments.plan import BUDGETS, NAMES, OLD_MODELS
from bench.experiments.plots import draw
from bench.experiments.runs import Row, Run
from bench.experiments.sections import enumerated, marked
from bench.experiments.streams import DEVELOPMENT, OTHERS, QUICK, TUNING
from bench.experiments.tables import Pick, Results, percent, table, told
from bench.experiments.targets import targets


def write_page(rows: Mapping[Run, Row], folder: Path, *, is_quick: bool = False) -> Path:
    """Write RESULTS.md and its plots into the folder; the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    name = "RESULTS-quick" if is_quick else "RESULTS"
    results = Results(rows, [stream.name for stream in QUICK] if is_quick else NAMES)
    plots = draw(results, folder / "img", name.lower())
    path = folder / f"{name}.md"
    path.write_text(page(rows, results, plots), encoding="utf-8")
    return path


def page(rows: Mapping[Run, Row], results: Results, plots: Mapping[str, str]) -> str:
    """The whole page; `plots` are names of files below img/ by what they show."""
    parts = [
        _opening(rows, results),
        ["## Targets", "", *_targets(results)],
        ["## How many labels", "", *sections.summary(results), *_picture(plots, "curves")],
        *(sections.budget(results, budget) for budget in BUDGETS),
        _picture(plots, "differences"),
        ["## Late labels", "", *sections.late(results)],
        ["## After a change", "", *sections.change(results), *_picture(plots, "change")],
        ["## Is the live interval honest?", "", *sections.interval(results)],
        ["## Beside published results", "", *sections.published(results)],
        ["## Cost", "", *sections.cost(results)],
        ["## What each part is worth", "", *sections.parts(results)],
        ["## The streams", "", *_streams(results)],
    ]
    return "\n".join("\n".join(part).strip("\n") + "\n" for part in parts if part)


def _picture(plots: Mapping[str, str], what: str) -> list[str]:
    words = {
        "curves": "Mean accuracy by share of labels",
        "differences": "Default minus random by stream",
        "change": "Accuracy before and after known changes",
    }
    return ["", f"![{words[what]}](img/{plots[what]})"] if what in plots else []


def _opening(rows: Mapping[Run, Row], results: Results) -> list[str]:
    states = Counter(row.code for row in rows.values())
    states_n = len(states)
    made = (
        "all with the same code of learner and query"
        if states_n == 1
        else f"with {states_n} states of the code of learner and query, "
        + ", ".join(f"{n} with `{code[:7]}`" for code, n in states.most_common())
    )
    lost = [name for name in results.names if not _is_played(rows, name)]
    draft = ["A quick look at small streams, not for quoting.", ""]
    return [
        "# Results",
        "",
        *([] if results.names == NAMES else draft),
        "Made by `make experiments`, words and figures alike, from the rows in "
        "`bench/experiments/rows.jsonl`: "
        f"{len(rows)} runs, {made}."
        + (f" Not run: {', '.join(lost)}." if lost else "")
        + _older(rows),
        "",
        "**What is compared.** Each run plays a stream through `headrace.Engine` in its own order. "
        "Every event is predicted before its label can be known, and that prediction is judged. A "
        "label that was asked for is learned before the next event, unless the table says that "
        "labels are late. *Default* is the engine as it comes, *random* the same engine, the same "
        'model and the same budget with `strategy = "random"`. The *single models* are the presets '
        f"{enumerated([f'`{model}`' for model in OLD_MODELS])}, with random and with margin.",
        "",
        "**The budget** is a share of the events; a fifth of it, at most 50 labels, is granted at "
        "the start. How far the labels bought are from it is in the tables.",
        "",
        "**One configuration for all**: the defaults. They were chosen on "
        f"{enumerated(list(TUNING))} alone (marked * below); the other streams were only "
        "reported.",
        "",
        "**±** is half of a 95 % interval (Student's t) over the seeds; a figure without it is of "
        "one seed. Differences are paired: same stream, same seed. Bold ones are beyond what the "
        "seeds can tell apart. Seeds change the draws, not the events: an interval speaks of this "
        "stream, not of streams like it.",
        "",
        "**All labels** are the best of five river learners of each stream that learned every "
        "label, the winner picked in hindsight. They are constants, measured with river 0.26, "
        "prequential, over the same rows (`bench/experiments/references.py`).",
    ]


def _older(rows: Mapping[Run, Row]) -> str:
    """That what is of older code than the default's is of single models alone, if it is so."""
    newest = {row.code for run, row in rows.items() if run.model == "default"}
    older = [run for run, row in rows.items() if row.code not in newest]
    is_single = bool(older) and all(run.model in OLD_MODELS for run in older)
    return " The older ones are of single models alone." if is_single else ""


def _is_played(rows: Mapping[Run, Row], name: str) -> bool:
    return any(run.stream == name for run in rows)


def _targets(results: Results) -> list[str]:
    found = [target.cells for target in targets(results)]
    met_n = sum(cells[3] == "met" for cells in found)
    run_n = sum(cells[2] != "not run" for cells in found)
    return [
        "Set before this code was measured. "
        f"{met_n} of {len(found)} are met, {run_n - met_n} missed, {len(found) - run_n} not run. "
        "What rests on one seed, met or missed, is a first look: the sections below say how many "
        "were run.",
        "",
        *table(("target", "wanted", "reached", ""), found),
    ]


def _streams(results: Results) -> list[str]:
    if results.names != NAMES:
        return []
    lines = [
        [marked(stream.name), stream.about, _rows_of(stream.rows) if not stream.make else "12,000"]
        for stream in (*DEVELOPMENT, *OTHERS)
    ]
    lines = [[name, about, rows] for name, about, rows in lines]
    apart = [
        [
            percent(budget),
            told(results.mean("kdd99_10pct", Pick(budget, "random")), 2),
            told(results.mean("kdd99_10pct", Pick(budget)), 2),
        ]
        for budget in BUDGETS
        if results.rows("kdd99_10pct", Pick(budget))
    ]
    words = [
        "Means are over the first eleven. The synthetic ones are river's generators, seeded "
        "(`bench/experiments/streams.py`). The files are not part of the project; a folder of "
        "Parquet files with these names, label last, is named by `--data` or `HEADRACE_DATA`.",
        "",
        *table(("stream", "what", "rows"), lines),
    ]
    if apart:
        words += [
            "",
            "kdd99_10pct is reported apart: its labels come in long blocks, so one label more or "
            "less moves a run by points.",
            "",
            *table(("labels", "random", "default"), apart),
        ]
    return words


def _rows_of(rows: tuple[int, int | None]) -> str:
    first, last = rows
    if last is None:
        return "all"
    return f"the first {last:,}" if first == 0 else f"{first:,} to {last:,}"
