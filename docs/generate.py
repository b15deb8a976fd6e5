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

from headrace import Engine
from headrace.adapters.prometheus import ReportCollector
from headrace.learn.estimate import Estimate
from headrace.settings import Settings

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
    """docs/SETTINGS.md: every section and field of `headrace.settings`, in order."""
    parts = ["# Settings", BY, _ABOUT_SETTINGS]
    for path, kind, doc in _sections(Settings, ""):
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
    doc = " ".join((kind.__doc__ or "").split())
    _, _, told = doc.partition(": ")
    yield path, kind, told[:1].upper() + told[1:] if told else doc
    for field in msgspec.structs.fields(kind):
        inner = _inner(field)
        if inner is not None:
            yield from _sections(inner, f"{path}.{field.name}" if path else field.name)


def _inner(field: Any) -> Any:
    """The section that a field is, or is an array of; None for a plain value."""
    bare = _bare(field.type)
    if typing.get_origin(bare) is tuple:
        bare = typing.get_args(bare)[0]
    return bare if isinstance(bare, type) and issubclass(bare, msgspec.Struct) else None


def _bare(annotation: Any) -> Any:
    while typing.get_origin(annotation) is Annotated:
        annotation = typing.get_args(annotation)[0]
    return annotation


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


_KINDS = {int: "whole number", float: "number", str: "text", bool: "true or false"}


def _takes(annotation: Any) -> str:
    """The type and the bounds of a field, in words."""
    bounds: list[str] = []
    if typing.get_origin(annotation) is Annotated:
        annotation, *metas = typing.get_args(annotation)
        for meta in metas:
            bounds += _bounds(meta)
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


def _bounds(meta: Meta) -> list[str]:
    words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    bounds = [(word, getattr(meta, name)) for name, word in words.items()]
    return [f"{word} {_figure(bound)}" for word, bound in bounds if bound is not None]


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

_SUFFIX = {"counter": "_total", "info": "_info", "histogram": ""}


def metrics_page() -> str:
    """docs/METRICS.md: every metric that `headrace.adapters.prometheus` exports."""
    # An estimate, because a metric without a value does not show its labels.
    some = Estimate(accuracy=0.9, low=0.8, high=1.0, naive=0.9)
    report = msgspec.structs.replace(Engine().report, accuracy=some)
    rows = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    values: dict[tuple[str, str], list[str]] = {}
    for family in ReportCollector(lambda: report).collect():
        name = family.name + _SUFFIX.get(family.type, "")
        labels = [label for label in _labels(family) if label != "stream"]
        told = ", ".join(f"`{label}`" for label in labels)
        rows.append(f"| `{name}` | {family.type} | {told} | {family.documentation} |")
        for label in labels:
            found = [sample.labels[label] for sample in family.samples if label in sample.labels]
            if label in _CLOSED:
                values[name, label] = list(dict.fromkeys(found))
    closed = [
        f"- `{label}` of `{name}`: " + ", ".join(f"`{value}`" for value in found)
        for (name, label), found in values.items()
        if found
    ]
    parts = [
        "# Metrics",
        BY,
        _ABOUT_METRICS,
        "\n".join(rows),
        "## What the labels can be",
        "\n".join(closed),
        _ABOUT_LABELS,
    ]
    return "\n\n".join(parts) + "\n"


_ABOUT_METRICS = """\
What `/metrics` serves, for Prometheus. Every metric but the last has the label `stream` as well. A
gauge without a value yet, such as an accuracy before the first label, has no sample. Labels come
from closed sets or from bounded lists of features, classes and detectors: never an event's id,
never an annotator. A histogram has the usual `_bucket`, `_sum` and `_count`."""
_ABOUT_LABELS = """\
`signal` and `detector` are those of `drift.watch` in [SETTINGS.md](SETTINGS.md); `feature` holds
the first 50 features, `class` the first 50 classes and `other`."""
_CLOSED = ("reason", "end", "outcome", "kind", "level", "estimate")


def _labels(family: Any) -> list[str]:
    if family.type == "info":
        return list(family.samples[0].labels)
    return list(family._labelnames)


if __name__ == "__main__":
    sys.exit(main())
