"""The repository as its own tests see it: which files there are, and what they hold."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "headrace"
TEXTS = {".md", ".py", ".toml", ".sh", ".txt", ".yml", ".yaml", ".json", ".jsonl", ".svg", ""}
TEXTS |= {".html", ".css", ".js"}


def files() -> list[Path]:
    """Every text file of the repository, new ones included, ignored ones not; in order."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [ROOT / name for name in sorted(listed.splitlines())]
    return [path for path in paths if path.suffix in TEXTS and path.is_file()]


def modules() -> list[Path]:
    """Every module of the package, as paths below it; in order."""
    return [path.relative_to(SOURCE) for path in sorted(SOURCE.rglob("*.py"))]


OUTER = ("adapters", "bridges", "commands", "drivers", "pages", "shells", "testing")
ENTRIES = ("cli.py", "__main__.py", "__init__.py", "embedding.py", "extending.py")


def is_core(module: Path) -> bool:
    """Whether the module decides, and so may touch nothing. `ENTRIES` only give out names."""
    return module.parts[0] not in OUTER and str(module) not in ENTRIES
