"""Measured rows on disk: a file of JSON lines, one a key, which a stop or a kill leaves whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import headrace

PACKAGE = Path(headrace.__file__).parent

T = TypeVar("T")
K = TypeVar("K")


def read_lines(path: Path, kind: type[T], key: Callable[[T], K]) -> dict[K, T]:
    """The rows by key; of two with one key the later counts, and one cut short is left out."""
    found: dict[K, T] = {}
    decoder = msgspec.json.Decoder(kind)
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            row = decoder.decode(line)
        except msgspec.DecodeError:
            continue
        found[key(row)] = row
    return found


def write_lines(path: Path, rows: Iterable[T], key: Callable[[T], Any]) -> None:
    """A line a row, in the order of their keys; replaces the file at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [msgspec.json.encode(row) + b"\n" for row in sorted(rows, key=key)]
    fresh = path.with_suffix(".new")
    fresh.write_bytes(b"".join(lines))
    fresh.replace(path)


def digest_code(folders: Iterable[str] = (".",)) -> str:
    """Twelve characters that change with the code in these folders of the package."""
    seen = hashlib.sha256()
    for folder in folders:
        for file in sorted((PACKAGE / folder).rglob("*.py")):
            seen.update(str(file.relative_to(PACKAGE)).encode() + file.read_bytes())
    return seen.hexdigest()[:12]


def make_bar(console: Console) -> Progress:
    """A bar of jobs on a terminal: what is done, how many of all, how long it will take."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
