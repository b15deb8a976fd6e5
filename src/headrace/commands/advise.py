"""`headrace advise`: a settings file from constraints: arguments, answers or a pilot's findings."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from ..errors import BadInput, BadSettings
from ..settings.advice import Advice, Constraints, advise

QUESTIONS: tuple[tuple[str, str, str], ...] = (
    ("events_per_hour", "N", "Events an hour, on average"),
    ("annotators", "N", "People who label at the same time"),
    ("label_s", "S", "Seconds one of them takes for a label"),
    ("hours_per_day", "H", "Hours a day in which they label"),
    ("label_cost", "MONEY", "Cost of a label"),
    ("labels_max", "N", "Labels in all that may be asked; empty for no limit"),
    ("days", "D", "Days that the budget is for"),
    ("retrain_s", "S", "Seconds from labels to a model that has learned them"),
    ("classes", "N", "Classes"),
    ("rarest_share", "SHARE", "Part of the events that is of the rarest class; empty if even"),
    ("is_calibrated", "yes|no", "Are the model's probabilities calibrated; empty if unknown"),
    ("is_explained", "yes|no", "Must each choice be explained to somebody"),
    ("error_cost", "MONEY", "Cost of a wrong prediction; 0 if unknown"),
    ("error_reduction", "SHARE", "Part of all events that better labels would get right"),
    ("setup_cost", "MONEY", "Cost of setting it up, over the days"),
    ("compute_cost", "MONEY", "Cost of the machines, over the days"),
)
"""Each a field of `Constraints`, the placeholder of its value in the help, and the question."""


def read_pilot(path: Path) -> dict[str, Any]:
    """Read constraints from a pilot's JSON: the number of classes, and the best strategy.

    A strategy counts if the whole interval of its difference to random is above 0; the best mean
    decides. Where none counts it is `random`. Raises `BadInput` for a file that is no pilot's.
    """
    try:
        raw = json.loads(path.read_bytes())
        rows = [
            (row["difference"]["mean"], row["strategy"])
            for row in raw["rows"]
            if row["difference"] is not None
            and row["difference"]["low"] is not None
            and row["difference"]["low"] > 0
        ]
        constraints: dict[str, Any] = {"classes": max(2, len(raw["classes"]))}
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{path} is not the JSON of a pilot ({error!r}); write it with headrace pilot --json"
        ) from error
    best = max(rows, default=(0.0, "random"))
    return {**constraints, "pilot_gain": float(best[0]), "pilot_strategy": str(best[1])}


def as_toml(advice: Advice) -> str:
    """Format the advice as a settings file, with the reason of each setting above it."""
    by_section: dict[str, list[str]] = {}
    for choice in advice.choices:
        section, _, name = choice.setting.rpartition(".")
        by_section.setdefault(section, []).append(
            f"# {choice.rule}: {choice.reason}\n{name} = {json.dumps(choice.value)}"
        )
    parts = [f"[{section}]\n" + "\n".join(lines) for section, lines in by_section.items()]
    return "\n\n".join(parts) + "\n"


def describe_advice(advice: Advice) -> str:
    """Describe the workflow, the size of a batch and the balance of costs in sentences."""
    balance = advice.balance
    lines = [
        f"workflow: {advice.workflow}, questions of a batch: {advice.batch_n}",
        f"labels: {balance.labels_n:,}, which cost {balance.labelling:,.2f}; setting up and "
        f"machines cost {balance.other:,.2f}",
    ]
    if balance.reduction_to_pay is None:
        lines.append("whether it pays: give --error-cost, what a wrong prediction costs")
    else:
        lines.append(
            f"it pays from {100 * balance.reduction_to_pay:.3g} more right predictions in 100 on"
        )
        if balance.gain > 0:
            lines.append(
                f"gain {balance.gain:,.2f} less cost: {balance.net:,.2f}, so it "
                f"{'pays' if balance.net > 0 else 'does not pay'}"
            )
    return "\n".join(lines)


# --------------------------------------------------------------------------------- command line


def register(subparsers: Any) -> None:
    """Add `headrace advise`."""
    parser = subparsers.add_parser(
        "advise",
        help="which settings suit your team and stream",
        description="Say what is known of the task; get a settings file that headrace check "
        "accepts, the reason of each choice, the size of a batch, the workflow, and what it costs "
        "and gains. With no argument it asks. The rules: docs/ADVISE.md.",
    )
    for name, shown, question in QUESTIONS:
        parser.add_argument(f"--{_make_flag(name)}", dest=name, metavar=shown, help=question)
    parser.add_argument(
        "--pilot", type=Path, metavar="FILE", help="the --json of headrace pilot on your history"
    )
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="write the settings there; else they are printed"
    )
    parser.set_defaults(func=main)


def _make_flag(name: str) -> str:
    return name.removeprefix("is_").replace("_", "-")


def main(arguments: argparse.Namespace) -> int:
    """Run `headrace advise`; return the exit code."""
    answers = {
        name: text for name, _, _ in QUESTIONS if (text := getattr(arguments, name)) is not None
    }
    pilot = read_pilot(arguments.pilot) if arguments.pilot is not None else {}
    if not answers:
        if not sys.stdin.isatty():
            raise BadSettings("nothing is known of the task; give at least --events-per-hour")
        answers = ask_at_terminal(input)
    advice = advise(constraints_of(answers, pilot))
    settings = as_toml(advice)
    if arguments.write is None:
        sys.stdout.write(
            settings + "\n".join(f"# {line}" for line in describe_advice(advice).split("\n"))
        )
        sys.stdout.write("\n")
        return 0
    if arguments.write.exists():
        raise BadSettings(f"{arguments.write} is there already; give another file, or move it away")
    arguments.write.write_text(settings, encoding="utf-8")
    sys.stdout.write(f"{describe_advice(advice)}\nwritten: {arguments.write}\n")
    return 0


def ask_at_terminal(ask: Callable[[str], str]) -> dict[str, str]:
    """Call `ask` with one question after another; an empty answer keeps the value in brackets."""
    answers = {}
    for field in msgspec.structs.fields(Constraints):
        for name, _, question in QUESTIONS:
            if name == field.name:
                default = "" if field.required or field.default is None else f" [{field.default}]"
                if answer := ask(f"{question}{default}: ").strip():
                    answers[name] = answer
    return answers


def constraints_of(texts: dict[str, str], pilot: dict[str, Any] | None = None) -> Constraints:
    """Build constraints from typed texts and a pilot. Raises `BadSettings` with every fault."""
    faults, values = [], dict(pilot or {})
    types = {field.name: field.type for field in msgspec.structs.fields(Constraints)}
    for name, text in texts.items():
        try:
            if name.startswith("is_"):
                values[name] = {"yes": True, "no": False}[text.lower()]
            else:
                values[name] = msgspec.convert(text, types[name], strict=False)
        except (KeyError, msgspec.ValidationError):
            wanted = "yes or no" if name.startswith("is_") else "a number"
            faults.append(f"--{_make_flag(name)} is {text!r}; must be {wanted}")
    if "events_per_hour" not in values and not faults:
        faults.append("--events-per-hour is missing; without it no budget can be said")
    if faults:
        raise BadSettings(faults)
    return Constraints(**values)
