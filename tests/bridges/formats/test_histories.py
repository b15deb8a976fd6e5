"""However people save files and the bridge is killed, the log ends with what they said last."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridges.formats.test_files import HEAD, Folder

REQUESTS = ["r0", "r1", "r2"]
PEOPLE = ["ada", "bob"]
rows = st.dictionaries(
    st.tuples(st.sampled_from(REQUESTS), st.sampled_from(PEOPLE)),
    st.sampled_from(["ham", "spam", "?"]),
    max_size=4,
)
acts = st.one_of(
    st.tuples(st.sampled_from(["a.csv", "b.csv"]), rows),
    st.sampled_from(["restart", "crash", "look"]),
)


@settings(deadline=None)
@given(st.lists(acts, max_size=12))
def test_the_last_change_of_each_annotator_in_a_file_is_what_the_log_has_last(history):
    with tempfile.TemporaryDirectory() as path:
        folder = Folder(Path(path), classes=["ham", "spam"])
        with closing(folder.bridge):
            folder.ask(*REQUESTS)
        folder.bridge = folder.begun()
        log: dict[tuple[str, str], str | None] = {}
        log_n = 0
        before: dict[str, dict] = {}
        wanted: dict[tuple[str, str], str | None] = {}
        for act in [*history, "look"]:
            if act == "restart":
                folder.restart()
            elif act == "crash":
                # What was given was not remembered: it comes again.
                folder.bridge.receive(folder.mark)
                folder.restart()
            elif act != "look":
                name, table = act
                lines = [f"{r},{label},{who}\n" for (r, who), label in table.items()]
                folder.save(name, HEAD + "".join(lines))
                for voice, label in table.items():
                    if before.get(name, {}).get(voice) != label:
                        wanted[voice] = None if label == "?" else label
                # A line that is gone is still remembered as what that file said.
                before[name] = before.get(name, {}) | table
            if isinstance(act, tuple) or act == "look":
                found, faults = folder.look()
                assert faults == []
                log |= {(r, who): label for r, label, who in found}
                log_n += len(found)
        assert log == wanted
        assert folder.look() == ([], [])
        assert log_n <= sum(len(act[1]) for act in history if isinstance(act, tuple))
        folder.bridge.close()


@pytest.mark.parametrize("name", ["ä.csv", "a b;c.csv", "x" * 200 + ".csv", "-rf.csv", "$(id).csv"])
def test_a_file_of_answers_may_have_any_name(tmp_path, name):
    folder = Folder(tmp_path)
    folder.ask("r1")
    folder.save(name, HEAD + "r1,ham,ada\n")
    assert folder.look() == ([("r1", "ham", "ada")], [])
    folder.bridge.close()
