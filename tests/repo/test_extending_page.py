"""docs/EXTENDING.md: each of its examples runs as it stands."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest

from repo.tree import ROOT

PAGE = (ROOT / "docs" / "EXTENDING.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("code", EXAMPLES, ids=lambda code: re.findall(r"check_\w+", code)[-1])
def test_an_example_runs(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A module of its own, as a user has one: what is pickled has to be found again.
    name = "extending_" + re.findall(r"check_\w+", code)[-1] + str(EXAMPLES.index(code))
    (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module(name)
    monkeypatch.delitem(sys.modules, name)


def test_there_is_one_for_each_task() -> None:
    checks = {re.findall(r"^(check_\w+)\(", code, re.MULTILINE)[-1] for code in EXAMPLES}
    named = set(re.findall(r"`(check_\w+)`", PAGE))
    assert checks == named and len(named) == 6
