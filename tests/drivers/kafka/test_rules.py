"""What a worker says of what its decisions follow from."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from headrace.drivers.kafka.rules import rules_in_use
from headrace.learn.rules import list_differing
from headrace.settings import parse

RAW = {
    "query": {"budget": {"share": 0.2}},
    "label": {"deadline_s": 60.0},
    "kafka": {"desk_partitions": 3, "group": "secret-group"},
    "worker": {"snapshot_every_s": 9.0},
    "http": {"port": 1},
}


def test_settings_that_decide_are_named_and_no_others() -> None:
    named = {name for name in rules_in_use(parse(RAW)) if "version" not in name}
    assert named == {"query.budget", "label.deadline_s", "kafka.desk_partitions"}


def test_versions_are_said_as_they_are() -> None:
    rules = rules_in_use(parse({}))
    assert set(rules) == {f"version of {name}" for name in ("headrace", "numpy", "python", "river")}


def test_nothing_that_is_said_holds_a_value_of_the_settings() -> None:
    rules = rules_in_use(parse(RAW))
    digests = [value for name, value in rules.items() if "version" not in name]
    assert all(len(value) == 16 and int(value, 16) >= 0 for value in digests)
    assert "secret" not in str(rules)


def test_what_differs_is_named() -> None:
    ours = rules_in_use(parse(RAW))
    other = RAW | {"label": {"deadline_s": 61.0}, "seed": 4}
    assert list_differing(ours, rules_in_use(parse(other))) == ["label.deadline_s", "seed"]


def test_code_that_a_setting_names_is_said_by_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine_for_rules.py"
    path.write_text("def decode(record): return None\n")
    monkeypatch.syspath_prepend(tmp_path)
    settings = parse({"input": {"decoder": "mine_for_rules:decode"}})
    __import__("mine_for_rules")
    before = rules_in_use(settings)
    path.write_text("def decode(record): return 1\n")
    assert list_differing(before, rules_in_use(settings)) == [
        "code of mine_for_rules (input.decoder)"
    ]
    del sys.modules["mine_for_rules"]


def test_code_without_a_file_is_said_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("made_here")
    module.read = print  # type: ignore[attr-defined]  # that is what is set here
    monkeypatch.setitem(sys.modules, "made_here", module)
    settings = parse({"input": {"decoder": "made_here:read"}})
    assert "code of made_here (input.decoder)" in rules_in_use(settings)
