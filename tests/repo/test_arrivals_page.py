"""docs/ARRIVALS.md names every rule with the options it has."""

from __future__ import annotations

import subprocess
import sys

from repo.tree import ROOT


def test_the_page_has_every_rule_and_its_options() -> None:
    command = [sys.executable, str(ROOT / "docs" / "arrivals.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")
