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

On arrival, each event is asked about at once or never. A rule decides which. This page lists the
rules with their options and papers, for whoever chooses one or writes one.

`query.arrival.rule` names the rule, and `[query.arrival.options]` sets its options. `headrace check`
reports every fault in them.

```toml
[query]
strategy = "least_confidence"
arrival = {rule = "split", options = {share = 0.2}}
```

The default, `rank`, is Headrace's own. The higher an event's doubt ranks among the last 1,024, the
higher is its probability of being asked, and what is asked follows the budget to a label
([adr 11](adr/0011-asking-on-arrival.md)). `query.estimate_share` sets aside a part of the rate for
the accuracy estimate ([adr 24](adr/0024-what-is-set-aside.md)); the default is none. The other rules
are published ones. Where scikit-activeml has a rule too, ours makes the same choices on the same
stream, asked one event at a time.

What all rules have in common here:

- **A known probability above 0.** Published rules never ask about most events. So a blind draw with
  `query.control_share` of the rate stands beside the rule. An event is asked about if either hits,
  with probability 1 - (1 - c)(1 - p), and the accuracy is estimated as with every strategy.
- **The budget.** A rule is told the rate that is left to it, and asks nothing while no label can be
  paid. What it leaves unspent raises the rate, for the rule and for the blind draw. While more than
  four drawn requests wait for money, nothing is drawn, also with `rank`.
- **Any batches.** A rule sees the events in their order, and stops at each one that is asked about,
  since its label may change the model. So batches of any size, workers and restarts give the same
  choices.
- **Cold start.** Until labels of two classes have come, the whole rate is drawn blindly.
- **Doubt** is what `query.strategy` computes. Rules with a threshold of confidence take
  `least_confidence`, as the papers do, or `margin`, the default.

Quotas, duplicates and open questions work beside any rule: [ASKING.md](ASKING.md).

A rule of your own is a class with two methods. `headrace.testing.check_online` checks that it keeps
the contract:

```python
class Closest:
    def chance(self, event):
        return min(1.0, 2.0 * event.rate * event.doubt)

    def passed(self, event, draw):
        pass
```

With `query.arrival.rule = "my_rules:Closest"`, `chance` is called for each event, and then `passed`
with what was drawn. [`query/rules/rule.py`](../src/headrace/query/rules/rule.py) has both arguments.

## The rules"""


if __name__ == "__main__":
    sys.exit(main())
