"""Writes the rules into docs/ARRIVALS.md, each with its paper and options; the rest stays as it is.

    python docs/arrivals.py [--check]

With --check nothing is written; a page that is not what the code says makes the exit code 1.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from dataclasses import is_dataclass
from pathlib import Path

from headrace.query.rules import RULES, options_of

PAGE = Path(__file__).parent / "ARRIVALS.md"
RULES_HEAD, MEASURED = "## The rules", "## Measured"


def main() -> int:
    """Write or check the page; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    before = PAGE.read_text(encoding="utf-8")
    found = page(before)
    is_check = parser.parse_args().check
    if is_check and found != before:
        sys.stdout.write("docs/ARRIVALS.md: stale; run `make docs`\n")
        return 1
    if not is_check:
        PAGE.write_text(found, encoding="utf-8")
    return 0


def page(before: str) -> str:
    """The page: its head and its measured part as they are, the rules as the code has them."""
    about, head, _ = before.partition(RULES_HEAD)
    parts = [about + head]
    parts += [f"### `{name}`\n\n{_doc(name)}\n\n{_options(name)}" for name in RULES]
    _, mark, measured = before.partition(MEASURED)
    return "\n\n".join(parts) + "\n" + (f"\n{mark}{measured}" if mark else "")


def _doc(name: str) -> str:
    text = inspect.getdoc(RULES[name]) or ""
    return text.split(">>>", maxsplit=1)[0].strip()


def _options(name: str) -> str:
    if not is_dataclass(RULES[name]):
        given = inspect.signature(RULES[name]).parameters.values()
        return f"Options: {', '.join(f'`{one.name}`, {one.default}' for one in given)}."
    found = options_of(RULES[name])
    if not found:
        return "Options: none."
    rows = ["| option | default | from | to | |", "|---|---|---|---|---|"]
    for option, (default, bounds) in found.items():
        ends = f"{bounds.low:g} | {bounds.high:g}"
        if bounds.choices:
            ends = f"{', '.join(bounds.choices)} | "
        rows.append(f"| `{option}` | {default} | {ends} | {bounds.text} |")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
