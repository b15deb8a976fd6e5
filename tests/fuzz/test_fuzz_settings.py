"""Whatever stands in a settings file: settings, or every fault in a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.profile import fuzzed
from headrace.errors import BadInput, BadSettings
from headrace.settings import Settings, load, parse

VALUES: Any = st.one_of(
    st.sampled_from(
        [10**12, -1, 0, 1e300, float("nan"), float("inf"), "", "committee", True, 10**30]
    ),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.lists(st.text(max_size=3) | st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=3), max_size=2),
)


def paths(kind: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every setting, as its path."""
    found = []
    for field in msgspec.structs.fields(kind):
        inner = field.type
        is_section = isinstance(inner, type) and issubclass(inner, msgspec.Struct)
        found += paths(inner, (*path, field.name)) if is_section else [(*path, field.name)]
    return found


@fuzzed
@given(st.lists(st.tuples(st.sampled_from(paths(Settings)), VALUES), max_size=4))
def test_a_setting_takes_a_value_or_names_the_fault(given_: list[tuple[Any, Any]]) -> None:
    raw: dict[str, Any] = {}
    for path, value in given_:
        section = raw
        for part in path[:-1]:
            section = section.setdefault(part, {})
        section[path[-1]] = value
    try:
        settings = parse(raw)
    except BadSettings as error:
        assert all(error.faults)
        return
    assert parse(msgspec.to_builtins(settings)) == settings


@fuzzed
@given(st.binary(max_size=120))
def test_bytes_of_any_kind_are_no_traceback(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s.toml").write_bytes(content)
    try:
        load(tmp_path / "s.toml")
    except (BadInput, BadSettings) as error:
        assert str(error)


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
