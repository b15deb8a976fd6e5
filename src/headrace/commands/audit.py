"""`headrace audit`: verify the log, and print its latest hash to be kept elsewhere."""

from __future__ import annotations

import argparse
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from rich.table import Table

from ..adapters.chain import NOTHING, check_links, encode_entry
from ..adapters.printing import make_console, say
from ..drivers.audit.acts import open_worker_acts
from ..drivers.audit.verify import Verified, chains_at, log_folder, verify_log
from ..errors import BadInput, BadSettings
from ..settings import load_for_kafka
from .stopping import catch_stop_signals

HASH_LENGTH = len(NOTHING)


def register(subparsers: Any) -> None:
    """Add `headrace audit`."""
    parser = subparsers.add_parser(
        "audit",
        help="who asked, who answered, who moved the model",
        description="Verify the hash-chained log of who asked, who answered and who moved the "
        "model, which audit.is_kept makes. docs/AUDIT.md says what is found and what is not.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    verifies = actions.add_parser(
        "verify",
        help="whether the log is whole",
        description="Verify the chain, and compare it with the records of the run where they are "
        "there. Exit 0: whole; 1: it is not, and the first entry that is broken is named; 2: there "
        "is no log.",
    )
    verifies.add_argument(
        "--head",
        action="append",
        default=[],
        metavar="HASH",
        help="a hash that was kept elsewhere: nothing before it was changed or cut; may be given "
        "for each chain",
    )
    verifies.add_argument(
        "--settings",
        type=Path,
        metavar="FILE",
        help="TOML of the workers on Kafka: compare with every record that the topics still hold",
    )
    verifies.add_argument("--json", action="store_true", help="what was found, as JSON")
    verifies.set_defaults(func=verify_command)
    heads = actions.add_parser(
        "head",
        help="the latest hash of each chain",
        description="Print the number of entries and the latest hash of each chain, to be kept "
        "where whoever can write the log can't.",
    )
    heads.set_defaults(func=head_command)
    follows = actions.add_parser(
        "follow",
        help="write the log beside the workers on Kafka",
        description="Read the topics of requests, answers, training and drift as they grow, and "
        "write the log in audit/ beside the settings file. One process is enough, however many "
        "workers there are. Ends with SIGTERM or Ctrl-C.",
    )
    follows.add_argument("--settings", type=Path, required=True, metavar="FILE", help="TOML")
    follows.set_defaults(func=follow_command)
    for action in (verifies, heads):
        action.add_argument(
            "path",
            type=Path,
            metavar="DIR|FILE",
            help="the --state of a run, the folder of a log, or one of its files",
        )


def verify_command(arguments: argparse.Namespace) -> int:
    """Run `headrace audit verify`; return the exit code."""
    for head in arguments.head:
        if len(head) != HASH_LENGTH or not all(mark in "0123456789abcdefABCDEF" for mark in head):
            raise BadSettings(
                f"--head is {head!r}; must be the {HASH_LENGTH} digits that headrace audit head "
                "prints"
            )
    verified = verify_log(arguments.path, arguments.head)
    if arguments.settings is not None and verified.is_whole:
        from ..drivers.audit.topics import compare_with_topics  # noqa: PLC0415 - Kafka is an extra

        settings = load_for_kafka(arguments.settings)
        compared = compare_with_topics(log_folder(arguments.path), settings)
        verified.faults += compared.faults
        verified.notes += compared.notes
        verified.compared += [] if compared.faults else ["the topics"]
    if arguments.json:
        sys.stdout.buffer.write(
            msgspec.json.format(msgspec.json.encode(_as_json(verified))) + b"\n"
        )
        sys.stdout.flush()
    else:
        _show_verified(verified, arguments.path)
    return 0 if verified.is_whole else 1


def head_command(arguments: argparse.Namespace) -> int:
    """Run `headrace audit head`; return the exit code."""
    for name, paths in sorted(chains_at(arguments.path).items()):
        last = None
        for link in check_links(paths):
            if link.fault:
                raise BadInput(
                    f"{name}: {link.place}: {link.fault}; headrace audit verify tells more"
                )
            last = link
        if last is not None:
            sys.stdout.write(f"{name} {last.entry['n'] + 1} {last.hash}\n")
    return 0


def follow_command(arguments: argparse.Namespace) -> int:
    """Run `headrace audit follow`; return the exit code."""
    from ..drivers.audit.topics import follow_topics  # noqa: PLC0415 - Kafka is an extra

    settings = load_for_kafka(arguments.settings)
    if not settings.audit.is_kept:
        raise BadSettings(
            f"audit.is_kept is false in {arguments.settings}; set it, so that the desk and the "
            "commands write their acts too"
        )
    acts = open_worker_acts(arguments.settings, settings)
    assert acts.folder is not None
    acts.record(
        "follow_started", settings=sha256(encode_entry(msgspec.to_builtins(settings))).hexdigest()
    )
    with catch_stop_signals() as stop:
        follow_topics(acts.folder, settings, stop, say)
    return 0


def _as_json(found: Verified) -> dict[str, Any]:
    return {
        "is_whole": found.is_whole,
        "faults": found.faults,
        "notes": found.notes,
        "compared": found.compared,
        "chains": [
            {"name": chain.name, "entries": [chain.first_n, chain.next_n], "head": chain.head}
            for chain in found.chains
        ],
        **{
            part.replace(" ", "_"): counts
            for part, counts in found.summary.counts_by_part().items()
        },
    }


def _show_verified(found: Verified, path: Path) -> None:
    console = make_console()
    rows = found.summary.list_rows()
    if console.is_terminal:
        table = Table(title=str(path), title_justify="left")
        for name in ("part", "who or what", "number"):
            table.add_column(name, justify="right" if name == "number" else "left")
        for part, name, n in rows:
            table.add_row(part, name, f"{n:,}")
        console.print(table)
    else:
        for part, name, n in rows:
            sys.stdout.write(f"{part}\t{name}\t{n}\n")
    for chain in found.chains:
        entries = f"entries {chain.first_n} to {chain.next_n - 1}" if chain.next_n else "no entry"
        sys.stdout.write(f"{chain.name}: {entries}, head {chain.head}\n")
    for sentence in found.notes:
        sys.stdout.write(f"note: {sentence}\n")
    for sentence in found.faults:
        sys.stdout.write(f"BROKEN: {sentence}\n")
    if found.is_whole:
        agreement = f"; it agrees with {', '.join(found.compared)}" if found.compared else ""
        sys.stdout.write(f"whole: every entry follows from the one before{agreement}\n")
