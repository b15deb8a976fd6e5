"""A journal gives back what was written; a torn end is dropped, damage before it is refused."""

from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.adapters.journal import (
    MAGIC,
    Journal,
    Retrained,
    Source,
    Span,
    Spans,
    Ticked,
    hash_content,
)
from headrace.errors import BadInput

RECORDS = [
    Span(source=0, start=0, stop=10, digest=hash_content(b"x")),
    Span(source=1, start=5, stop=9, digest=hash_content(b"y")),
    Ticked(at=12.5),
    Retrained(job_id=3, at=13.0),
    Retrained(job_id=4, at=14.0, error="ValueError: no"),
]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "journal"
    with closing(Journal(path)) as journal:
        assert journal.is_new
        assert journal.number_source("events", "/e.jsonl") == 0
        assert journal.number_source("answers", "a.jsonl") == 1
        assert journal.number_source("events", "/e.jsonl") == 0
        for record in RECORDS:
            journal.append(record)
        assert not journal.is_new
    return path


def all_of(path):
    with closing(Journal(path, is_read_only=True)) as journal:
        return [record for record, _ in journal.read_records()]


def test_records_come_back_in_order(path):
    sources = [
        Source(number=0, kind="events", path="/e.jsonl"),
        Source(number=1, kind="answers", path="a.jsonl"),
    ]
    assert all_of(path) == sources + RECORDS


def test_what_was_fed_is_known_when_it_is_opened_again(path):
    with closing(Journal(path)) as journal:
        assert journal.sources[1].path == "a.jsonl"
        assert journal.fed[0].first_gap == 10
        assert journal.fed[1].first_gap == 0
        assert 5 in journal.fed[1]
        assert journal.last[1] == RECORDS[1]
        assert journal.size == path.stat().st_size


def test_records_can_be_read_from_where_any_of_them_ends(path):
    with closing(Journal(path, is_read_only=True)) as journal:
        ends = [end for _, end in journal.read_records()]
        for i, end in enumerate(ends):
            assert [e for _, e in journal.read_records(end)] == ends[i + 1 :]


def test_a_torn_last_record_is_dropped_wherever_it_was_torn(path):
    whole = path.read_bytes()
    with closing(Journal(path, is_read_only=True)) as journal:
        last, before = (end for _, end in list(journal.read_records())[:-3:-1])
    for cut in range(before, last):
        path.write_bytes(whole[:cut])
        assert len(all_of(path)) == len(RECORDS) + 1
        assert path.stat().st_size == cut
        with closing(Journal(path)) as journal:
            assert journal.size == before
            journal.append(RECORDS[-1])
        assert path.read_bytes() == whole


def test_zeros_that_a_loss_of_power_left_at_the_end_are_dropped(path):
    whole = path.read_bytes()
    path.write_bytes(whole + bytes(4096))
    Journal(path).close()
    assert path.read_bytes() == whole


def test_a_torn_magic_is_an_empty_journal(tmp_path):
    path = tmp_path / "journal"
    path.write_bytes(MAGIC[:3])
    with closing(Journal(path)) as journal:
        assert journal.is_new
    assert path.read_bytes() == MAGIC


@settings(max_examples=50, deadline=None)
@given(share=st.floats(0, 1), flip=st.integers(1, 255))
def test_damage_before_the_last_record_is_never_passed_over(tmp_path_factory, share, flip):
    path = tmp_path_factory.mktemp("journal") / "journal"
    with closing(Journal(path)) as journal:
        for at in range(20):
            journal.append(Ticked(at=float(at)))
    content = bytearray(path.read_bytes())
    place = int(share * (len(content) - 100))
    content[place] ^= flip
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"is damaged at byte|is not a journal"):
        Journal(path)


def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "journal"
    path.write_bytes(b"something else altogether")
    with pytest.raises(BadInput, match="not a journal of this version"):
        Journal(path)
    assert path.read_bytes() == b"something else altogether"


@settings(max_examples=50, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=12),
    order=st.randoms(use_true_random=False),
    n=st.integers(0, 12),
)
def test_spans_hold_exactly_what_was_added_in_any_order(lengths, order, n):
    starts = [sum(lengths[:i]) for i in range(len(lengths))]
    pieces = [(start, start + length) for start, length in zip(starts, lengths, strict=True)]
    order.shuffle(pieces)
    spans, expected = Spans(), set()
    for start, stop in pieces[:n]:
        spans.add(start, stop)
        expected |= set(range(start, stop))
    total = sum(lengths) + 2
    assert {i for i in range(total) if i in spans} == expected
    assert spans.first_gap == next(i for i in range(total) if i not in expected)
