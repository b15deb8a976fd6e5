"""Whatever stands in a settings file: settings, or every fault in a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fuzz.mutated import mutated
from fuzz.profile import fuzzed
from headrace.errors import BadInput, BadSettings
from headrace.settings import Settings, check, load, parse

FILES = [
    b"""stream = "payments"
seed = 7
[model]
name = "logistic"
[query]
strategy = "margin"
[query.budget]
share = 0.05
cap = 500
[label]
deadline_s = 3600.0
late_answers = "refused"
[[drift.watch]]
signal = "error"
detector = "adwin"
""",
    b"""[input]
features = "payload.features"
classes = ["no", "yes"]
zone = "Europe/Zurich"
class_names = {0 = "no", 1 = "yes"}
[answers]
label = "result.0.value"
at_unit = "ms"
[schema]
classes = ["no", "yes"]
classes_closed = true
[query]
rounds.every_n = 20
cold_start.per_class_n = 3
[http]
port = 9100
[run]
snapshot_every_n = 300
""",
]
VALUES: Any = st.one_of(
    st.sampled_from(
        [10**12, -1, 0, 1e300, float("nan"), float("inf"), "", "committee", True, 10**30, "\ud800"]
    ),
    st.none(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.lists(st.text(max_size=3) | st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=3), max_size=2),
)


def paths(kind: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every setting and every section, as its path."""
    found = []
    for field in msgspec.structs.fields(kind):
        here = (*path, field.name)
        found.append(here)
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            found += paths(field.type, here)
    return found


@fuzzed
@given(
    st.lists(st.tuples(st.sampled_from(paths(Settings)), VALUES), max_size=4).map(
        # A section's own value first, what stands in it after.
        lambda given_: sorted(given_, key=lambda one: len(one[0]))
    )
)
def test_a_setting_takes_a_value_or_names_the_fault(given_: list[tuple[Any, Any]]) -> None:
    raw: dict[str, Any] = {}
    for path, value in given_:
        section: Any = raw
        for part in path[:-1]:
            section = section.setdefault(part, {}) if isinstance(section, dict) else None
        if isinstance(section, dict):
            section[path[-1]] = value
    try:
        settings = parse(raw)
    except BadSettings as error:
        assert all(error.faults)
        return
    assert check(settings) == []
    assert parse(msgspec.to_builtins(settings)) == settings


@fuzzed
@given(mutated(FILES) | st.binary(max_size=120))
@example(b"x = " + b"[" * 2_000)
def test_a_file_is_read_or_refused_with_what_is_wrong(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s.toml").write_bytes(content)
    try:
        settings = load(tmp_path / "s.toml")
    except BadInput as error:
        assert "TOML" in str(error) or "UTF-8" in str(error)
        return
    except BadSettings as error:
        assert all(error.faults)
        return
    assert check(settings) == []


@pytest.mark.parametrize(
    "section, name",
    [
        ("observe", "window_n"),
        ("observe", "reservoir_n"),
        ("observe", "ids_n"),
        ("schema", "features_max"),
        ("label", "answers_max"),
        ("label", "deadline_s"),
        ("learn", "memory_n"),
        ("learn", "passes"),
        ("evaluation", "window_n"),
        ("input", "jump_max_s"),
        ("input", "line_bytes_max"),
        ("run", "snapshots_kept"),
    ],
)
def test_absurd_sizes_are_faults(section: str, name: str) -> None:
    with pytest.raises(
        BadSettings, match=rf"{section}\.{name} is 1000000000000; must be .*at most"
    ):
        parse({section: {name: 10**12}})
