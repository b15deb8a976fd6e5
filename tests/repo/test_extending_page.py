"""docs/EXTENDING.md: each of its examples runs as it stands."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Collection
from pathlib import Path

import pytest

from headrace import decoders, testing
from headrace.bridges import BRIDGES
from headrace.bridges.formats import FORMATS
from headrace.learn.models import PRESETS
from headrace.query.budgets import Cap, PerHour, Share
from headrace.query.rules import RULES
from headrace.query.schedule import WORKFLOWS
from headrace.query.strategies import STRATEGIES
from headrace.settings.drift import DETECTORS
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


def test_each_example_is_one_module_and_a_line() -> None:
    """A part of your own takes a module of yours, and settings or an argument that name it."""
    checks = [re.findall(r"^(check_\w+)\(", code, re.MULTILINE)[-1] for code in EXAMPLES]
    assert set(checks) == SHIPPED.keys() - ON_OTHER_PAGES
    named = set(re.findall(r"`(check_\w+)`", PAGE))
    assert named == SHIPPED.keys()


POINT_RULE = (
    "A part that users may bring has a check in headrace.testing, and at least two of its kind are "
    "shipped: with one, what is general and what is special can't be told apart."
)
SHIPPED: dict[str, Collection[object]] = {
    "check_bridge": BRIDGES,
    "check_budget": [Share, PerHour, Cap],
    "check_decoder": [decoders.cloudevent, decoders.confluent_json],
    "check_detector": DETECTORS,
    "check_format": FORMATS,
    "check_model": PRESETS,
    "check_online": RULES,
    "check_strategy": STRATEGIES,
    "check_workflow": WORKFLOWS,
}
"""By the check of each part that users may bring: what is shipped of its kind."""

ON_OTHER_PAGES = {"check_decoder", "check_format"}


def test_every_extension_point_has_two_implementations_and_a_check() -> None:
    checks = {name for name in testing.__all__ if name.startswith("check_")}
    assert checks == SHIPPED.keys(), POINT_RULE
    assert [name for name, kinds in SHIPPED.items() if len(kinds) < 2] == [], POINT_RULE
