"""`headrace unseal`: print the lines of a sealed log as they were before they were sealed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ..adapters.jsonl import open_input
from ..adapters.sealing import Sealer, read_keys
from ..errors import NotSealed


def register(subparsers: Any) -> None:
    """Add `headrace unseal`."""
    parser = subparsers.add_parser(
        "unseal",
        help="read a sealed log",
        description="Write the lines of a sealed file of requests or answers to standard output, "
        "as they were before they were sealed. Exit 0: all of them; 1: some are not sealed, were "
        "altered or moved, and are told; 2: the file or a key is missing.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the sealed file, from its start")
    parser.add_argument(
        "--keys", type=Path, required=True, metavar="FILE", help="as sealing.keys_file"
    )
    parser.set_defaults(func=main)


def main(arguments: argparse.Namespace) -> int:
    """Run `headrace unseal`; return the exit code."""
    sealer = Sealer(read_keys(arguments.keys, "--keys"), "")
    position, faults_n = 0, 0
    with open_input(arguments.file) as file:
        for line in file:
            try:
                wiped = line.isspace()
                text = b"" if wiped else sealer.unseal_named(line.removesuffix(b"\n"), "", position)
            except NotSealed as error:
                faults_n += 1
                sys.stderr.write(f"headrace: {arguments.file}, byte {position}: {error}\n")
            else:
                if not wiped:
                    sys.stdout.write(text.decode(errors="replace") + "\n")
            position += len(line)
    return 1 if faults_n else 0
