"""Writes the reference pages that are read off the code: docs/SETTINGS.md and docs/METRICS.md.

    python docs/generate.py [--check]

With --check nothing is written; a page that is not what the code says makes the exit code 1.
"""

from __future__ import annotations

import argparse
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from headrace.adapters.metrics.prometheus import GROUPS
from headrace.bridges import BRIDGES, bridge_class
from headrace.settings import Settings
from headrace.settings.reading import bare_type, describe_bounds

HERE = Path(__file__).parent
BY = "<!-- Written by docs/generate.py; change the code it is read from, then run `make docs`. -->"


def main() -> int:
    """Write or check both pages; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    is_check = parser.parse_args().check
    stale = []
    for name, page in (("SETTINGS.md", settings_page()), ("METRICS.md", metrics_page())):
        path = HERE / name
        if path.exists() and path.read_text(encoding="utf-8") == page:
            continue
        stale.append(name)
        if not is_check:
            path.write_text(page, encoding="utf-8")
    for name in stale:
        told = "stale; run `make docs`" if is_check else "written"
        sys.stdout.write(f"docs/{name}: {told}\n")
    return 1 if is_check and stale else 0


# ----------------------------------------------------------------------------------- settings


def settings_page() -> str:
    """docs/SETTINGS.md: every section and field of `headrace.settings`, then of bridges."""
    parts = ["# Settings", BY, _ABOUT_SETTINGS]
    of_bridges = [
        section
        for name in sorted(BRIDGES)
        for section in _sections(bridge_class(name, "BRIDGES").Settings, f"bridges.{name}")
    ]
    for path, kind, doc in [*_sections(Settings, ""), *of_bridges]:
        rows = [_row(path, field) for field in msgspec.structs.fields(kind) if not _inner(field)]
        if not rows:
            continue
        title = f"`[{path}]`" if path else "The top of the file"
        title = f"`[[{path}]]`" if path == "drift.watch" else title
        parts += [f"## {title}", doc, "\n".join([*_HEAD, *rows])]
    parts += [
        "## A complete file",
        "Every setting at its default. What is commented out has none.",
        "```toml\n" + example() + "```",
    ]
    return "\n\n".join(parts) + "\n"


_ABOUT_SETTINGS = """\
One TOML file holds all of them, and none has to be set. `headrace check FILE` names every fault at
once, with its path. Times are seconds, of event time unless it says otherwise; a share is from 0
to 1. In a program: `headrace.load(path)`, or `headrace.Settings(...)` with the sections of
`headrace.settings`."""
_HEAD = ("| setting | takes | default | meaning |", "|---|---|---|---|")


def _sections(kind: Any, path: str) -> Iterator[tuple[str, Any, str]]:
    """Path, struct and description of a section and of all below it."""
    about, _, _ = (kind.__doc__ or "").partition("\n\n    Attributes:\n")
    doc = " ".join(about.split())
    _, _, told = doc.partition(": ")
    yield path, kind, told[:1].upper() + told[1:] if told else doc
    for field in msgspec.structs.fields(kind):
        inner = _inner(field)
        if inner is not None:
            yield from _sections(inner, f"{path}.{field.name}" if path else field.name)


def _inner(field: Any) -> Any:
    """The section that a field is, or is an array of; None for a plain value."""
    bare = bare_type(field.type)
    if typing.get_origin(bare) is tuple:
        bare = typing.get_args(bare)[0]
    return bare if isinstance(bare, type) and issubclass(bare, msgspec.Struct) else None


def _row(path: str, field: Any) -> str:
    name = f"{path}.{field.name}" if path else field.name
    default = "required" if field.required else _shown(_default(field))
    return f"| `{name}` | {_takes(field.type)} | {default} | {_told(field.type)} |"


def _default(field: Any) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def _shown(value: Any) -> str:
    return "none" if value is None else f"`{_toml(value)}`"


def _told(annotation: Any) -> str:
    """The description; every field has one."""
    for meta in typing.get_args(annotation)[1:]:
        if isinstance(meta, Meta) and meta.description:
            return meta.description.replace("|", "\\|")
    raise SystemExit(f"a setting of type {annotation} has no description")


_KINDS = {
    int: "whole number",
    float: "number",
    str: "text",
    bool: "true or false",
    Any: "anything",
}


def _takes(annotation: Any) -> str:
    """The type and the bounds of a field, in words."""
    bounds: list[str] = []
    if typing.get_origin(annotation) is Annotated:
        annotation, *metas = typing.get_args(annotation)
        for meta in metas:
            bounds += describe_bounds(meta, _figure)
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        parts = [part for part in typing.get_args(annotation) if part is not type(None)]
        return ", or ".join(_takes(part) for part in parts)
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in typing.get_args(annotation))
    if origin is list:
        return "array of texts"
    if origin is dict:
        return f"table of {_takes(typing.get_args(annotation)[1])}"
    return " ".join([_KINDS[annotation], " and ".join(bounds)]).strip()


def _figure(bound: float) -> str:
    """A bound as it is written: the powers of two as such."""
    power = int(bound).bit_length() - 1
    return f"2^{power}" if power > 30 and bound == 2**power else str(bound)


def example() -> str:
    """All settings at their defaults as TOML, which reads back as `Settings()`."""
    return "\n".join(_block(Settings(), "")).lstrip("\n") + "\n"


def _block(section: Any, path: str) -> Iterator[str]:
    if path:
        yield f"\n[{path}]"
    fields = msgspec.structs.fields(type(section))
    for field in fields:
        value = getattr(section, field.name)
        if value is None:
            yield f"# {field.name} ="
        elif value == {} and not path:
            yield f"# sections [{field.name}.NAME] may follow below"
        elif _inner(field) is None:
            yield f"{field.name} = {_toml(value)}"
    for field in fields:
        value, below = getattr(section, field.name), f"{path}.{field.name}" if path else field.name
        if isinstance(value, tuple):
            for one in value:
                yield f"\n[[{below}]]"
                yield from list(_block(one, below))[1:]
        elif isinstance(value, msgspec.Struct):
            yield from _block(value, below)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:_}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:_}" if abs(value) >= 10_000 else repr(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


# ------------------------------------------------------------------------------------ metrics


def metrics_page() -> str:
    """docs/METRICS.md: every metric of `headrace.adapters.metrics.prometheus`."""
    parts = ["# Metrics", BY, _ABOUT_METRICS]
    for title, group in GROUPS.items():
        rows = [
            "| metric | type | labels | unit | over workers | meaning |",
            "|---|---|---|---|---|---|",
        ]
        for metric in group:
            labels = ", ".join(f"`{label}`" for label in metric.labels)
            about = metric.about.replace("|", "\\|")
            rows.append(
                f"| `{metric.name}` | {metric.kind} | {labels} | {metric.unit} "
                f"| {metric.over} | {about} |"
            )
        parts += [f"## {title}", "\n".join(rows)]
        if title in _ABOUT_GROUPS:
            parts.append(_ABOUT_GROUPS[title])
    closed = [
        f"- `{label}` of `{metric.name}`: " + ", ".join(f"`{value}`" for value in values)
        for group in GROUPS.values()
        for metric in group
        for label, values in metric.closed.items()
    ]
    parts += ["## What the labels can be", "\n".join(closed), _ABOUT_LABELS]
    return "\n\n".join(parts) + "\n"


_ABOUT_METRICS = """\
This page lists what `/metrics` serves for Prometheus, for whoever writes a query, a panel or an
alert. `[http]` in [SETTINGS.md](SETTINGS.md) says on which address.

- Every metric except `headrace_build_info` also has the label `stream`.
- Every series of a counter or a histogram exists from the start, at 0. A gauge without a value,
  such as an accuracy before the first label, has no sample.
- Ages are not exported. Subtract a `_timestamp_seconds` from `time()`: then a process that hangs
  shows too. These times are those of events, as in the log; under "The worker" they are wall-clock
  times.
- A histogram has the usual `_bucket`, `_sum` and `_count`. Its bounds are written as floats:
  `le="30.0"`.
- *over workers* says how to combine the numbers of several workers on Kafka: by `sum`, `max` or
  `min`, within a stream. `each` means that they must not be combined. Every worker reads the whole
  training log and has the whole model, so these numbers must not be added.
- The Python client adds its usual `process_` metrics: memory, CPU, open files. With
  `worker.faust_sensor`, Faust's own metrics follow under `faust_`, with times in milliseconds."""
_ABOUT_GROUPS = {
    "Annotators": """\
A `number` stands for a person, in the order of their first answers. It never changes while the
state of the desk is kept. The eleventh person and all later ones are `other`. No name is exported:
only `Report.annotators.by_number`, inside the process, says who a number is. Each worker numbers
people by itself, so compare within an `instance`.""",
    "Accuracy": """\
[ACCURACY.md](ACCURACY.md) explains how the estimate is made and what it can be trusted for. *Labels
saved* has three kinds:

- `all` is what the budget saves: events without a label.
- `blind` compares with a blind draw, for the accuracy estimate. Labels bought where the model
  doubts have unequal weights, so this is often below 0: the price of teaching the model with them.
- `random` compares with random labels, for the model: how many more labels random would have
  needed, measured with small twins of the model on control labels. It is below 0 where choosing
  does not pay, and has no sample while that can't be told. [`headrace pilot`](PILOT.md) measures
  more of it on your history.""",
    "Features and classes": """\
These numbers are of the latest check (`drift.check_every_n`), which compares the window with the
sample of earlier events. The 4 features that moved most show their distributions, in 8 bins between
the octiles of the past and one bin for missing values. The borders are exported beside them. For a
categorical feature, the bins are the most frequent values of the past, the most frequent first,
and then `other`.""",
}
_ABOUT_LABELS = """\
- `signal` and `detector` are those of `drift.watch` in [SETTINGS.md](SETTINGS.md).
- `strategy` is `random` or the strategy of the settings.
- `feature` has the first 50 features.
- `class` has the first 10 classes, and `other` for the sum of the rest.
- `partition` is the number of a partition of the events, 0 where there are no partitions."""


if __name__ == "__main__":
    sys.exit(main())
