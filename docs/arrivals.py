"""Writes docs/ARRIVALS.md: each rule with its paper and options; the measured part stays as it is.

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
MEASURED = "## Measured"


def main() -> int:
    """Write or check the page; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    before = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    found = page(before)
    is_check = parser.parse_args().check
    if is_check and found != before:
        sys.stdout.write("docs/ARRIVALS.md: stale; run `make docs`\n")
        return 1
    if not is_check:
        PAGE.write_text(found, encoding="utf-8")
    return 0


def page(before: str) -> str:
    """The page: what is read from the code, then the measured part of the page before."""
    parts = [_ABOUT]
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


_ABOUT = """# Rules that ask on arrival

<!-- Written by docs/arrivals.py; change the code it is read from, then run `make docs`. -->

On arrival each event is asked at once or never. `query.arrival.rule` says by which rule, and
`[query.arrival.options]` sets its options; `headrace check` tells each fault.

```toml
[query]
strategy = "least_confidence"
arrival = {rule = "split", options = {share = 0.2}}
```

The default, `rank`, is a draw of our own: an event is the likelier, the higher its doubt ranks
among those of the last 1,024, and what is drawn is the budget to a label
([adr 11](adr/0011-asking-on-arrival.md)). `query.estimate_share` of what is not drawn blindly is
drawn for the estimate of the accuracy ([adr 24](adr/0024-what-is-set-aside.md)), by
default none. The others below are published rules, whose choices are
those of scikit-activeml on the same stream, asked one event at a time, where it has the rule too.

What all of them have in common here:

- **A known propensity above 0.** Published rules pass most events over for certain. Beside the rule
  stands a draw of `query.control_share` of the rate that looks at nothing; an event is asked if
  either hits, with probability 1 - (1 - c)(1 - p). So accuracy is estimated as with every strategy.
- **The budget.** The rule is told the rate that is left to it and asks nothing while there is no
  label in hand. What a rule leaves unspent raises the rate, for it and for the control draw. While
  more than four drawn requests wait for money nothing is drawn, by a rule as by `rank`.
- **Any batches.** A rule is led over the events in their order and stops at each one asked, since
  its label may move the model: batches of any size, workers and restarts give the same choices.
- **Cold start.** Until labels of two classes have come the whole rate is drawn blindly.
- **Doubt** is what `query.strategy` says. Rules with a threshold of confidence take
  `least_confidence`, as the papers do, or `margin`, the default.

What comes on top of any rule, such as quotas, duplicates and open questions when the model has
moved: [ASKING.md](ASKING.md).

Yours is a class with two methods; `headrace.testing.check_online` tells whether it keeps the
contract:

```python
class Closest:
    def chance(self, event):
        return min(1.0, 2.0 * event.rate * event.doubt)

    def passed(self, event, draw):
        pass
```

Named `query.arrival.rule = "my_rules:Closest"`, its `chance` is called for each event, then
`passed` with what was drawn; both in [`query/rules/rule.py`](../src/headrace/query/rules/rule.py).

## The rules"""


if __name__ == "__main__":
    sys.exit(main())
