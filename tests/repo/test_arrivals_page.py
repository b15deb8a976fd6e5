"""docs/ARRIVALS.md names every rule with the options it has."""

from __future__ import annotations

from repo.tree import ROOT
from warm import run_python


def test_the_page_has_every_rule_and_its_options() -> None:
    done = run_python(str(ROOT / "docs" / "arrivals.py"), "--check")
    assert (done.returncode, done.stdout) == (0, "")
