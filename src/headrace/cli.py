"""The command line of Headrace; `COMMANDS` has them all.

Only the module of the chosen command is imported, so that help is quick. Each such module has
`register(subparsers)`, which adds its parser and sets `func`: a function that is called with the
parsed arguments and returns the exit code.

Exit codes: 0 done; 1 done, and a check failed: a replay or a snapshot differs, settings have
faults, a topic is missing, a lag is above its limit; 2 settings, arguments or inputs are wrong;
70 Headrace is wrong; 130 interrupted.
"""

from __future__ import annotations

import argparse
import codecs
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from io import TextIOWrapper

COMMANDS = {
    "run": ("ask for labels of the events in a file or a pipe", "headrace.commands.run"),
    "worker": ("work on a Kafka topic, one of many", "headrace.commands.worker"),
    "desk": ("label in the browser", "headrace.commands.desk"),
    "bridge": ("let people label in a tool of yours", "headrace.commands.bridge"),
    "round": ("order a round of a run", "headrace.commands.round"),
    "model": ("list the model's versions, or roll back to one", "headrace.commands.model"),
    "mlflow": ("show a run in MLflow", "headrace.commands.mlflow"),
    "erase": ("erase a person from a run", "headrace.commands.erase"),
    "replay": ("decide a recorded run again and compare", "headrace.commands.replay"),
    "audit": ("who asked, who answered, who moved the model", "headrace.commands.audit"),
    "unseal": ("read a sealed log", "headrace.commands.unseal"),
    "report": ("write a page with the plots of a run", "headrace.commands.report"),
    "check": ("find every fault in a settings file", "headrace.commands.check"),
    "pilot": ("compare strategies on a past log with labels", "headrace.commands.pilot.command"),
    "advise": ("which settings suit your team and stream", "headrace.commands.advise"),
    "demo": ("watch it work on a stream that drifts", "headrace.commands.demo.command"),
    "topics": (
        "show the Kafka topics, and create those that are missing",
        "headrace.commands.kafka.topics",
    ),
    "lag": ("how far the workers on Kafka are behind", "headrace.commands.kafka.lag"),
    "rebuild": ("prove the snapshots by the logs on Kafka", "headrace.commands.kafka.rebuild"),
    "reset": ("let the shards on Kafka begin anew", "headrace.commands.kafka.reset"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    _write_in_any_encoding()
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        arguments = _make_parser(words[0] if words else "").parse_args(words)
    except KeyboardInterrupt:  # Importing a command takes a second.
        return 130
    from .errors import BadInput, BadSettings, BrokenInvariant  # noqa: PLC0415 - help is quick

    try:
        code: int = arguments.func(arguments)
    except (BadSettings, BadInput) as error:
        print(f"headrace: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"headrace: {where}{error.strerror or error}", file=sys.stderr)
        return 2
    except BrokenInvariant as error:
        print(
            f"headrace: {error}\n"
            "This is a fault of Headrace. Please report it, with this text and the --state folder.",
            file=sys.stderr,
        )
        return 70
    except KeyboardInterrupt:
        return 130
    return code


_IN_ASCII = {
    "–": "-", "—": "-", "−": "-", "±": "+/-", "≥": ">=", "≤": "<=", "·": "-", "×": "x", "→": "->",
    "…": "...", "─": "-", "│": "|", "━": "-", "\u00a0": " ", "\u202f": " ", "’": "'",
    "“": '"', "”": '"',
}  # fmt: skip


def _write_in_any_encoding() -> None:
    """Print characters that the encoding of the output lacks in ASCII, or as `?`."""
    codecs.register_error("headrace", _in_ascii)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="headrace")


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_IN_ASCII.get(mark, "?") for mark in text), error.end


def _make_parser(command: str) -> argparse.ArgumentParser:
    """Return a parser with the arguments of one command or, if that is unknown, all names."""
    parser = argparse.ArgumentParser(
        prog="headrace",
        description="Decides which events of an inference log are worth a label, asks for it, and "
        "learns from it.",
    )
    parser.add_argument("--version", action="version", version=f"headrace {version('headrace')}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    if command in COMMANDS:
        import_module(COMMANDS[command][1]).register(subparsers)
    else:
        for name, (about, _) in COMMANDS.items():
            subparsers.add_parser(name, help=about)
    return parser


if __name__ == "__main__":
    sys.exit(main())
