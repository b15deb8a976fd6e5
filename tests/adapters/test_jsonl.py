"""Lines are the same however they are read; what stands in a file is not written again."""

import os
import pathlib
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.adapters.journal import hash_content
from headrace.adapters.jsonl import Appender, Pipe, Tail, split_lines
from headrace.errors import BadInput, BrokenInvariant

CONTENTS = st.lists(st.sampled_from([b"\n", b"a", b"bb", b"\r", b"cccccc"]), max_size=60).map(
    b"".join
)


def read(path, length_max=4, chunk_bytes=1 << 20, step_n=3, position=0, is_final=True):
    tail = Tail(path, position=position, length_max=length_max, chunk_bytes=chunk_bytes)
    with closing(tail):
        lines = []
        while found := tail.peek(step_n, is_final=is_final):
            lines += found
            tail.advance(len(found))
        assert tail.position == position + sum(map(len, lines))
        return lines


@settings(max_examples=50, deadline=None)
@given(content=CONTENTS, chunk_bytes=st.integers(1, 9), step_n=st.integers(1, 5))
def test_lines_do_not_depend_on_how_the_bytes_are_read(
    tmp_path_factory, content, chunk_bytes, step_n
):
    path = tmp_path_factory.mktemp("lines") / "x"
    path.write_bytes(content)
    lines = read(path, chunk_bytes=chunk_bytes, step_n=step_n)
    assert lines == split_lines(content, 4)
    assert b"".join(lines) == content
    assert max(map(len, lines), default=0) <= 5


@settings(max_examples=50, deadline=None)
@given(content=CONTENTS)
def test_lines_split_from_any_line_on_are_the_same(content):
    lines = split_lines(content, 4)
    for i in range(len(lines)):
        assert split_lines(b"".join(lines[i:]), 4) == lines[i:]


def test_a_line_without_its_newline_waits_unless_the_file_is_complete(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"one\ntwo")
    with closing(Tail(path, length_max=100)) as tail:
        assert tail.peek(9, is_final=False) == [b"one\n"]
        assert tail.peek(9, is_final=True) == [b"one\n", b"two"]
        with path.open("ab") as file:
            file.write(b"!\nthree\n")
        assert tail.peek(9, is_final=False) == [b"one\n", b"two!\n", b"three\n"]


def test_a_file_that_is_not_there_yet_has_no_lines(tmp_path):
    path = tmp_path / "x"
    with closing(Tail(path, length_max=100)) as tail:
        assert tail.peek(9, is_final=True) == []
        assert tail.size == 0
        path.write_bytes(b"one\n")
        assert tail.peek(9, is_final=True) == [b"one\n"]


def test_a_file_that_became_shorter_is_refused(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"one\ntwo\n")
    with closing(Tail(path, length_max=100)) as tail:
        tail.peek(9, is_final=True)
        path.write_bytes(b"new\n")
        with pytest.raises(BadInput, match="has 4 bytes, and 8 were read of it before"):
            tail.peek(9, is_final=True)


@pytest.mark.parametrize("held", [b"", b"a", b"a1\n", b"a1\nb", b"a1\nb2\n", b"a1\nb2\nc3\n"])
def test_what_the_file_holds_is_skipped_and_what_is_missing_appended(tmp_path, held):
    path = tmp_path / "x"
    path.write_bytes(b"old\n" + held)
    with closing(Appender(path, position=4)) as appender:
        appender.write(b"a1\nb2\n")
        appender.write(b"c3\n")
        appender.write(b"d4\n")
        assert appender.position == appender.size == 16
    assert path.read_bytes() == b"old\na1\nb2\nc3\nd4\n"


def test_a_file_that_holds_something_else_is_named_with_both_lines(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"a1\nbX\n")
    with closing(Appender(path, position=0)) as appender, pytest.raises(BrokenInvariant) as caught:
        appender.write(b"a1\nb2\n")
    assert "differs at byte 4" in str(caught.value)
    assert "it holds bX\n  decided  b2" in str(caught.value)
    assert path.read_bytes() == b"a1\nbX\n"


def test_a_file_shorter_than_what_was_written_is_refused(tmp_path):
    with pytest.raises(BadInput, match="has 0 bytes, and 7 were written to it before"):
        Appender(tmp_path / "x", position=7)


def test_a_pipe_is_copied_and_a_torn_line_of_the_run_before_is_closed(tmp_path):
    path = tmp_path / "copy"
    path.write_bytes(b"one\ntw")
    reader, writer = os.pipe()
    with closing(Pipe(reader, path)) as pipe:
        assert not pipe.pump(0.0)
        os.write(writer, b"three\n")
        assert pipe.pump(1.0)
        assert not pipe.has_ended
        os.close(writer)
        assert not pipe.pump(1.0)
        assert pipe.has_ended
    os.close(reader)
    assert path.read_bytes() == b"one\ntw\nthree\n"


def test_only_a_regular_file_is_appended_to():
    with pytest.raises(BadInput, match="not a regular file"):
        Appender(pathlib.Path("/dev/null"), position=0)


def begun(tmp_path, content):
    path = tmp_path / "out.jsonl"
    path.write_bytes(content)
    return path, Appender(path, position=0)


def test_lines_that_are_there_stay_and_those_that_would_be_others_are_counted(tmp_path):
    path, appender = begun(tmp_path, b"one\ntwo\n")
    with closing(appender):
        assert (
            appender.append_missing(
                [b"one\n", b"2\n", b"3\n"], 8, hash_content(b"one\ntwo\n"), hash_content
            )
            == 2
        )
        appender.write(b"four\n")
    assert path.read_bytes() == b"one\ntwo\nfour\n"


def test_a_line_that_a_kill_cut_short_is_written_whole_as_it_is_now(tmp_path):
    path, appender = begun(tmp_path, b"one\ntw")
    with closing(appender):
        assert (
            appender.append_missing(
                [b"one\n", b"2\n"], 8, hash_content(b"one\ntwo\n"), hash_content
            )
            == 0
        )
    assert path.read_bytes() == b"one\n2\n"


def test_what_was_not_written_whole_is_completed(tmp_path):
    path, appender = begun(tmp_path, b"one\ntw")
    with closing(appender):
        assert (
            appender.append_missing(
                [b"one\n", b"two\n"], 8, hash_content(b"one\ntwo\n"), hash_content
            )
            == 0
        )
    assert path.read_bytes() == b"one\ntwo\n"


def test_lines_that_somebody_changed_are_refused(tmp_path):
    _, appender = begun(tmp_path, b"one\n2wo\n")
    with closing(appender), pytest.raises(BrokenInvariant, match="differs at byte 4"):
        appender.append_missing([b"one\n", b"two\n"], 8, hash_content(b"one\ntwo\n"), hash_content)


@pytest.mark.parametrize(
    ("held", "now", "shown"),
    [
        (b"one\ntwo\n", [b"one\n"], "at byte 4 .*\n  it holds two\n  decided  $"),
        (b"one\n", [b"one\n", b"two\n"], "at byte 4 .*\n  it holds \n  decided  two$"),
        (b"one\n", [], "at byte 0 .*\n  it holds one\n  decided  $"),
    ],
)
def test_other_bytes_than_the_recorded_ones_are_refused_where_one_begins_the_other(
    tmp_path, held, now, shown
):
    path, appender = begun(tmp_path, held)
    with closing(appender), pytest.raises(BrokenInvariant, match=f"differs {shown}"):
        appender.append_missing(now, len(held), hash_content(b"what was recorded"), hash_content)
    assert path.read_bytes() == held
