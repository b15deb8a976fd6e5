"""`headrace check`: list every fault of a settings file, and try the settings on a log of yours.

With `--events` the first records of a log are read as a run would read them, and the model is tried
on them with made-up labels. This shows whether it can learn and predict them, not how well.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..adapters.jsonl import Tail, split_lines
from ..adapters.tables.records import is_table, is_table_of_columns, lines_of, refuse_no_lines
from ..bridges import faults_of_bridges
from ..drivers.files.places import is_whole
from ..drivers.notebook import Simulation
from ..engine import Engine
from ..errors import BadInput, BadSettings
from ..learn.models import build
from ..messages import EventBatch, InputRejected
from ..observe.answers import AnswersDecoder
from ..observe.decode import Decoded, Decoder
from ..observe.signals import likeliest_of
from ..pages.report.parts import describe_features, format_date
from ..privacy import WHOLE
from ..query.budgets import Share
from ..query.strategies import resolve
from ..settings import Settings, load
from ..testing.oracles import Delayed
from .run import advise_reading

RECORDS_N = 1_000
"""The first records of a log, which are tried."""

LABELS_N = 200
"""The first events among them, which get a made-up label."""

CLASSES_SHOWN = 10
"""How many classes of the served model are named."""

MADE_UP = ("one", "another")
"""Classes of made-up labels where neither the settings nor the log name two."""

_DATE = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")


def register(subparsers: Any) -> None:
    """Add `headrace check`."""
    parser = subparsers.add_parser(
        "check",
        help="find every fault in a settings file",
        description="Find every fault in a settings file at once, names of models and strategies "
        "included; with --events, also what its first records are read as, and whether the model "
        "can learn and predict them. Exit 0: none; 1: faults; 2: a file can't be read.",
    )
    parser.add_argument("settings", type=Path, metavar="FILE", help="TOML")
    parser.add_argument(
        "--events",
        type=Path,
        metavar="LOG",
        help=f"a log to try the settings on, its first {RECORDS_N:,} records: JSON lines, CSV or "
        "Parquet, .gz too",
    )
    parser.set_defaults(func=main)


def main(arguments: argparse.Namespace) -> int:
    """Run `headrace check`; return the exit code."""
    path: Path = arguments.settings
    faults = faults_of(path)
    for fault in faults:
        _print_sentence(f"- {fault}")
    if faults:
        _print_sentence(f"{len(faults)} fault{'s' * (len(faults) > 1)} in {path}")
        return 1
    settings = load(path)
    limits = settings.query.budget.limits
    allowed = ", ".join(f"{name} {value}" for name, value in limits.items())
    _print_sentence(f"{path}: ok")
    _print_sentence(f"stream {settings.stream}, seed {settings.seed}, model {settings.model.name}")
    _print_sentence(f"strategy {settings.query.strategy}, budget {allowed}")
    return 0 if arguments.events is None else try_log(arguments.events, settings, _print_sentence)


def _print_sentence(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")


def faults_of(path: Path) -> list[str]:
    """List every fault of a settings file, those in the models, functions and bridges it names too.

    Raises `BadInput` for a file that can't be read, or is no TOML.
    """
    faults: list[str] = []
    settings = Settings()
    names = {"model": settings.model.name, "query": settings.query.strategy}
    try:
        settings = load(path)
        names = {"model": settings.model.name, "query": settings.query.strategy}
    except BadSettings as error:
        faults += error.faults
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        for section, key in (("model", "name"), ("query", "strategy")):
            name = raw[section].get(key) if isinstance(raw.get(section), dict) else None
            names[section] = name if isinstance(name, str) else names[section]
    trials: list[Callable[[], object]] = [
        partial(build, names["model"], 0, len(settings.schema.classes)),
        partial(resolve, names["query"]),
        partial(Decoder, settings.input, settings.columns),
        partial(AnswersDecoder, settings.answers),
        partial(Engine, settings=settings),
    ]
    for trial in trials:
        try:
            trial()
        except BadSettings as error:
            # The engine finds the faults of the trials before it again; each is listed once.
            faults += [fault for fault in error.faults if fault not in faults]
    return faults + faults_of_bridges(settings.bridges)


# ------------------------------------------------------------------------------ a log of yours


def try_log(path: Path, settings: Settings, say: Callable[[str], None]) -> int:
    """Try the settings on the first records of a log; call `say` with each line of the result.

    Returns the exit code: 1 where no event can be read, or the model fails at all of them.
    Raises `BadInput` for a file that can't be read.
    """
    refuse_no_lines(path)
    if not path.is_file():
        raise BadInput(f"{path} is no file; give a log of events")
    lines = list(islice(_read_lines(path, settings, say), RECORDS_N))
    decoded = Decoder(settings.input, settings.columns).decode(
        lines, str(path), range(1, len(lines) + 1)
    )
    engine = Engine(settings=settings, privacy=WHOLE)
    engine.feed([decoded.batch])
    report = engine.report
    rejected = Counter(str(rejection.reason) for rejection in decoded.rejected)
    rejected.update(report.events.rejected_n)
    say(f"{path}: {len(lines):,} records tried, {report.events.observed_n:,} events in them")
    for reason, n in rejected.most_common():
        say(f"- {n:,} rejected as {reason}{_describe_first(decoded.rejected, reason)}")
    if not report.events.observed_n:
        reason = max(rejected, key=lambda name: rejected[name], default="")
        say(f"not one event could be read; {advise_reading(reason)}")
        return 1
    ats = decoded.batch.at
    say(f"from {format_date(float(ats.min()))} to {format_date(float(ats.max()))}")
    if are_dates_in_digits(ats):
        say(
            f"- times such as {ats[0]:.0f} look like dates, and were read as seconds since 1970; "
            "write dates as 2024-05-01"
        )
    if not is_table_of_columns(path):  # Reading a table has told its columns already.
        for kind, names in describe_features(engine.schema):
            say(f"read as {kind}: {names}")
    for sentence in _describe_served(decoded.batch, settings):
        say(sentence)
    for limit in report.limits:
        say(f"- {limit.sentence}")
    verdict, is_fit = _try_model(decoded, settings)
    say(verdict if is_fit else f"- {verdict}")
    return 0 if is_fit else 1


def are_dates_in_digits(ats: np.ndarray) -> bool:
    """Whether every one of these numbers of seconds has the digits of a date, as 20240501 has.

    >>> are_dates_in_digits(np.array([20240501.0, 20240502.0]))
    True
    >>> are_dates_in_digits(np.array([20240501.0, 20249901.0]))
    False
    """
    return all(_DATE.fullmatch(f"{at:.15g}") for at in ats.tolist())


def _read_lines(path: Path, settings: Settings, say: Callable[[str], None]) -> Iterator[bytes]:
    length_max = settings.input.line_bytes_max
    if is_table(path):
        rest = b""
        for piece in lines_of(path, settings, say):
            lines = split_lines(rest + piece, length_max)
            rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
            yield from lines
        if rest:
            yield rest
        return
    tail = Tail(path, length_max=length_max, is_whole=is_whole)
    try:
        yield from tail.peek(RECORDS_N, is_final=True)
    finally:
        tail.close()


def _try_model(decoded: Decoded, settings: Settings) -> tuple[str, bool]:
    """Let the model learn made-up labels and predict; return a sentence, and whether it can do so.

    Every event is asked about at once, whatever the budget is; answers name each class in turn.
    """
    batch = decoded.batch
    served = {*batch.served_classes, *(name for name in batch.predicted or [] if name)}
    classes = settings.schema.classes or (sorted(served) if len(served) > 1 else MADE_UP)
    truths = [classes[i % len(classes)] if i < LABELS_N else None for i in range(len(batch))]
    engine = Engine(budget=Share(1.0), settings=settings, privacy=WHOLE)
    try:
        for _ in Simulation(engine, Delayed()).play_batches([(batch, truths)]):
            engine.check_model()
    except BadSettings as error:
        return str(error), False
    report = engine.report
    if report.model.fault:
        return report.model.fault, False
    sentence = (
        f"the model learned {report.model.learned_n:,} labels that were made up, and predicts"
    )
    return "; ".join([sentence, *(failure.sentence for failure in report.model.failures)]), True


def _describe_served(batch: EventBatch, settings: Settings) -> Iterator[str]:
    """Yield which classes the served model predicted how often, and what is wrong with them."""
    fields, known = settings.input, settings.schema.classes
    events = [batch.row(i) for i in range(len(batch))]
    served = [likeliest_of(event.probabilities or {}) or event.predicted for event in events]
    counts = Counter(name for name in served if name is not None)
    if not counts:
        nothing = f"there is nothing at {fields.predicted} or {fields.probabilities}"
        yield f"no predictions of a served model: {nothing}"
        return
    shown = [f"{name} {n:,}" for name, n in counts.most_common(CLASSES_SHOWN)]
    without_n = len(events) - counts.total()
    shown += [f"none {without_n:,}"] if without_n else []
    yield f"predicted by the served model: {', '.join(shown)}"
    named = {*counts, *(event.predicted for event in events if event.predicted is not None)}
    if known and (strange := sorted(named.difference(known))):
        yield (
            f"- schema.classes has no {', '.join(strange[:CLASSES_SHOWN])}, which the "
            "served model predicts; input.class_names gives the log's classes other names"
        )
        return
    others_n = sum(
        event.predicted not in (None, name) for event, name in zip(events, served, strict=True)
    )
    if others_n:
        yield (
            f"- {fields.predicted} names another class than the likeliest of "
            f"{fields.probabilities} in {others_n:,} events, and the likeliest counts; leave "
            "input.probabilities out if the model decides by a threshold of its own"
        )


def _describe_first(rejected: list[InputRejected], reason: str) -> str:
    """Describe where and why the first record was rejected for this reason."""
    for rejection in rejected:
        if rejection.reason == reason:
            return f", the first in record {rejection.position}: {rejection.detail}"
    return ""
