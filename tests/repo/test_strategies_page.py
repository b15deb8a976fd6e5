"""docs/STRATEGIES.md names every strategy with the options it has."""

from __future__ import annotations

from repo.tree import ROOT
from warm import run_python


def test_the_page_has_every_strategy_and_its_options() -> None:
    done = run_python(str(ROOT / "docs" / "strategies.py"), "--check")
    assert (done.returncode, done.stdout) == (0, "")
