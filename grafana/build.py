"""Writes the dashboards of grafana/dashboards from the Python beside this file.

    python -m grafana.build [--check]

With --check nothing is written; a dashboard that is not what the code says makes the exit code 1.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from .board_annotators import annotators
from .board_drift import drift
from .board_overview import overview

FOLDER = Path(__file__).parent / "dashboards"


def boards() -> list[Dashboard]:
    """All dashboards, the overview first."""
    return [made.build() for made in (overview(), drift(), annotators())]


def text_of(board: Dashboard) -> str:
    """A dashboard as its file holds it."""
    return JSONEncoder(indent=2, ensure_ascii=False).encode(board) + "\n"


def main() -> int:
    """Write or check the files; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    is_check = parser.parse_args().check
    stale = []
    for board in boards():
        path, text = FOLDER / f"{board.uid}.json", text_of(board)
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(path.name)
        if not is_check:
            path.write_text(text, encoding="utf-8")
    for name in stale:
        sys.stdout.write(f"{name}: {'stale; run make dashboards' if is_check else 'written'}\n")
    return 1 if is_check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
